"""Training of small GPTs: it learns, resumes to the same bits, and its losses are what they claim to be."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import IO

import pytest
import torch

from saecli.core.errors import InputError
from saecli.core.gpt import GPT, GPTConfig
from saecli.data.games import HELD_OUT_SEED, OthelloSource, game_batch, othello_quality
from saecli.data.source import Batch
from saecli.games import othello
from saecli.train import lm, lm_step
from saecli.train.lm_config import TrainLMConfig
from saecli.train.muon import Muon, orthogonalise

TINY = TrainLMConfig(
    n_layer=2,
    n_head=2,
    d_model=16,
    steps=8,
    batch_size=4,
    warmup=2,
    log_every=3,
    eval_every=4,
    held_out=6,
    checkpoint_seconds=1e9,
)


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("targets", ["sampled", "expected"])
def test_loss_falls(tmp_path: Path, optimizer: str, targets: str):
    config = dataclasses.replace(TINY, steps=40, log_every=10, eval_every=40, optimizer=optimizer, targets=targets)
    result = lm.train_lm(config, tmp_path)
    losses = [line["loss"] for line in map(json.loads, (tmp_path / lm.METRICS).open()) if line["kind"] == "train"]
    assert result.complete
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert result.quality["ce"] < 4.1  # log 61 = 4.11: a model that knows nothing


def test_bf16_trains_like_fp32(tmp_path: Path):
    def losses(precision: str) -> list[float]:
        lm.train_lm(dataclasses.replace(TINY, precision=precision), tmp_path / precision)
        lines = map(json.loads, (tmp_path / precision / lm.METRICS).open())
        return [line["loss"] for line in lines if line["kind"] == "train"]

    assert losses("bf16") == pytest.approx(losses("fp32"), rel=0.01)


def test_resume_ends_in_the_same_bits(tmp_path: Path):
    whole = lm.train_lm(TINY, tmp_path / "whole")
    for steps in (2, 4):  # twice interrupted, once within and once at the end of a logging interval
        calls = iter(range(1, 100))
        part = lm.train_lm(TINY, tmp_path / "parts", stop=lambda calls=calls, steps=steps: next(calls) == steps)
        assert not part.complete
    parts = lm.train_lm(TINY, tmp_path / "parts")
    assert parts.complete
    assert torch.equal(weights(whole.model), weights(parts.model))
    assert (tmp_path / "whole" / lm.METRICS).read_bytes() == (tmp_path / "parts" / lm.METRICS).read_bytes()
    assert parts.quality == whole.quality


def test_metrics_of_lost_steps_are_dropped_on_resume(tmp_path: Path):
    def crash_after_five(label: str, done: float | None = None, *_: object) -> None:
        if done == 6:
            raise KeyboardInterrupt

    calls = iter(range(1, 100))
    lm.train_lm(TINY, tmp_path / "a", stop=lambda: next(calls) == 2)
    with pytest.raises(KeyboardInterrupt):
        lm.train_lm(TINY, tmp_path / "a", progress=crash_after_five)
    assert len((tmp_path / "a" / lm.METRICS).read_text().splitlines()) == 3
    lm.train_lm(TINY, tmp_path / "a")
    lm.train_lm(TINY, tmp_path / "b")
    assert (tmp_path / "a" / lm.METRICS).read_bytes() == (tmp_path / "b" / lm.METRICS).read_bytes()


def test_another_recipe_does_not_continue_a_checkpoint(tmp_path: Path):
    lm.train_lm(dataclasses.replace(TINY, steps=1), tmp_path)
    with pytest.raises(InputError, match="steps = 1, not 8"):
        lm.train_lm(TINY, tmp_path)
    assert lm.train_lm(dataclasses.replace(TINY, overwrite=True), tmp_path).step == 8


def test_resume_needs_a_checkpoint(tmp_path: Path):
    with pytest.raises(InputError, match="no checkpoint to resume"):
        lm.train_lm(dataclasses.replace(TINY, resume=True), tmp_path)


def test_damaged_checkpoint_is_refused(tmp_path: Path):
    (tmp_path / lm.CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="cannot be read"):
        lm.train_lm(TINY, tmp_path)


def test_interrupted_checkpoint_leaves_the_old_one_and_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lm.train_lm(dataclasses.replace(TINY, steps=1), tmp_path)
    before = (tmp_path / lm.CHECKPOINT).read_bytes()

    def half(state: object, file: IO[bytes]) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(KeyboardInterrupt):
        lm.train_lm(dataclasses.replace(TINY, steps=1), tmp_path)
    assert (tmp_path / lm.CHECKPOINT).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [lm.CHECKPOINT, lm.METRICS]


def test_expected_gradient_is_the_mean_of_the_sampled_gradients():
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 5, dtype=torch.float64, requires_grad=True)
    tokens = torch.zeros(1, 1, dtype=torch.int64)
    distribution = torch.tensor([[[0.0, 0.5, 0.25, 0.25, 0.0]]])

    def gradient(batch: Batch, targets: str) -> torch.Tensor:
        return torch.autograd.grad(lm_step.next_token_loss(logits, batch, targets), logits)[0]

    expected = gradient(Batch(tokens, tokens + 1, distribution), "expected")
    sampled = [gradient(Batch(tokens, torch.full_like(tokens, token)), "sampled") for token in range(5)]
    mean = sum(probability * one for probability, one in zip(distribution[0, 0].tolist(), sampled, strict=True))
    torch.testing.assert_close(expected, mean)
    torch.testing.assert_close(expected, (logits.softmax(-1) - distribution).detach().to(expected), atol=1e-6, rtol=0)


def test_positions_after_the_end_of_a_game_count_for_nothing():
    games = othello.random_games(400, 2)
    short = int(games.lengths.argmin())
    batch = game_batch(othello.Games(games.moves[[short]], games.legal[[short]]))
    end = int(games.lengths[short]) - 1
    assert end < 59
    assert (batch.next_BS[0, end:] == -1).all()
    logits = torch.randn(1, 59, 61)
    changed = logits.clone()
    changed[0, end:] += torch.randn(59 - end, 61)
    for targets in ("sampled", "expected"):
        assert lm_step.next_token_loss(logits, batch, targets) == lm_step.next_token_loss(changed, batch, targets)


def test_expected_targets_need_a_known_distribution():
    tokens = torch.zeros(1, 2, dtype=torch.int64)
    with pytest.raises(InputError, match="no known next-token distribution"):
        lm_step.next_token_loss(torch.randn(1, 2, 5), Batch(tokens, tokens), "expected")


def test_batches_are_a_function_of_seed_and_step():
    first, second = OthelloSource(4, seed=1), OthelloSource(4, seed=1)
    first.batch(0)
    assert torch.equal(first.batch(1500).tokens_BS, second.batch(1500).tokens_BS)
    assert not torch.equal(first.batch(1).tokens_BS, first.batch(2).tokens_BS)
    assert not torch.equal(first.batch(0).tokens_BS, OthelloSource(4, seed=2).batch(0).tokens_BS)


def test_targets_agree_with_the_game():
    batch = OthelloSource(8, seed=0).batch(0)
    assert batch.expected_BSV is not None
    assert torch.equal(batch.tokens_BS[:, 1:], batch.next_BS[:, :-1].clamp_min(0))
    here = batch.next_BS >= 0
    assert (batch.expected_BSV.gather(-1, batch.next_BS.clamp_min(0)[..., None])[..., 0][here] > 0).all()
    torch.testing.assert_close(batch.expected_BSV.sum(-1), here.float())


def test_training_seeds_cannot_reach_the_held_out_games():
    with pytest.raises(ValueError, match="seed"):
        OthelloSource(4, seed=1 << 32)
    assert HELD_OUT_SEED >= (1 << 32) * (1 << 28)


def test_quality_of_the_generator_itself_is_perfect():
    games = othello.random_games(20, 8)
    batch = game_batch(games)

    class Generator(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, tokens_BS: torch.Tensor) -> torch.Tensor:
            assert torch.equal(tokens_BS, batch.tokens_BS)
            assert batch.expected_BSV is not None
            return (batch.expected_BSV + 1e-30).log()

    quality = othello_quality(Generator(), games)
    counts = torch.from_numpy(othello.squares(games.legal[:, 1:]).sum(-1))
    assert quality["top1_legal"] == 1
    assert quality["legal_mass"] == pytest.approx(1)
    assert quality["kl"] == pytest.approx(0, abs=1e-6)
    assert quality["ce"] == pytest.approx(counts[counts > 0].double().log().mean().item(), rel=1e-6)


def test_schedule():
    factors = [lm_step.learning_rate(step, 100, 10) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == factors[10] == 1
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0)


def test_orthogonalise_keeps_directions_and_levels_sizes():
    torch.manual_seed(0)
    matrices = torch.randn(3, 6, 20)
    result = orthogonalise(matrices)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    assert (torch.linalg.svdvals(result) - 1).abs().max() < 0.4
    aligned = left.mT @ result @ right.mT
    off_diagonal = aligned - torch.diag_embed(aligned.diagonal(dim1=-2, dim2=-1))
    assert off_diagonal.abs().max() < 1e-4
    torch.testing.assert_close(orthogonalise(matrices.mT), result.mT)


def test_muon_treats_query_key_and_value_apart():
    torch.manual_seed(0)
    joint = torch.nn.Parameter(torch.randn(8, 24))
    apart = [torch.nn.Parameter(part.clone()) for part in joint.detach().chunk(3, dim=1)]
    gradient = torch.randn(8, 24)
    joint.grad = gradient
    for part, piece in zip(apart, gradient.chunk(3, dim=1), strict=True):
        part.grad = piece.clone()
    Muon([(joint, 3)], lr=0.1).step()
    Muon([(part, 1) for part in apart], lr=0.1).step()
    torch.testing.assert_close(joint.detach(), torch.cat([part.detach() for part in apart], dim=1))


def test_every_parameter_is_optimised_once():
    model = GPT(GPTConfig(61, 59, 2, 2, 16))
    for name in ("muon", "adamw"):
        optimizers = lm_step.make_optimizers(model, dataclasses.replace(TINY, optimizer=name))
        found = [p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
        assert len(found) == len(set(map(id, found))) == len(list(model.parameters()))
