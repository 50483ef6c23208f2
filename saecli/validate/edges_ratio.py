"""How many more edges one curve of KL needs than another for the same KL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from saecli.core.intervals import Interval

_LEVELS: Final = 32


def edges_ratio(one: Mapping[int, Interval], other: Mapping[int, Interval]) -> Interval:
    """exp of the mean over KL levels of ln E_one − ln E_other.

    E(κ) is where the running minimum of a curve falls to κ, between two numbers of edges on the line through them over
    ln E. Levels lie evenly between the larger of both curves' lowest and the smaller of their highest KL; where there
    are none, nothing is defined; the interval is of the resamples that have some. Zero edges have no logarithm and do
    not count.

    Args:
        one, other: KL by number of edges.
    """
    value = np.exp(_distance(_values(one), _values(other), np.log(_counts(one)), np.log(_counts(other))))[0]
    draws_R = np.exp(_distance(_draws(one), _draws(other), np.log(_counts(one)), np.log(_counts(other))))
    return Interval.of(float(value), draws_R if np.isfinite(value) else np.full_like(draws_R, np.nan))


def _counts(curve: Mapping[int, Interval]) -> np.ndarray:
    return np.array([count for count in curve if count > 0], dtype=float)


def _values(curve: Mapping[int, Interval]) -> np.ndarray:
    return np.array([[one.value] for count, one in curve.items() if count > 0])


def _draws(curve: Mapping[int, Interval]) -> np.ndarray:
    return np.stack([one.draws_R for count, one in curve.items() if count > 0])


def _distance(one_ER: np.ndarray, other_ER: np.ndarray, one_E: np.ndarray, other_E: np.ndarray) -> np.ndarray:
    """float64 [R]: mean horizontal distance of two curves over logarithms of edges."""
    falling = [np.minimum.accumulate(curve_ER) for curve_ER in (one_ER, other_ER)]
    low_R = np.maximum(*(curve_ER[-1] for curve_ER in falling))
    high_R = np.minimum(*(curve_ER[0] for curve_ER in falling))
    shares_L = (np.arange(_LEVELS) + 0.5) / _LEVELS
    levels_LR = low_R + shares_L[:, None] * (high_R - low_R)
    apart_LR = _needed(falling[0], one_E, levels_LR) - _needed(falling[1], other_E, levels_LR)
    return np.where(high_R > low_R, apart_LR.mean(0), np.nan)


def _needed(curve_ER: np.ndarray, log_E: np.ndarray, levels_LR: np.ndarray) -> np.ndarray:
    """ln of the edges at which a falling curve reaches each level."""
    first_LR = np.minimum((curve_ER[None] > levels_LR[:, None]).sum(1), len(log_E) - 1)
    before_LR = np.maximum(first_LR - 1, 0)
    columns_R = np.arange(curve_ER.shape[1])
    after, ahead = curve_ER[first_LR, columns_R], curve_ER[before_LR, columns_R]
    with np.errstate(divide="ignore", invalid="ignore"):
        share_LR = np.where(ahead > after, (ahead - levels_LR) / (ahead - after), 1.0)
    return log_E[before_LR] + share_LR.clip(0, 1) * (log_E[first_LR] - log_E[before_LR])
