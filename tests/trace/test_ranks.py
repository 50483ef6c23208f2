"""Several processes that share out the prompts of one graph make the graph that one makes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from saecli.cli.app import run
from tests.processes import run_ranks

PROMPTS = ("--prompts", "othello", "--n-prompts", "5", "--at", "9", "--dtype", "float64")


def one_of_several(folder: str, model: str, *arguments: str) -> int:
    os.chdir(folder)
    return run(["trace", model, *PROMPTS, *arguments, "--out", "together", "-q"])


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        pytest.param(("--method", "ig", "--steps", "2"), marks=pytest.mark.slow),
        pytest.param(("--aggregate", "none", "--ablation", "resample", "--sequences", "4"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_a_graph_of_several_processes_is_that_of_one(
    arguments: tuple[str, ...], tiny: Path, tmp_path: Path, saecli, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert saecli("trace", tiny, *PROMPTS, *arguments, "--out", "alone").code == 0
    assert run_ranks(3, one_of_several, str(tmp_path), str(tiny), *arguments) == [0, 0, 0]
    one, three = (json.loads((tmp_path / name / "graph.json").read_text()) for name in ("alone", "together"))
    for document in (one, three):
        document["edges"] = {(edge["source"], edge["target"]): edge["weight"] for edge in document["edges"]}
    assert [node["id"] for node in one["nodes"]] == [node["id"] for node in three["nodes"]]
    for node, other in zip(one["nodes"], three["nodes"], strict=True):
        assert other["effect"] == pytest.approx(node["effect"], rel=1e-10, abs=1e-13)
    assert one["edges"].keys() == three["edges"].keys()
    assert len(one["edges"]) > 20
    for edge, weight in one["edges"].items():
        assert three["edges"][edge] == pytest.approx(weight, rel=1e-10, abs=1e-13)
    for name in ("totals", "metric"):
        numbers = {key: value for key, value in one[name].items() if isinstance(value, int | float)}
        assert {key: three[name][key] for key in numbers} == pytest.approx(numbers, rel=1e-10)
    apart = ("nodes", "edges", "totals", "metric")
    assert {**one, **dict.fromkeys(apart)} == {**three, **dict.fromkeys(apart)}


def test_one_trace_is_not_shared_out(tiny: Path, tmp_path: Path) -> None:
    assert run_ranks(2, alone, str(tmp_path), str(tiny)) == [2, 2]
    assert run_ranks(2, one_of_several, str(tmp_path), str(tiny), "--n-prompts", "1") == [2, 2]
    assert not list(tmp_path.glob("together/graph*"))


def alone(folder: str, model: str) -> int:
    os.chdir(folder)
    return run(["trace", model, "-q"])
