"""Sequences to measure on: as many as asked for, the same every time, held-out ones never trained on."""

from __future__ import annotations

import random

import pytest
import torch

from saecli.core.errors import InputError
from saecli.data.games import OthelloSource
from saecli.data.samples import Samples, open_samples
from tests.data.test_shards import write


def rows(samples) -> set[tuple[int, ...]]:
    return {tuple(row) for sample in samples for row in sample.tokens_BS.tolist()}


def count(samples) -> int:
    return sum(len(sample.tokens_BS) for sample in samples)


def same(one: Samples, other: Samples) -> bool:
    return all(
        torch.equal(a.tokens_BS, b.tokens_BS) and torch.equal(a.next_BS, b.next_BS)
        for part in ("held_out", "fitting", "firing")
        for a, b in zip(getattr(one, part), getattr(other, part), strict=True)
    )


@pytest.fixture
def shards(tmp_path):
    draw = random.Random(0)
    text = {split: [[draw.randrange(40) for _ in range(400)]] for split in ("train", "val")}
    return str(write(tmp_path / "shards", text, size=50))


def test_games_are_disjoint_deterministic_and_none_that_training_draws():
    made = open_samples("othello", 100, fitting=80, firing=70)
    assert (count(made.held_out), count(made.fitting), count(made.firing)) == (100, 80, 70)
    assert (made.vocabulary, made.n_ctx) == ("othello", 59)
    parts = [rows(made.held_out), rows(made.fitting), rows(made.firing)]
    trained = rows([OthelloSource(200, 0).batch(step) for step in range(2)])
    assert len(set.union(*parts, trained)) == sum(len(part) for part in parts) + len(trained)
    assert same(made, open_samples("othello", 100, fitting=80, firing=70))
    for sample in made.held_out:
        assert sample.allowed_BSV is not None
        here = sample.next_BS >= 0
        assert sample.allowed_BSV.gather(-1, sample.next_BS.clamp_min(0)[..., None])[..., 0][here].all()


def test_chess_has_its_rules_at_every_character():
    made = open_samples("chess-random", 6, fitting=5, firing=4, n_ctx=40)
    assert (count(made.held_out), count(made.fitting), count(made.firing)) == (6, 5, 4)
    assert (made.vocabulary, made.n_ctx) == ("chess", 40)
    parts = [rows(made.held_out), rows(made.fitting), rows(made.firing)]
    assert len(set.union(*parts)) == 15
    (sample,) = made.held_out
    assert sample.allowed_BSV is not None
    assert sample.allowed_BSV.gather(-1, sample.next_BS[..., None]).all()
    assert sample.allowed_BSV[:, 0].sum(-1).tolist() == [1] * 6  # behind the semicolon comes the first number
    assert sample.allowed_BSV[:, 2].sum(-1).tolist() == [9] * 6  # eight pawns and the knights


@pytest.mark.parametrize("bos", [None, 49])
def test_shards_give_what_their_split_holds(shards, bos):
    made = open_samples(shards, 12, fitting=9, firing=1000, n_ctx=10, bos=bos)
    assert (made.vocabulary, made.n_ctx) == ("ascii", 10)
    assert (count(made.held_out), count(made.fitting)) == (12, 9)
    assert count(made.firing) == 39 - 12
    assert not rows(made.held_out) & rows(made.firing)
    assert not rows(made.fitting) & (rows(made.held_out) | rows(made.firing))
    assert same(made, open_samples(shards, 12, fitting=9, firing=1000, n_ctx=10, bos=bos))
    for sample in made.held_out:
        assert sample.allowed_BSV is None
        assert (sample.tokens_BS[:, 0] == 49).all() == (bos is not None)
        assert torch.equal(sample.tokens_BS[:, 1:], sample.next_BS[:, :-1])


def test_too_few_held_out_sequences_are_named(shards):
    with pytest.raises(InputError, match="39 held-out sequences of 10 positions, and 40 were asked for"):
        open_samples(shards, 40, n_ctx=10)
