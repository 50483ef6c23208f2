"""The learning rate in the course of a run: linear up over ``warmup``, constant, linear to zero over ``decay``."""

from __future__ import annotations

import math
from typing import Final

_BASE_RATE: Final = 1e-3
_BASE_LATENTS: Final = 1 << 14


def peak_rate(latents: int, asked: float | None = None) -> float:
    """The highest learning rate of a dictionary: as asked, else 1e-3 · sqrt(2^14 / latents)."""
    return _BASE_RATE * math.sqrt(_BASE_LATENTS / latents) if asked is None else asked


def learning_rate(tokens: int, total: int, warmup: float, decay: float) -> float:
    """Factor 0..1 on the highest learning rate after ``tokens`` of ``total``: linear up, constant, linear to zero."""
    done = tokens / total
    rising = (done + 1 / total) / warmup if warmup else 1.0
    falling = (1 - done) / decay if decay else 1.0
    return max(0.0, min(1.0, rising, falling))
