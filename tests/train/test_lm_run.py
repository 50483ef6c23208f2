"""``saecli train lm`` through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_a_small_model_is_trained_measured_and_stored(tmp_path: Path, saecli) -> None:
    from zoo.load import load_model

    sizes = ("--n-layer", "1", "--n-head", "2", "--d-model", "16", "--steps", "3", "--held-out", "5")
    done = saecli("train", "lm", *sizes, "--save-dtype", "float16", "--out", "lm", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert set(document["quality"]) == {"ce", "kl", "top1_legal", "legal_mass"}
    model = load_model(str(tmp_path / "lm" / document["model"]))
    assert (model.info.vocabulary, model.info.n_layers, model.info.d_model) == ("othello", 1, 16)
    assert (tmp_path / "lm" / "metrics.jsonl").read_text().count("\n") >= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--n-head", "3"), "not a multiple"), (("--seed", "5000000000"), "at most"), (("--device", "cuda"), "cuda")],
)
def test_bad_values_are_usage_errors(arguments: tuple[str, ...], words: str, tmp_path: Path, saecli) -> None:
    import torch

    if "cuda" in arguments and torch.cuda.is_available():
        arguments = ("--device", "mps")
        words = "mps"
    done = saecli("train", "lm", *arguments, "--out", "lm")
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert not (tmp_path / "lm").exists()


@pytest.mark.parametrize(("data", "code"), [("nowhere", 2), ("data:nothing", 3)])
def test_the_plan_needs_the_data_too(saecli, monkeypatch, tmp_path, data, code):
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    outcome = saecli("train", "lm", "--data", data, "--plan")
    assert (outcome.code, outcome.out, data in outcome.err) == (code, "", True)
