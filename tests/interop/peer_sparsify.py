"""EleutherAI's sparsify, in an environment of its own: write fixtures with its class, check what this project wrote.

python peer_sparsify.py write FIXTURES
python peer_sparsify.py check FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from example import difference, inputs, load, randomise, report, save
from sparsify import SparseCoder, SparseCoderConfig
from torch import Tensor

WIDTH = 8
HOOKPOINT = "gpt_neox.layers.3"
CASES: dict[str, dict[str, Any]] = {
    f"topk/{HOOKPOINT}": {"num_latents": 16},
    f"square/{HOOKPOINT}": {"expansion_factor": 1},
    f"groupmax/{HOOKPOINT}": {"num_latents": 16, "activation": "groupmax", "k": 4},
    f"transcoder/{HOOKPOINT}.mlp": {"num_latents": 16, "transcode": True},
    f"skip/{HOOKPOINT}.mlp": {"num_latents": WIDTH, "transcode": True, "skip_connection": True},
}


def run(made: SparseCoder, x: Tensor) -> tuple[Tensor, Tensor]:
    """Dense features and output."""
    with torch.no_grad():
        acts, indices, _ = made.encode(x)
        features = torch.zeros(*acts.shape[:-1], made.num_latents).scatter(-1, indices, acts)
        return features, made(x).sae_out


def write(fixtures: Path) -> None:
    for seed, (name, options) in enumerate(CASES.items()):
        made = SparseCoder(WIDTH, SparseCoderConfig(**{"k": 3, **options}))
        randomise(made, seed)
        made.save_to_disk(fixtures / name)
        x = inputs(WIDTH, seed)
        save(fixtures / name, x, *run(SparseCoder.load_from_disk(fixtures / name), x))


def check(folder: Path) -> None:
    rows = []
    for case in sorted(path.parent for path in folder.rglob("cfg.json")):
        x, features, output = load(case)
        flat = x.reshape(-1, x.shape[-1])
        theirs = run(SparseCoder.load_from_disk(case), flat)
        rows.append(
            (
                str(case.relative_to(folder)),
                difference(features.reshape(len(flat), -1), theirs[0]),
                difference(output.reshape(len(flat), -1), theirs[1]),
            )
        )
    report(rows)


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](Path(sys.argv[2]))
