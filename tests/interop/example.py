"""What both sides do with a dictionary: random weights, an input, its features and its output beside the files.

Runs in the libraries' environment too, so it imports nothing of this project.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

FILE = "example.safetensors"
ATOL = 1e-6


def randomise(module: nn.Module, seed: int) -> None:
    """Every parameter and bias at random, so that sums stay of order one; thresholds about where features are."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            size = parameter.shape[0] ** -0.5 if parameter.ndim > 1 else 0.3
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator))


def inputs(width: int, seed: int, *shape: int) -> Tensor:
    """Random input vectors, not centred."""
    return torch.randn(*(shape or (32,)), width, generator=torch.Generator().manual_seed(seed)) + 0.2


def save(folder: Path, x: Tensor, features: Tensor, output: Tensor) -> None:
    """Write an input and what became of it."""
    tensors = {"x": x, "features": features, "output": output}
    save_file({name: value.detach().clone().contiguous() for name, value in tensors.items()}, folder / FILE)


def load(folder: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Input, features and output of an example."""
    tensors = load_file(folder / FILE)
    return tensors["x"], tensors["features"], tensors["output"]


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest absolute difference."""
    if ours.shape != theirs.shape:
        raise ValueError(f"shapes {tuple(ours.shape)} and {tuple(theirs.shape)}")
    return float((ours - theirs).abs().max())


def report(rows: list[tuple[str, float, float]]) -> None:
    """Print the differences; exit with 1 if one of them is too large, or if there is none."""
    for name, features, output in rows:
        verdict = "equal" if max(features, output) <= ATOL else "DIFFERENT"
        print(f"  {name:44} features {features:.1e}  output {output:.1e}  {verdict}")
    if not rows or any(not max(features, output) <= ATOL for _, features, output in rows):
        sys.exit("Some dictionaries are not the same on both sides.")
