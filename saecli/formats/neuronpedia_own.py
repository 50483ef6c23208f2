"""What a graph of this project says beyond circuit-tracer's schema, kept under one key of its metadata."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from saecli.core.address import parse_address
from saecli.core.errors import InputError, UsageError
from saecli.core.evidence import Evidence
from saecli.core.graph import FeatureGraph, Position

_WHOLE: Final = ("title", "method", "sites", "residual", "totals", "provenance", "settings")


def own_values(graph: FeatureGraph, sites: Mapping[int, Any], names: Sequence[str]) -> dict[str, Any]:
    """The JSON values of a graph that the schema has no place for.

    Args:
        graph: The graph.
        sites: Layer number → site.
        names: Id of every node in the document.
    """
    values: dict[str, Any] = {
        "sites": {str(layer): str(site) for layer, site in sites.items()},
        "edge_meaning": graph.edge_meaning,
        "metric": asdict(graph.metric),
        "effects": {name: float(node.effect) for name, node in zip(names, graph.nodes, strict=True)},
        "graph": {name: getattr(graph, name) for name in _WHOLE},
        "positions": [asdict(position) for position in graph.positions],
    }
    if any(node.graphs is not None for node in graph.nodes):
        values["graphs"] = {name: node.graphs for name, node in zip(names, graph.nodes, strict=True)}
    if any(edge.influence is not None or edge.graphs is not None for edge in graph.edges):
        values["edges"] = [[edge.influence, edge.graphs] for edge in graph.edges]
    if graph.features:
        values["features"] = {graph.id_of(address): one.to_json() for address, one in graph.features.items()}
    return values


def with_own_values(graph: FeatureGraph, values: Mapping[str, Any], names: Sequence[str], where: str) -> FeatureGraph:
    """The graph as it was before it was written; inverse of :func:`own_values`.

    Raises:
        InputError: The values are damaged.
    """
    told = values.get("graph")
    if told is None:  # written before there was more than the metric and the effects
        return graph
    try:
        counts = values.get("graphs", {})
        marks = values.get("edges", [(None, None)] * len(graph.edges))
        return replace(
            graph,
            **{name: told[name] for name in _WHOLE if name != "sites"},
            sites=tuple(told["sites"]),
            positions=tuple(Position(**one) for one in values["positions"]),
            nodes=tuple(replace(node, graphs=counts.get(name)) for name, node in zip(names, graph.nodes, strict=True)),
            edges=tuple(
                replace(edge, influence=influence, graphs=count)
                for edge, (influence, count) in zip(graph.edges, marks, strict=True)
            ),
            features={
                parse_address(name, told["residual"]): Evidence.from_json(one)
                for name, one in values.get("features", {}).items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise InputError(f"{where} has damaged metadata of saecli: {error!r}.") from error


def told_effect(values: Mapping[str, Any], name: str, otherwise: float) -> float:
    """The effect of a node that the metadata tell, or another one; 0 for what is not finite."""
    effects = values.get("effects")
    effect = effects.get(name, otherwise) if isinstance(effects, dict) else otherwise
    return effect if isinstance(effect, float) and math.isfinite(effect) else 0.0
