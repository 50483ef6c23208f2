"""Scores: how much each upstream feature matters for a feature, of sums over the data or of weights alone.

With c_ji(t) what feature i contributes to the pre-activation of feature j at position t
(:mod:`saecli.connect.reading`), over T positions, of which j is active at T_j ::

    mean          Σ_t c_ji(t) / T
    active-mean   Σ_{t: j active} c_ji(t) / T_j
    max           max_{t: j active} |c_ji(t)|
    gradient      Σ_{t: j active} |∂CE / ∂f_j(t)| c_ji(t) / T
    weight        Σ_h |w^h_ji|

As the reference has it, ``mean`` is Σ_t c_ji(t) without division for transcoders, and divided by B · H · S · S for B
sequences of S positions through H heads: all sequences are one of its batches. A connection counts by the size of its
score.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import torch
from torch import Tensor

from saecli.connect.reading import Reading
from saecli.connect.sums import ActiveMax, ActiveSums, Means, Sums

_NUMBERS: Final = 1 << 22
"""Virtual weights that are multiplied out together."""


class Scored(NamedTuple):
    """Scores of some features with all features upstream.

    Attributes:
        rows: Which features.
        total_RU: Over all data.
        first_RU, second_RU: Over each half; None if the score knows no data, or a half has none.
    """

    rows: slice
    total_RU: Tensor
    first_RU: Tensor | None
    second_RU: Tensor | None


def sums_for(score: str, reading: Reading, rows: slice) -> Sums:
    """What a score is summed up in.

    Args:
        score: Its name; not ``weight``.
        reading: How the module reads others.
        rows: Which of its features.
    """
    if score == "mean":
        return Means(reading, rows)
    return ActiveMax(reading, rows) if score == "max" else ActiveSums(reading, rows, slopes=score == "gradient")


def scores_of(
    score: str,
    reading: Reading,
    rows: slice,
    halves: tuple[Sums, Sums] | None,
    *,
    reference_shape: tuple[int, int] = (0, 0),
) -> Iterator[Scored]:
    """Scores, some rows at a time.

    Args:
        score: Its name.
        reading: How the module reads others.
        rows: Which of its features.
        halves: The sums over both halves of the data; None for ``weight``.
        reference_shape: Number of sequences and positions of each, to divide ``mean`` as the reference does; zeros to
            divide by positions.
    """
    step = max(1, _NUMBERS // max(1, reading.heads * reading.down.width))
    for at in range(rows.start, rows.stop, step):
        here = slice(at, min(at + step, rows.stop))
        if halves is None:
            yield Scored(here, reading.weights(here).abs().sum(0), None, None)
            continue
        inside = slice(here.start - rows.start, here.stop - rows.start)
        first, second = halves
        if isinstance(first, ActiveMax) and isinstance(second, ActiveMax):
            parts = first.max_RU[inside], second.max_RU[inside]
            yield Scored(here, torch.maximum(*parts), *_halves(first, second, *parts))
            continue
        weights_HRU = reading.weights(here)
        sums_RU = [_weighed(one, weights_HRU, inside) for one in halves]
        counts = [_divisor(score, one, inside, reference_shape) for one in halves]
        if reference_shape[0]:
            total_RU = sums_RU[0] / counts[0] + sums_RU[1] / counts[1]
        else:
            total_RU = (sums_RU[0] + sums_RU[1]) / (counts[0] + counts[1]).clamp_min(1)
        parts = [total / count.clamp_min(1) for total, count in zip(sums_RU, counts, strict=True)]
        yield Scored(here, total_RU, *_halves(first, second, *parts))


def _weighed(sums: Sums, weights_HRU: Tensor, inside: slice) -> Tensor:
    """Σ_h w^h_ji times what was summed: [R, U]."""
    if isinstance(sums, Means):
        return torch.einsum("hru,hu->ru", weights_HRU, sums.sum_HU)
    assert isinstance(sums, ActiveSums)  # noqa: S101
    return torch.einsum("hru,uhr->ru", weights_HRU, sums.sum_UHR[:, :, inside])


def _divisor(score: str, sums: Sums, inside: slice, reference_shape: tuple[int, int]) -> Tensor:
    """[R, 1] or [1, 1]."""
    like = sums.reading.read_HFE
    if score == "active-mean":
        assert isinstance(sums, ActiveSums)  # noqa: S101
        return sums.active_R[inside, None]
    if reference_shape[0]:
        sequences, positions = reference_shape
        times = sequences * sums.reading.heads * positions * positions if sums.reading.attends else 1
        return like.new_full((1, 1), times)
    return like.new_full((1, 1), sums.positions)


def _halves(first: Sums, second: Sums, one: Tensor, other: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """The scores of both halves, if both have data."""
    return (one, other) if first.positions and second.positions else (None, None)
