"""Paired runs of a step of a staircase and of as many TopK dictionaries that share nothing, in CPU seconds of a thread.

Five sites of width 64, widths 8x to 40x, k 10: the staircase (one encoder and decoder), dictionaries as wide that share
nothing, and five of the largest width. Run: ``python benchmarks/staircase.py [--pairs 7]``. Exits with 1 where sharing
costs more than a tenth.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from saecli.core.model import ModelInfo
from saecli.train.sae_config import SaeTable, TrainSaeConfig
from saecli.train.sae_plan import plan_dictionaries
from saecli.train.sharing import chains
from saecli.train.step import Workspace
from saecli.train.trainer import DictionaryTrainer

WIDTH, LAYERS, BATCH, STEPS = 64, 4, 2048, 4
WIDTHS = "8x,16x,24x,32x,40x"
TABLES = {
    "staircase": SaeTable(arch="staircase", k=(10,), widths=WIDTHS),
    "as wide": SaeTable(arch="staircase", k=(10,), widths=WIDTHS, sharing="none"),
    "all 40x": SaeTable(k=(10,), latents=(40 * WIDTH,)),
}


class Side:
    """The dictionaries of one table and what makes all of them step."""

    def __init__(self, table: SaeTable) -> None:
        info = ModelInfo("bench", "", LAYERS, WIDTH, 1, WIDTH, WIDTH, 0, 0)
        plans = plan_dictionaries(TrainSaeConfig(sae=(table,)), info)
        self.trainers = [DictionaryTrainer(plan, torch.device("cpu")) for plan in plans]
        self._order = [number for chain in chains(self.trainers) for number in chain]
        self._space = Workspace()

    def step(self, x_BD: torch.Tensor) -> None:
        for number in self._order:
            batch_BD = x_BD.clone()
            self.trainers[number].step(batch_BD, batch_BD, 1.0, self._space)

    def seconds(self, x_BD: torch.Tensor) -> float:
        """CPU seconds per step; the first one, which finds the other side's caches, does not count."""
        self.step(x_BD)
        start = time.process_time()
        for _ in range(STEPS):
            self.step(x_BD)
        return (time.process_time() - start) / STEPS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    pairs = parser.parse_args().pairs
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x_BD = torch.randn(BATCH, WIDTH // 2) @ torch.randn(WIDTH // 2, WIDTH) / 6 + 0.3 * torch.randn(BATCH, WIDTH)
    sides = {name: Side(table) for name, table in TABLES.items()}
    for side in sides.values():
        side.seconds(x_BD)
    times = {name: [] for name in sides}
    for _ in range(pairs):
        for name, side in sides.items():
            times[name].append(side.seconds(x_BD))
    ours, slower = statistics.median(times["staircase"]), False
    print(f"staircase: {1000 * ours:.0f} ms per step of {LAYERS + 1} dictionaries")
    for name in ("as wide", "all 40x"):
        ratios = [other / mine for other, mine in zip(times[name], times["staircase"], strict=True)]
        middle = statistics.median(ratios)
        slower |= middle < 0.9
        print(f"{name}: {1000 * statistics.median(times[name]):.0f} ms, {middle:.2f}x", end=" ")
        print(f"({min(ratios):.2f}-{max(ratios):.2f})")
    return int(slower)


if __name__ == "__main__":
    sys.exit(main())
