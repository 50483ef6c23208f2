"""One side of a paired training benchmark: a process that stays alive and takes steps when told to.

Every library has a script of its own that makes the step of its public classes; what is common is here and needs torch
alone, since the libraries live in environments of their own. Spoken over a pipe, one line each way: ``N`` asks for N
steps (and one before them that is not timed), the answer is their CPU and wall seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch._dynamo  # which the optimiser imports when it is made: of no side a part of what training takes
from torch import Tensor

DEAD_BIAS = -10.0
"""Encoder bias of the latents that are made dead: with unit variance and unit rows nothing reaches above it."""
LEARNING_RATE = 1e-4
_WARM = 3


@dataclass(frozen=True)
class Case:
    """What both sides do.

    Attributes:
        arch: ``topk``, ``batchtopk``, ``jumprelu``, ``gated`` or ``standard``.
        d: Width of the vectors.
        latents: Features.
        k: Active features, where the architecture is told.
        batch: Vectors per step.
        threads: Of torch.
        dead: Share of the latents that are dead from the first step, so that the auxiliary loss has work.
        precision: ``fp32``, or a mode of the side (``bf16``, ``bf16-screen``).
        sparse: Share of the latents that are active where the architecture does not say, 0 for what it starts with.
    """

    arch: str
    d: int
    latents: int
    k: int
    batch: int
    threads: int
    dead: float
    precision: str
    sparse: float

    @property
    def n_dead(self) -> int:
        """Latents that are dead; the first ones."""
        return round(self.dead * self.latents)


Step = Callable[[Tensor], object]


def activations(case: Case) -> Tensor:
    """Low-rank vectors and noise, of unit variance; the same on both sides. Four batches."""
    torch.manual_seed(0)
    rank = case.d // 4
    x = torch.randn(4 * case.batch, rank) @ torch.randn(rank, case.d) / case.d**0.5
    x += 0.3 * torch.randn(4 * case.batch, case.d)
    return x / x.std()


def memory(name: str) -> float:
    """A line of this process's status in MB."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"/proc/self/status has no {name}.")


def serve(make: Callable[[Case, Tensor], Step]) -> None:
    """Make the step of a library, take some, say the memory they took, then take steps as told on standard input."""
    case = Case(**json.loads(sys.argv[1]))
    torch.set_num_threads(case.threads)
    pool = activations(case)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # resets the peak
    base, made = memory("VmRSS"), 0
    step = make(case, pool[: case.batch])

    def once() -> None:
        nonlocal made
        rows = torch.randperm(len(pool), generator=torch.Generator().manual_seed(made))[: case.batch]
        made += 1
        step(pool[rows])

    for _ in range(_WARM):
        once()
    print(json.dumps({"peak_mb": memory("VmHWM") - base}), flush=True)
    for line in sys.stdin:
        once()
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(int(line)):
            once()
        taken = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        print(json.dumps({name: seconds / int(line) for name, seconds in taken.items()}), flush=True)
