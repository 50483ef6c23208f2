"""Text and streamed data sets for the trainers and for validate, straight from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from saecli.core.errors import UsageError
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from saecli.learning.reading import open_data
from saecli.train.activations import ActivationStream
from saecli.train.left_out import left_out
from saecli.train.sae_config import TrainSaeConfig
from tests.data.test_hub_stream import table
from tests.train.test_sae_data import FEW, TEXT, text_model

LM = ("--n-layer", "1", "--n-head", "2", "--d-model", "16", "--n-ctx", "32", "--steps", "2", "--held-out", "4")


@pytest.fixture(autouse=True)
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """cats.txt, rows/ for the library datasets, and a model "lm" that reads both."""
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    text_model(tmp_path / "lm")
    (tmp_path / "cats.txt").write_text(TEXT)
    table(tmp_path / "rows" / "data.parquet", [f"{TEXT[n : n + 30]} and {n}" for n in range(200)], "story")


@pytest.mark.slow
def test_text_trains_models_and_dictionaries_and_is_measured_on(saecli, tmp_path):
    done = saecli("train", "lm", "--data", "cats.txt", *LM, "--out", "own", "--json")
    assert done.code == 0, done.err
    done = saecli("train", "sae", "own/model", "--data", "cats.txt", *FEW)
    assert done.code == 0, done.err
    assert {
        file["path"] for file in json.loads((tmp_path / "run" / "manifest.json").read_text())["inputs"].values()
    } >= {"cats.txt"}
    done = saecli("validate", "run/suite", "--model", "own/model", "--data", "cats.txt", "--sequences", "4", "--json")
    assert done.code == 0, done.err
    assert len(list((tmp_path / "cache" / "text").glob("*/shards.json"))) == 1


def test_a_streamed_data_set_trains_dictionaries_packed_or_not(saecli, tmp_path):
    for flag in ("--pack", "--no-pack"):
        done = saecli("train", "sae", "lm", "--data", "hf:./rows:story", flag, *FEW, "--overwrite")
        assert done.code == 0, done.err
    assert len(list((tmp_path / "cache" / "streams").glob("*/shards.json"))) == 1
    done = saecli("train", "sae", "lm", "--data", "hf:./rows:words", *FEW, "--overwrite")
    assert (done.code, "has no column 'words'; it has id, story" in done.err) == (3, True)


def test_the_plan_tokenises_nothing(saecli, tmp_path):
    for data in ("cats.txt", "hf:./rows"):
        done = saecli("train", "sae", "lm", "--data", data, "--plan", *FEW)
        assert done.code == 0, done.err
        assert f"{data}, tokenised for lm" in done.out + done.err
    assert not (tmp_path / "cache").exists()


def test_tokens_are_dropped_by_choice():
    model = thin_gpt(GPT(GPTConfig(128, 32, 1, 2, 8)), "tiny", vocabulary="ascii")
    site = Site(0, "resid_pre")

    def config(*drop: str) -> TrainSaeConfig:
        return TrainSaeConfig(model="lm", data="cats.txt", sequences=4, drop=drop)

    source = open_data(config("none"), model.info)
    assert (
        left_out(config("none"), model.info, source) == left_out(config("special"), model.info, source) == frozenset()
    )
    unwanted = left_out(config("bos", "32", "46"), model.info, source)
    assert unwanted == {ord(" "), ord(".")}
    stream = ActivationStream(model, source, [site], 1, 0, unwanted)
    batch = source.batch(0)
    here = (batch.next_BS >= 0) & (batch.tokens_BS != 32) & (batch.tokens_BS != 46)
    with torch.no_grad():
        values = model.run(batch.tokens_BS, read=[site]).sites[site]
    assert torch.equal(stream.filling(0).block().vectors_ND[site], values[here])
    for drop, words in (("eos",), "has no such token"), (("200",), r"tokens 0\.\.127"):
        with pytest.raises(UsageError, match=words):
            left_out(config(*drop), model.info, source)
    for drop in (("none", "bos"), ("every",)):
        with pytest.raises(UsageError, match="--drop"):
            config(*drop)
