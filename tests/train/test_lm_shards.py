"""Training on token shards: it learns, resumes to the same bits, and the model knows its vocabulary."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from saecli.train import lm, lm_step
from saecli.train.lm_config import TrainLMConfig

TEXT = "the cat sat on the mat. the dog sat on the cat. " * 100
SIZES = ("--n-layer", "1", "--n-head", "2", "--d-model", "64", "--batch-size", "16", "--warmup", "2", "--n-ctx", "16")
RATES = ("--lr", "0.01", "--muon-lr", "0.1")


@pytest.fixture
def shards(tmp_path: Path, saecli) -> Path:
    (tmp_path / "cats.txt").write_text(TEXT)
    assert saecli("convert", "cats.txt", "cats", "--to", "shards").code == 0
    return tmp_path / "cats"


def test_twenty_steps_beat_guessing_by_frequency(tmp_path, saecli, shards):
    done = saecli("train", "lm", "--data", "cats", *SIZES, "--steps", "20", *RATES, "--out", "lm", "--json")
    assert done.code == 0, done.err
    quality = json.loads(done.out)["quality"]
    letters = np.unique(np.array(list(TEXT)), return_counts=True)[1] / len(TEXT)
    entropy = -(letters * np.log(letters)).sum()
    assert quality["ce_unigram"] == pytest.approx(entropy, abs=0.05)
    assert quality["ce"] < entropy - 0.1
    assert quality["count"] == 16 * ((len(TEXT) - int(len(TEXT) * 0.9) // 256 * 256 - 16) // 16)


def test_the_model_knows_its_vocabulary(tmp_path, saecli, shards):
    from zoo.load import load_model, load_vocabulary

    assert saecli("train", "lm", "--data", "cats", *SIZES, "--steps", "1", "--out", "lm").code == 0
    model = load_model(str(tmp_path / "lm" / "model"))
    assert (model.info.vocabulary, model.module.config.vocab_size) == ("ascii", 128)
    assert load_vocabulary(str(tmp_path / "lm" / "model")).encode("cat") == [99, 97, 116]


def test_a_tokenizer_of_ones_own_travels_with_the_model(tmp_path, saecli):
    from tokenizers import Tokenizer, models, pre_tokenizers

    from zoo.load import load_vocabulary

    words = ["?", "the", "cat", "sat", "on", "mat", "dog", "."]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="?"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    (tmp_path / "words").mkdir()
    tokenizer.save(str(tmp_path / "words" / "tokenizer.json"))
    (tmp_path / "cats.txt").write_text(TEXT)
    assert saecli("convert", "cats.txt", "cats", "--to", "shards", "--tokenizer", "words").code == 0
    assert saecli("train", "lm", "--data", "cats", *SIZES, "--steps", "1", "--out", "lm").code == 0
    vocabulary = load_vocabulary(str(tmp_path / "lm" / "model"))
    assert (vocabulary.name, vocabulary.encode("the cat")) == ("words", [1, 2])


def test_resume_ends_in_the_same_bits(tmp_path, shards):
    config = TrainLMConfig(
        data=str(shards), n_layer=1, n_head=2, d_model=16, n_ctx=16, batch_size=40, steps=12, warmup=2, eval_every=5
    )
    whole = lm.train_lm(config, tmp_path / "whole")
    for steps in (4, 3):
        calls = iter(range(1, 100))
        lm.train_lm(config, tmp_path / "parts", stop=lambda calls=calls, steps=steps: next(calls) == steps)
    parts = lm.train_lm(config, tmp_path / "parts")
    assert parts.complete
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert (tmp_path / "whole" / lm.METRICS).read_bytes() == (tmp_path / "parts" / lm.METRICS).read_bytes()


def test_other_shards_under_the_same_name_are_another_run(tmp_path, saecli, shards):
    call = ("train", "lm", "--data", "cats", *SIZES, "--steps", "1", "--out", "lm")
    assert saecli(*call).code == 0
    assert "Already complete" in saecli(*call).err
    (tmp_path / "cats.txt").write_text(TEXT.upper())
    assert saecli("convert", "cats.txt", "cats", "--to", "shards", "--overwrite").code == 0
    assert saecli(*call).code == 3


def test_shards_of_gpt_circuits_are_trained_on_and_what_is_assumed_is_said(tmp_path, saecli):
    (tmp_path / "theirs").mkdir()
    tokens = np.frombuffer(TEXT.encode(), np.uint8).astype(np.uint16)
    np.save(tmp_path / "theirs" / "train_000000.npy", tokens[:4000])
    np.save(tmp_path / "theirs" / "val_000000.npy", tokens[4000:])
    done = saecli("train", "lm", "--data", "theirs", *SIZES, "--steps", "1", "--out", "lm")
    assert done.code == 0, done.err
    assert "taken to be of the vocabulary ascii" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--data", "nowhere"), 2, "nor data:NAME, nor hf:ORG/NAME, nor a folder"),
        (("--data", "data:shakespeare"), 3, "saecli download data:shakespeare"),
        (("--data", "void"), 3, "void holds no file of text or tokens"),
        (("--n-ctx", "60"), 2, "a game of Othello has 59 positions"),
        (("--data", "cats", "--targets", "expected"), 3, "--targets sampled"),
    ],
)
def test_data_that_cannot_be_had_is_named(arguments, code, words, tmp_path, saecli, shards, monkeypatch):
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "void").mkdir()
    done = saecli("train", "lm", *SIZES[:-2], *arguments, "--steps", "1", "--out", "lm")
    assert (done.code, done.out) == (code, ""), done.err
    assert words in done.err
    assert not (tmp_path / "lm").exists()


def test_games_in_shards_are_read_whole(tmp_path):
    from saecli.data.sets import open_source
    from saecli.data.shard_source import ShardSource
    from saecli.games import othello
    from tests.data.test_shards import write

    games = othello.random_games(40, 0).tokens().tolist()
    folder = write(tmp_path, {"train": games[:30], "val": games[30:]}, shard_tokens=130, size=61, name="othello")
    source = open_source(str(folder), batch_size=30, seed=0, held_out=10)
    assert isinstance(source, ShardSource)
    assert source.n_ctx == 59
    batch = source.batch(0)
    rows = torch.cat([batch.tokens_BS, batch.next_BS[:, -1:]], 1).tolist()
    assert sorted(rows) == sorted(games[:30])


def test_targets_auto_takes_what_the_data_has():
    from saecli.data.games import OthelloSource

    batch = OthelloSource(2, 0).batch(0)
    logits = torch.randn(2, 59, 61)
    auto, expected = (lm_step.next_token_loss(logits, batch, targets) for targets in ("auto", "expected"))
    assert torch.equal(auto, expected)
    sampled = dataclasses.replace(batch, expected_BSV=None)
    auto = lm_step.next_token_loss(logits, sampled, "auto")
    assert torch.equal(auto, lm_step.next_token_loss(logits, batch, "sampled"))
