"""Variance explained at equal L0: ``saecli train sae`` beside the trainers of sae-lens and dictionary_learning.

All see the same vectors (those of othello-mini at 5.resid_pre unless files are given), batches and steps, each with the
defaults of its own trainer: learning rate, initialisation, normalisation, schedules. Where the architecture takes the
number of active features, three seeds each; where a penalty decides it, a peer's variance explained is interpolated
(linearly in log L0) to the L0 of ours.

Run: ``python benchmarks/train_quality.py [--arch topk] [--seeds 3]``. Exits with 1 where ours is below a peer's by more
than the spread over seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from benchmarks.train_quality_peer import measure
from saecli.train.sae import train_on_vectors
from saecli.train.sae_config import TrainSaeConfig
from saecli.train.vectors import VectorFiles

ROOT = Path(__file__).resolve().parent.parent
OURS, PEERS = "saecli", ("saelens", "dictionary_learning")
SPARSITY = {
    "topk": (32,),
    "batchtopk": (32,),
    "jumprelu": (32,),
    "gated": (1.0, 2.0, 4.0),
    "standard": (1.0, 2.0, 4.0),
}
"""k, target L0, or weights of the penalty (on vectors of norm sqrt(d))."""
FLAG = {
    "topk": "k",
    "batchtopk": "k",
    "jumprelu": "target_l0",
    "gated": "sparsity_weight",
    "standard": "sparsity_weight",
}
TEST_ROWS = 20_000


def make(folder: Path, rows: int) -> tuple[Path, Path]:
    """Vectors of othello-mini before its block 5, for training and for measuring."""
    from saecli.core.site import Site
    from saecli.learning.reading import open_data
    from saecli.train.activations import ActivationStream
    from zoo.load import load_model

    config = TrainSaeConfig()
    model = load_model("othello-mini")
    site = Site.parse("5.resid_pre")
    stream = ActivationStream(model, open_data(config, model.info), {site}, rows + TEST_ROWS, seed=0)
    block = stream.filling(0).block()
    vectors = block.vectors_ND[site][block.order_N].numpy()
    paths = folder / "train.npy", folder / "test.npy"
    np.save(paths[0], vectors[TEST_ROWS:])
    np.save(paths[1], vectors[:TEST_ROWS])
    return paths


def ours(asked: dict[str, Any], folder: Path) -> dict[str, float]:
    """L0 and variance explained of a dictionary trained with our defaults."""
    values: dict[str, Any] = {FLAG[asked["arch"]]: (asked["sparsity"],)}
    config = TrainSaeConfig(
        activations=(asked["train"],),
        arch=asked["arch"],
        latents=asked["latents"],
        tokens=asked["steps"] * asked["batch"],
        batch=asked["batch"],
        seed=asked["seed"],
        overwrite=True,
        **values,
    )
    result = train_on_vectors(config, VectorFiles([Path(asked["train"])]), folder, threads=1)
    (suite,) = result.suites.values()
    (made,) = (dictionary for _, dictionary in suite.items())
    test = torch.from_numpy(np.load(asked["test"]).astype(np.float32))

    def decoded(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        acts = made.encode(x)
        return acts, made.decode(acts)

    return measure(decoded, test)


def peer(asked: dict[str, Any]) -> dict[str, float]:
    """The same of a peer's."""
    command = [
        str(ROOT / ".venv-interop/bin/python"),
        str(ROOT / "benchmarks/train_quality_peer.py"),
        json.dumps(asked),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def at_l0(curve: list[dict[str, float]], l0: float) -> float | None:
    """Variance explained of a curve at an L0 within it."""
    points = sorted((one["l0"], one["explained"]) for one in curve)
    if not points[0][0] <= l0 <= points[-1][0]:
        return None
    x, y = zip(*points, strict=True)
    return float(np.interp(np.log(l0), np.log(x), y))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", nargs="+", choices=SPARSITY, default=list(SPARSITY))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--latents", type=int, default=1024)
    parser.add_argument("--rows", type=int, default=600_000, help="vectors to train on")
    parser.add_argument("--data", type=Path, help="keep train.npy and test.npy here, or take them from here")
    parser.add_argument("--peer-lr", type=float, help="learning rate of the peers, if not their default")
    parser.add_argument("--json", type=Path, help="append every run to this file, one per line")
    told = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = told.data or Path(scratch)
        paths = folder / "train.npy", folder / "test.npy"
        if not paths[0].exists():
            folder.mkdir(parents=True, exist_ok=True)
            paths = make(folder, told.rows)
        fixed = {"latents": told.latents, "steps": told.steps, "batch": told.batch, "lr": told.peer_lr}
        fixed |= {"train": str(paths[0]), "test": str(paths[1])}
        failed = False
        for arch in told.arch:
            runs: dict[str, list[dict[str, float]]] = {OURS: [], **{name: [] for name in PEERS}}
            several = len(SPARSITY[arch]) > 1
            for seed in range(1 if several else told.seeds):
                for sparsity in SPARSITY[arch]:
                    for library, found in runs.items():
                        asked = {"library": library, "arch": arch, "seed": seed, "sparsity": sparsity, **fixed}
                        one = ours(asked, Path(scratch) / "run") if library == OURS else peer(asked)
                        found.append(one)
                        print(arch, seed, sparsity, library, {k: round(v, 4) for k, v in one.items()}, flush=True)
                        if told.json:
                            with told.json.open("a", encoding="utf-8") as file:
                                file.write(json.dumps({**asked, **one}) + "\n")
            failed |= report(arch, runs, several)
    return int(failed)


def report(arch: str, runs: dict[str, list[dict[str, float]]], several: bool) -> bool:
    """Print ours beside each peer; whether ours is worse."""
    worse = False
    for name in PEERS:
        if several:
            pairs = [(one["explained"], at_l0(runs[name], one["l0"]), one["l0"]) for one in runs[OURS]]
            for mine, theirs, l0 in pairs:
                if theirs is not None:
                    worse |= mine < theirs - 0.005
                    print(f"{arch} at L0 {l0:.1f}: {mine:.4f}, {name} {theirs:.4f}")
            continue
        mine, theirs = ([one["explained"] for one in runs[who]] for who in (OURS, name))
        spread = max(max(values) - min(values) for values in (mine, theirs))
        worse |= statistics.mean(mine) < statistics.mean(theirs) - spread
        l0 = [statistics.mean(one["l0"] for one in runs[who]) for who in (OURS, name)]
        print(
            f"{arch}: {statistics.mean(mine):.4f} at L0 {l0[0]:.1f}, {name} {statistics.mean(theirs):.4f} at L0 "
            f"{l0[1]:.1f}, spread over seeds {spread:.4f}"
        )
    return worse


if __name__ == "__main__":
    sys.exit(main())
