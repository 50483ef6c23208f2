"""Means over sequences with 95 % intervals from a bootstrap over sequences.

Tokens of a sequence are not independent, so whole sequences are drawn. All statistics of one table share their
resamples: differences of two are paired.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

Key = tuple[object, ...]
"""Names a number that is summed per sequence."""

_RESAMPLES: Final = 1000


@dataclass(frozen=True)
class Interval:
    """A number and its 95 % interval.

    Attributes:
        value, low, high: The number, NaN where it is not defined; the bounds are NaN where no interval is known.
        draws_R: The number in every resample; empty where no interval is known.
    """

    value: float
    low: float
    high: float
    draws_R: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    @classmethod
    def of(cls, value: float, draws_R: np.ndarray) -> Interval:
        """The interval that holds 95 % of the resamples."""
        finite = np.isfinite(draws_R)
        low, high = np.quantile(draws_R[finite], [0.025, 0.975]) if finite.any() else (np.nan, np.nan)
        return cls(float(value), float(low), float(high), draws_R)

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def __add__(self, other: Interval) -> Interval:
        return Interval.of(self.value + other.value, self.draws_R + other.draws_R)

    def __sub__(self, other: Interval) -> Interval:
        """The paired difference: both in the same resamples."""
        return Interval.of(self.value - other.value, self.draws_R - other.draws_R)


class SequenceSums:
    """Sums per sequence of everything measured, and statistics of them."""

    def __init__(self) -> None:
        self.counts: list[Tensor] = []
        self._here: Tensor = torch.empty(0)
        self._again = False
        self._sums: dict[Key, list[Tensor]] = {}
        self._positions: dict[Key, tuple[Tensor, Tensor]] = {}
        self._position_count_S: Tensor = torch.zeros(())
        self._weights_RG: np.ndarray = np.empty(0)
        self.tokens_G: np.ndarray = np.empty(0)

    def batch(self, here_BS: Tensor) -> None:
        """Begin a batch of sequences, in which the positions of a mask count."""
        self._here = here_BS
        if self._again:
            return
        self.counts.append(here_BS.sum(-1).double().cpu())
        self._position_count_S = self._position_count_S + here_BS.sum(0).double().cpu()

    def rewind(self) -> None:
        """The same batches follow once more, in the same order, for other numbers."""
        self._again = True

    def add(self, key: Key, values_BS: Tensor) -> None:
        """Add one number per token."""
        self._sums.setdefault(key, []).append((values_BS.double() * self._here).sum(-1).cpu())

    def add_spread(self, key: Key, values_BSD: Tensor) -> None:
        """Add vectors whose variance is wanted: over all tokens as ``("spread", *key)``, and position by position."""
        masked_BSD = values_BSD.double() * self._here[..., None]
        square_BS = masked_BSD.square().sum(-1)
        self._sums.setdefault(("first", *key), []).append(masked_BSD.sum(1).cpu())
        self.add(("second", *key), square_BS)
        first_SD, second_S = masked_BSD.sum(0).cpu(), square_BS.sum(0).cpu()
        if key in self._positions:
            first_SD, second_S = self._positions[key][0] + first_SD, self._positions[key][1] + second_S
        self._positions[key] = first_SD, second_S

    def close(self, seed: int) -> None:
        """Draw the resamples, and turn moments into sums of squared distances from the mean of all tokens."""
        self.tokens_G = torch.cat(self.counts).numpy()
        sequences = len(self.tokens_G)
        generator = np.random.default_rng(seed)
        self._weights_RG = generator.multinomial(sequences, [1 / sequences] * sequences, size=_RESAMPLES).astype(float)
        for key in [key[1:] for key in self._sums if key[0] == "first"]:
            first_GD = torch.cat(self._sums.pop(("first", *key)))
            mean_D = first_GD.sum(0) / self.tokens_G.sum()
            second_G = torch.cat(self._sums["second", *key])
            spread_G = second_G - 2 * first_GD @ mean_D + torch.from_numpy(self.tokens_G) * mean_D.square().sum()
            self._sums["spread", *key] = [spread_G]

    def average(self, *key: object) -> float:
        """Mean over tokens of what was added so far."""
        return float(torch.cat(self._sums[key]).sum() / torch.cat(self.counts).sum())

    def known(self, key: Key) -> bool:
        """Whether anything was added under this key."""
        return key in self._sums

    def statistic(self, function: Callable[..., np.ndarray], *keys: Key) -> Interval:
        """``function`` of the sums over sequences, and its quantiles over the resamples; ``("tokens",)`` counts."""
        sums = [self.tokens_G if key == ("tokens",) else torch.cat(self._sums[key]).numpy() for key in keys]
        value = function(*(np.array(one.sum()) for one in sums))
        return Interval.of(float(value), function(*(self._weights_RG @ one for one in sums)))

    def mean(self, *key: object) -> Interval:
        """Mean over tokens."""
        return self.statistic(ratio, key, ("tokens",))

    def position_variance(self, *key: object) -> float:
        """Sum over positions and dimensions of the unbiased variance over sequences; NaN below two sequences."""
        first_SD, second_S = self._positions[key]
        counts_S = self._position_count_S
        several_S = counts_S >= 2
        if not several_S.any():
            return float("nan")
        squares_S = second_S - first_SD.square().sum(-1) / counts_S.clamp_min(1)
        return float((squares_S / (counts_S - 1))[several_S].sum())


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """A quotient that is infinite or NaN where it is not defined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return above / below
