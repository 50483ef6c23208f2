"""The files that show a graph: what ``saecli trace`` leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from saecli.core.graph import FeatureGraph
from saecli.report.dot import to_dot
from saecli.report.html import to_html
from saecli.report.place import lay_out
from saecli.report.png import to_png
from saecli.report.svg import to_svg
from saecli.report.tables import edges_csv, nodes_csv


def write_graph(
    graph: FeatureGraph, write: Callable[[str, bytes], object], pages: Mapping[str, str] | None = None
) -> list[str]:
    """Write a graph in every form, always the same bytes for the same graph.

    Args:
        graph: The graph.
        write: Receives a file's name and its bytes, for example ``Run.write_bytes``.
        pages: Feature (an address without a position) → its page beside these files, where there is one.

    Returns:
        The names written: graph.json, nodes.csv, edges.csv, graph.dot, graph.svg, graph.png, graph.html.
    """
    layout = lay_out(graph)
    makers: dict[str, Callable[[], bytes]] = {
        "graph.json": lambda: graph.dumps().encode(),
        "nodes.csv": lambda: nodes_csv(graph),
        "edges.csv": lambda: edges_csv(graph),
        "graph.dot": lambda: to_dot(graph).encode(),
        "graph.svg": lambda: to_svg(graph, layout).encode(),
        "graph.png": lambda: to_png(graph, layout),
        "graph.html": lambda: to_html(graph, layout, pages).encode(),
    }
    for name, make in makers.items():
        write(name, make())
    return list(makers)
