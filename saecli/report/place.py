"""Places a graph of any size on a readable page: columns, rows, the order of nodes in a cell, boxes, edges."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Final

from saecli.core.graph import FeatureGraph
from saecli.report.grid import ColumnPlan, Grid, plan_grid
from saecli.report.layout import Box, Column, Layout, Row
from saecli.report.measure import fit, text_width, visible
from saecli.report.names import box_text
from saecli.report.routes import route
from saecli.report.sizes import (
    BOARD_SIDE,
    BOX_HEIGHT,
    COLUMN_GAP,
    EMPTY_ROW,
    FOLD_WIDTH,
    HEAD_HEIGHT,
    HEAD_SIZE,
    LABEL_SIZE,
    LANE_GAP,
    LEVEL_GAP,
    NO_HEAD,
    NOTE_SIZE,
    ROW_GAP,
    ROW_SIZE,
    TARGET_EXTRA,
    TARGET_SIZE,
)
from saecli.report.weights import share, strongest_weights

MAX_CURVES: Final = 420

_LEAST_WIDTH: Final = 640.0
_WIDEST_GAP: Final = 64.0
_SWEEPS: Final = 6


def lay_out(graph: FeatureGraph) -> Layout:
    """Place a graph of any size on a readable page."""
    has_boards = any(position.board for position in graph.positions)
    heads = [text_width(visible(p.note), NOTE_SIZE) for p in graph.positions]
    grid = plan_grid(graph, smallest_column=max(BOARD_SIDE if has_boards else 0.0, min(max(heads, default=0.0), 90.0)))
    left = _label_width(grid)
    columns, width = _place_columns(graph, grid, left, BOARD_SIDE if has_boards else 0.0)
    chosen = _choose_edges(graph, grid)
    rows, height = _place_rows(graph, grid, chosen, HEAD_HEIGHT if any(c.head for c in columns) else NO_HEAD)
    order = _order_cells(graph, grid, columns, rows, chosen)
    boxes = _place_boxes(graph, grid, columns, rows, order)
    curves = route(graph, chosen, boxes, rows, columns)
    return Layout(width, height, left, rows, columns, boxes, curves)


def _label_width(grid: Grid) -> float:
    widths = [max(text_width(row.label, ROW_SIZE, bold=True), text_width(row.detail, NOTE_SIZE)) for row in grid.rows]
    return max(widths, default=0.0) + 22.0


def _place_columns(graph: FeatureGraph, grid: Grid, left: float, smallest: float) -> tuple[tuple[Column, ...], float]:
    widths = [
        FOLD_WIDTH
        if column.folded
        else max(column.lanes * grid.box_width + (column.lanes - 1) * LANE_GAP, smallest, _head_width(graph, column))
        for column in grid.columns
    ]
    count = max(len(widths), 1)
    gap = min(_WIDEST_GAP, max(COLUMN_GAP, (_LEAST_WIDTH - left - sum(widths)) / count))
    used = sum(widths) + gap * count
    width = max(_LEAST_WIDTH, left + used)
    x = left + (width - left - used) / 2 + gap / 2
    targets = {node.address.position for node in graph.nodes if node.address.kind == "target"}
    placed: list[Column] = []
    for column, own in zip(grid.columns, widths, strict=True):
        head, note, board = _heading(graph, column, own + gap - 6)
        is_target = not column.folded and column.positions[0] in targets
        placed.append(Column(column.positions, x, own, head, note, board, column.folded, is_target))
        x += own + gap
    return tuple(placed), width


def _head_width(graph: FeatureGraph, column: ColumnPlan) -> float:
    """Room for the head of a column, within reason."""
    head, note, _ = _heading(graph, column, math.inf)
    return min(max(text_width(head, HEAD_SIZE, bold=True), text_width(note, NOTE_SIZE)) - COLUMN_GAP + 8, 96.0)


def _heading(graph: FeatureGraph, column: ColumnPlan, width: float) -> tuple[str, str, str | None]:
    """Head, note and board of a column, cut to a width."""
    if column.folded:
        return "…", f"{len(column.positions):,} more", None
    position = column.positions[0]
    if position is None:
        return ("every", "position", None) if len(graph.positions) > 1 else ("", "", None)
    if position >= len(graph.positions):
        return str(position), "", None
    token = graph.positions[position]
    return (
        fit(visible(token.text), HEAD_SIZE, width, bold=True),
        fit(visible(token.note), NOTE_SIZE, width),
        token.board,
    )


def _choose_edges(graph: FeatureGraph, grid: Grid) -> list[int]:
    """The strongest edges between drawn nodes, strongest first."""
    drawn = {graph.nodes[i].address for nodes in grid.shown.values() for i in nodes}
    between = [
        i
        for i, edge in enumerate(graph.edges)
        if edge.source in drawn and edge.target in drawn and edge.source != edge.target
    ]
    largest = strongest_weights(graph, (graph.edges[i] for i in between))
    return sorted(between, key=lambda i: (-share(graph, graph.edges[i], largest), i))[:MAX_CURVES]


def _place_rows(graph: FeatureGraph, grid: Grid, chosen: list[int], head: float) -> tuple[tuple[Row, ...], float]:
    """Bands from top to bottom of the page; the channel under a row grows with the edges that cross it sideways."""
    row_of = {graph.nodes[i].address: row for (row, _), nodes in grid.shown.items() for i in nodes}
    sideways: defaultdict[int, int] = defaultdict(int)
    for index in chosen:
        edge = graph.edges[index]
        if edge.source.position != edge.target.position:
            sideways[row_of[edge.target]] += 1
    placed: list[Row] = []
    y = head
    crowded = len(grid.rows) > 16
    for number in range(len(grid.rows) - 1, -1, -1):
        plan = grid.rows[number]
        tall = plan.levels * (BOX_HEIGHT + LEVEL_GAP) - LEVEL_GAP if plan.levels else EMPTY_ROW
        tall += TARGET_EXTRA if plan.kind == "target" else 0.0
        placed.append(Row(plan.kind, plan.label, plan.detail, y, y + tall, plan.levels == 0))
        gap = ROW_GAP * (0.75 if crowded else 1.0) + min(40.0, 1.5 * sideways[number])
        y += tall + (gap if plan.levels else gap / 2)
    height = placed[-1].bottom + 16.0 if placed else y
    return tuple(reversed(placed)), height


def _slots(count: int, lanes: int) -> list[tuple[int, int]]:
    """Places of ``count`` boxes in a cell as (lane, level), in balanced levels from the top.

    Levels keep to whole lanes, so that the corridors between lanes run through all rows.
    """
    levels = math.ceil(count / lanes)
    slots: list[tuple[int, int]] = []
    for level in range(levels):
        here = count // levels + (level < count % levels)
        start = (lanes - here) // 2
        slots.extend((start + i, level) for i in range(here))
    return slots


def _lane_middle(column: Column, lanes: int, lane: int, pitch: float, row: Row) -> float:
    """Centre of a lane; the target stands in the middle of its column, for nothing passes by it."""
    return column.middle if row.kind == "target" else column.middle + (lane - (lanes - 1) / 2) * pitch


def _order_cells(
    graph: FeatureGraph,
    grid: Grid,
    columns: tuple[Column, ...],
    rows: tuple[Row, ...],
    chosen: list[int],
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """The slot of every drawn node, aligned with ``grid.shown``, by sweeps of the weighted barycentre."""
    pitch = grid.box_width + LANE_GAP
    at = {graph.nodes[i].address: i for nodes in grid.shown.values() for i in nodes}
    neighbours: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
    largest = strongest_weights(graph, (graph.edges[i] for i in chosen))
    for index in chosen:
        edge = graph.edges[index]
        source, target, pull = at[edge.source], at[edge.target], share(graph, edge, largest)
        neighbours[source].append((target, pull))
        neighbours[target].append((source, pull))
    x: dict[int, float] = {}
    placed: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def arrange(key: tuple[int, int], ranked: list[int]) -> None:
        column = grid.columns[key[1]]
        slots = _slots(len(ranked) + bool(grid.hidden.get(key)), column.lanes)[: len(ranked)]
        # Lanes from left to right take the nodes in the order of the sweep; within a lane the strongest is on top.
        by_lane = sorted(slots)
        given: dict[int, tuple[int, int]] = {}
        for lane in sorted({lane for lane, _ in slots}):
            here = [slot for slot in by_lane if slot[0] == lane]
            members, ranked = ranked[: len(here)], ranked[len(here) :]
            members = sorted(members, key=grid.shown[key].index)
            given.update(zip(members, here, strict=True))
        placed[key] = [given[i] for i in grid.shown[key]]
        for i, (lane, _) in given.items():
            x[i] = _lane_middle(columns[key[1]], column.lanes, lane, pitch, rows[key[0]])

    for key, nodes in grid.shown.items():
        arrange(key, list(nodes))
    keys = sorted(key for key in grid.shown if grid.columns[key[1]].lanes > 1)
    for sweep in range(_SWEEPS):
        for key in keys if sweep % 2 == 0 else reversed(keys):
            middle = columns[key[1]].middle
            pulls: list[tuple[float, int]] = []
            for rank, i in enumerate(grid.shown[key]):
                weight = sum(w for _, w in neighbours[i])
                pulls.append((sum(x[j] * w for j, w in neighbours[i]) / weight if weight else middle, rank))
            arrange(key, [grid.shown[key][rank] for _, rank in sorted(pulls)])
    return placed


def _chip_text(count: int, width: float) -> str:
    text = f"+{count:,} more"
    return text if text_width(text, LABEL_SIZE) <= width - 8 else f"+{count:,}"


def _place_boxes(
    graph: FeatureGraph,
    grid: Grid,
    columns: tuple[Column, ...],
    rows: tuple[Row, ...],
    order: dict[tuple[int, int], list[tuple[int, int]]],
) -> tuple[Box, ...]:
    boxes: list[Box] = []
    pitch = grid.box_width + LANE_GAP
    for key in sorted({*grid.shown, *grid.hidden}):
        row, number = key
        band, column, lanes = rows[row], columns[number], grid.columns[number].lanes
        nodes, hidden = grid.shown.get(key, ()), grid.hidden.get(key, ())
        count = len(nodes) + bool(hidden)
        levels = math.ceil(count / lanes)
        tall = BOX_HEIGHT + (TARGET_EXTRA if band.kind == "target" else 0.0)
        used = levels * (tall + LEVEL_GAP) - LEVEL_GAP
        top = (band.top + band.bottom - used) / 2
        slots = [*order.get(key, []), *_slots(count, lanes)[len(nodes) :]]
        for place, (lane, level) in enumerate(slots):
            middle = _lane_middle(column, lanes, lane, pitch, band)
            chip = place == len(nodes)
            width = FOLD_WIDTH if column.folded else grid.box_width
            text = _chip_text(len(hidden), width) if chip else box_text(graph, nodes[place])
            if band.kind == "target" and not chip:
                # nothing else stands in this row, so the pill may reach over its neighbours
                ends = middle - columns[0].left, columns[-1].left + columns[-1].width - middle
                room = max(column.width + COLUMN_GAP - 8, 2 * min(ends))
                width = max(width, min(text_width(text, TARGET_SIZE, bold=True) + 28, room))
            boxes.append(
                Box(
                    left=middle - width / 2,
                    top=top + level * (tall + LEVEL_GAP),
                    width=width,
                    height=tall,
                    text=fit(text, TARGET_SIZE, width - 16, bold=True)
                    if band.kind == "target"
                    else fit(text, LABEL_SIZE, width - 8),
                    node=None if chip else nodes[place],
                    hidden=hidden if chip else (),
                    row=row,
                    column=number,
                )
            )
    return tuple(boxes)
