"""``saecli validate --set`` as a user meets it, on a tiny model in real files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from saecli.core.errors import UsageError
from saecli.games import othello
from saecli.validate.intervention_flags import parse_setting
from tests.trace.conftest import tiny, tiny_text

__all__ = ["tiny", "tiny_text"]
GAME = "f5d6c3d3c4f4"
QUICK = ("--threads", "1", "--device", "cpu", "--dtype", "float64")


def of(folder: Path) -> tuple[object, ...]:
    return ("validate", folder, "--model", folder, *QUICK)


@pytest.fixture
def traced(tiny, saecli):
    """Traces; returns the run directory's name."""

    def trace(name: str, *flags: str) -> str:
        done = saecli("trace", tiny, "--game", GAME, "--out", name, *QUICK, *flags)
        assert done.code == 0, done.err
        return name

    return trace


def strong(graph: Path, site: str) -> dict:
    """The node of a site with the largest absolute effect."""
    nodes = [node for node in json.loads(graph.read_text())["nodes"] if node["id"].startswith(f"{site}:")]
    return max((node for node in nodes if "error" not in node["id"]), key=lambda node: abs(node["effect"]))


@pytest.mark.parametrize(
    ("text", "how", "value"),
    [
        ("7:331=0", "set", 0),
        ("7:331=2.5", "set", 2.5),
        ("7:331=2x", "scale", 2),
        ("7:331=.5X", "scale", 0.5),
        ("7:331=-1x", "scale", -1),
        ("7:331=+5", "add", 5),
        ("7.attn_out:3,4@2=-2e1", "add", -20),
    ],
)
def test_settings(text: str, how: str, value: float) -> None:
    one = parse_setting(text)
    assert (one.how, one.value) == (how, value)
    assert one.address == text.partition("=")[0]


@pytest.mark.parametrize("text", ["7:331", "7:331=", "=0", "7:331=x", "7:331=+2x", "7:331=nan", "7:331=1e999"])
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        parse_setting(text)


def test_an_ablation_graph_predicts_exactly_what_removal_does(traced, saecli, tmp_path) -> None:
    """Its edges are measured removals, so =0 finds the same numbers, and into the target too."""
    name = traced("exact", "--method", "ablation", "--keep", "1", "--top-edges", "1000")
    node = strong(tmp_path / name / "graph.json", "1")
    done = saecli("validate", name, *QUICK, "--set", f"{node['id']}=0", "--json", "--out", "run")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["schema"] == "saecli.validate-set/1"
    check = document["check"]
    assert check["meaning"] == "total"
    assert check["predicted"] == pytest.approx(node["effect"], rel=1e-6)
    assert check["measured"] == pytest.approx(node["effect"], rel=1e-6)
    assert document["after"] - document["before"] == pytest.approx(node["effect"], rel=1e-6)
    edges = json.loads((tmp_path / name / "graph.json").read_text())["edges"]
    assert len(check["edges"]) == sum(edge["source"] == node["id"] for edge in edges) > 3
    for edge in check["edges"]:
        assert edge["predicted"] == pytest.approx(edge["weight"], rel=1e-9)
        assert edge["measured"] == pytest.approx(edge["predicted"], rel=1e-5, abs=1e-9)
    assert check["correlation"] == pytest.approx(1, abs=1e-9)
    rows = list(csv.DictReader((tmp_path / "run" / "edges.csv").open()))
    assert [row["child"] for row in rows] == [edge["child"] for edge in check["edges"]]
    assert set(document["files"]) == {"tokens.csv", "downstream.csv", "edges.csv"}


@pytest.mark.parametrize("flags", [(), ("--metric", "logit"), ("--method", "ig", "--steps", "4")])
def test_a_first_order_graph_predicts_small_changes_edge_by_edge(flags, traced, saecli, tmp_path) -> None:
    """Direct effects with everything in between held: to first order, at every kind of site, into the target."""
    name = traced("first", "--keep", "1", "--top-edges", "1000", *flags)
    units = set()
    for site in ("0", "0.attn_out", "0.mlp_out", "1"):
        node = strong(tmp_path / name / "graph.json", site)
        done = saecli("validate", name, *QUICK, "--set", f"{node['id']}=0.999999x", "--json", "--out", f"run{site}")
        assert done.code == 0, done.err
        check = json.loads(done.out)["check"]
        assert check["meaning"] == "direct"
        assert len(check["edges"]) > 3
        largest = max(abs(edge["predicted"]) for edge in check["edges"] if edge["unit"] == "activation")
        for edge in check["edges"]:
            units.add(edge["unit"])
            if flags[:2] != ("--method", "ig") or edge["unit"] == "activation":
                assert edge["measured"] == pytest.approx(edge["predicted"], rel=1e-3, abs=1e-4 * largest), edge
        assert check["correlation"] == pytest.approx(1, abs=1e-5)
        assert check["slope"] == pytest.approx(1, abs=1e-3)
        if flags[:2] != ("--method", "ig"):
            assert check["measured"] == pytest.approx(check["predicted"], rel=1e-3)
    assert "activation" in units


def test_a_feature_at_all_positions_of_a_graph(traced, saecli, tmp_path) -> None:
    name = traced("all", "--method", "ablation", "--positions", "all", "--keep", "1", "--top-edges", "1000")
    node = strong(tmp_path / name / "graph.json", "1")
    done = saecli("validate", name, *QUICK, "--set", f"{node['id']}=0", "--json", "--out", "run")
    assert done.code == 0, done.err
    for edge in json.loads(done.out)["check"]["edges"]:
        assert edge["measured"] == pytest.approx(edge["predicted"], rel=1e-5, abs=1e-9)
    refused = saecli("validate", name, *QUICK, "--set", f"{node['id']}=+1", "--out", "bad")
    assert (refused.code, "at all positions together" in refused.err) == (2, True)


def test_nothing_changes_where_nothing_is_changed(tiny, saecli) -> None:
    call = (*of(tiny), "--set", "1:3=1x", "--game", GAME)
    done = saecli(*call, "--json", "--out", "run")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["before"], document["kl"]) == (document["after"], 0)
    assert (document["up"], document["down"], document["downstream"]) == ([], [], [])
    assert "no next token's probability changed" in saecli(*of(tiny), "--set", "1:3=1x", "--game", GAME).out


def test_tokens_and_features_that_change_are_told(tiny, saecli, tmp_path) -> None:
    call = (*of(tiny), "--set", "1:3,5=+4", "--set", "0.mlp_out:7@2=1.5", "--game", GAME)
    done = saecli(*call, "--json", "--out", "run")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert [one["address"] + one["change"] for one in document["features"]] == ["1:3=+4", "1:5=+4", "0.mlp_out:7@2=1.5"]
    assert document["features"][0]["positions"] == 6
    assert document["features"][2]["positions"] == 1
    assert sum(one["after"] - one["before"] for one in (*document["up"], *document["down"])) == pytest.approx(
        0, abs=1e-9
    )
    for one in document["up"]:
        assert one["after"] > one["before"]
    legal = othello.squares(othello.replay([othello.parse_game(GAME)]).legal[0, -1])
    for one in (*document["up"], *document["down"]):
        assert one["legal"] == (one["text"] != "pass" and bool(legal[othello.parse_game(one["text"])[0]]))
    assert all("1.attn_out" in one["address"] or one["address"][0] in "12" for one in document["downstream"][1:3])
    assert not any(one["address"].startswith(("1:3@", "1:5@")) for one in document["downstream"])
    text = saecli(*call, "--out", "run").out
    assert "1:3=+4" in text
    assert "(illegal)" in text


def test_steered_and_unsteered_continuations(tiny, saecli) -> None:
    """Greedy by default: the unsteered one is the model's own, an illegal move is named, a seed repeats a draw."""
    call = (*of(tiny), "--set", "1:3=+40", "--game", GAME, "--generate", "4", "--json")
    document = json.loads(saecli(*call, "--out", "run").out)
    plain, steered = document["written"]
    assert (plain["steered"], steered["steered"]) == (False, True)
    assert len(plain["tokens"]) == len(steered["tokens"]) == 4
    assert plain["tokens"] == _greedy(tiny, document["tokens"], 4)
    for one in (plain, steered):
        moves = [*document["tokens"], *one["tokens"]]
        faults = [] if 0 in one["tokens"] else othello.replay_legal([othello.tokens_to_moves(moves).tolist()])[1]
        if 0 not in one["tokens"]:
            assert bool(one["illegal"]) == bool(faults)
            assert not faults or f"move {faults[0].ply + 1}, " in one["illegal"]
    draw = json.loads(saecli(*call, "--temperature", "1.5", "--out", "draw").out)["written"]
    assert draw == json.loads(saecli(*call, "--temperature", "1.5", "--out", "again").out)["written"]
    assert draw != json.loads(saecli(*call, "--temperature", "1.5", "--seed", "1", "--out", "other").out)["written"]
    cold = json.loads(saecli(*call, "--temperature", "0.0001", "--out", "cold").out)["written"]
    assert [one["tokens"] for one in cold] == [plain["tokens"], steered["tokens"]]


def _greedy(folder: Path, tokens: list[int], count: int) -> list[int]:
    from zoo.load import load_model

    model = load_model(str(folder), dtype=torch.float64)
    made = list(tokens)
    for _ in range(count):
        logits = model.run(torch.tensor([made])).logits
        assert logits is not None
        made.append(int(logits[0, -1].argmax()))
    return made[len(tokens) :]


def test_text(tiny_text, saecli) -> None:
    call = (*of(tiny_text), "--set", "1:3=+3", "--prompt", "def f(a", "--target", ")")
    done = saecli(*call, "--generate", "3", "--json", "--out", "run")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["target"] == '")"'
    assert len(document["written"][0]["text"]) == 3
    assert document["up"][0]["legal"] is None


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--set", "1:99=0"), 2, "has features 0..39"),
        (("--set", "9:1=0"), 2, "there is no dictionary at 9.resid_pre"),
        (("--set", "1:error@2=0"), 2, "names no feature"),
        (("--set", "1:3@6=0"), 2, "positions 0..5"),
        (("--set", "1:3=0", "--set", "1:3@2=1"), 2, "twice"),
        (("--set", "1:3=0", "--features", "1:3"), 2, "two questions"),
        (("--set", "1:3=0", "--generate", "99"), 2, "At most 54"),
        (("--set", "1:3=0", "--temperature", "1"), 2, "belongs to --generate"),
        (("--set", "1:3=0", "--prompt", "a"), 2, "--prompt is not for"),
        (("--set", "1:3=0", "--min-faithfulness", "1"), 2, "circuit graph"),
        (("--generate", "3"), 2, "belongs to --set"),
        (("--metric", "logit"), 2, "belongs to --set"),
    ],
)
def test_bad_interventions_are_refused(flags, code, words, tiny, saecli, tmp_path) -> None:
    game = ("--game", GAME) if "--set" in flags else ()
    done = saecli(*of(tiny), *game, *flags, "--out", "bad")
    assert (done.code, done.err.count("Error:")) == (code, 1)
    assert words in done.err
    assert not (tmp_path / "bad" / "result.json").exists()


def test_graphs_that_predict_nothing_are_refused(traced, saecli, tmp_path) -> None:
    patched = traced("patched", "--patch", "f5f6e6f4g5d6")
    refused = saecli("validate", patched, *QUICK, "--set", "1:3=0", "--out", "bad")
    assert (refused.code, "--ablation patch" in refused.err) == (2, True)
    name = traced("plain", "--top-nodes", "2")
    ids = {node["id"].partition("@")[0] for node in json.loads((tmp_path / name / "graph.json").read_text())["nodes"]}
    absent = next(f"1:{number}" for number in range(40) if f"1:{number}" not in ids)
    refused = saecli("validate", name, *QUICK, "--set", f"{absent}=0", "--out", "bad")
    assert (refused.code, "has no active node" in refused.err) == (2, True)
    refused = saecli("validate", name, name + "/graph.json", *QUICK, "--set", "1:3=0", "--out", "bad")
    assert (refused.code, "Name one" in refused.err) == (2, True)
    refused = saecli("validate", name, *QUICK, "--set", "1:3=0", "--game", GAME, "--out", "bad")
    assert (refused.code, "its own input" in refused.err) == (2, True)
