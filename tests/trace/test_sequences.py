"""``--prompts`` of data and of PGN files: each sequence is asked what the user would ask of it alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from saecli.asking.question import Question, ask
from saecli.asking.sequences import ask_sequences
from saecli.attribution.metric import CrossEntropyMetric, LinearMetric
from saecli.games import othello
from saecli.trace.config import TraceConfig
from tests.trace.conftest import make_tiny
from zoo.load import load_model, load_suite

GAMES = """[Event "one"]

1. e4 e5 2. Nf3 {a knight} Nc6 (2... d6) 1-0

[Event "two"]

1. d4 d5 *
"""


@pytest.fixture(scope="module")
def tiny_chess(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("tiny-chess"), "chess", 32)


def asked(folder: Path, source: str, **options: object) -> list[Question]:
    model = load_model(str(folder))
    return ask_sequences(model, str(folder), source, load_suite(str(folder)), **options)  # type: ignore[arg-type]


def alone(folder: Path, **options: object) -> Question:
    model, suite = load_model(str(folder)), load_suite(str(folder))
    return ask(model, TraceConfig(model=str(folder), **options), suite, suite.info.residual)  # type: ignore[arg-type]


def same(one: Question, other: Question) -> None:
    assert one.tokens_S.tolist() == other.tokens_S.tolist()
    assert one.positions == other.positions
    assert isinstance(one.metric, LinearMetric)
    assert isinstance(other.metric, LinearMetric)
    assert torch.equal(one.metric.weights_V, other.metric.weights_V)
    assert (one.metric.name, one.metric.target, one.metric.position) == (
        other.metric.name,
        other.metric.target,
        other.metric.position,
    )


def test_games_of_othello_are_held_out_ones_and_the_models_choice_is_legal(tiny: Path) -> None:
    found = asked(tiny, "othello", wanted=3, at=9)
    assert len({tuple(one.tokens_S.tolist()) for one in found}) == 3
    for one in found:
        game = " ".join(othello.token_name(token) for token in one.tokens_S.tolist())
        same(one, alone(tiny, game=game))
    assert [len(one.tokens_S) for one in asked(tiny, "othello", wanted=1)] == [20]


def test_with_cross_entropy_it_is_the_token_that_follows(tiny_text: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat and looked at the other cat. " * 40)
    here = asked(tiny_text, str(text), wanted=4, at=12, metric="ce")
    longer = asked(tiny_text, str(text), wanted=4, at=13, metric="ce")
    assert len(here) == 4
    first = {tuple(one.tokens_S.tolist()): one.metric for one in here}
    followed = 0
    for one in longer:
        metric = first.get(tuple(one.tokens_S.tolist()[:-1]))
        if isinstance(metric, CrossEntropyMetric):
            followed += 1
            assert metric.token == int(one.tokens_S[-1])
    assert followed
    same(asked(tiny_text, str(text), wanted=1, at=5)[0], alone(tiny_text, prompt=prompt_of(tiny_text, str(text))))


def prompt_of(folder: Path, source: str) -> str:
    return "".join(map(chr, asked(folder, source, wanted=1, at=5)[0].tokens_S.tolist()))


def test_games_of_a_file_to_their_end_or_to_a_position(tiny_chess: Path, tmp_path: Path) -> None:
    file = tmp_path / "games.pgn"
    file.write_text(GAMES)
    whole = asked(tiny_chess, str(file))
    assert len(whole) == 2
    same(whole[0], alone(tiny_chess, game="1. e4 e5 2. Nf3 Nc6"))
    same(whole[1], alone(tiny_chess, game="1. d4 d5"))
    (part,) = asked(tiny_chess, str(file), wanted=1, at=6, metric="ce")
    rest = alone(tiny_chess, game=";1.e4 e5 2.")
    assert part.tokens_S.tolist() == rest.tokens_S.tolist()[:7]
    assert isinstance(part.metric, CrossEntropyMetric)
    assert part.metric.token == int(rest.tokens_S[7])
    last = asked(tiny_chess, str(file), at=-1)
    assert [one.tokens_S.tolist() for one in last] == [one.tokens_S.tolist() for one in whole]


def test_one_command_traces_them(tiny: Path, tmp_path: Path, saecli) -> None:
    done = saecli(
        "trace", tiny, "--prompts", "othello", "--n-prompts", "3", "--at", "9", "--out", tmp_path / "run", "--json"
    )
    assert done.code == 0, done.err
    assert json.loads(done.out)["prompts"] == 3
    graph = json.loads((tmp_path / "run" / "graph.json").read_text())
    assert graph["settings"]["prompts"] == 3
    assert graph["metric"]["target"] == "the answers"


BAD = {
    "no such data": (["--prompts", "nowhere"], 2, "nowhere"),
    "another game": (["--prompts", "games.pgn"], 2, "has games of chess"),
    "no such position": (["--prompts", "othello", "--at", "99"], 2, "--at 99"),
    "nothing to compare with": (["--prompts", "othello", "--at", "58", "--n-prompts", "3"], 3, "Every empty square"),
    "pairs": (["--prompts", "othello", "--ablation", "patch"], 2, "Pairs stand in a file of JSON lines"),
    "one input too": (["--prompts", "othello", "--game", "F5"], 2, "--game is of one input"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_sources_are_one_sentence(case: str, tiny: Path, tmp_path: Path, saecli, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "games.pgn").write_text(GAMES)
    arguments, code, words = BAD[case]
    done = saecli("trace", tiny, *arguments)
    assert (done.code, done.out) == (code, ""), done.err
    assert words in done.err


def test_a_damaged_file_is_one_sentence(tiny_chess: Path, tmp_path: Path, saecli) -> None:
    file = tmp_path / "games.pgn"
    for text, words in (("1. e4 (", "does not end"), ("1. e4 e4", "game 1"), ("", "has 0 sequences")):
        file.write_text(text)
        done = saecli("trace", tiny_chess, "--prompts", file)
        assert (done.code, done.out) == (3, ""), done.err
        assert words in done.err
