"""Percentiles of every feature's activation over tokens, from sparse codes and exactly.

Of T values in ascending order the percentile p is that at rank h = (T − 1) p / 100, between two ranks on the line
through both (numpy's ``linear``). Activations are sizes, and most are 0, so only as many of the largest as h leaves
above it are kept per feature.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

_HELD: Final = 1 << 23
"""Entries that wait, at most, before the smaller ones are left out."""


class Percentile:
    """Streams the codes of one dictionary.

    Args:
        latents: Features.
        percentile: 0 to 100.
        most: Tokens at most.
    """

    def __init__(self, latents: int, percentile: float, most: int) -> None:
        self.latents, self.percentile = latents, percentile
        self.tokens = 0
        self._kept = max(0, most - 1) - math.floor(max(0, most - 1) * percentile / 100) + 1
        self._features: list[Tensor] = []
        self._sizes: list[Tensor] = []
        self._held = self._last = 0

    def add(self, features_N: Tensor, values_N: Tensor, tokens: int) -> None:
        """The active features of so many more tokens, in any order."""
        self.tokens += tokens
        self._features.append(features_N.long())
        self._sizes.append(values_N.abs().float())
        self._held += len(features_N)
        if self._held > max(_HELD, 2 * self._last):
            self._prune()

    def values(self) -> Tensor:
        """The percentile of every feature: float32 [F]."""
        features_N, sizes_N, rank_N = self._prune()
        h = max(0, self.tokens - 1) * self.percentile / 100
        low = math.floor(h)
        ends = []
        for place in (low, min(low + 1, max(0, self.tokens - 1))):
            at = rank_N == self.tokens - 1 - place
            ends.append(torch.zeros(self.latents).index_put_((features_N[at],), sizes_N[at]))
        return torch.lerp(ends[0].double(), ends[1].double(), h - low).float()

    def _prune(self) -> tuple[Tensor, Tensor, Tensor]:
        """The largest of every feature: features, sizes, and rank from the largest, 0."""
        none = torch.zeros(0, dtype=torch.int64)
        features_N = torch.cat([*self._features, none])
        sizes_N = torch.cat([*self._sizes, torch.zeros(0)])
        order = sizes_N.argsort(descending=True, stable=True)
        order = order[features_N[order].argsort(stable=True)]
        features_N, sizes_N = features_N[order], sizes_N[order]
        counts_F = torch.bincount(features_N, minlength=self.latents)
        rank_N = torch.arange(len(features_N)) - (counts_F.cumsum(0) - counts_F)[features_N]
        keep = rank_N < self._kept
        features_N, sizes_N, rank_N = features_N[keep], sizes_N[keep], rank_N[keep]
        self._features, self._sizes = [features_N], [sizes_N]
        self._held = self._last = len(features_N)
        return features_N, sizes_N, rank_N
