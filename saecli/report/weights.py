"""How wide an edge is drawn: its weight as a share of the largest in the same unit.

Ablation's edges change activations, those into the target change the metric; sizes in two units say nothing about each
other, so each is scaled by its own largest.
"""

from __future__ import annotations

from collections.abc import Iterable

from saecli.core.graph import Edge, EdgeMeaning, FeatureGraph


def strongest_weights(graph: FeatureGraph, edges: Iterable[Edge]) -> dict[EdgeMeaning, float]:
    """The largest absolute weight of these edges in each unit that they are in."""
    largest: dict[EdgeMeaning, float] = {}
    for edge in edges:
        unit = graph.meaning(edge)
        largest[unit] = max(largest.get(unit, 0.0), abs(edge.weight))
    return largest


def share(graph: FeatureGraph, edge: Edge, largest: dict[EdgeMeaning, float]) -> float:
    """The edge's absolute weight over the largest in its unit; 0 where all are 0."""
    whole = largest.get(graph.meaning(edge), 0.0)
    return abs(edge.weight) / whole if whole else 0.0
