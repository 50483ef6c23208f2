"""Paired runs of the sparse TopK training step and of its plain autograd twin, in CPU seconds of one thread.

Both do all of a step: loss, gradients, decoder-parallel projection, clipping, Adam, renormalisation, firing counters.
The twin encodes, selects, scatters and decodes densely, is differentiated by autograd and uses torch's default Adam.
Run: ``python benchmarks/topk_step.py [--pairs 7]``. Exits with 1 where gradients differ or the ratio is below 4.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.site import Site
from saecli.train.settings import Settings
from saecli.train.step import StepInput, Workspace
from saecli.train.trainer import DictionaryTrainer, TrainerConfig
from tests.twins.topk_step import topk_step as plain_topk_step

SHAPES = ((128, 1024, 16, 4096), (512, 4096, 32, 4096))
SITE = Site(0, "resid_pre")
TOLERANCE, LEAST_RATIO = 1e-5, 4.0
TURN = 3


def make(d: int, latents: int, k: int) -> DictionaryTrainer:
    """A trainer with an initialised dictionary."""
    shape = DictionaryConfig("topk", d, latents, SITE, SITE, d, {"k": k})
    settings = Settings(k=k, aux_k=d // 2, dead_after=10**9)
    return DictionaryTrainer(TrainerConfig("", shape, "topk", 0, settings), torch.device("cpu"))


def data(d: int, batch: int) -> torch.Tensor:
    """Low-rank vectors and noise, of unit variance."""
    x = torch.randn(batch, d // 4) @ torch.randn(d // 4, d) / d**0.5 + 0.3 * torch.randn(batch, d)
    return x / x.std()


class PlainTrainer:
    """The twin: what one writes without thinking of speed."""

    def __init__(self, trainer: DictionaryTrainer) -> None:
        self.dictionary, self.settings = trainer.dictionary, trainer.config.settings
        self.dictionary.W_enc_DF = torch.nn.Parameter(self.dictionary.W_enc_DF.detach().contiguous())
        self.adam = torch.optim.Adam(self.dictionary.parameters(), lr=1e-3)
        self.since_fired = torch.zeros(self.dictionary.n_latents, dtype=torch.int64)

    def step(self, x: torch.Tensor) -> None:
        _, fired = plain_topk_step(self.dictionary, StepInput(x, x, torch.empty(0, dtype=torch.long), self.settings))
        with torch.no_grad():
            self.since_fired = torch.where(fired, 0, self.since_fired + len(x))
            decoder = self.dictionary.W_dec_FD
            assert decoder.grad is not None
            decoder.grad -= (decoder.grad * decoder).sum(1, keepdim=True) * decoder
            torch.nn.utils.clip_grad_norm_(self.dictionary.parameters(), 1.0)
            self.adam.step()
            decoder.copy_(torch.nn.functional.normalize(decoder, dim=1))


def difference(d: int, latents: int, k: int, batch: int) -> float:
    """Largest relative difference of a gradient between the two."""
    trainer, x = make(d, latents, k), data(d, batch)
    step = StepInput(x, x, torch.empty(0, dtype=torch.long), trainer.config.settings)
    trainer._step(trainer.dictionary, step)
    ours = [parameter.grad for parameter in trainer.dictionary.parameters()]
    plain_topk_step(trainer.dictionary, step)
    pairs = zip(ours, trainer.dictionary.parameters(), strict=True)
    return max(float((a - p.grad).norm() / p.grad.norm()) for a, p in pairs if a is not None and p.grad is not None)


def paired_times(
    sparse: DictionaryTrainer, plain: PlainTrainer, space: Workspace, x: torch.Tensor, pairs: int
) -> tuple[list[float], list[float]]:
    """CPU seconds per step in alternating turns of four steps; the first step of a turn, which finds the other side's
    caches and heap, and the first pair do not count."""

    def sparse_step() -> None:
        batch = x.clone()
        sparse.step(batch, batch, 1.0, space)

    times: tuple[list[float], list[float]] = [], []
    for number in range(pairs + 1):
        for step, kept in ((sparse_step, times[0]), (lambda: plain.step(x.clone()), times[1])):
            step()
            began = time.process_time()
            for _ in range(TURN):
                step()
            if number:
                kept.append((time.process_time() - began) / TURN)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    pairs = parser.parse_args().pairs
    torch.set_num_threads(1)
    torch.manual_seed(0)
    failed = False
    print("d     latents  k   batch  sparse ms  plain ms  ratio  gradients differ by")
    for d, latents, k, batch in SHAPES:
        sparse, plain, space, x = make(d, latents, k), PlainTrainer(make(d, latents, k)), Workspace(), data(d, batch)
        ours, theirs = paired_times(sparse, plain, space, x, pairs)
        ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
        differs = difference(d, latents, k, batch)
        failed |= ratio < LEAST_RATIO or differs > TOLERANCE
        means = f"{1e3 * statistics.median(ours):<10.1f} {1e3 * statistics.median(theirs):<9.1f}"
        print(f"{d:<5} {latents:<8} {k:<3} {batch:<6} {means} {ratio:<6.2f} {differs:.1e}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
