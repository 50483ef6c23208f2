"""Training steps of dictionaries beside those of sae-lens, dictionary_learning and sparsify, in interleaved pairs.

Each side is a process of its own that stays alive: ours runs the step of ``saecli train sae``, the peers' (made by
``make interop`` in .venv-interop) the public step of their trainers, with equal vectors, batches, threads and
allocator. All keep firing statistics, clip gradients and care for decoder norms as they do by default. A pair is a turn
of ours and a turn of each peer's; the ratio is the median over pairs. Times are CPU seconds of one thread, with two
threads wall-clock seconds.

Run: ``python benchmarks/peers.py [--arch topk] [--shape 512] [--json FILE]``. Exits with 1 where a ratio is below its
floor or our peak memory above a peer's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from train_side import Case

ROOT = Path(__file__).resolve().parent.parent
OURS, FLOOR, PEERS = "ours", "floor", ("saelens", "dictionary_learning", "sparsify")
SHAPES = {128: (1024, 16, 4096, 4), 512: (4096, 32, 4096, 1), 768: (24576, 32, 1024, 1)}
"""Width → latents, k, vectors per step, steps per turn."""
ARCHS = ("topk", "batchtopk", "jumprelu", "gated", "standard")
ALLOCATORS = {
    "default": {},
    "thp": {"THP_MEM_ALLOC_ENABLE": "1"},
    "keep": {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=68719476736"},
}
"""How freed memory is treated: torch's default; transparent huge pages; never given back."""
FLOORS = {
    ("topk", "saelens"): {128: 3.5, 512: 4.5, 768: 4.5},
    ("topk", "dictionary_learning"): {512: 4.5, 768: 4.5},
    ("topk", "sparsify"): {512: 1.8, 768: 1.5},
    ("batchtopk", "saelens"): dict.fromkeys(SHAPES, 4.0),
    ("jumprelu", "saelens"): dict.fromkeys(SHAPES, 1.5),
    ("gated", "saelens"): dict.fromkeys(SHAPES, 1.5),
    ("standard", "saelens"): dict.fromkeys(SHAPES, 1.3),
}


class Side:
    """A process that takes steps.

    Args:
        name: Of the library.
        case: What it does.
        allocator: One of :data:`ALLOCATORS`.
    """

    def __init__(self, name: str, case: Case, allocator: str) -> None:
        script = ROOT / "benchmarks" / f"train_side_{name}.py"
        python = str(ROOT / ".venv-interop/bin/python") if name in PEERS else sys.executable
        threads = str(case.threads)
        environment = {
            **os.environ,
            **ALLOCATORS[allocator],
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "PYTHONPATH": str(ROOT),
        }
        self.name = name
        self._process = subprocess.Popen(
            [python, str(script), json.dumps(asdict(case))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        self.peak_mb = self._answer()["peak_mb"]

    def turn(self, steps: int) -> dict[str, float]:
        """CPU and wall seconds per step."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"The side of {self.name} ended: run benchmarks/train_side_{self.name}.py by hand.")


@dataclass
class Row:
    """One peer in one case."""

    arch: str
    d: int
    latents: int
    k: int
    batch: int
    threads: int
    dead: float
    precision: str
    sparse: float
    allocator: str
    peer: str
    ours_ms: float
    peer_ms: float
    ratio: float
    ratio_least: float
    ratio_most: float
    ours_mb: float
    peer_mb: float
    encoder_ms: float
    load: float
    floor: float | None

    @property
    def holds(self) -> bool:
        return self.ratio >= (self.floor or 0) and self.ours_mb <= self.peer_mb


def compare(case: Case, peers: tuple[str, ...], allocator: str, pairs: int, steps: int) -> list[Row]:
    """A case against some peers."""
    clock = "cpu" if case.threads == 1 else "wall"
    sides = [Side(name, case, allocator) for name in (OURS, *peers, FLOOR)]
    times: dict[str, list[float]] = {side.name: [] for side in sides}
    loads = []
    try:
        for number in range(pairs + 1):
            for side in sides:
                taken = side.turn(steps)[clock]
                if number:  # the first turns find cold caches
                    times[side.name].append(taken)
            loads.append(os.getloadavg()[0])
    finally:
        for side in sides:
            side.close()
    rows = []
    for side in sides[1:-1]:
        ratios = sorted(b / a for a, b in zip(times[OURS], times[side.name], strict=True))
        rows.append(
            Row(
                **asdict(case),
                allocator=allocator,
                peer=side.name,
                ours_ms=1e3 * statistics.median(times[OURS]),
                peer_ms=1e3 * statistics.median(times[side.name]),
                ratio=statistics.median(ratios),
                ratio_least=ratios[0],
                ratio_most=ratios[-1],
                ours_mb=sides[0].peak_mb,
                peer_mb=side.peak_mb,
                encoder_ms=1e3 * statistics.median(times[FLOOR]),
                load=statistics.median(loads),
                floor=FLOORS.get((case.arch, side.name), {}).get(case.d),
            )
        )
    return rows


HEADER = (
    "arch       d    latents  k   batch  thr  dead  active  mode         alloc    peer                 "
    "ours ms   peer ms   ratio (least to most)    ours MB  peer MB  x floor  load"
)


def line(row: Row) -> str:
    active = f"{row.sparse:.0%}" if row.sparse else "-"
    ratio = f"{row.ratio:.2f} ({row.ratio_least:.2f} to {row.ratio_most:.2f})"
    mark = "" if row.holds else f"  below {row.floor}" if row.ratio < (row.floor or 0) else "  more memory"
    return (
        f"{row.arch:<10} {row.d:<4} {row.latents:<8} {row.k:<3} {row.batch:<6} {row.threads:<4} {row.dead:<5} "
        f"{active:<7} {row.precision:<12} {row.allocator:<8} {row.peer:<20} {row.ours_ms:<9.1f} {row.peer_ms:<9.1f} "
        f"{ratio:<24} {row.ours_mb:<8.0f} {row.peer_mb:<8.0f} {row.ours_ms / row.encoder_ms:<8.2f} {row.load:.1f}{mark}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", nargs="+", choices=ARCHS, default=ARCHS)
    parser.add_argument("--shape", nargs="+", type=int, choices=SHAPES, default=list(SHAPES), help="width")
    parser.add_argument("--peer", nargs="+", choices=PEERS, default=PEERS)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--allocator", nargs="+", choices=ALLOCATORS, default=["default"])
    parser.add_argument("--dead", nargs="+", type=float, default=[0.0], help="share of dead latents")
    parser.add_argument("--active", nargs="+", type=float, default=[0.0], help="share of active latents; 0: untrained")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "bf16-screen"))
    parser.add_argument("--json", type=Path, help="append the rows to this file, one per line")
    asked = parser.parse_args()
    failed = False
    print(HEADER)
    for arch, d, threads, allocator, dead, active in itertools.product(
        asked.arch, asked.shape, asked.threads, asked.allocator, asked.dead, asked.active
    ):
        latents, k, batch, steps = SHAPES[d]
        peers = tuple(peer for peer in asked.peer if arch == "topk" or peer != "sparsify")
        case = Case(arch, d, latents, k, batch, threads, dead, asked.precision, active)
        for row in compare(case, peers, allocator, asked.pairs, steps):
            print(line(row), flush=True)
            failed |= not row.holds
            if asked.json:
                with asked.json.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(row)) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
