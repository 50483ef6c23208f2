"""The recipe of gpt-circuits' main toy has its data and its learning rates; Shakespeare is another text as long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saecli.data.shard_source import ShardSource
from saecli.data.shards import open_shards
from saecli.train.lm import make_source
from saecli.train.lm_config import TrainLMConfig
from saecli.train.lm_step import learning_rate
from tests.templates.test_templates import tasks, values

LENGTH = 1_115_394
"""Characters of Shakespeare."""


@pytest.fixture(scope="module")
def recipe() -> TrainLMConfig:
    return values(tasks("gpt-circuits-64x4")["train-lm"])


def test_one_pass_is_61_batches_and_held_out_are_6(recipe, saecli, tmp_path):
    text = "".join(f"{number:,} words, words, words.\n" for number in range(50_000))[:LENGTH]
    assert len(text) == LENGTH
    (tmp_path / "input.txt").write_text(text)
    done = saecli("convert", "input.txt", "shakespeare", "--to", "shards")
    assert done.code == 0, done.err
    shards = open_shards(tmp_path / "shakespeare")
    assert (shards.tokens("train"), shards.tokens("val")) == (1_003_776, 111_618)
    source = make_source(replace(recipe, data="shakespeare"))
    assert isinstance(source, ShardSource)
    assert [source.count(split) // recipe.batch_size for split in ("train", "val")] == [61, 6]  # pyright: ignore[reportArgumentType]
    first = [source.batch(step).tokens_BS for step in range(61)]
    assert {batch.shape for batch in first} == {(128, 128)}
    windows = {bytes(window.numpy().tobytes()) for batch in first for window in batch}
    assert len(windows) == 61 * 128
    again = {bytes(window.numpy().tobytes()) for window in source.batch(62).tokens_BS}
    assert len(again - windows) == 128  # what gpt-circuits does not do: other boundaries in the next pass


@pytest.mark.parametrize(("step", "rate"), [(1, 1e-6), (500, 5e-4), (1000, 1e-3), (5500, 5.05e-4), (10_000, 1e-5)])
def test_rates(recipe, step, rate):
    """Of its steps, from 1; the cosine begins a step later here, which changes a rate by at most 2e-7."""
    least = recipe.min_lr / recipe.lr
    found = recipe.lr * learning_rate(step - 1, recipe.steps, recipe.warmup, recipe.schedule, least)
    assert found == pytest.approx(rate, abs=2e-7 if step > recipe.warmup else 1e-15)
