"""What the flags of ``train lm`` can express: gpt-circuits' models and recipes, and how much memory that takes."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from saecli.core.gpt import GPT, DynamicTanh, GPTConfig
from saecli.data.source import Batch
from saecli.train import lm, lm_step
from saecli.train.lm_config import TrainLMConfig
from saecli.train.lm_memory import memory_need

TEXT = "to be or not to be, that is the question. " * 60


class Source:
    """Random tokens; the held-out cross-entropy is what the test says."""

    vocabulary = "ascii"

    def __init__(self, vocab_size: int = 128, n_ctx: int = 16, rows: int = 4, ces: tuple[float, ...] = (1.0,)):
        self.vocab_size, self.n_ctx, self.rows, self.ces = vocab_size, n_ctx, rows, iter(ces)

    def batch(self, step: int) -> Batch:
        drawn = torch.Generator().manual_seed(step)
        tokens = torch.randint(0, self.vocab_size, (self.rows, self.n_ctx + 1), generator=drawn)
        return Batch(tokens[:, :-1], tokens[:, 1:])

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {"ce": next(self.ces)}


@pytest.mark.parametrize(
    ("sizes", "vocab_size", "parameters"),
    [
        ((4, 4, 64), 128, 216_448),  # ascii_64x4: 8,192 + 8,192 + 4 * 49,984 + 128
        ((6, 4, 128), 128, 1_222_656),  # ascii_128x6: 2 * 16,384 + 6 * 198,272 + 256
        ((4, 16, 32), 50257, 1_663_200),  # tiktoken_32x4: 1,608,224 + 4,096 + 4 * 12,704 + 64
        ((4, 16, 256), 50257, 16_058_112),  # tiktoken_256x4: 12,865,792 + 32,768 + 4 * 789,760 + 512
    ],
)
def test_gpt_circuits_models(sizes: tuple[int, int, int], vocab_size: int, parameters: int):
    n_layer, n_head, d_model = sizes
    config = TrainLMConfig(n_layer=n_layer, n_head=n_head, d_model=d_model)
    shape = lm.model_shape(config, Source(vocab_size, 128))
    assert shape.n_parameters == parameters
    dynamic = lm.model_shape(dataclasses.replace(config, norm="dynamic-tanh"), Source(vocab_size, 128))
    assert dynamic.n_parameters == parameters + n_layer  # one alpha a block


def test_dynamic_tanh_stands_before_the_mlps_and_starts_as_told(tmp_path: Path):
    config = TrainLMConfig(
        n_layer=2, n_head=2, d_model=8, norm="dynamic-tanh", tanh_alpha=10.0, lr=0.0, optimizer="adamw", steps=1
    )
    model = lm.train_lm(config, tmp_path, source=Source()).model
    kinds = {name: type(module) for name, module in model.named_modules() if "ln_" in name}
    assert {name for name, kind in kinds.items() if kind is DynamicTanh} == {
        "transformer.h.0.ln_2",
        "transformer.h.1.ln_2",
    }
    assert all(module.alpha.item() == 10 for module in model.modules() if isinstance(module, DynamicTanh))


@pytest.mark.parametrize("norm", ["layernorm", "dynamic-tanh"])
def test_what_is_written_is_read(norm: str, tmp_path: Path, saecli: Any):
    from zoo.load import load_model

    (tmp_path / "text.txt").write_text(TEXT)
    assert saecli("convert", "text.txt", "shards", "--to", "shards").code == 0
    flags = ("--n-layer", "2", "--n-head", "2", "--d-model", "8", "--steps", "2", "--n-ctx", "16", "--norm", norm)
    flags += ("--optimizer", "adamw", "--weight-decay", "0.1", "--schedule", "constant", "--warmup", "0")
    done = saecli("train", "lm", "--data", "shards", *flags, "--batch-size", "8", "--micro-batch", "4", "--out", "lm")
    assert done.code == 0, done.err
    model = load_model(str(tmp_path / "lm" / "model")).module
    assert isinstance(model, GPT)
    assert model.config.norm == ("layer" if norm == "layernorm" else "dynamic_tanh")
    assert model.config.vocab_size == 128
    document = json.loads((tmp_path / "lm" / "model" / "config.json").read_text())
    assert document["model_type"] == ("gpt2" if norm == "layernorm" else "saecli-gpt")


def test_weights_start_as_gpt2s(tmp_path: Path):
    model = GPT(GPTConfig(128, 128, 4, 4, 64))
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            std = 0.02 / math.sqrt(8) if name.endswith("c_proj.weight") else 0.02
            assert parameter.std().item() == pytest.approx(std, rel=0.1)
        else:
            assert (parameter == (1 if ".ln_" in name and name.endswith("weight") else 0)).all()


def test_decay_is_on_tensors_of_two_dimensions():
    config = TrainLMConfig(optimizer="adamw", weight_decay=0.1, norm="dynamic-tanh")
    model = GPT(GPTConfig(128, 16, 2, 2, 8, norm="dynamic_tanh"))
    (optimizer,) = lm_step.make_optimizers(model, config)
    decayed = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(p) for p in model.parameters() if p.dim() == 2}
    assert id(model.transformer.wte.weight) in decayed
    assert all(group["betas"] == (0.9, 0.95) and group["eps"] == 1e-8 for group in optimizer.param_groups)


def test_the_cosine_ends_near_the_lowest_rate():
    rates = [1e-3 * lm_step.learning_rate(step, 10000, 1000, "cosine", 0.01) for step in range(10000)]
    assert rates[0] == pytest.approx(1e-6)
    assert max(rates) == rates[999] == rates[1000] == 1e-3
    # gpt-circuits' step s is step s - 1 here: 1e-5 + (1e-3 - 1e-5) (1 + cos(pi (s - 1000) / 9000)) / 2
    assert rates[5500] == pytest.approx(1e-5 + 0.99e-3 / 2)
    assert rates[-1] == pytest.approx(1e-5, rel=1e-4)
    assert rates[1000:] == sorted(rates[1000:], reverse=True)


def test_a_constant_rate_stays():
    assert [lm_step.learning_rate(step, 50, 2, "constant") for step in (0, 1, 2, 49)] == [0.5, 1, 1, 1]


KEPT = TrainLMConfig(
    n_layer=1, n_head=1, d_model=8, steps=6, eval_every=2, log_every=1, warmup=0, keep="best", checkpoint_seconds=0
)


def test_the_best_weights_are_kept(tmp_path: Path):
    best = lm.train_lm(KEPT, tmp_path / "best", source=Source(ces=(3.0, 2.0, 2.0)))
    short = lm.train_lm(
        dataclasses.replace(KEPT, keep="last", schedule="constant", steps=4),
        tmp_path / "short",
        source=Source(ces=(1, 1)),
    )
    constant = dataclasses.replace(KEPT, schedule="constant")
    again = lm.train_lm(constant, tmp_path / "again", source=Source(ces=(3.0, 2.0, 2.0)))
    assert (best.kept, best.step, again.kept, short.kept) == (4, 6, 4, 4)
    assert all(map(torch.equal, again.model.parameters(), short.model.parameters()))


def test_the_best_weights_survive_a_stop(tmp_path: Path):
    whole = lm.train_lm(KEPT, tmp_path / "whole", source=Source(ces=(1.0, 2.0, 3.0)))
    steps = iter(range(1, 10))
    lm.train_lm(KEPT, tmp_path / "parts", stop=lambda: next(steps) == 3, source=Source(ces=(1.0,)))
    parts = lm.train_lm(KEPT, tmp_path / "parts", source=Source(ces=(2.0, 3.0)))
    assert whole.kept == parts.kept == 2
    assert all(map(torch.equal, whole.model.parameters(), parts.model.parameters()))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tanh_alpha": 2.0}, "is for --norm dynamic-tanh"),
        ({"min_lr": 1.0}, "is more than --lr"),
        ({"min_lr": 1e-4, "schedule": "constant"}, "is for --schedule cosine"),
        ({"max_memory": "lots"}, "expected a size such as"),
    ],
)
def test_values_that_do_not_go_together(changes: dict[str, Any], words: str):
    from saecli.core.errors import UsageError

    with pytest.raises(UsageError, match=words):
        TrainLMConfig(**changes)


@pytest.mark.parametrize("norm", ["layernorm", "dynamic-tanh"])
def test_the_activations_that_are_counted_are_those_that_are_kept(norm: str):
    config = TrainLMConfig(n_layer=3, n_head=2, d_model=64, norm=norm, batch_size=8, optimizer="adamw")
    source = Source(256, 64, 8)
    shape = lm.model_shape(config, source)
    model, batch, kept = GPT(shape), source.batch(0), {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: (kept.__setitem__(t.untyped_storage().data_ptr(), t.untyped_storage().nbytes()), t)[1], lambda t: t
    ):
        lm_step.next_token_loss(model(batch.tokens_BS), batch, "auto")
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    saved = sum(size for place, size in kept.items() if place not in weights)
    need = memory_need(config, shape)
    assert need.state == 4 * 4 * shape.n_parameters
    assert saved <= need.activations <= 1.6 * saved


def test_less_is_needed_for_fewer_sequences_at_a_time():
    config = TrainLMConfig(batch_size=64)
    shape = lm.model_shape(config, Source(50257, 128))
    whole, pieces = memory_need(config, shape), memory_need(dataclasses.replace(config, micro_batch=8), shape)
    assert whole.activations == pytest.approx(8 * pieces.activations, rel=1e-6)
    assert memory_need(config, shape, processes=8) == pieces


def test_a_run_that_cannot_fit_is_found_before_it_starts(tmp_path: Path, saecli: Any):
    flags = ("train", "lm", "--n-layer", "1", "--d-model", "64", "--steps", "1", "--held-out", "2", "--batch-size", "8")
    for more in (("--plan",), ("--out", "lm")):
        done = saecli(*flags, "--max-memory", "1M", *more)
        assert (done.code, done.out) == (2, "")
        assert "--max-memory allows 0.0010 GB" in done.err
        assert "Lower --micro-batch" in done.err
    assert not (tmp_path / "lm").exists()
    done = saecli(*flags, "--plan", "--max-memory", "4G")
    assert "57,792 parameters, about" in done.out, done.out
    assert "--max-memory allows 4.3 GB" in done.out
