"""``saecli graph merge``: one graph of many inputs."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from saecli.core.address import Address, site_label
from saecli.core.comparable import dictionaries_of, require_comparable
from saecli.core.errors import Failure, InputError, UsageError
from saecli.core.evidence import Evidence
from saecli.core.graph import Edge, FeatureGraph, Metric, Node, Position
from saecli.core.graph_check import a_cycle
from saecli.core.progress import Progress
from saecli.core.result import Result, field_doc
from saecli.core.run import Run
from saecli.core.site import Site
from saecli.formats.graph_file import graph_path, read_graph_file
from saecli.graph.config import MergeConfig
from saecli.graph.positions import aligned
from saecli.report.captions import percent
from saecli.report.write import write_graph


@dataclass(frozen=True, kw_only=True)
class MergeResult(Result):
    """A merged graph in numbers."""

    schema: ClassVar[str] = "saecli.graph-merge/1"

    title: str = field_doc("Title", "Of the merged graph.")
    graphs: int = field_doc("Graphs", "How many were merged.")
    targets: list[str] = field_doc("Targets", "What they explain, each once.")
    how: str = field_doc("How", "union or intersection.")
    positions: str = field_doc("Positions", "keep: node by node at each position; sum: over positions.")
    nodes: int = field_doc("Nodes", "Of the merged graph.")
    edges: int = field_doc("Edges", "Of the merged graph.")
    nodes_in_all: int = field_doc("Nodes in all", "Nodes that every graph has.")
    edges_in_all: int = field_doc("Edges in all", "Edges that every graph has.")
    coverage: float = field_doc(
        "Coverage", "Absolute mean effects of its nodes over the mean absolute effect of all that was active."
    )
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """What was merged to what."""
        how = "position by position" if self.positions == "keep" else "summed over positions"
        lines = [
            f"{self.title}: the {self.how} of {self.graphs} graphs, {how}",
            f"{self.nodes:,} nodes, {self.nodes_in_all:,} of them in all; "
            f"{self.edges:,} edges, {self.edges_in_all:,} of them in all",
        ]
        if len(self.targets) > 1:
            lines.append(f"targets: {', '.join(self.targets)}")
        if not math.isnan(self.coverage):
            lines.append(f"their mean effects are {percent(self.coverage)} of the mean absolute effect")
        return lines

    def next_command(self) -> str:
        """Where to look."""
        return "open {run}/graph.html in a browser, or: saecli graph show {run}"


def run(config: MergeConfig, run: Run, progress: Progress) -> MergeResult:
    """Read the graphs, merge them and write the result in every format.

    Raises:
        UsageError: Fewer than two graphs, or one of them twice.
        InputError: A graph that is none, or graphs of different dictionaries, metrics or methods.
        Failure: They have nothing in common.
    """
    paths = [graph_path(Path(one)) for one in config.graphs]
    for path, given in zip(paths, config.graphs, strict=True):
        if sum(path.samefile(other) for other in paths) > 1:
            raise UsageError(f"{given} is named twice, perhaps by another path.", "Name each graph once.")
    graphs = [read_graph_file(path)[0] for path in paths]
    merged = merge(graphs, config.how, config.positions, config.graphs)
    if all(node.address.kind == "target" for node in merged.nodes):
        raise Failure("The graphs have no node in common.", "Add --how union or --positions sum.")
    progress("drawing")
    return MergeResult(
        title=merged.title,
        graphs=len(graphs),
        targets=sorted({graph.metric.target for graph in graphs}),
        how=config.how,
        positions=merged.settings["merge"]["positions"],
        nodes=len(merged.nodes),
        edges=len(merged.edges),
        nodes_in_all=sum(node.graphs == len(graphs) for node in merged.nodes),
        edges_in_all=sum(edge.graphs == len(graphs) for edge in merged.edges),
        coverage=merged.coverage,
        files=sorted(write_graph(merged, run.write_bytes)),
    )


def merge(
    graphs: Sequence[FeatureGraph], how: str = "union", positions: str = "auto", names: Sequence[str] = ()
) -> FeatureGraph:
    """The graph of the means over graphs; their order does not matter.

    E(u) = Σ_g E_g(u) / n over all n graphs, where a graph without the node counts as 0, and so for weights of edges.
    ``graphs`` of a node or edge is how many have it, so that E(u) · n / graphs is the mean over those. Activations are
    means over the graphs that have the node. Totals are means, so :attr:`FeatureGraph.coverage` is lower where effects
    of different sign cancel.

    Args:
        graphs: Two or more, of the same dictionaries, method and metric.
        how: ``union``, or ``intersection``: only what all have (targets always).
        positions: As of :func:`saecli.graph.positions.aligned`.
        names: What the graphs are called in messages.

    Raises:
        InputError: They cannot be merged.
    """
    names = names or [f"graph {number}" for number in range(1, len(graphs) + 1)]
    _require_mergeable(graphs, names)
    inputs = graphs
    graphs, matching = aligned(graphs, positions)
    n = len(graphs)
    nodes: defaultdict[Address, list[Node]] = defaultdict(list)
    edges: defaultdict[tuple[Address, Address], list[float]] = defaultdict(list)
    for graph in graphs:
        for node in graph.nodes:
            nodes[node.address].append(node)
        for edge in graph.edges:
            edges[edge.source, edge.target].append(edge.weight)
    first = graphs[0]
    metric = _metric(graphs)
    merged = replace(
        first,
        title=_common([graph.title for graph in graphs], f"{_model(graphs)} · {n} graphs, why {metric.target}?"),
        metric=metric,
        positions=_positions(graphs) if matching == "keep" else (),
        sites=_sites(graphs),
        nodes=tuple(_mean_node(nodes[address], n) for address in sorted(nodes, key=lambda one: one.order)),
        edges=tuple(
            Edge(*pair, math.fsum(edges[pair]) / n, None, len(edges[pair]))
            for pair in sorted(edges, key=lambda pair: (pair[1].order, pair[0].order))
        ),
        totals=_totals(graphs),
        provenance=_provenance(graphs),
        settings={
            **_shared(graph.settings for graph in graphs),
            "merge": {"how": how, "positions": matching, "graphs": sorted(graph.title for graph in inputs)},
        },
        supernodes=_supernodes(graphs),
        pinned=tuple(sorted({one for graph in graphs for one in graph.pinned}, key=lambda one: one.order)),
        features=_features(graphs),
    )
    if loop := a_cycle(merged):
        raise InputError(f"Merged, the graphs have a cycle: {' → '.join(loop)}.")
    least = n if how == "intersection" else 1
    merged = replace(merged, edges=tuple(edge for edge in merged.edges if (edge.graphs or 0) >= least))
    return merged.restrict(
        node.address for node in merged.nodes if (node.graphs or 0) >= least or node.address.kind == "target"
    )


def _require_mergeable(graphs: Sequence[FeatureGraph], names: Sequence[str]) -> None:
    if len(graphs) < 2:
        raise UsageError("merge needs two graphs or more.")
    first = graphs[0]
    for graph, name in zip(graphs, names, strict=True):
        if "graphs" in graph.totals:
            raise InputError(f"{name} is a merged graph itself.", "Merge the graphs that it was made of.")
        require_comparable(first, graph, (names[0], name))
        for what, one, other in (
            ("metric", first.metric.name, graph.metric.name),
            ("direction", first.metric.direction, graph.metric.direction),
            ("method", first.method, graph.method),
            ("meaning of edges", first.edge_meaning, graph.edge_meaning),
            ("labelling of residual sites", first.residual, graph.residual),
        ):
            if one != other:
                raise InputError(f"{names[0]} and {name} differ in their {what}: {one} and {other}.")


def _mean_node(found: Sequence[Node], n: int) -> Node:
    fired = [node.activation for node in found if node.activation is not None]
    activation = math.fsum(fired) / len(fired) if fired else None
    labels = Counter(node.label for node in found if node.label)
    label = min(labels, key=lambda text: (-labels[text], text), default="")
    return Node(found[0].address, math.fsum(one.effect for one in found) / n, activation, label, None, len(found))


def _metric(graphs: Sequence[FeatureGraph]) -> Metric:
    targets = sorted({graph.metric.target for graph in graphs})
    some = ", ".join(targets[:3]) + (", …" if len(targets) > 3 else "")
    value = math.fsum(graph.metric.value for graph in graphs) / len(graphs)
    description = _common([graph.metric.description for graph in graphs], "Mean over graphs of several targets.")
    target = targets[0] if len(targets) == 1 else f"{len(targets)} targets ({some})"
    return replace(graphs[0].metric, description=description, value=value, target=target)


def _positions(graphs: Sequence[FeatureGraph]) -> tuple[Position, ...]:
    """Positions of inputs of equal length; where tokens differ, nothing is said of them."""
    rows = zip(*(graph.positions for graph in graphs), strict=True)
    return tuple(
        Position(
            _common([one.token for one in row], -1),
            _common([one.text for one in row], "…"),
            _common([one.note for one in row], ""),
            _common([one.board for one in row], None),
        )
        for row in rows
    )


def _sites(graphs: Sequence[FeatureGraph]) -> tuple[str, ...]:
    residual = graphs[0].residual
    sites = {Site.parse(site, residual) for graph in graphs for site in graph.sites}
    return tuple(site_label(site, residual) for site in sorted(sites))


def _totals(graphs: Sequence[FeatureGraph]) -> dict[str, float]:
    known = set.intersection(*(set(graph.totals) for graph in graphs))
    means = {name: math.fsum(graph.totals[name] for graph in graphs) / len(graphs) for name in sorted(known)}
    return {**means, "graphs": float(len(graphs))}


def _provenance(graphs: Sequence[FeatureGraph]) -> dict[str, Any]:
    shared = {key: one for key, one in _shared(graph.provenance for graph in graphs).items() if key != "neuronpedia"}
    kind, value = dictionaries_of(graphs[0])
    return {**shared, "scan": value} if kind == "scan" else shared


def _supernodes(graphs: Sequence[FeatureGraph]) -> dict[str, tuple[Address, ...]]:
    groups: defaultdict[str, set[Address]] = defaultdict(set)
    for graph in graphs:
        for name, members in graph.supernodes.items():
            groups[name].update(members)
    return {name: tuple(sorted(groups[name], key=lambda one: one.order)) for name in sorted(groups)}


def _features(graphs: Sequence[FeatureGraph]) -> dict[Address, Evidence]:
    """Of each feature what the first of the graphs that show most contexts of it says."""
    known: dict[Address, Evidence] = {}
    for address, one in (item for graph in graphs for item in graph.features.items()):
        if address not in known or len(one.contexts) > len(known[address].contexts):
            known[address] = one
    return {address: known[address] for address in sorted(known, key=lambda one: one.order)}


def _model(graphs: Sequence[FeatureGraph]) -> str:
    return min(str(graph.provenance.get("model", "")) for graph in graphs)


def _shared(values: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What all have alike."""
    first, *others = values
    return {key: one for key, one in first.items() if all(key in other and other[key] == one for other in others)}


def _common(values: Sequence[Any], otherwise: Any) -> Any:
    return values[0] if all(value == values[0] for value in values) else otherwise
