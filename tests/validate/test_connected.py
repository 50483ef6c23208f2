"""``saecli validate SUITE --connections`` and ``saecli finetune`` through the command line, on a tiny model."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from saecli.formats.connections import read_connections, write_connections
from saecli.formats.suite import read_suite
from tests.connect.suites import LATENTS, save_model_and_suite

DATA = ("--data", "othello", "--device", "cpu", "--threads", "1", "--json")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saecli) -> Path:
    """A model, its suite, and connections of a run of saecli connect."""
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    save_model_and_suite(tmp_path / "lm")
    argv = ("connect", "lm", "--suite", "lm/suite", "--sequences", "8", "--c", "2,5", "--out", "linked", *DATA)
    assert saecli(*argv).code == 0
    return tmp_path


def validate(saecli, *argv: str) -> dict:
    done = saecli("validate", "lm/suite", "--sequences", "6", "--draws", "2", *argv, *DATA)
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_sets_of_connections_beside_random_ones(here, saecli):
    found = validate(saecli, "--connections", "linked", "--c", "2,5")
    assert found["schema"] == "saecli.validate-connections/1"
    names = [one["name"] for one in found["sets"]]
    assert names == ["all", "2 per feature", "5 per feature", "none"]
    every, few, some, none = found["sets"]
    assert (every["random_ce"], none["random_ce"], none["edges"]) == (None, None, 0)
    assert few["edges"] == read_connections(here / "linked" / "connections-c2.safetensors").n_edges <= 3 * LATENTS * 2
    for one in (few, some):
        assert one["random_ce"]["low"] <= one["random_ce"]["value"] <= one["random_ce"]["high"]
        better = one["random_ce"]["value"] - one["ce"]["value"]
        assert one["better_than_random"]["value"] == pytest.approx(better, abs=1e-9)
        assert one["ce_increase"]["value"] == pytest.approx(one["ce"]["value"] - found["ce_model"]["value"])
        assert 0 < one["edges_used"]["value"] <= one["edges"]
    assert none["edges_used"]["value"] == 0
    folder = Path(found["run_directory"])
    assert all((folder / name).is_file() for name in found["files"])
    rows = list(csv.DictReader((folder / "modules.csv").open()))
    assert len(rows) == 4 * 4
    first = [row for row in rows if row["site"] == "0.attn_out"]
    assert len({row["fvu"] for row in first}) == 1  # nothing is upstream of it


def test_all_connections_with_errors_are_the_model(here, saecli):
    found = validate(saecli, "--connections", "linked", "--errors", "kept")
    every = found["sets"][0]
    assert every["ce_increase"]["value"] == pytest.approx(0, abs=1e-5)
    assert every["fvu"] == pytest.approx(0, abs=1e-6)
    assert found["sets"][1]["ce_increase"]["value"] != pytest.approx(0, abs=1e-3)


def test_a_suite_is_finetuned_through_connections_of_two_sizes(here, saecli):
    argv = ("--connections", "linked", "--c", "2,5", "--loss", "kl", "--steps", "8", "--sequences", "4", "--lr", "0.01")
    done = saecli("finetune", "lm/suite", *argv, "--held-out", "6", "--out", "tuned", *DATA)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [one["suite"] for one in found["suites"]] == ["suite-c2", "suite-c5"]
    for one, limit in zip(found["suites"], (2, 5), strict=True):
        folder = here / "tuned" / one["suite"]
        suite, connections = read_suite(folder), read_connections(folder / "connections.safetensors")
        assert connections.suite_fingerprint == suite.fingerprint
        assert (connections.limit, connections.most_per_feature) == (limit, limit)
        assert one["kl_after"] < one["kl_before"]
        assert one["ce_change"] == pytest.approx(one["ce_after"] - one["ce_before"])
    again = saecli("validate", "tuned/suite-c5", "--connections", "tuned/suite-c5", "--sequences", "6", *DATA)
    assert again.code == 0, again.err
    assert json.loads(again.out)["sets"][1]["ce"]["value"] == pytest.approx(found["suites"][1]["ce_after"], rel=1e-5)
    lines = [json.loads(line) for line in (here / "tuned" / "metrics.jsonl").read_text().splitlines()]
    assert {line["suite"] for line in lines} == {"c2", "c5"}


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("validate", "lm/suite", "--connections", "linked", "--c", "9"), 2, "there are 5 connections of each feature"),
        (("validate", "lm/suite", "--c", "2"), 2, "--c belongs to --connections"),
        (("validate", "lm/suite", "--connections", "linked", "--layers", "0:1"), 2, "take suites as wholes"),
        (("validate", "linked/connections-c2.safetensors"), 2, "Name their suite"),
        (("validate", "lm/suite", "--connections", "lm"), 3, "holds no connections.safetensors"),
        (("validate", "lm/suite", "--connections", "linked", "--compat", "scae"), 2, "needs folded weights"),
        (("finetune", "lm/suite"), 3, "has no connections.safetensors beside"),
        (("finetune", "lm/suite", "--connections", "linked", "--loss", "mse"), 2, "is no loss"),
        (("finetune", "lm/suite", "--connections", "lm/config.json"), 3, "claims a header"),
    ],
)
def test_bad_input(here, saecli, argv, code, said):
    done = saecli(*argv, *DATA)
    assert done.code == code, done.err
    assert said in done.out


def test_connections_of_another_suite_are_refused(here, saecli):
    path = here / "linked" / "connections-c2.safetensors"
    other = here / "other.safetensors"
    write_connections(replace(read_connections(path), suite_fingerprint="v1:0"), other)
    done = saecli("finetune", "lm/suite", "--connections", "other.safetensors", "--steps", "1", *DATA)
    assert done.code == 3
    assert "belong to another suite" in done.out
