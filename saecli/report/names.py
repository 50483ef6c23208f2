"""What stands in a node's box."""

from __future__ import annotations

from saecli.core.graph import FeatureGraph
from saecli.report.measure import number_text, visible


def box_text(graph: FeatureGraph, index: int) -> str:
    """A node's label, else the shortest name that is clear in its row and column; the target with its value."""
    node = graph.nodes[index]
    address = node.address
    if address.kind == "target":
        return f"{visible(graph.metric.target)}\N{EN SPACE}{number_text(graph.metric.value, signed=True)}"
    if node.label.strip():
        return visible(node.label.strip())
    if address.kind == "token":
        if address.position is not None and address.position < len(graph.positions):
            return visible(graph.positions[address.position].text)
        return str(address.index)
    return "error" if address.kind == "error" else str(address.index)
