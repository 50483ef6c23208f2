"""Which labels carry the target: classes of labels by the rules of Othello, and their shares of effect."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.attribution.clean import ERROR, SiteNodes
from saecli.core.labels import Label, Labels
from saecli.core.site import Site
from saecli.formats.labels import write_labels
from saecli.games import othello
from saecli.trace.rules import NAMES, Rules, Tally, kinds_of
from zoo.load import load_suite

SITE = Site(1, "resid_pre")
GAME = othello.parse_game("F5D6C3D3")  # then C4 turns D4 (and D3 and C3 stay)


def nodes(rows: list[tuple[int, int, float, float]]) -> SiteNodes:
    """Position, index, activation, effect."""
    position, index, activation, effect = (torch.tensor(column) for column in zip(*rows, strict=True))
    return SiteNodes(SITE, position, index, activation.double(), torch.zeros(len(rows), 0), effect.double())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), length=st.integers(1, 50))
def test_what_a_move_turns_is_what_differs_besides_it(seed: int, length: int):
    moves = othello.random_games(1, seed).moves[0].tolist()
    moves = [move for move in moves if move >= 0][: length + 1]
    rules = Rules.of(moves[:-1], moves[-1])
    boards = othello.replay([moves])
    mine, theirs = (
        (boards.black, boards.white) if boards.black_to_move[0, len(moves) - 2] else (boards.white, boards.black)
    )
    gained = othello.squares(mine[0, -1]) & othello.squares(theirs[0, -2])
    assert rules.turned == frozenset(np.flatnonzero(gained).tolist())
    assert rules.turned
    assert rules.target in rules.legal


def test_every_label_has_its_class():
    target = othello.parse_game("C4")[0]
    rules = Rules.of(GAME, target)
    turned = othello.square_name(min(rules.turned))
    other = othello.square_name(min(rules.legal - {target}))
    assert rules.kind("C4 legal") == "target"
    assert rules.kind("C4 would be turned north") == "at target"
    assert rules.kind(f"{turned} yours") == "turned"
    assert rules.kind("A1 mine") == "other disc"
    assert rules.kind(f"{other} legal") == "other legal"
    assert rules.kind("A1 legal") == "not legal"
    assert rules.kind("A1 turns north") == "lines"
    assert rules.kind("") == "none"


def test_shares_are_of_absolute_effect_and_chance_stays_within_site_and_position():
    target = othello.parse_game("C4")[0]
    rules = Rules.of(GAME, target)
    found = nodes([(0, 7, 1.0, -3.0), (0, 8, 1.0, 1.0), (1, 7, 0.1, 2.0), (1, 9, 1.0, -2.0), (1, ERROR, 5.0, 9.0)])
    labels = {7: ("C4 legal", 0.5), 9: ("A1 mine", 0.0)}
    kinds = kinds_of(found, rules, labels)
    assert [NAMES[kind] for kind in kinds[:4]] == ["target", "none", "none", "other disc"]  # the third is too weak
    tally = Tally()
    tally.add([(found, kinds)], 1)
    effect = dict(zip(NAMES, tally.effect, strict=True))
    assert effect == {**dict.fromkeys(NAMES, 0.0), "target": 3.0, "none": 3.0, "other disc": 2.0}
    random = dict(zip(NAMES, tally.random, strict=True))
    assert random["target"] == pytest.approx(4 / 2)  # one of two at the first position, where 4 is to be dealt out
    assert random["none"] == pytest.approx(4 / 2 + 4 / 2)
    assert random["other disc"] == pytest.approx(4 / 2)
    assert tally.random.sum() == pytest.approx(tally.effect.sum())
    assert tally.errors == 9.0
    assert dict(zip(NAMES, tally.helps, strict=True))["none"] == 0.0
    assert tally.intervals(0).shape == (2, len(NAMES))


def test_the_rules_over_games_are_a_table_and_a_page(saecli, tiny: Path, tmp_path: Path):
    suite = load_suite(str(tiny))
    (site,) = suite.resolve("1", ("resid_pre",))
    words = ("legal", "mine", "yours")
    table = [Label(i, f"{othello.square_name(i)} {words[i % 3]}", "board", 0.9, 0.0) for i in range(40)]
    write_labels(Labels({suite.fingerprints[site]: table}), tmp_path / "labels.json")
    call = ("trace", str(tiny), "--rules", "3", "--labels", "labels.json", "--layers", "1", "--json")
    done = saecli(*call)
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["games"] == 3
    assert [one["name"] for one in result["classes"]] == list(NAMES)
    for key in ("share", "random", "features"):
        assert sum(one[key] for one in result["classes"]) == pytest.approx(1)
    assert all(one["low"] - 1e-9 <= one["share"] <= one["high"] + 1e-9 for one in result["classes"])
    (page,) = tmp_path.glob("saecli-runs/trace-*/rules.html")
    assert "do the features that carry a move know its rules?" in page.read_text()
    assert not (tmp_path / "saecli-runs" / "latest-trace").exists()


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--rules", "3", "--game", "F5"), 2, "--game is of a graph, and --rules draws none."),
        (("--rules", "3", "--method", "ablation"), 2, "--rules goes with --method gradient and ig."),
        (("--rules", "3", "--labels", "none"), 3, "has a label"),
    ],
    ids=["game", "method", "no-labels"],
)
def test_what_the_rules_cannot_be_asked_of(saecli, tiny: Path, flags: tuple[str, ...], code: int, said: str):
    done = saecli("trace", str(tiny), *flags)
    assert done.code == code, done.err
    assert said in " ".join(done.err.split())


def test_only_othello_has_these_rules(saecli, tiny_text: Path):
    done = saecli("trace", str(tiny_text), "--rules", "3")
    assert done.code == 3
    assert "--rules is about Othello" in done.err
