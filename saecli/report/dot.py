"""A graph as DOT text for Graphviz; writing it needs no ``dot`` program."""

from __future__ import annotations

from collections import defaultdict

from saecli.core.address import site_label
from saecli.core.graph import FeatureGraph, Node
from saecli.report import captions, palette
from saecli.report.measure import number_text, visible
from saecli.report.names import box_text
from saecli.report.picture import strength
from saecli.report.weights import share, strongest_weights


def to_dot(graph: FeatureGraph) -> str:
    """Build the text anew from the graph's nouns, every label escaped; one rank per site, early ones at the bottom."""
    from graphviz import Digraph

    dot = Digraph(
        "circuit",
        graph_attr={
            "rankdir": "BT",
            "label": _literal(captions.headline(graph)),
            "labelloc": "t",
            "fontname": "Helvetica",
            "newrank": "true",
        },
        node_attr={"shape": "box", "style": "rounded,filled", "fontname": "Helvetica", "fontsize": "10"},
        edge_attr={"arrowsize": "0.5"},
    )
    names = {node.address: f"n{index}" for index, node in enumerate(graph.nodes)}
    ranks: defaultdict[str, list[int]] = defaultdict(list)
    for index, node in enumerate(graph.nodes):
        site = node.address.site
        ranks[node.address.kind if site is None else site_label(site, graph.residual)].append(index)
    largest = captions.strongest_effect(graph)
    for rank, members in ranks.items():
        row = Digraph(f"rank {rank}", graph_attr={"rank": "same"})
        for index in members:
            row.node(f"n{index}", _label(graph, index), _attributes(graph, graph.nodes[index], largest))
        dot.subgraph(row)
    heaviest = strongest_weights(graph, graph.edges)
    for edge in graph.edges:
        if edge.source in names and edge.target in names:
            role = captions.edge_role(graph, edge)
            part = share(graph, edge, heaviest)
            colour = palette.hue(None if not role else role in ("helps", "raises"))
            alpha = round(255 * (0.25 + 0.75 * part))
            dot.edge(
                names[edge.source],
                names[edge.target],
                color=f"{colour}{alpha:02x}",
                penwidth=f"{0.5 + 4 * part:.2f}",
                weight=str(1 + round(10 * part)),
                tooltip=_literal(f"{number_text(edge.weight, signed=True)} {role}".strip()),
            )
    return dot.source


def _label(graph: FeatureGraph, index: int) -> str:
    address = graph.nodes[index].address
    name = _literal(box_text(graph, index))
    return name if address.kind == "target" else f"{name}\\n{_literal(graph.id_of(address))}"


def _attributes(graph: FeatureGraph, node: Node, largest: float) -> dict[str, str]:
    if node.address.kind == "target":
        return {"fillcolor": palette.INK, "fontcolor": palette.PAPER, "tooltip": _literal(graph.id_of(node.address))}
    role = captions.verdict(graph, node.effect)
    fill = palette.shade(None if not role else role == "helps", strength(node.effect, largest))
    style = {"style": "rounded,filled,dashed"} if node.address.kind == "error" else {}
    effect = number_text(node.effect, signed=True)
    return {
        "fillcolor": fill,
        "fontcolor": palette.ink_on(fill),
        "tooltip": _literal(f"{graph.id_of(node.address)}: effect {effect} {role}".strip()),
        **style,
    }


def _literal(text: str) -> str:
    """The text as DOT shows it letter by letter: no escapes, no HTML-like label, one line."""
    from graphviz import escape

    return escape(visible(text))
