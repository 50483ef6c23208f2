"""The strongest connections: so many of each feature over all its upstream modules together, or so many overall.

Whatever is kept is kept for the largest number and cut for smaller ones, so that smaller choices are parts of larger
ones. Scores of zero are never chosen. Shapes: R rows, U upstream features side by side, K kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from saecli.connect.modules import Down
from saecli.core.connections import Connections, Module, Rows, indptr_of
from saecli.core.site import Site


class Ranked(NamedTuple):
    """The strongest upstream features of some features, strongest first; what is 0 counts as nothing.

    Attributes:
        scores_RK: Their scores.
        features_RK: int64, counted over all upstream modules side by side.
    """

    scores_RK: Tensor
    features_RK: Tensor

    def cut(self, most: int) -> Ranked:
        """The strongest so many."""
        return Ranked(self.scores_RK[:, :most], self.features_RK[:, :most])


def ranked(scores_RU: Tensor, most: int) -> Ranked:
    """The strongest so many of each row; among equals, the earlier upstream feature comes first."""
    most = min(most, scores_RU.shape[1])
    size_RU = scores_RU.abs()
    features_RK = size_RU.topk(most, dim=1).indices.sort(dim=1).values
    order_RK = size_RU.gather(1, features_RK).sort(dim=1, descending=True, stable=True).indices
    features_RK = features_RK.gather(1, order_RK)
    return Ranked(scores_RU.gather(1, features_RK), features_RK)


@dataclass
class Strongest:
    """The strongest connections of a whole suite so far.

    Attributes:
        most: How many are kept.
        scores_E, places_E3: Their scores, and for each the number of the downstream module, the feature and the
            upstream feature; strongest first.
    """

    most: int
    scores_E: Tensor = field(default_factory=lambda: torch.zeros(0))
    places_E3: Tensor = field(default_factory=lambda: torch.zeros(0, 3, dtype=torch.int64))

    def add(self, number: int, first_row: int, scores_RU: Tensor) -> None:
        """Look at the scores of rows of a downstream module."""
        flat_N = scores_RU.flatten()
        best = flat_N.abs().topk(min(self.most, len(flat_N))).indices.sort().values
        best = best[flat_N[best] != 0]
        rows_N, features_N = best // scores_RU.shape[1] + first_row, best % scores_RU.shape[1]
        places_N3 = torch.stack([torch.full_like(best, number), rows_N, features_N], 1).cpu()
        scores_E = torch.cat([self.scores_E, flat_N[best].float().cpu()])
        order_E = scores_E.abs().sort(descending=True, stable=True).indices[: self.most]
        self.scores_E, self.places_E3 = scores_E[order_E], torch.cat([self.places_E3, places_N3])[order_E]


def per_feature(down: Down, kept: Ranked, most: int) -> dict[tuple[Site, Site], Rows]:
    """The strongest `most` connections of every feature of a module.

    Args:
        down: The module.
        kept: Of all its features.
        most: How many.
    """
    scores_FC, features_FC = kept.cut(most)
    row_E, place_E = (scores_FC != 0).nonzero().unbind(1)
    return _rows(down, row_E, features_FC[row_E, place_E], scores_FC[row_E, place_E])


def overall(downs: Sequence[Down], kept: Strongest, most: int) -> dict[tuple[Site, Site], Rows]:
    """The strongest `most` connections of the suite."""
    result: dict[tuple[Site, Site], Rows] = {}
    scores_E, places_E3 = kept.scores_E[:most], kept.places_E3[:most]
    for number, down in enumerate(downs):
        here_E = places_E3[:, 0] == number
        row_E, feature_E = places_E3[here_E, 1], places_E3[here_E, 2]
        order_E = row_E.sort(stable=True).indices
        result |= _rows(down, row_E[order_E], feature_E[order_E], scores_E[here_E][order_E])
    return result


def connections_of(
    modules: Sequence[Module], rows: dict[tuple[Site, Site], Rows], parallel: bool, **facts: object
) -> Connections:
    """Connections of pairs that the model computes in that order; those of others are left out.

    Args:
        modules: The modules.
        rows: By pair.
        parallel: Whether blocks run attention and MLP in parallel.
        facts: The other attributes of :class:`~saecli.core.connections.Connections`.
    """
    by_site = {module.reads: module for module in modules}
    kept = {
        (down, up): value
        for (down, up), value in rows.items()
        if by_site[up].is_upstream_of(by_site[down], parallel=parallel)
    }
    return Connections(modules=tuple(modules), rows=kept, parallel=parallel, **facts)  # pyright: ignore[reportArgumentType]


def _rows(down: Down, row_E: Tensor, feature_E: Tensor, score_E: Tensor) -> dict[tuple[Site, Site], Rows]:
    """Connections sorted by row, strongest first within each, split by upstream module."""
    result = {}
    row_E, feature_E, score_E = row_E.cpu(), feature_E.cpu(), score_E.float().cpu()
    for up, start in zip(down.ups, down.starts, strict=True):
        here_E = (feature_E >= start) & (feature_E < start + up.n_latents)
        counts_F = row_E[here_E].bincount(minlength=down.module.n_latents)
        result[down.site, up.reads] = Rows(indptr_of(counts_F), (feature_E[here_E] - start).int(), score_E[here_E])
    return result
