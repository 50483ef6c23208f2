"""Where and how strongly some features fire, from codes.

Shapes: T tokens of a part, N entries, F features of a dictionary, W wanted ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from saecli.core.codes import Codes, SiteCodes
from saecli.core.site import Site
from saecli.features.contexts import TopContexts
from saecli.report.feature_page import Firing

BINS: Final = 40


@dataclass(frozen=True)
class Activity:
    """Some features of one dictionary.

    Attributes:
        features: Which.
        table: Their strongest contexts, row by row as in `features`.
        firing: How often and how strongly each fires.
    """

    features: tuple[int, ...]
    table: TopContexts
    firing: tuple[Firing, ...]


def activities(
    parts: Iterable[Codes],
    wanted: Mapping[Site, Sequence[int]],
    latents: Mapping[Site, int],
    *,
    left_out: Sequence[int],
    count: int,
    width: int,
) -> dict[Site, Activity]:
    """What some features do on all parts, each of which is read once.

    Args:
        parts: Codes of whole sequences.
        wanted: Site → features.
        latents: Site → how many features its dictionary has.
        left_out: Tokens on which nothing counts.
        count: Contexts of each feature.
        width: Tokens on either side.
    """
    tables = {site: TopContexts.nothing(len(features), count, width) for site, features in wanted.items()}
    values: dict[Site, list[tuple[Tensor, Tensor]]] = {site: [] for site in wanted}
    place = {site: _places(features, latents[site]) for site, features in wanted.items()}
    out, first, tokens = torch.tensor(list(left_out), dtype=torch.long), 0, 0
    for part in parts:
        counted_T = ~torch.isin(part.tokens_T.long(), out)
        tokens += int(counted_T.sum())
        for site in wanted:
            chosen = _chosen(part.sites[site], place[site], counted_T)
            tables[site] = tables[site].with_part(chosen, part.starts_D, first)
            values[site].append((chosen.features_N, chosen.values_N))
        first += len(part.starts_D) - 1
    return {
        site: Activity(tuple(features), tables[site], _firing(values[site], len(features), tokens))
        for site, features in wanted.items()
    }


def _places(features: Sequence[int], latents: int) -> Tensor:
    """Feature → its place among those wanted, −1 for others."""
    place_F = torch.full((latents,), -1, dtype=torch.int32)
    place_F[torch.tensor(list(features), dtype=torch.long)] = torch.arange(len(features), dtype=torch.int32)
    return place_F


def _chosen(codes: SiteCodes, place_F: Tensor, counted_T: Tensor) -> SiteCodes:
    """Codes of the features wanted, numbered by their places, at the tokens that count."""
    place_N = place_F[codes.features_N.long()]
    row_N = torch.repeat_interleave(codes.starts_T.diff())
    kept_N = (place_N >= 0) & counted_T[row_N]
    counts_T = row_N[kept_N].bincount(minlength=len(counted_T))
    starts_T = torch.cat([counts_T.new_zeros(1), counts_T.cumsum(0)])
    return SiteCodes(starts_T, place_N[kept_N], codes.values_N[kept_N])


def _firing(parts: Sequence[tuple[Tensor, Tensor]], wanted: int, tokens: int) -> tuple[Firing, ...]:
    place_N, value_N = (torch.cat(one) for one in zip(*parts, strict=True))
    found = []
    for place in range(wanted):
        own = value_N[place_N == place].double()
        if not len(own):
            found.append(Firing(tokens, 0, 0.0, 0.0, (), ()))
            continue
        low, high = min(0.0, float(own.min())), max(0.0, float(own.max()))
        counts = own.histc(BINS, low, high).long().tolist()
        edges = torch.linspace(low, high, BINS + 1, dtype=torch.float64).tolist()
        found.append(
            Firing(tokens, len(own), float(own.mean()), float(own[own.abs().argmax()]), tuple(edges), tuple(counts))
        )
    return tuple(found)
