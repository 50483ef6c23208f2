"""``saecli graph diff``: two stored graphs side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

from saecli.core.address import Address
from saecli.core.comparable import require_comparable
from saecli.core.graph import FeatureGraph
from saecli.core.progress import Progress
from saecli.core.result import Result, field_doc
from saecli.core.run import Run
from saecli.formats.graph_file import read_graph_file
from saecli.formats.tables import as_csv
from saecli.graph.config import DiffConfig
from saecli.graph.difference import Agreement, Difference, Pair, difference
from saecli.graph.positions import aligned
from saecli.report.captions import percent
from saecli.report.compared import Compared
from saecli.report.measure import number_text, visible

NODE_COLUMNS: Final = ("id", "kind", "label", "where", "first", "second", "change")
EDGE_COLUMNS: Final = ("source", "target", "where", "first", "second", "change")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A node or an edge in two graphs."""

    name: str = field_doc("Name", "Id of the node, or of the ends of the edge.")
    label: str = field_doc("Label", "What the node is; empty for edges and what has no label.")
    first: float | None = field_doc("First", "Effect or weight in the first graph; null where it has none.")
    second: float | None = field_doc("Second", "Effect or weight in the second graph; null where it has none.")

    def __str__(self) -> str:
        values = [number_text(one, signed=True) for one in (self.first, self.second) if one is not None]
        return f"{' → '.join(f'{value:>7}' for value in values)}  {self.name}  {self.label}".rstrip()


@dataclass(frozen=True, kw_only=True)
class DiffResult(Result):
    """What two graphs have in common and where they differ."""

    schema: ClassVar[str] = "saecli.graph-diff/1"

    first: str = field_doc("First", "Title of the first graph.")
    second: str = field_doc("Second", "Title of the second graph.")
    comparable: str = field_doc("Comparable", "Why the addresses of both mean the same features.")
    positions: str = field_doc("Positions", "keep: node by node at each position; sum: over positions.")
    notes: list[str] = field_doc("Notes", "What else differs: inputs, targets, metrics, methods.")
    nodes: Agreement = field_doc("Nodes", "Agreement on features and errors.")
    edges: Agreement = field_doc("Edges", "Agreement on edges.")
    changed_nodes: list[Row] = field_doc("Changed nodes", "Largest changes of effect first.")
    changed_edges: list[Row] = field_doc("Changed edges", "Largest changes of weight first.")
    only_first: list[Row] = field_doc("Only first", "Nodes of the first graph alone, largest effects first.")
    only_second: list[Row] = field_doc("Only second", "Nodes of the second graph alone, largest effects first.")
    only_first_edges: list[Row] = field_doc("Only first, edges", "Edges of the first graph alone, largest first.")
    only_second_edges: list[Row] = field_doc("Only second, edges", "Edges of the second graph alone, largest first.")
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """Agreement, then the largest differences."""
        how = "position by position" if self.positions == "keep" else "summed over positions"
        lines = [f"A: {visible(self.first)}", f"B: {visible(self.second)}", f"{self.comparable}, {how}"]
        lines += self.notes
        for what, found, values in (("nodes", self.nodes, "effects"), ("edges", self.edges, "weights")):
            lines.append(f"{what}: {_agreement(found, values)}")
        for title, rows in (
            ("largest changes of effect, A → B:", self.changed_nodes),
            ("largest changes of weight, A → B:", self.changed_edges),
            ("nodes only in A:", self.only_first),
            ("nodes only in B:", self.only_second),
            ("edges only in A:", self.only_first_edges),
            ("edges only in B:", self.only_second_edges),
        ):
            lines += [title, *map(str, rows)] if rows else []
        return lines


def run(config: DiffConfig, run: Run, progress: Progress) -> DiffResult:
    """Compare two graphs and write the tables.

    Raises:
        InputError: A graph that is none, or two whose features are not the same.
    """
    graphs = [read_graph_file(Path(one))[0] for one in config.graphs]
    why = require_comparable(graphs[0], graphs[1], (config.graphs[0], config.graphs[1]))
    (first, second), matching = aligned(graphs, config.positions)
    found = difference(first, _turned(second, first))
    labels = {node.address: node.label for graph in (second, first) for node in graph.nodes if node.label}
    rows = _Rows(first, labels)
    files = {
        "nodes.csv": as_csv([rows.node_cells(one, pair) for one, pair in found.nodes.items()], NODE_COLUMNS),
        "edges.csv": as_csv([rows.edge_cells(one, pair) for one, pair in found.edges.items()], EDGE_COLUMNS),
    }
    progress("drawing")
    said = notes(graphs[0], graphs[1])
    pictures = Compared.of(
        first,
        _turned(second, first),
        {one: (pair.first, pair.second) for one, pair in found.nodes.items()},
        {ends: (pair.first, pair.second) for ends, pair in found.edges.items()},
        tuple(said),
    ).files()
    made = {name: text.encode() for name, text in files.items()} | pictures
    for name, data in made.items():
        run.write_bytes(name, data)
    same_unit = first.metric.name == second.metric.name
    same_edges = same_unit and first.edge_meaning == second.edge_meaning
    return DiffResult(
        first=first.title,
        second=second.title,
        comparable=f"Addresses mean the same: {why}",
        positions=matching,
        notes=said,
        nodes=found.node_agreement,
        edges=Agreement.of(found.edges.values(), ranked=first.edge_meaning == second.edge_meaning),
        changed_nodes=rows.largest(found, "nodes", "both", config.top) if same_unit else [],
        changed_edges=rows.largest(found, "edges", "both", config.top) if same_edges else [],
        only_first=rows.largest(found, "nodes", "first", config.top),
        only_second=rows.largest(found, "nodes", "second", config.top),
        only_first_edges=rows.largest(found, "edges", "first", config.top),
        only_second_edges=rows.largest(found, "edges", "second", config.top),
        files=sorted(made),
    )


def notes(first: FeatureGraph, second: FeatureGraph) -> list[str]:
    """What differs beside nodes and edges, a sentence each."""
    found = []
    tokens = [[position.token for position in graph.positions] for graph in (first, second)]
    if tokens[0] != tokens[1]:
        found.append("Their inputs differ.")
    a, b = first.metric, second.metric
    if a.target != b.target:
        found.append(f"Their targets differ: {visible(a.target)} and {visible(b.target)}.")
    if a.name != b.name:
        found.append(f"Their metrics differ ({visible(a.name)}, {visible(b.name)}): sizes are in different units.")
    if a.direction != b.direction:
        found.append("A higher metric is better in one and a lower in the other: signs of B are turned.")
    if first.method != second.method:
        found.append(f"Their methods differ: {first.method} and {second.method}.")
    if first.edge_meaning != second.edge_meaning:
        found.append("Weights of their edges are in different units: only which there are is compared.")
    return found


class _Rows:
    """Rows of results and tables."""

    def __init__(self, graph: FeatureGraph, labels: dict[Address, str]) -> None:
        self.graph = graph
        self.labels = labels

    def node_cells(self, address: Address, pair: Pair) -> dict[str, Any]:
        label = visible(self.labels.get(address, ""))
        return {"id": self.graph.id_of(address), "kind": address.kind, "label": label, **_cells(pair)}

    def edge_cells(self, ends: tuple[Address, Address], pair: Pair) -> dict[str, Any]:
        return {"source": self.graph.id_of(ends[0]), "target": self.graph.id_of(ends[1]), **_cells(pair)}

    def largest(self, found: Difference, what: str, where: str, top: int) -> list[Row]:
        """The largest changes of what is in both or in one; what did not change is not told."""
        pairs: Iterable[tuple[Any, Pair]] = (found.nodes if what == "nodes" else found.edges).items()
        told = [(key, pair) for key, pair in pairs if pair.where == where and (where != "both" or pair.change)]
        told.sort(key=lambda one: -abs(one[1].change))
        return [self._row(key, pair) for key, pair in told[:top]]

    def _row(self, key: Address | tuple[Address, Address], pair: Pair) -> Row:
        if isinstance(key, Address):
            name, label = self.graph.id_of(key), visible(self.labels.get(key, ""))
        else:
            name, label = " → ".join(map(self.graph.id_of, key)), ""
        return Row(name=name, label=label, first=pair.first, second=pair.second)


def _cells(pair: Pair) -> dict[str, Any]:
    return {"where": pair.where, "first": pair.first, "second": pair.second, "change": pair.change}


def _turned(graph: FeatureGraph, like: FeatureGraph) -> FeatureGraph:
    """The graph with its signs in the sense of another one's metric."""
    if graph.metric.direction == like.metric.direction:
        return graph
    nodes = tuple(replace(node, effect=-node.effect) for node in graph.nodes)
    edges = tuple(
        replace(edge, weight=-edge.weight) if graph.meaning(edge) == "metric" else edge for edge in graph.edges
    )
    return replace(graph, nodes=nodes, edges=edges)


def _agreement(found: Agreement, values: str) -> str:
    text = f"{found.both:,} in both, {found.only_first:,} only in A, {found.only_second:,} only in B"
    if not math.isnan(found.jaccard):
        text += f" (Jaccard {found.jaccard:.2f})"
    if not math.isnan(found.rank_correlation):
        text += f"; rank correlation of {values} {found.rank_correlation:+.2f}"
    if not math.isnan(found.same_sign):
        text += f", {percent(found.same_sign)} of one sign"
    return text
