"""The learning rate in the course of a run: linear up over ``warmup``, constant, linear to zero over ``decay``."""

from __future__ import annotations


def learning_rate(tokens: int, total: int, warmup: float, decay: float) -> float:
    """Factor 0..1 on the highest learning rate after ``tokens`` of ``total``: linear up, constant, linear to zero."""
    done = tokens / total
    rising = (done + 1 / total) / warmup if warmup else 1.0
    falling = (1 - done) / decay if decay else 1.0
    return max(0.0, min(1.0, rising, falling))
