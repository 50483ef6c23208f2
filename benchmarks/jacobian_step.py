"""Paired runs of the step of a Jacobian-sparse pair and of a pair of TopK dictionaries, in CPU seconds of one thread.

Both do all of a step of both dictionaries: loss, gradients, projection, clipping, Adam, counters. The pair also has the
penalty over the MLP of a GPT with random weights and four times as many neurons as dimensions: slopes of the model, the
Jacobian of every token, its gradients. Run: ``python benchmarks/jacobian_step.py [--pairs 7]``. Exits with 1 where a
step over an MLP takes more than 2.5 times as long.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.model import HookedModel
from saecli.core.ranks import ONE
from saecli.train.jacobian_pair import pair_up
from saecli.train.sae_config import SaeTable, TrainSaeConfig
from saecli.train.sae_plan import plan_dictionaries
from saecli.train.step import Workspace
from saecli.train.trainer import DictionaryTrainer

LAYER, BLOCK = ("mlp_in", "mlp_out"), ("resid_mid", "resid_post")
CASES = (
    ("MLP", LAYER, "layer", "1"),
    ("MLP, 1/8 of tokens", LAYER, "layer", "1/8"),
    ("block, LayerNorm", BLOCK, "layer", "1"),
    ("block, DynamicTanh", BLOCK, "dynamic_tanh", "1"),
    ("block, DynamicTanh, 1/8", BLOCK, "dynamic_tanh", "1/8"),
)
WIDTHS, LATENTS, K, BATCH = (64, 128), 512, 10, 2048
MOST, TURN = 2.5, 3


def trainers(table: SaeTable, model: HookedModel) -> list[DictionaryTrainer]:
    """A pair of trainers, with what is between them where the table asks for it."""
    config = TrainSaeConfig(sae=(table,), dead_after=10**9)
    made = [DictionaryTrainer(plan, torch.device("cpu")) for plan in plan_dictionaries(config, model.info)]
    for pair in pair_up(made, ONE):
        pair.lay(model)
    return made


def data(model: HookedModel, kinds: tuple[str, str]) -> list[torch.Tensor]:
    """Low-rank vectors and noise at the first site, and what the model makes of them at the second."""
    d, part = model.info.d_model, model.block(0)
    x = torch.randn(BATCH, d // 4) @ torch.randn(d // 4, d) / d**0.5 + 0.3 * torch.randn(BATCH, d)
    y = x + part.mlp(part.ln2(x[None]))[0] if kinds == BLOCK else part.mlp(x[None])[0]
    return [x, y]


def paired_times(sides: list[list[DictionaryTrainer]], vectors: list[torch.Tensor], pairs: int) -> list[list[float]]:
    """CPU seconds per step in alternating turns; the first step of a turn and the first pair do not count."""
    space = Workspace()

    def step(side: list[DictionaryTrainer]) -> None:
        for trainer, x in zip(side, vectors, strict=True):
            batch = x.clone()
            trainer.step(batch, batch, 1.0, space)

    times: list[list[float]] = [[] for _ in sides]
    for number in range(pairs + 1):
        for side, kept in zip(sides, times, strict=True):
            step(side)
            began = time.process_time()
            for _ in range(TURN):
                step(side)
            if number:
                kept.append((time.process_time() - began) / TURN)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    pairs = parser.parse_args().pairs
    torch.set_num_threads(1)
    failed = False
    print(f"{LATENTS} latents, k {K}, batch {BATCH}")
    print("d    pair                     with Jacobian ms  TopK ms  ratio")
    for d in WIDTHS:
        for name, kinds, norm, share in CASES:
            torch.manual_seed(0)
            model = thin_gpt(GPT(GPTConfig(64, 64, 1, 2, d, norm=norm)), "random")  # type: ignore[arg-type]
            plain = SaeTable(kind=kinds, k=(K,), latents=(LATENTS,))
            table = replace(plain, arch="jacobian", jacobian_tokens=share)
            vectors = data(model, kinds)
            sides = [trainers(table, model), trainers(plain, model)]
            for side in sides:
                for trainer, x in zip(side, vectors, strict=True):
                    sample = x.clone()
                    trainer.start(sample, sample)
            ours, theirs = paired_times(sides, vectors, pairs)
            ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
            failed |= kinds == LAYER and ratio > MOST
            print(f"{d:<4} {name:<24} {1e3 * statistics.median(ours):<17.1f} ", end="")
            print(f"{1e3 * statistics.median(theirs):<8.1f} {ratio:.2f}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
