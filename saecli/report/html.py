"""A graph as one HTML file that works without a network: the picture to pan and zoom, a search, a panel per node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saecli.core.address import site_label
from saecli.core.graph import FeatureGraph
from saecli.report import captions
from saecli.report.board import BOARD_COLOURS, game_of, squares_in
from saecli.report.embed import page
from saecli.report.layout import Layout
from saecli.report.measure import number_text, visible
from saecli.report.names import box_text
from saecli.report.picture import body, legend_mark
from saecli.report.pieces import piece_outlines
from saecli.report.place import lay_out
from saecli.report.svg import render, short
from saecli.report.weights import strongest_weights

_DIGITS = 7
OWN_LABELS = (
    "A label 'on X': the feature fires on X in at least half of its strongest contexts; 'for X': by itself it raises "
    "the logit of X at least 1.5 times as much as that of any other."
)


def to_html(graph: FeatureGraph, layout: Layout | None = None, pages: Mapping[str, str] | None = None) -> str:
    """Draw a graph as a complete HTML page; the same graph gives the same text.

    The page runs only its own script and styles (their hashes stand in its content security policy), loads nothing, and
    keeps what is chosen and grouped in its address: ``#node=7:331@42&edges=30&nodes=10&q=F5``. Groups that are made in
    it are saved as ``supernodes.json`` (:mod:`saecli.formats.supernodes`). Features that have pages of their own
    (:func:`saecli.report.write.write_graph`) are linked to them.
    """
    from markupsafe import Markup

    layout = layout or lay_out(graph)
    shapes, height = body(graph, layout)
    footnotes = captions.footnotes(graph)
    if game := game_of(graph):
        footnotes.append(BOARD_COLOURS[game])
    if graph.features:
        footnotes.append(OWN_LABELS)
    return page(
        "circuit",
        {**page_data(graph, layout), "pages": dict(pages or {})},
        ("drawing", "circuit_groups", "circuit_evidence"),
        title=captions.headline(graph),
        subtitles=captions.subtitles(graph, layout),
        legend=[_entry(entry) for entry in captions.legend(graph)],
        scale_note=captions.scale_note(graph, layout),
        footnotes=footnotes,
        width=short(layout.width + 12),
        height=short(height),
        picture=Markup(render(shapes)),  # noqa: S704 - every text in it is escaped by svg.render
    )


def page_data(graph: FeatureGraph, layout: Layout) -> dict[str, Any]:
    """What the page's script reads: every node and edge of the graph, drawn or not."""
    place = {node.address: index for index, node in enumerate(graph.nodes)}
    game = game_of(graph)
    targets = squares_in(graph.metric.target)
    return {
        "metric": f"{visible(graph.metric.target)} · {visible(graph.metric.name)} {number_text(graph.metric.value)}",
        "direction": graph.metric.direction,
        "meaning": graph.edge_meaning,
        "largest": captions.strongest_effect(graph),
        "widest": strongest_weights(graph, captions.drawn_edges(graph, layout)),
        "target": targets[0] if targets else None,
        "game": game,
        "pieces": piece_outlines() if game == "chess" else {},
        "last": max((i for i, position in enumerate(graph.positions) if position.board), default=-1),
        "positions": [
            {
                "text": visible(position.text),
                "note": visible(position.note),
                "board": position.board,
                "square": next(iter(squares_in(position.text)), None),
            }
            for position in graph.positions
        ],
        "nodes": [
            {
                "id": graph.id_of(node.address),
                "name": box_text(graph, index),
                "label": visible(node.label.strip()),
                "kind": node.address.kind,
                "site": "" if node.address.site is None else site_label(node.address.site, graph.residual),
                "position": node.address.position,
                "effect": _rounded(node.effect),
                "activation": None if node.activation is None else _rounded(node.activation),
            }
            for index, node in enumerate(graph.nodes)
        ],
        # Positions in this list are the numbers of the drawn edges, so an edge to nowhere keeps its place.
        "edges": [
            [place.get(edge.source, -1), place.get(edge.target, -1), _rounded(edge.weight)] for edge in graph.edges
        ],
        "features": {graph.id_of(address): one.to_json() for address, one in graph.features.items()},
        "supernodes": {
            visible(name): [place[member] for member in members if member in place]
            for name, members in graph.supernodes.items()
        },
        "chips": [
            {"key": f"c{number}", "nodes": list(box.hidden)}
            for number, box in enumerate(layout.boxes)
            if box.node is None
        ],
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _entry(entry: captions.LegendEntry) -> dict[str, Any]:
    from markupsafe import Markup

    shapes, width = legend_mark(entry.mark, 12.5)
    return {"mark": Markup(render(shapes)), "width": short(width + 2), "text": entry.text}  # noqa: S704
