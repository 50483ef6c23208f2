"""The words of a graph's picture: how much of the answer it holds, and what its marks mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from saecli.core.graph import Edge, FeatureGraph, Node
from saecli.report.layout import Layout
from saecli.report.measure import number_text, visible
from saecli.report.weights import strongest_weights

_METHODS = {"gradient": "gradient attribution", "ig": "integrated gradients", "direct": "direct effects"}

_WITHOUT = {
    "mean": "with its mean over data",
    "resample": "with what it is on another input",
    "patch": "with what it is on the counterfactual input",
}

Mark = Literal["helps", "hurts", "both", "error", "edge-helps", "edge-hurts", "edge"]


@dataclass(frozen=True)
class LegendEntry:
    """One mark of the legend and its meaning."""

    mark: Mark
    text: str


def headline(graph: FeatureGraph) -> str:
    """The question."""
    return visible(graph.title.strip()) or "circuit"


def subtitles(graph: FeatureGraph, layout: Layout) -> list[str]:
    """How much of the answer the graph holds and, where it is too large, how much of it the picture holds."""
    measured = sum(
        node.address.kind in ("feature", "error") and bool(node.activation or node.effect) for node in graph.nodes
    )
    text = _METHODS.get(graph.method, f"{graph.method} method") + ": "
    active = graph.totals.get("active_nodes")
    text += f"{measured:,} nodes" if active is None else f"{measured:,} of {round(active):,} active nodes"
    if not math.isnan(graph.coverage):
        text += f" carry {percent(graph.coverage)} of the absolute effect"
    lines = [visible(text[0].upper() + text[1:])]
    nodes, edges = len(graph.nodes), len(graph.edges)
    if layout.drawn_nodes < nodes or len(layout.curves) < edges:
        lines.append(_drawn(graph, layout))
    return lines


def _drawn(graph: FeatureGraph, layout: Layout) -> str:
    """How much of the graph has a place of its own in the picture."""
    boxes = [graph.nodes[box.node] for box in layout.boxes if box.node is not None]
    part, whole = (sum(abs(node.effect) for node in nodes) for nodes in (boxes, graph.nodes))
    share = f" with {percent(part / whole)} of their effect" if whole and len(boxes) < len(graph.nodes) else ""
    text = f"Drawn: {len(boxes):,} of {len(graph.nodes):,} nodes{share}, {len(layout.curves):,} of "
    return text + f"{len(graph.edges):,} edges (the strongest between drawn nodes)"


def legend(graph: FeatureGraph) -> list[LegendEntry]:
    """What the marks mean, for this metric and these edges."""
    lowers, raises = ("lowers", "raises") if graph.metric.direction == 1 else ("raises", "lowers")
    entries = [
        LegendEntry("helps", f"helps the target (removing it {lowers} the metric)"),
        LegendEntry("hurts", f"hurts the target (removing it {raises} the metric)"),
    ]
    if any(node.address.kind == "error" for node in graph.nodes):
        total, error = (graph.totals.get(key, 0.0) for key in ("absolute_effect", "error_absolute_effect"))
        share = f" ({percent(error / total)} of the effect)" if total and error else ""
        entries.append(LegendEntry("error", f"dashed: what no dictionary explains{share}"))
    meanings = {graph.meaning(edge) for edge in graph.edges}
    if "activation" in meanings:
        entries.append(
            LegendEntry("edge-helps", "edge: change of downstream activation; raises it (removing lowers it)")
        )
        entries.append(LegendEntry("edge-hurts", "lowers it (removing raises it)"))
    if "metric" in meanings:
        direct = "edge: the part of the effect that passes directly"
        into = "edge into the target: change of the metric, helps or hurts it"
        entries.append(LegendEntry("edge", direct if graph.edge_meaning == "metric" else into))
    return entries


def scale_note(graph: FeatureGraph, layout: Layout) -> str:
    """What the strongest shade and the widest edge stand for."""
    text = f"shade and width: size of the effect, darkest node {number_text(strongest_effect(graph))}"
    widest = strongest_weights(graph, drawn_edges(graph, layout))
    if "activation" in widest:
        text += f", widest edge {number_text(widest['activation'])} (activation)"
    if "metric" in widest:
        text += f", widest edge{' into the target' * (len(widest) > 1)} {number_text(widest['metric'])}"
    return text


def footnotes(graph: FeatureGraph) -> list[str]:
    """The metric in words and the sign of every stored number."""
    metric = graph.metric
    words = visible(metric.description.strip()).rstrip(".")
    better = "higher" if metric.direction == 1 else "lower"
    name = visible(metric.name)
    described = f"{name}: {words}" if words else name
    patched = graph.totals.get("patched_value")
    there = "" if patched is None else f", {number_text(patched)} on the other input"
    instead = _WITHOUT.get(str(graph.settings.get("ablation")))
    without = f" Without it: {instead}." if instead else ""
    return [
        f"Metric {described}; {number_text(metric.value)} here{there}, {better} is better for the target.",
        f"Effect of a node: metric without it − metric with it.{without}",
    ]


def describe(graph: FeatureGraph, index: int) -> str:
    """A node in one line: its id, what it is and its numbers."""
    node = graph.nodes[index]
    parts = [graph.id_of(node.address)]
    if node.label.strip():
        parts.append(visible(node.label.strip()))
    if node.address.kind == "target":
        parts.append(f"{visible(graph.metric.name)} {number_text(graph.metric.value)}")
    else:
        role = verdict(graph, node.effect)
        parts.append(f"effect {number_text(node.effect, signed=True)}" + (f", {role}" if role else ""))
    if node.activation is not None:
        parts.append(f"activation {number_text(node.activation)}")
    if node.graphs is not None:
        parts.append(f"in {node.graphs:,} of {round(graph.totals.get('graphs', node.graphs)):,} graphs")
    if groups := [visible(name) for name, members in graph.supernodes.items() if node.address in members]:
        parts.append(f"supernode {', '.join(groups)}")
    return " · ".join(parts)


def verdict(graph: FeatureGraph, effect: float) -> str:
    """``helps``, ``hurts``, or nothing for an effect of zero."""
    return "" if effect == 0 else "helps" if graph.helps(effect) else "hurts"


def edge_role(graph: FeatureGraph, edge: Edge) -> str:
    """What an edge does: ``helps`` / ``hurts`` the target, or ``raises`` / ``lowers`` a downstream activation."""
    if edge.weight == 0 or graph.meaning(edge) == "metric":
        return verdict(graph, edge.weight)
    return "raises" if edge.weight < 0 else "lowers"


def strongest_effect(graph: FeatureGraph) -> float:
    """The largest absolute effect of a node, the target's own value left aside."""
    return max((abs(n.effect) for n in graph.nodes if n.address.kind != "target"), default=0.0)


def drawn_edges(graph: FeatureGraph, layout: Layout) -> Iterator[Edge]:
    """The edges that have a curve: the scale of widths is theirs, since an edge without a curve would only dim them."""
    return (graph.edges[curve.edge] for curve in layout.curves)


def percent(share: float) -> str:
    """A share in whole percent; never 100 % for less than all, never 0 % for more than nothing."""
    whole = round(100 * share)
    if whole == 100 and share < 1:
        return "> 99 %"
    if whole == 0 and share > 0:
        return "< 1 %"
    return f"{whole} %"


def input_text(graph: FeatureGraph) -> str:
    """The traced input as one text."""
    texts = [position.text for position in graph.positions]
    glue = "" if any(text[:1].isspace() for text in texts) or all(len(text) == 1 for text in texts) else " "
    joined = glue.join(visible(text) if text.strip(" ") else text for text in texts).strip()
    return f"Input: {joined}" if joined else ""


@dataclass(frozen=True)
class Words:
    """What a picture says of a graph, and which roles its colours stand for.

    Attributes:
        node_role, edge_role: ``helps`` or ``raises`` (blue), ``hurts`` or ``lowers`` (vermilion), or neither (grey).
        describe: A node in one line.
        subtitles, legend, scale_note, footnotes: As the functions of these names.
    """

    node_role: Callable[[FeatureGraph, Node], str] = lambda graph, node: verdict(graph, node.effect)
    edge_role: Callable[[FeatureGraph, Edge], str] = edge_role
    describe: Callable[[FeatureGraph, int], str] = describe
    subtitles: Callable[[FeatureGraph, Layout], list[str]] = subtitles
    legend: Callable[[FeatureGraph], list[LegendEntry]] = legend
    scale_note: Callable[[FeatureGraph, Layout], str] = scale_note
    footnotes: Callable[[FeatureGraph], list[str]] = footnotes


CIRCUIT: Final = Words()
"""Of a traced graph."""
