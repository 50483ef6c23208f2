"""How far two halves of the data agree on what is important.

*Overlap* of a feature at C: how many of the C strongest connections of one half are among those of the other, as a
share of the larger of both numbers; random choices of C of U overlap by C / U. *Rank correlation* of a feature:
Spearman's, between the sizes of its scores in both halves, over the connections that are among the strongest of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from saecli.connect.choose import Ranked, ranked

_FEWEST = 3
"""Candidates from which on a rank correlation is looked at."""


@dataclass
class Agreement:
    """Sums over the features of a module, so that means over modules can be taken too.

    Attributes:
        rows: Features with any connection in both halves.
        overlap: Per C the sum of their overlaps.
        correlated: Features with a rank correlation.
        correlation: Sum of their rank correlations.
    """

    rows: int = 0
    overlap: dict[int, float] = field(default_factory=dict)
    correlated: int = 0
    correlation: float = 0.0

    def add(self, first_RU: Tensor, second_RU: Tensor, counts: Sequence[int]) -> None:
        """Look at the scores of some features in both halves.

        Args:
            first_RU, second_RU: The scores.
            counts: Every C; the rank correlation is that of candidates at the largest.
        """
        most = max(counts)
        first, second = ranked(first_RU, most), ranked(second_RU, most)
        both_R = (first.scores_RK[:, :1] != 0).any(1) & (second.scores_RK[:, :1] != 0).any(1)
        self.rows += int(both_R.sum())
        for count in counts:
            shared_R, larger_R = _shared(first.cut(count), second.cut(count), first_RU.shape[1])
            found = (shared_R[both_R] / larger_R[both_R]).sum()
            self.overlap[count] = self.overlap.get(count, 0.0) + float(found)
        values_R = _spearman(first_RU[both_R], second_RU[both_R], first, second, both_R)
        values_R = values_R[np.isfinite(values_R)]
        self.correlated += len(values_R)
        self.correlation += float(values_R.sum())

    def __iadd__(self, other: Agreement) -> Agreement:
        self.rows += other.rows
        self.correlated += other.correlated
        self.correlation += other.correlation
        for count, value in other.overlap.items():
            self.overlap[count] = self.overlap.get(count, 0.0) + value
        return self

    def mean_overlap(self, count: int) -> float | None:
        """Mean overlap at a C; None without features."""
        return self.overlap[count] / self.rows if self.rows and count in self.overlap else None

    @property
    def mean_correlation(self) -> float | None:
        """Mean rank correlation; None without features that have one."""
        return self.correlation / self.correlated if self.correlated else None


def _shared(first: Ranked, second: Ranked, width: int) -> tuple[Tensor, Tensor]:
    """How many features both chose, and the larger of both numbers, [R] each."""
    chosen = []
    for number, one in enumerate((first, second)):
        nothing_RK = width + number + torch.zeros_like(one.features_RK)  # never equal to one of the other
        chosen.append(one.features_RK.where(one.scores_RK != 0, nothing_RK))
    sorted_RK = torch.cat(chosen, 1).sort(dim=1).values
    equal_RK = (sorted_RK[:, 1:] == sorted_RK[:, :-1]) & (sorted_RK[:, 1:] < width)
    counts = [(one.scores_RK != 0).sum(1) for one in (first, second)]
    return equal_RK.sum(1), torch.maximum(*counts).clamp_min(1)


def _spearman(first_RU: Tensor, second_RU: Tensor, first: Ranked, second: Ranked, both_R: Tensor) -> np.ndarray:
    """Spearman's correlation per row over the union of the strongest of both halves; nan where there is none."""
    from scipy.stats import rankdata

    if not len(first_RU):
        return np.zeros(0)
    chosen_RK = torch.cat([first.features_RK[both_R], second.features_RK[both_R]], 1).sort(dim=1).values
    values = []
    for scores_RU in (first_RU, second_RU):
        sizes_RK = scores_RU.abs().double().gather(1, chosen_RK)
        sizes_RK[:, 1:][chosen_RK[:, 1:] == chosen_RK[:, :-1]] = torch.nan
        values.append(sizes_RK.cpu().numpy())
    neither_RK = (values[0] == 0) & (values[1] == 0)
    values = [np.where(neither_RK, np.nan, one) for one in values]
    ranks = [rankdata(one, axis=1, nan_policy="omit") for one in values]
    centred = [
        one - np.nanmean(np.where(np.isnan(one).all(1, keepdims=True), 0, one), 1, keepdims=True) for one in ranks
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        result_R = np.nansum(centred[0] * centred[1], 1) / np.sqrt(
            np.nansum(centred[0] ** 2, 1) * np.nansum(centred[1] ** 2, 1)
        )
    return np.where((~np.isnan(values[0])).sum(1) >= _FEWEST, result_R, np.nan)
