"""Where features fire most strongly: a table per dictionary, made in one pass over codes.

Shapes: T tokens of a part, N entries, F features, C contexts of each, W tokens of a context.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.core.codes import Codes, SiteCodes
from saecli.core.site import Site


@dataclass(frozen=True)
class TopContexts:
    """The strongest contexts of the features of one dictionary, the strongest first, each in another sequence.

    Attributes:
        sequence_FC: int32 [F, C]; −1 where a feature has fewer.
        position_FC: int32 [F, C], in the sequence.
        around_FCW: float32 [F, C, W]: activations on the tokens around, 0 where there is none; that of the context
            itself is in the middle.
    """

    sequence_FC: Tensor
    position_FC: Tensor
    around_FCW: Tensor

    @classmethod
    def nothing(cls, features: int, count: int, width: int) -> TopContexts:
        """Before anything was read."""
        none_FC = torch.full((features, count), -1, dtype=torch.int32)
        return cls(none_FC, none_FC.clone(), torch.zeros(features, count, 2 * width + 1))

    @property
    def width(self) -> int:
        """Tokens on either side."""
        return self.around_FCW.shape[2] // 2

    def with_part(self, codes: SiteCodes, starts_D: Tensor, first: int) -> TopContexts:
        """With more sequences.

        Args:
            codes: Codes of whole sequences.
            starts_D: int64 [sequences + 1], where each begins.
            first: Number of the first of them.
        """
        features, count = self.sequence_FC.shape
        tokens = len(codes.starts_T) - 1
        row_N = torch.repeat_interleave(codes.starts_T.diff())
        feature_N, size_N = codes.features_N.long(), codes.values_N.abs()
        document_N = torch.searchsorted(starts_D, row_N, right=True) - 1
        order_M = _first_of_each(feature_N * len(starts_D) + document_N, size_N)
        new = (feature_N[order_M], (document_N + first)[order_M], row_N[order_M], size_N[order_M])
        old_F, old_C = (self.sequence_FC >= 0).nonzero(as_tuple=True)
        old_size = self.around_FCW[old_F, old_C, self.width].abs()
        before = (old_F, self.sequence_FC[old_F, old_C].long(), torch.full_like(old_F, -1), old_size)
        feature_M, sequence_M, row_M, size_M = (torch.cat(pair) for pair in zip(before, new, strict=True))
        order_M = size_M.argsort(descending=True, stable=True)
        order_M = order_M[feature_M[order_M].argsort(stable=True)]
        rank_M = _rank(feature_M[order_M])
        chosen_M, slot_M = order_M[rank_M < count], rank_M[rank_M < count]
        found = TopContexts.nothing(features, count, self.width)
        feature_M, row_M = feature_M[chosen_M], row_M[chosen_M]
        found.sequence_FC[feature_M, slot_M] = sequence_M[chosen_M].int()
        kept_M = row_M < 0
        found.position_FC[feature_M[kept_M], slot_M[kept_M]] = self.position_FC[old_F, old_C][chosen_M[kept_M]]
        found.around_FCW[feature_M[kept_M], slot_M[kept_M]] = self.around_FCW[old_F, old_C][chosen_M[kept_M]]
        feature_M, row_M, slot_M = feature_M[~kept_M], row_M[~kept_M], slot_M[~kept_M]
        begin_M = starts_D[torch.searchsorted(starts_D, row_M, right=True) - 1]
        end_M = starts_D[torch.searchsorted(starts_D, row_M, right=True)]
        found.position_FC[feature_M, slot_M] = (row_M - begin_M).int()
        at_MW = row_M[:, None] + torch.arange(-self.width, self.width + 1)
        inside_MW = (at_MW >= begin_M[:, None]) & (at_MW < end_M[:, None])
        values_MW = _lookup(feature_N * tokens + row_N, codes.values_N, feature_M[:, None] * tokens + at_MW)
        found.around_FCW[feature_M, slot_M] = torch.where(inside_MW, values_MW, 0.0)
        return found


def top_contexts(
    parts: Iterable[Codes], latents: Mapping[Site, int], count: int, width: int
) -> dict[Site, TopContexts]:
    """The strongest contexts of every feature, from codes of sequences one part after the other.

    Args:
        parts: Codes of whole sequences.
        latents: Site → how many features its dictionary has.
        count: Contexts per feature.
        width: Tokens on either side.
    """
    tables = {site: TopContexts.nothing(features, count, width) for site, features in latents.items()}
    first = 0
    for part in parts:
        tables = {site: table.with_part(part.sites[site], part.starts_D, first) for site, table in tables.items()}
        first += len(part.starts_D) - 1
    return tables


def windows(tokens: Sequence[int], position: int, width: int) -> tuple[int, list[int]]:
    """Where in a window of ``2 width + 1`` the tokens begin that are there, and these tokens."""
    low = max(0, position - width)
    return low - (position - width), list(tokens[low : position + width + 1])


def _first_of_each(key_N: Tensor, size_N: Tensor) -> Tensor:
    """Per key the place of the largest value, of equal ones the first."""
    order_N = size_N.argsort(descending=True, stable=True)
    order_N = order_N[key_N[order_N].argsort(stable=True)]
    return order_N[_rank(key_N[order_N]) == 0]


def _rank(sorted_N: Tensor) -> Tensor:
    """0, 1, … within every run of equal values."""
    here_N = torch.arange(len(sorted_N))
    starts_N = torch.ones_like(sorted_N, dtype=torch.bool)
    starts_N[1:] = sorted_N[1:] != sorted_N[:-1]
    return here_N - torch.where(starts_N, here_N, 0).cummax(0).values if len(sorted_N) else here_N


def _lookup(key_N: Tensor, value_N: Tensor, wanted: Tensor) -> Tensor:
    """The values of keys, 0 for those that are not there."""
    if not len(key_N):
        return torch.zeros(wanted.shape)
    sorted_N, order_N = key_N.sort()
    place = torch.searchsorted(sorted_N, wanted.contiguous()).clamp_max(len(sorted_N) - 1)
    return torch.where(sorted_N[place] == wanted, value_N[order_N[place]], 0.0)
