"""``saecli validate GRAPH`` as a user meets it, on a tiny model in real files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from saecli.validate.circuit_scores import interval, recovered
from tests.trace.conftest import tiny

__all__ = ["tiny"]
GAME = "f5d6c3d3c4f4"
QUICK = ("--threads", "1", "--device", "cpu", "--draws", "2")


@pytest.fixture
def traced(tiny, tmp_path, saecli):
    """Traces; returns the run directory's name."""

    def trace(name: str, *flags: str) -> str:
        done = saecli("trace", tiny, "--game", GAME, "--out", name, "--threads", "1", "--device", "cpu", *flags)
        assert done.code == 0, done.err
        return name

    return trace


@pytest.fixture(scope="module")
def good(tiny, tmp_path_factory) -> Path:
    """A trace of the defaults, in a folder of its own."""
    from saecli.cli.app import run

    folder = tmp_path_factory.mktemp("traced") / "good"
    call = ("trace", tiny, "--game", GAME, "--out", folder, "--threads", "1", "--device", "cpu", "--quiet")
    assert run([str(part) for part in call]) == 0
    return folder


def one(document: dict, ablation: str, errors: str, sites: str = "all") -> dict:
    (found,) = [
        row for row in document["scores"] if (row["ablation"], row["errors"], row["sites"]) == (ablation, errors, sites)
    ]
    return found


def test_the_whole_graph_is_the_model_and_stored_drawn_and_found_again(tiny, traced, saecli, tmp_path) -> None:
    """All nodes with any effect are faithful to the digit, and so are random circuits of as many."""
    name = traced("whole", "--keep", "1", "--top-edges", "1000")
    done = saecli("validate", name, *QUICK, "--json", "--out", "run", "--min-faithfulness", "0.999")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["schema"] == "saecli.validate-circuit/1"
    assert (document["own"], document["prompts"]) == (True, 1)
    for ablation in ("zero", "mean", "resample"):
        for errors in ("circuit", "kept"):
            row = one(document, ablation, errors)
            if ablation == "zero":  # means would also fire what is silent on the prompt
                assert row["faithfulness"]["value"] == pytest.approx(1, abs=1e-4)
            assert row["all_features"] == pytest.approx(1, abs=1e-4)
            assert row["faithfulness"]["low"] is None  # one prompt
        assert abs(one(document, ablation, "removed")["all_features"] - 1) > 0.01
    assert {row["sites"] for row in document["scores"]} == {"all", "residual", "attention", "mlp"}
    rows = list(csv.DictReader((tmp_path / "run" / "curve.csv").open()))
    assert len(rows) == len(document["curve"]) == 3 * 9
    for row, point in zip(rows, document["curve"], strict=True):
        assert float(row["faithfulness"]) == pytest.approx(point["faithfulness"]["value"], rel=1e-6, abs=1e-9)
        assert float(row["random_low"]) <= float(row["random"]) <= float(row["random_high"])
    largest = [row for row in document["curve"] if row["fraction"] == 1]
    assert [row["random"]["value"] for row in largest] == pytest.approx(
        [row["faithfulness"]["value"] for row in largest], abs=1e-4
    )
    assert (tmp_path / "run" / "circuit-curve.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "run" / "circuit-curve.svg").read_bytes()[:500]
    again = saecli("validate", name, *QUICK, "--out", "again", "--min-faithfulness", "0.999")
    assert again.code == 0
    assert "--min-faithfulness 0.999 holds" in again.out
    for file in document["files"]:
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_a_part_is_smaller_and_what_is_asked_decides_the_exit_code(traced, saecli, tmp_path) -> None:
    name = traced("few", "--top-nodes", "3")
    call = ("validate", f"{name}/graph.json", *QUICK, "--errors", "removed", "--out", "run")
    done = saecli(*call, "--min-faithfulness", "50", "--json")
    assert done.code == 4
    assert done.err.count("Error:") == 1
    assert "--min-faithfulness 50 fails: with zero ablation and errors removed it is" in done.err
    document = json.loads((tmp_path / "run" / "result.json").read_text())
    chosen = one(document, "zero", "removed")
    assert chosen["nodes"] <= 3 * 7
    assert 0 < chosen["share"] < 1
    sizes = [row["nodes"] for row in document["curve"] if row["errors"] == "removed"]
    assert sizes == sorted(sizes)
    assert sizes[-1] == chosen["nodes"]


def test_several_graphs_have_intervals_over_prompts(tiny, traced, saecli) -> None:
    games = {"one": GAME, "two": "f5d6c3d3c4f4f6", "three": "f5f6e6f4"}
    names = [traced(name, "--layers", "1:", "--game", game) for name, game in games.items()]
    done = saecli("validate", *names, *QUICK, "--json", "--out", "run")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["prompts"], len(document["targets"]), document["own"]) == (3, 3, True)
    for row in document["curve"]:
        score = row["faithfulness"]
        assert score["value"] is None or score["low"] - 1e-9 <= score["value"] <= score["high"] + 1e-9
    table = saecli("validate", *names, *QUICK, "--out", "run").out.splitlines()
    assert "3 circuit graphs" in table[0]
    assert "their own prompts" in table[0]
    other = traced("other", "--layers", "0:2")
    refused = saecli("validate", names[0], other, *QUICK, "--out", "bad")
    assert refused.code == 2
    assert "differ in their sites" in refused.err


def test_a_graph_without_positions_is_scored_on_held_out_prompts(traced, saecli) -> None:
    name = traced("everywhere", "--method", "ablation", "--positions", "all", "--keep", "1", "--layers", "1:")
    done = saecli("validate", name, *QUICK, "--sequences", "6", "--json", "--out", "run")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert not document["own"]
    assert 1 < document["prompts"] <= 6
    row = one(document, "zero", "kept")
    assert row["faithfulness"]["low"] <= row["faithfulness"]["value"] <= row["faithfulness"]["high"]
    assert row["all_features"] == pytest.approx(1, abs=1e-4)
    assert 0 < row["nodes"] <= document["features"]
    text = saecli("validate", name, *QUICK, "--sequences", "6", "--out", "run").out
    assert "held-out prompts of othello" in text
    pair = traced("pair", "--method", "ablation", "--positions", "all", "--target", "E3-A1", "--layers", "2")
    refused = saecli("validate", pair, *QUICK, "--out", "bad")
    assert refused.code == 2
    assert "belongs to its own prompt" in refused.err


@pytest.mark.parametrize("metric", ["logit", "ce", "kl", "feature"])
def test_every_metric_is_measured_again(metric, tiny, traced, saecli) -> None:
    flags = {
        "feature": ("--target", _strong_feature(tiny)),
        "kl": ("--metric", "kl", "--method", "ablation"),
    }.get(metric, ("--metric", metric))
    done = saecli("validate", traced(metric, "--layers", "1:", *flags), *QUICK, "--json", "--out", "run")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["metric"] == metric
    assert one(document, "zero", "kept")["all_features"] == pytest.approx(1, abs=1e-4)


def _strong_feature(tiny: Path) -> str:
    import torch

    from saecli.core.site import Site
    from saecli.games import othello
    from zoo.load import load_model, load_suite

    model, suite, site = load_model(str(tiny)), load_suite(str(tiny)), Site(2, "resid_pre")
    tokens = torch.from_numpy(othello.moves_to_tokens(othello.parse_game(GAME)))
    x_D = model.run(tokens[None], read=[site], stop_after=site).sites[site][0, -1]
    return f"2:{int(suite[site].encode(x_D).argmax())}@5"


def turned(edge: dict) -> dict:
    return {"source": edge["target"], "target": edge["source"]}


def change(path: Path, changed: Path, edit) -> None:
    graph = json.loads((path / "graph.json").read_text())
    edit(graph)
    changed.write_text(json.dumps(graph, sort_keys=True))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda g: g["positions"][-1].update(token=7), "Trace it again"),
        (lambda g: g["positions"][0].update(token=700), "cannot read: tokens 0..60"),
        (lambda g: g["provenance"].pop("metric"), "does not say how its metric is measured"),
        (lambda g: g["provenance"]["metric"].update(position=99), "is read at position 99 of 6 tokens"),
        (lambda g: g["provenance"]["metric"].update(weights={"x": 1}), "no numbers by token"),
        (lambda g: g["provenance"].update(suite_fingerprint="else"), "their fingerprints differ"),
        (lambda g: g["nodes"].append({**g["nodes"][0], "id": "2:4000@5"}), "has the node 2:4000@5"),
        (lambda g: g["metric"].update(value=1e6), "says that over-illegal is 1e+06"),
        (lambda g: g["settings"].update(prompts=3), "was traced on many prompts"),
        (lambda g: g["edges"].append({**g["edges"][0], **turned(g["edges"][0])}), "has a cycle"),
        (lambda g: g["edges"][0].update(source="0:39@5"), "no nodes"),
        (lambda g: g["nodes"][0].update(effect=float("nan")), "expected a finite number"),
        (lambda g: g["nodes"].append({**g["nodes"][0], "id": "2:3@6"}), "beyond its 6 positions"),
        (lambda g: g.update(schema="saecli.graph/9"), "Update saecli"),
        (lambda g: g.update(colour="blue"), "damaged"),
    ],
    ids=[
        *("token", "foreign-token", "no-recipe", "position", "weights", "fingerprint", "node", "value", "prompts"),
        *("cycle", "nowhere", "nan", "beyond", "newer", "unknown"),
    ],
)
def test_damaged_and_foreign_graphs_are_refused(tiny, good, saecli, tmp_path, edit, words) -> None:
    change(good, tmp_path / "changed.json", edit)
    done = saecli("validate", "changed.json", "--model", tiny, "--suite", tiny, *QUICK, "--out", "bad")
    assert done.code == 3, done.err
    assert done.err.count("Error:") == 1
    assert words in done.err
    assert "changed.json" in done.err
    assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--require", "l0<=3"), "--require is asked of suites"),
        (("--layers", "1:2"), "A graph has the sites"),
        (("--features", "1:3"), "--features removes features of one suite"),
    ],
)
def test_flags_that_do_not_fit_a_graph(good, saecli, tmp_path, flags, words) -> None:
    done = saecli("validate", good, *QUICK, *flags, "--out", "bad")
    assert done.code == 2
    assert words in done.err
    assert not (tmp_path / "bad").exists()


def test_plan_says_what_a_graph_is(good, saecli) -> None:
    done = saecli("validate", good, "--plan")
    assert done.code == 0, done.err
    assert f"{good}: circuit of " in done.out
    assert "on the prompt it was traced on" in done.out


def test_numbers_do_not_depend_on_how_many_circuits_run_together(good, saecli) -> None:
    documents = []
    for rows in ("3", "auto"):
        done = saecli("validate", good, *QUICK, "--dtype", "float64", "--batch-size", rows, "--out", rows, "--json")
        assert done.code == 0, done.err
        documents.append(json.loads(done.out))
    three, every = (document["curve"] for document in documents)
    for one_way, other in zip(three, every, strict=True):
        assert one_way["metric"] == pytest.approx(other["metric"], rel=1e-5)


def test_ratios_are_of_means_and_undefined_where_nothing_is_at_stake() -> None:
    some, empty, whole = np.array([1.0, 3.0]), np.array([0.0, 1.0]), np.array([2.0, 5.0])
    assert recovered(some, empty, whole) == pytest.approx((1 + 2) / (2 + 4))
    assert np.isnan(recovered(some, whole, whole))
    assert np.isnan(recovered(some, whole + 1e-6, whole))
    weights = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    found = interval(some, empty, whole, weights)
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == (0.5, 0.5)
    assert interval(some, whole, whole, weights).value is None
    assert interval(some[:1], empty[:1], whole[:1], np.empty((0, 1))).low is None


def test_a_limit_of_memory_decides_how_many_circuits_run_together(good, saecli, tmp_path, monkeypatch) -> None:
    """The same numbers with less; what cannot fit is refused before anything is computed."""
    from saecli.validate import circuit_case

    together: list[int | None] = []
    run_circuits = circuit_case.run_circuits

    def watched(*args, rows, **more):
        together.append(rows)
        return run_circuits(*args, rows=rows, **more)

    monkeypatch.setattr(circuit_case, "run_circuits", watched)
    plain = json.loads(saecli("validate", good, *QUICK, "--json", "--out", "plain").out)
    assert set(together) == {None}
    together.clear()
    less = saecli("validate", good, *QUICK, "--max-memory", "540M", "--json", "--out", "less")
    assert less.code == 0, less.err
    (rows,) = set(together)
    assert rows is not None
    together.clear()
    more = saecli("validate", good, *QUICK, "--max-memory", "545M", "--json", "--out", "more")
    assert more.code == 0, more.err
    assert together[0] is not None
    assert together[0] > rows
    for one, other in zip(plain["curve"], json.loads(less.out)["curve"], strict=True):
        assert one["metric"] == pytest.approx(other["metric"], rel=1e-4, abs=1e-5)
    refused = saecli("validate", good, *QUICK, "--max-memory", "500M", "--out", "bad")
    assert (refused.code, "--max-memory allows 0.52 GB" in refused.err) == (2, True), refused.err
    assert not (tmp_path / "bad/result.json").exists()
