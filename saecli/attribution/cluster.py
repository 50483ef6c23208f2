"""What a token's features could have been: activations at similar tokens of data.

To remove some features of a token its code is drawn from tokens of data that share the features that stay, so that
what is kept and what is drawn go together. With kept features i (activation x_i, largest activation over data max_i)
and a datum c at position p, the token standing at position t of a context of S positions,

    distance = (Σ_i ((c_i − x_i) / max_i)² + (w |p − t| / S)²) / (kept + 1)

and only data in which one of the (16) strongest kept features fires are compared. max_i is never below x_i, so that a
feature that the data do not have counts like any other.

Source: gpt-circuits (https://github.com/peterlai/gpt-circuits), resampling ablation with clusters.
Shapes: R data, N entries, F features, A active features of the token, U sets of kept ones, K neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from saecli.core.codes import SiteCodes

STRONGEST: Final = 16
"""A datum is compared if one of this many strongest kept features fires in it."""


@dataclass(frozen=True)
class Data:
    """Codes of tokens at one site.

    Attributes:
        codes: Their features.
        position_R: Where each token stands in its sequence.
        context: Positions of a sequence, S.
        n_latents: Features of the dictionary.
    """

    codes: SiteCodes
    position_R: Tensor
    context: int
    n_latents: int

    def __len__(self) -> int:
        return len(self.position_R)

    @cached_property
    def maximum_F(self) -> Tensor:
        """The largest absolute activation of every feature."""
        index_N, size_N = self.codes.features_N.long(), self.codes.values_N.abs()
        return size_N.new_zeros(self.n_latents).scatter_reduce(0, index_N, size_N, "amax")

    @cached_property
    def _by_feature(self) -> tuple[Tensor, Tensor, Tensor]:
        order_N = self.codes.features_N.argsort(stable=True)
        row_N = torch.repeat_interleave(self.codes.starts_T.diff())[order_N]
        ends_F = torch.bincount(self.codes.features_N, minlength=self.n_latents).cumsum(0)
        return row_N, self.codes.values_N[order_N], torch.cat([ends_F.new_zeros(1), ends_F])

    def columns(self, index_A: Tensor) -> Tensor:
        """Activations of some features in all data: [R, A]."""
        row_N, value_N, starts_F = self._by_feature
        out_RA = torch.zeros(len(self), len(index_A))
        for column, index in enumerate(index_A.tolist()):
            part = slice(int(starts_F[index]), int(starts_F[index + 1]))
            out_RA[row_N[part], column] = value_N[part]
        return out_RA

    def mean(self, position: int) -> Tensor:
        """Mean code of the data at a position: [F]; of none of them 0."""
        row_N = torch.repeat_interleave(self.codes.starts_T.diff())
        here_N = self.position_R[row_N] == position
        sum_F = torch.zeros(self.n_latents)
        sum_F.index_add_(0, self.codes.features_N[here_N].long(), self.codes.values_N[here_N])
        return sum_F / max(1, int((self.position_R == position).sum()))

    def strongest(self, row_M: Tensor) -> tuple[Tensor, Tensor]:
        """Features of some data and their activations, the strongest first: [M, K] each, 0 where there are fewer."""
        starts_M = self.codes.starts_T[row_M]
        length_M = self.codes.starts_T[row_M + 1] - starts_M
        slot_K = torch.arange(int(length_M.max()) if len(row_M) else 0)
        entry_MK = (starts_M[:, None] + slot_K).clamp_max(max(0, len(self.codes.values_N) - 1))
        value_MK = self.codes.values_N[entry_MK].masked_fill(slot_K >= length_M[:, None], 0)
        order_MK = value_MK.abs().argsort(dim=1, descending=True, stable=True)
        return self.codes.features_N[entry_MK].long().gather(1, order_MK), value_MK.gather(1, order_MK)


class Neighbours:
    """Data near to one token.

    Args:
        data: Where to look.
        position: Where the token stands.
        index_A, value_A: Its active features and their activations.
        position_weight: w above; 0 for any position.
    """

    def __init__(self, data: Data, position: int, index_A: Tensor, value_A: Tensor, position_weight: float) -> None:
        acts_RA = data.columns(index_A)
        self.row_C = (acts_RA != 0).any(1).nonzero()[:, 0]
        """Data in which any of the features fires: C candidates."""
        self.acts_CA = acts_RA[self.row_C]
        self.value_A = value_A.float()
        largest_A = torch.maximum(data.maximum_F[index_A], self.value_A.abs())
        self._square_AC = (((self.acts_CA - self.value_A) / largest_A) ** 2).T.contiguous()
        self._fires_AC = (self.acts_CA != 0).float().T.contiguous()
        self._far_C = (position_weight * (data.position_R[self.row_C] - position).abs() / data.context) ** 2

    def distances(self, keep_UA: Tensor) -> Tensor:
        """Distance of every candidate for each set of kept features, infinite where it is not compared: [U, C]."""
        keep_UA = keep_UA.float()
        size_UA = keep_UA * self.value_A.abs()
        strongest = size_UA.topk(min(STRONGEST, size_UA.shape[1]), dim=1).indices
        compared_UA = torch.zeros_like(keep_UA).scatter(1, strongest, 1.0) * keep_UA
        distance_UC = (keep_UA @ self._square_AC + self._far_C) / (keep_UA.sum(1, keepdim=True) + 1)
        return distance_UC.masked_fill(compared_UA @ self._fires_AC == 0, torch.inf)

    def nearest(self, keep_UA: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The nearest candidates, the nearest first: their places [U, K], and how many there are [U]."""
        distance_UC = self.distances(keep_UA)
        if not distance_UC.shape[1]:
            return torch.zeros(len(keep_UA), 0, dtype=torch.int64), torch.zeros(len(keep_UA), dtype=torch.int64)
        found = distance_UC.topk(min(count, distance_UC.shape[1]), dim=1, largest=False)
        return found.indices, found.values.isfinite().sum(1)
