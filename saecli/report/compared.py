"""Two graphs in one picture: what only the first has, what only the second has, and what both have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from saecli.core.address import Address
from saecli.core.graph import Edge, FeatureGraph, Node
from saecli.report import captions
from saecli.report.captions import LegendEntry, Words, drawn_edges, input_text, strongest_effect
from saecli.report.embed import page
from saecli.report.layout import Layout
from saecli.report.measure import number_text, visible
from saecli.report.picture import body, legend_mark
from saecli.report.place import lay_out
from saecli.report.png import to_png
from saecli.report.svg import render, short, to_svg
from saecli.report.weights import strongest_weights

Values = tuple[float | None, float | None]
"""Of a node or an edge in the first and in the second graph; None where it is missing."""


@dataclass(frozen=True)
class Compared:
    """Two graphs whose addresses mean the same, as one.

    Attributes:
        graph: Nodes and edges of both, each with the larger of its two effects or weights.
        titles: What the graphs are called.
        nodes, edges: The values in both.
        notes: What else differs, a sentence each.
    """

    graph: FeatureGraph
    titles: tuple[str, str]
    nodes: Mapping[Address, Values]
    edges: Mapping[tuple[Address, Address], Values]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        first: FeatureGraph,
        second: FeatureGraph,
        nodes: Mapping[Address, Values],
        edges: Mapping[tuple[Address, Address], Values],
        notes: tuple[str, ...] = (),
    ) -> Compared:
        """Put two graphs together.

        Args:
            first, second: The graphs.
            nodes, edges: Their values side by side, without the targets.
            notes: What else differs.
        """
        there = {node.address: node for graph in (second, first) for node in graph.nodes}
        kept = [replace(there[address], effect=_larger(pair)) for address, pair in nodes.items()]
        targets = {
            node.address: node for graph in (second, first) for node in graph.nodes if node.address.kind == "target"
        }
        ends = set(there)
        asked = list(dict.fromkeys(graph.metric.target for graph in (first, second)))
        union = replace(
            first,
            title=f"{visible(first.title)}  |  {visible(second.title)}" if first.title != second.title else first.title,
            metric=replace(first.metric, target=" | ".join(asked)),
            nodes=(*kept, *targets.values()),
            edges=tuple(
                Edge(source, target, _larger(pair))
                for (source, target), pair in edges.items()
                if source in ends and target in ends
            ),
            sites=tuple(dict.fromkeys((*first.sites, *second.sites))),
            totals={},
            supernodes={},
            pinned=(),
            features={},
        )
        return cls(union, (first.title, second.title), nodes, edges, notes)

    def words(self) -> Words:
        """What the picture says."""
        return Words(
            node_role=lambda _, node: self._role(self.nodes.get(node.address)),
            edge_role=lambda _, edge: self._role(self.edges.get((edge.source, edge.target))),
            describe=self._describe,
            subtitles=self._subtitles,
            legend=self._legend,
            scale_note=_scale_note,
            footnotes=lambda _: [*self.notes],
        )

    def files(self, layout: Layout | None = None) -> dict[str, bytes]:
        """``diff.svg``, ``diff.png`` and ``diff.html``."""
        layout = layout or lay_out(self.graph)
        words = self.words()
        return {
            "diff.svg": to_svg(self.graph, layout, words).encode(),
            "diff.png": to_png(self.graph, layout, words=words),
            "diff.html": self._page(layout, words).encode(),
        }

    def _page(self, layout: Layout, words: Words) -> str:
        from markupsafe import Markup

        shapes, height = body(self.graph, layout, words)
        entries = []
        for entry in words.legend(self.graph):
            mark, width = legend_mark(entry.mark, 12.5)
            entries.append({"mark": Markup(render(mark)), "width": short(width + 2), "text": entry.text})  # noqa: S704
        return page(
            "diff",
            {},
            title=captions.headline(self.graph),
            subtitles=words.subtitles(self.graph, layout),
            legend=entries,
            scale_note=words.scale_note(self.graph, layout),
            footnotes=words.footnotes(self.graph),
            width=short(layout.width + 12),
            height=short(height),
            picture=Markup(render(shapes)),  # noqa: S704 - every text in it is escaped by svg.render
        )

    @staticmethod
    def _role(pair: Values | None) -> str:
        """Blue for the second alone, vermilion for the first alone, grey for both."""
        if pair is None or None not in pair:
            return ""
        return "helps" if pair[0] is None else "hurts"

    def _describe(self, graph: FeatureGraph, index: int) -> str:
        node: Node = graph.nodes[index]
        parts = [graph.id_of(node.address)]
        if node.label.strip():
            parts.append(visible(node.label.strip()))
        if pair := self.nodes.get(node.address):
            sides = (
                f"{name} {number_text(one, signed=True)}"
                for name, one in zip("AB", pair, strict=True)
                if one is not None
            )
            parts.append("effect in " + ", in ".join(sides))
        return " · ".join(parts)

    def _subtitles(self, graph: FeatureGraph, layout: Layout) -> list[str]:
        lines = [f"A: {visible(self.titles[0])}", f"B: {visible(self.titles[1])}"]
        if text := input_text(graph):
            lines.append(text)
        boxes = sum(box.node is not None for box in layout.boxes)
        if boxes < len(graph.nodes) or len(layout.curves) < len(graph.edges):
            lines.append(
                f"Drawn: {boxes:,} of {len(graph.nodes):,} nodes, {len(layout.curves):,} of {len(graph.edges):,} edges"
            )
        return lines

    def _legend(self, graph: FeatureGraph) -> list[LegendEntry]:
        del graph
        counts = {"hurts": 0, "helps": 0, "": 0}
        for pair in self.nodes.values():
            counts[self._role(pair)] += 1
        return [
            LegendEntry("hurts", f"only in A ({counts['hurts']:,} nodes)"),
            LegendEntry("helps", f"only in B ({counts['helps']:,})"),
            LegendEntry("both", f"in both ({counts['']:,})"),
        ]


def _scale_note(graph: FeatureGraph, layout: Layout) -> str:
    widest = strongest_weights(graph, drawn_edges(graph, layout)).values()
    edge = f", widest edge {number_text(max(widest))}" if widest else ""
    return f"shade and width: the larger absolute value, darkest node {number_text(strongest_effect(graph))}{edge}"


def _larger(pair: Values) -> float:
    """Of two values the one of larger size."""
    return max((one for one in pair if one is not None), key=abs, default=0.0)
