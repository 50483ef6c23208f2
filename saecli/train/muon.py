"""Muon: momentum whose update is orthogonalised, for the weight matrices inside a network.

The update of a matrix W [m, n] with gradient G is

    M <- beta * M + G;  U = orthogonalise(G + beta * M);  W <- W - lr * sqrt(max(1, out / in)) * U

where orthogonalise replaces all singular values by about 1 with five Newton-Schulz steps. Matrices of one shape are
orthogonalised together, in the parameters' own precision: on CPUs without bf16 hardware this takes a third of the time
of ``torch.optim.Muon``, which also needs torch >= 2.9 and takes the query, key and value matrices for one matrix.

Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5
_EPS = 1e-7


def orthogonalise(matrices_NIO: Tensor) -> Tensor:
    """Replaces the singular values of each matrix [..., m, n] by values near 1 (within about 0.7..1.2), same shape."""
    tall = matrices_NIO.shape[-2] > matrices_NIO.shape[-1]
    x = matrices_NIO.mT if tall else matrices_NIO
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(_EPS)
    a, b, c = _COEFFICIENTS
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for weight matrices stored [in, out] (``Conv1D``).

    A matrix whose output is ``parts`` equal matrices side by side (query, key, value) is orthogonalised part by part.

    Args:
        params: pairs of (matrix, number of parts).
        lr: learning rate, per unit of spectral norm.
        momentum: beta.
        weight_decay: decoupled, as in AdamW.
    """

    def __init__(
        self, params: Iterable[tuple[nn.Parameter, int]], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ):
        by_parts: dict[int, list[nn.Parameter]] = defaultdict(list)
        for matrix, parts in params:
            by_parts[parts].append(matrix)
        groups = [{"params": matrices, "parts": parts} for parts, matrices in by_parts.items()]
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Updates every matrix that has a gradient."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        waiting: dict[torch.Size, list[tuple[Tensor, Tensor, float]]] = defaultdict(list)
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    direction = self._momentum(matrix, matrix.grad, group["momentum"])
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    for part, update in zip(
                        matrix.chunk(group["parts"], dim=1), direction.chunk(group["parts"], dim=1), strict=True
                    ):
                        waiting[part.shape].append((part, update, group["lr"]))
        for shape, entries in waiting.items():
            scale = math.sqrt(max(1.0, shape[1] / shape[0]))
            updates = orthogonalise(torch.stack([update for _, update, _ in entries]))
            for (part, _, lr), update in zip(entries, updates, strict=True):
                part.add_(update, alpha=-lr * scale)

    def _momentum(self, matrix: Tensor, gradient: Tensor, beta: float) -> Tensor:
        """The Nesterov direction of a matrix, after adding its gradient to the momentum."""
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
        momentum = state["momentum"].mul_(beta).add_(gradient)
        return gradient.add(momentum, alpha=beta)
