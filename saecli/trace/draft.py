"""Nodes and edges on the way to a graph."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from saecli.attribution.clean import ERROR, SiteNodes
from saecli.attribution.metric import Metric
from saecli.core.address import Address
from saecli.core.graph import Edge, Node
from saecli.core.site import Site


@dataclass
class Draft:
    """Nodes and edges on the way to a graph.

    Attributes:
        nodes, edges, totals: Of the graph.
        details: What else the graph's settings say of how it was found.
    """

    nodes: dict[Address, Node]
    edges: list[Edge]
    totals: dict[str, float]
    details: dict[str, Any] = field(default_factory=dict)


def target_address(metric: Metric) -> Address:
    """The metric's own node."""
    return Address("target", position=metric.position)


def addresses(nodes: SiteNodes) -> list[Address]:
    """Ids of nodes; a position below 0 is every position."""
    rows = zip(nodes.position_N.tolist(), nodes.index_N.tolist(), strict=True)
    kinds = ((None if p < 0 else p, i) for p, i in rows)
    return [
        Address("error", nodes.site, None, p) if i == ERROR else Address("feature", nodes.site, i, p) for p, i in kinds
    ]


def nodes_of(nodes: SiteNodes) -> Iterator[Node]:
    """Nodes of a graph."""
    rows = zip(addresses(nodes), nodes.effect_N.tolist(), nodes.activation_N.tolist(), strict=True)
    return (Node(address, effect, activation) for address, effect, activation in rows)


def totals_of(every: Mapping[Site, SiteNodes], kept: Mapping[Site, SiteNodes]) -> dict[str, float]:
    """Sums of absolute effects for :attr:`saecli.core.graph.FeatureGraph.totals`."""

    def total(nodes: Mapping[Site, SiteNodes], *, errors_only: bool = False) -> float:
        return math.fsum(
            float(n.effect_N[n.index_N == ERROR].abs().sum() if errors_only else n.effect_N.abs().sum())
            for n in nodes.values()
        )

    return {
        "absolute_effect": total(every),
        "kept_absolute_effect": total(kept),
        "error_absolute_effect": total(every, errors_only=True),
        "active_nodes": sum(len(n) for n in every.values()),
    }
