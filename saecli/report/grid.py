"""Which nodes a picture of a graph has room for: rows of sites, columns of positions, cells with a cap.

A picture stays readable at any size of graph because room is handed out before anything is drawn:

1. columns and lanes: the page's width goes, step by step, to what shows the most absolute effect for it: a column for
   one more position, or one more lane of boxes in a crowded column. Runs of all other positions fold into one "…" each,
   which counts the nodes that lie there;
2. levels: boxes stacked in one cell, at most as many as keep the page's height; the weakest nodes of a fuller cell
   become one "+3 more".
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Final, Literal

from saecli.core.address import Address, site_label
from saecli.core.errors import UsageError
from saecli.core.graph import FeatureGraph
from saecli.core.site import Site
from saecli.report.columns import Page
from saecli.report.sizes import BOX_HEIGHT, LEVEL_GAP, PAGE_HEIGHT, ROW_GAP

RowKind = Literal["token", "site", "target"]

_MAX_LEVELS: Final = 6
_MIN_LEVELS: Final = 2
_DETAILS: Final = {
    "resid_pre": "residual stream",
    "resid_post": "residual stream",
    "resid_mid": "residual stream",
    "attn_in": "into attention",
    "attn_z": "attention heads",
    "attn_out": "attention",
    "mlp_in": "into the MLP",
    "mlp_out": "MLP",
    "mlp_post": "MLP neurons",
}


@dataclass(frozen=True)
class RowPlan:
    """A site, the tokens or the target.

    Attributes:
        kind: What stands in the row.
        label: The site as it is written in addresses.
        detail: The same for people who do not know the notation.
        levels: How many boxes its fullest drawn cell stacks; 0 for a row without nodes.
    """

    kind: RowKind
    label: str
    detail: str
    levels: int


@dataclass(frozen=True)
class ColumnPlan:
    """One position, or a run of positions folded together.

    Attributes:
        positions: Token positions; ``(None,)`` for nodes that stand for every position.
        folded: Whether it is drawn as a narrow "…".
        lanes: How many boxes stand side by side.
    """

    positions: tuple[int | None, ...]
    folded: bool
    lanes: int


@dataclass(frozen=True)
class Grid:
    """The room of every node.

    Attributes:
        rows: From the bottom (earliest) to the top (target).
        columns: From left to right.
        shown: (row, column) → indices of the drawn nodes, strongest first.
        hidden: (row, column) → indices of the nodes that are only counted, strongest first.
        box_width: Width of a node's box.
    """

    rows: tuple[RowPlan, ...]
    columns: tuple[ColumnPlan, ...]
    shown: dict[tuple[int, int], tuple[int, ...]]
    hidden: dict[tuple[int, int], tuple[int, ...]]
    box_width: float


def plan_grid(graph: FeatureGraph, smallest_column: float = 0.0) -> Grid:
    """Decide what is drawn and in which cell.

    Args:
        graph: The graph.
        smallest_column: Least width of a column that is not folded (what its head or its board needs).
    """
    labels, rows = _rows(graph)
    cells: dict[tuple[int, int | None], list[int]] = defaultdict(list)
    for index, node in enumerate(graph.nodes):
        cells[rows[_row_key(graph, node.address)], node.address.position].append(index)
    for nodes in cells.values():
        nodes.sort(key=lambda i: (-abs(graph.nodes[i].effect), i))

    each = PAGE_HEIGHT / max(len(labels), 1) - ROW_GAP
    expected = min(max(round(each / (BOX_HEIGHT + LEVEL_GAP)), _MIN_LEVELS), _MAX_LEVELS)
    page = Page(graph, cells, smallest_column, expected)
    page.share_out()
    columns = page.columns()
    lanes = [1 if folded else page.lanes[positions[0]] for positions, folded in columns]
    levels = _choose_levels(cells, columns, lanes, len(labels))

    shown: dict[tuple[int, int], tuple[int, ...]] = {}
    hidden: dict[tuple[int, int], tuple[int, ...]] = {}
    for column, (positions, folded) in enumerate(columns):
        for row in range(len(labels)):
            nodes = [i for position in positions for i in cells.get((row, position), ())]
            if not nodes:
                continue
            room = 0 if folded else lanes[column] * levels
            count = len(nodes) if len(nodes) <= room else max(room - 1, 0)
            shown[row, column] = tuple(nodes[:count])
            hidden[row, column] = tuple(nodes[count:])
    heights = Counter[int]()
    for (row, column), nodes in shown.items():
        boxes = len(nodes) + bool(hidden[row, column])
        heights[row] = max(heights[row], math.ceil(boxes / lanes[column]))
    return Grid(
        rows=tuple(RowPlan(kind, label, detail, heights[i]) for i, (kind, label, detail) in enumerate(labels)),
        columns=tuple(
            ColumnPlan(positions, folded, lanes[column]) for column, (positions, folded) in enumerate(columns)
        ),
        shown={key: nodes for key, nodes in shown.items() if nodes},
        hidden={key: nodes for key, nodes in hidden.items() if nodes},
        box_width=page.box_width,
    )


def _rows(graph: FeatureGraph) -> tuple[list[tuple[RowKind, str, str]], dict[str, int]]:
    """Rows from bottom to top, and the row of every key of :func:`_row_key`."""
    sites = {site: None for site in (_site(label, graph.residual) for label in graph.sites) if site is not None}
    sites |= {node.address.site: None for node in graph.nodes if node.address.site is not None}
    kinds = {node.address.kind for node in graph.nodes}
    rows: list[tuple[RowKind, str, str]] = []
    if "token" in kinds:
        rows.append(("token", "token", "input"))
    for site in sorted(sites):
        rows.append(("site", site_label(site, graph.residual), _DETAILS[site.kind]))
    if "target" in kinds:
        rows.append(("target", "target", ""))
    return rows, {label: index for index, (_, label, _) in enumerate(rows)}


def _site(label: str, residual: str) -> Site | None:
    try:
        return Site.parse(label, residual)
    except UsageError:
        return None


def _row_key(graph: FeatureGraph, address: Address) -> str:
    return address.kind if address.site is None else site_label(address.site, graph.residual)


def _choose_levels(
    cells: dict[tuple[int, int | None], list[int]],
    columns: list[tuple[tuple[int | None, ...], bool]],
    lanes: list[int],
    rows: int,
) -> int:
    """The most boxes a cell may stack without making the page too high."""
    lanes_of = {positions[0]: lanes[i] for i, (positions, folded) in enumerate(columns) if not folded}
    for levels in range(_MAX_LEVELS, _MIN_LEVELS, -1):
        tallest = Counter[int]()
        for (row, position), nodes in cells.items():
            if position in lanes_of:
                tallest[row] = max(tallest[row], min(levels, math.ceil(len(nodes) / lanes_of[position])))
        boxes = sum(tallest.values()) * (BOX_HEIGHT + LEVEL_GAP)
        if boxes + rows * ROW_GAP <= PAGE_HEIGHT:
            return levels
    return _MIN_LEVELS
