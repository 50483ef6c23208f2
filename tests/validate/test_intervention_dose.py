"""Dose and response: ``saecli validate --set 1:3@4=0..2x``."""

from __future__ import annotations

import csv
import json
import math

import pytest

from saecli.validate.dose_result import response
from tests.trace.conftest import tiny
from tests.validate.test_intervention import GAME, QUICK, of

__all__ = ["tiny"]
DOSES = [step / 10 for step in range(21)]


@pytest.mark.parametrize(
    ("curve", "shape", "bend"),
    [
        (lambda x: 3 - 2 * x, "linear", None),
        (lambda x: 0 * x + 5, "flat", None),
        (lambda x: max(0, x - 1.2), "threshold", 1.2),
        (lambda x: min(4 * x, 2.0), "threshold", 0.5),
        (lambda x: x + 5 * max(0, x - 1), "bent", 1.0),
        (lambda x: math.sin(3 * x), "bent", None),
    ],
)
def test_shapes(curve, shape, bend) -> None:
    found = response("y", DOSES, [curve(x) for x in DOSES])
    assert found.shape == shape
    if shape == "linear":
        assert found.r2 == pytest.approx(1)
    elif shape == "flat":
        assert (found.r2, found.bend) == (None, None)
    elif bend is not None:
        assert found.bend == bend
        assert found.bend_r2 == pytest.approx(1)
        assert found.r2 is not None
        assert found.r2 < 0.98
    else:
        assert found.r2 is not None
        assert found.bend_r2 is not None
        assert found.r2 < found.bend_r2 < 1


def test_a_sweep_is_its_single_settings(tiny, saecli, tmp_path) -> None:
    """Dose by dose, however many are run together; 1 is the model itself; table, numbers and pictures agree."""
    plain = json.loads(saecli(*of(tiny), "--set", "0:0=1x", "--game", GAME, "--json", "--out", "plain").out)
    graph = saecli("trace", tiny, "--game", GAME, *QUICK, "--keep", "1", "--out", "trace")
    assert graph.code == 0, graph.err
    nodes = json.loads((tmp_path / "trace/graph.json").read_text())["nodes"]
    nodes = [node for node in nodes if node["id"].startswith("1:") and node["activation"]]
    feature = max((n for n in nodes if "error" not in n["id"]), key=lambda node: abs(node["effect"]))["id"]
    call = (*of(tiny), "--set", f"{feature}=0..2x", "--game", GAME)
    done = saecli(*call, "--json", "--out", "run")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["schema"] == "saecli.validate-dose/1"
    assert document["doses"] == DOSES
    assert document["metric"]["values"][10] == pytest.approx(plain["before"])
    for dose, value in ((0, "0x"), (5, "0.5x"), (20, "2x")):
        one = json.loads(saecli(*of(tiny), "--set", f"{feature}={value}", "--game", GAME, "--json", "--out", value).out)
        assert document["metric"]["values"][dose] == pytest.approx(one["after"])
        after = {row["address"]: row["after"] for row in one["downstream"]}
        for row in document["downstream"]:
            if row["name"] in after:
                assert row["values"][dose] == pytest.approx(after[row["name"]], abs=1e-9)
    assert len(document["downstream"]) > 3
    spans = [max(row["values"]) - min(row["values"]) for row in document["downstream"]]
    assert spans == sorted(spans, reverse=True)
    rows = list(csv.DictReader((tmp_path / "run/dose.csv").open()))
    assert len(rows) == 21 * (1 + len(document["downstream"]))
    assert (tmp_path / "run/dose.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "run/dose.svg").read_bytes()[:500]
    other = json.loads(saecli(*call, "--batch-size", "5", "--json", "--out", "other").out)
    assert other["metric"]["values"] == pytest.approx(document["metric"]["values"])
    text = saecli(*call, "--out", "run").out
    assert "R² of a line" in text
    of_graph = saecli("validate", "trace", *QUICK, "--set", f"{feature}=0..1x", "--json", "--out", "of-graph")
    assert of_graph.code == 0, of_graph.err
    assert json.loads(of_graph.out)["metric"]["values"] == pytest.approx(document["metric"]["values"][:11])


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--set", "1:3,4=0..2x"), "several features"),
        (("--set", "1:3=0..2x", "--set", "1:4=0"), "goes alone"),
        (("--set", "1:3=0..2x", "--generate", "2"), "goes alone"),
        (("--set", "1:3=2..0x"), "Go up"),
        (("--set", "1:3=0..900x"), "to 20 at most"),
        (("--set", "1:3=0..2"), "what becomes of it"),
    ],
)
def test_bad_sweeps_are_refused(flags, words, tiny, saecli, tmp_path) -> None:
    done = saecli(*of(tiny), *flags, "--game", GAME, "--out", "bad")
    assert (done.code, done.err.count("Error:")) == (2, 1)
    assert words in done.err
    assert not (tmp_path / "bad/result.json").exists()


def test_what_does_not_fire_has_no_dose(tiny, saecli, tmp_path) -> None:
    saecli("trace", tiny, "--game", GAME, *QUICK, "--keep", "1", "--layers", "1", "--out", "trace")
    nodes = json.loads((tmp_path / "trace/graph.json").read_text())["nodes"]
    fires = {node["id"].partition("@")[0] for node in nodes}
    silent = next(f"1:{number}" for number in range(40) if f"1:{number}" not in fires)
    done = saecli(*of(tiny), "--set", f"{silent}=0..2x", "--game", GAME, "--out", "bad")
    assert (done.code, "does not fire" in done.err) == (2, True)
