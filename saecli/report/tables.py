"""A graph as two CSV tables, one row per node and one per edge.

Numbers are written in full, so that they read back to the same bits. Texts that a spreadsheet would take for a formula
get an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from saecli.core.address import site_label
from saecli.core.evidence import Evidence
from saecli.core.graph import FeatureGraph
from saecli.report.captions import edge_role, verdict

NODE_COLUMNS: Final = (
    "id", "kind", "site", "layer", "position", "token", "index", "activation", "effect", "helps", "label",
)  # fmt: skip
EDGE_COLUMNS: Final = ("source", "target", "weight", "helps")
EVIDENCE: Final = ("raises", "lowers", "near", "context", "explanation")
"""Columns of a graph that tells more of features than labels."""
GRAPHS: Final = ("graphs",)
"""The last column of a merged graph: how many of the graphs have it."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_HELPS: Final = {"helps": "true", "hurts": "false", "": ""}


def nodes_csv(graph: FeatureGraph) -> bytes:
    """The nodes in the graph's order.

    ``layer`` is the number in the site's label; ``index`` a feature or token id; ``helps`` is ``true``, ``false`` or,
    for an effect of zero, empty. ``raises``, ``lowers`` and ``near`` are lists like ``F5 2.1; C3 1.4``, and ``context``
    is the strongest one as ``before|token|after``.
    """
    merged = any(node.graphs is not None for node in graph.nodes)
    rows: list[Sequence[str]] = []
    for node in graph.nodes:
        address = node.address
        site = "" if address.site is None else site_label(address.site, graph.residual)
        position = address.position
        known = position is not None and position < len(graph.positions)
        rows.append(
            (
                _text(graph.id_of(address)),
                address.kind,
                site,
                site.partition(".")[0],
                "" if position is None else str(position),
                _text(graph.positions[position].text) if known and position is not None else "",
                "" if address.index is None else str(address.index),
                "" if node.activation is None else repr(float(node.activation)),
                repr(float(node.effect)),
                _HELPS[verdict(graph, node.effect)],
                _text(node.label),
                *(_evidence(graph.evidence(address)) if graph.features else ()),
                *_count(merged, node.graphs),
            )
        )
    told = EVIDENCE if graph.features else ()
    return _table((*NODE_COLUMNS, *told, *GRAPHS[:merged]), rows)


def edges_csv(graph: FeatureGraph) -> bytes:
    """The edges in the graph's order; ``helps`` is empty where a weight changes an activation, not the metric."""
    merged = any(edge.graphs is not None for edge in graph.edges)
    rows = (
        (
            _text(graph.id_of(edge.source)),
            _text(graph.id_of(edge.target)),
            repr(float(edge.weight)),
            _HELPS.get(edge_role(graph, edge), ""),
            *_count(merged, edge.graphs),
        )
        for edge in graph.edges
    )
    return _table((*EDGE_COLUMNS, *GRAPHS[:merged]), rows)


def _evidence(one: Evidence | None) -> Iterable[str]:
    """The cells of :data:`EVIDENCE`."""
    if one is None:
        return [""] * len(EVIDENCE)
    lists = ("; ".join(f"{name} {value:g}" for name, value in part) for part in (one.raises, one.lowers, one.near))
    context = one.contexts[0].text if one.contexts else ""
    return [_text(cell) for cell in (*lists, context, one.explanation)]


def _count(merged: bool, graphs: int | None) -> list[str]:
    return ["" if graphs is None else str(graphs)] if merged else []


def _text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    out = io.StringIO()
    plain, quoted = (csv.writer(out, lineterminator="\n", quoting=q) for q in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    plain.writerow(header)
    for row in rows:
        # Readers take a bare carriage return for the end of a row, and the csv module does not quote it by itself.
        (quoted if any("\r" in cell for cell in row) else plain).writerow(row)
    return out.getvalue().encode("utf-8", "backslashreplace")
