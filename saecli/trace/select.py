"""Which nodes and edges a circuit graph keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saecli.attribution.clean import ERROR, SiteNodes
from saecli.core.site import Site
from saecli.trace.config import TraceConfig, threshold


@dataclass(frozen=True)
class Pin:
    """A feature that stays, at one position or (None) at all."""

    site: Site
    index: int
    position: int | None = None


class Choice(Sequence[Pin]):
    """What the user chose among nodes: pins, and which features count at all.

    Args:
        pins: Features that stay.
        thresholds: By site, from which activation on a feature counts [F]; where there are none it always does.
        thinned: A site of which only some features count.
        fraction: How many of those that are active there.
        seed: Which.
        totals: Is filled, by site, with sums over the nodes last asked about: ``absolute_effect``,
            ``error_absolute_effect``, ``active_nodes``.
    """

    def __init__(
        self,
        pins: Sequence[Pin] = (),
        thresholds: Mapping[Site, Tensor] | None = None,
        thinned: Site | None = None,
        fraction: float = 1.0,
        seed: int = 0,
        totals: dict[Site, dict[str, float]] | None = None,
    ) -> None:
        self._pins = tuple(pins)
        self._thresholds = dict(thresholds or {})
        self._thinned, self._fraction, self._seed = thinned, fraction, seed
        self._drawn: Tensor | None = None
        self.totals = {} if totals is None else totals

    def __getitem__(self, place: Any) -> Any:
        return self._pins[place]

    def __len__(self) -> int:
        return len(self._pins)

    def counts(self, nodes: SiteNodes) -> Tensor:
        """Mask [N] of the nodes of one site that count; errors and pinned features do."""
        counts_N = torch.ones_like(nodes.index_N, dtype=torch.bool)
        feature_N = nodes.index_N != ERROR
        self.totals[nodes.site] = {
            "absolute_effect": float(nodes.effect_N.abs().sum()),
            "error_absolute_effect": float(nodes.effect_N[~feature_N].abs().sum()),
            "active_nodes": len(nodes),
        }
        if (floor_F := self._thresholds.get(nodes.site)) is not None:
            floor_N = floor_F.to(nodes.activation_N)[nodes.index_N.clamp_min(0)]
            counts_N &= nodes.activation_N.abs() > floor_N
        if nodes.site == self._thinned and self._fraction < 1:
            drawn_U = self._drawn
            if drawn_U is None:  # from all, also where this is asked once more of the drawn ones
                active_U = nodes.index_N[feature_N].unique()
                generator = torch.Generator().manual_seed(self._seed)
                order = torch.randperm(len(active_U), generator=generator)[: int(len(active_U) * self._fraction)]
                drawn_U = self._drawn = active_U[order.to(active_U.device)]
            counts_N &= torch.isin(nodes.index_N, drawn_U)
        return counts_N | ~feature_N | pinned_nodes(nodes, self)


def considered(nodes: SiteNodes, chosen: Collection[Pin]) -> Tensor:
    """Mask [N] of the nodes of one site that count; all without a :class:`Choice`."""
    if isinstance(chosen, Choice):
        return chosen.counts(nodes)
    return torch.ones_like(nodes.index_N, dtype=torch.bool)


def pinned_nodes(nodes: SiteNodes, pinned: Collection[Pin]) -> Tensor:
    """Mask [N] of the nodes of one site that are pinned; a node at all positions fits any position."""
    mask_N = torch.zeros_like(nodes.index_N, dtype=torch.bool)
    for pin in pinned:
        if pin.site == nodes.site:
            fits_N = nodes.index_N == pin.index
            if pin.position is not None:
                fits_N &= (nodes.position_N == pin.position) | (nodes.position_N < 0)
            mask_N |= fits_N
    return mask_N


def select_nodes(
    config: TraceConfig, nodes: Mapping[Site, SiteNodes], pinned: Collection[Pin]
) -> dict[Site, SiteNodes]:
    """The nodes to keep at each site: above the threshold, within the top N and the cumulative share, or pinned."""
    return {site: found.take(kept_nodes(config, found, pinned)) for site, found in nodes.items()}


def kept_nodes(config: TraceConfig, nodes: SiteNodes, pinned: Collection[Pin] = ()) -> Tensor:
    """Mask [N] of the nodes of one site to keep; nodes without any effect only if pinned."""
    size_N = nodes.effect_N.abs() * considered(nodes, pinned)
    order = size_N.argsort(descending=True, stable=True)
    keep = size_N[order] > 0
    keep &= size_N[order] >= config.least_effect
    if config.top_nodes is not None:
        keep &= torch.arange(len(keep), device=keep.device) < config.top_nodes
    if config.kept_share is not None and config.kept_share < 1:
        before = size_N[order].cumsum(0) - size_N[order]
        keep &= before < config.kept_share * size_N.sum()
    mask_N = torch.zeros_like(keep)
    mask_N[order] = keep
    return mask_N | pinned_nodes(nodes, pinned)


def strongest_edges(weight_CP: Tensor, config: TraceConfig) -> Tensor:
    """Mask [C, P]: per child the K most positive and the K most negative weights above the threshold."""
    keep = (weight_CP != 0) & (weight_CP.abs() >= threshold(config.edge_threshold, "--edge-threshold"))
    if config.top_edges is None or config.top_edges >= weight_CP.shape[1]:
        return keep
    within = torch.zeros_like(keep)
    for signed in (weight_CP.clamp_min(0), (-weight_CP).clamp_min(0)):
        top = signed.topk(config.top_edges, dim=1)
        within |= torch.zeros_like(keep).scatter(1, top.indices, top.values > 0)
    return keep & within
