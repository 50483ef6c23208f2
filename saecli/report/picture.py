"""A graph's picture as a list of plain shapes, so that SVG, PNG and HTML cannot differ.

The body is what can be panned and zoomed: rows, columns, nodes, edges and boards. The whole picture adds the question
above it and the meaning of the numbers below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from saecli.core.graph import FeatureGraph
from saecli.report import captions, palette
from saecli.report.board import BOARD_COLOURS, board_shapes, game_of, squares_in
from saecli.report.layout import Box, Layout
from saecli.report.measure import fit, text_width, wrap
from saecli.report.shapes import Curved, Group, Rectangle, Shape, Text
from saecli.report.sizes import BOARD_SIDE, HEAD_SIZE, LABEL_SIZE, NOTE_SIZE, ROW_SIZE, TARGET_SIZE
from saecli.report.weights import share, strongest_weights

MARGIN: Final = 36.0
_TITLE, _SUBTITLE, _LEGEND, _NOTE = 22.0, 12.5, 11.5, 10.5
_SWATCHES: Final = (0.15, 0.4, 0.7, 1.0)


@dataclass(frozen=True)
class Picture:
    """Shapes in drawing order on a page of a size."""

    width: float
    height: float
    shapes: tuple[Group, ...]


def draw(graph: FeatureGraph, layout: Layout, words: captions.Words = captions.CIRCUIT) -> Picture:
    """The whole picture: title, legend, body and footnotes."""
    inside = layout.width
    head, top = _header(graph, layout, inside, words)
    main, height = body(graph, layout, words)
    notes, bottom = _footer(graph, inside, top + height, words)
    shapes = (
        Group("head", head, shift=(MARGIN, 0.0)),
        Group("body", main, shift=(MARGIN, top)),
        Group("foot", notes, shift=(MARGIN, 0.0)),
    )
    return Picture(inside + 2 * MARGIN, bottom + MARGIN * 0.7, shapes)


def body(
    graph: FeatureGraph, layout: Layout, words: captions.Words = captions.CIRCUIT
) -> tuple[tuple[Shape, ...], float]:
    """Everything but title, legend and footnotes, and its height with the boards."""
    boards, height = _boards(graph, layout)
    return (
        Group("rows", tuple(_rows(layout))),
        Group("columns", tuple(_columns(layout))),
        Group("edges", tuple(_edges(graph, layout, words))),
        Group("nodes", tuple(_nodes(graph, layout, words))),
        Group("boards", boards),
    ), height


def strength(value: float, largest: float) -> float:
    """How strongly a value is shaded: the square root of its share of the largest, so that small ones still show."""
    return (abs(value) / largest) ** 0.5 if largest else 0.0


def _rows(layout: Layout) -> Iterator[Shape]:
    for row in layout.rows:
        middle = (row.top + row.bottom) / 2
        if row.kind != "target":
            yield Rectangle(
                layout.left - 4,
                row.top - 7,
                layout.width - layout.left + 12,
                row.bottom - row.top + 14,
                6,
                palette.QUIET,
            )
        label, detail = row.label, row.detail
        if row.empty:
            yield Text(layout.left - 14, middle + 4, label, 11, palette.MUTED, "end")
            continue
        up = 2 if detail else -4
        yield Text(layout.left - 14, middle - up, label, ROW_SIZE, palette.INK, "end", bold=True)
        if detail:
            yield Text(layout.left - 14, middle + 11, detail, NOTE_SIZE, palette.MUTED, "end")


def _columns(layout: Layout) -> Iterator[Shape]:
    for column in layout.columns:
        ink = palette.MUTED if column.folded else palette.INK
        yield Text(column.middle, 18, column.head, HEAD_SIZE, ink, "middle", bold=column.is_target)
        yield Text(column.middle, 33, column.note, NOTE_SIZE, palette.MUTED, "middle")


def _edges(graph: FeatureGraph, layout: Layout, words: captions.Words) -> Iterator[Shape]:
    largest = strongest_weights(graph, captions.drawn_edges(graph, layout))
    for curve in layout.curves:
        edge = graph.edges[curve.edge]
        part = share(graph, edge, largest)
        role = words.edge_role(graph, edge)
        colour = palette.hue(None if not role else role in ("helps", "raises"))
        width, opacity = 0.7 + 3.6 * part, 0.13 + 0.72 * part**0.8
        yield Curved(curve.points, colour, width, opacity, key=f"e{curve.edge}")


def _nodes(graph: FeatureGraph, layout: Layout, words: captions.Words) -> Iterator[Shape]:
    largest = captions.strongest_effect(graph)
    for place, box in enumerate(layout.boxes):
        if box.node is None:
            hidden = [words.describe(graph, i) for i in box.hidden[:12]]
            more = [f"and {len(box.hidden) - 12:,} more"] if len(box.hidden) > 12 else []
            yield Group("chip", tuple(_chip(box)), key=f"c{place}", title="\n".join([*hidden, *more]))
            continue
        shapes = tuple(_node(graph, box, largest, words))
        yield Group("node", shapes, key=f"n{box.node}", title=words.describe(graph, box.node))


def _chip(box: Box) -> Iterator[Shape]:
    radius = box.height / 2
    yield Rectangle(box.left, box.top, box.width, box.height, radius, palette.PAPER, "#cfd5dd", 1.0)
    yield _label(box, 10.5, palette.MUTED)


def _node(graph: FeatureGraph, box: Box, largest: float, words: captions.Words) -> Iterator[Shape]:
    assert box.node is not None  # noqa: S101 - chips are drawn elsewhere
    node = graph.nodes[box.node]
    if node.address.kind == "target":
        yield Rectangle(box.left, box.top, box.width, box.height, box.height / 2, palette.INK, palette.INK, 1.0)
        yield _label(box, TARGET_SIZE, palette.PAPER, bold=True)
        return
    role = words.node_role(graph, node)
    helps = None if not role else role == "helps"
    power = strength(node.effect, largest)
    fill = palette.shade(helps, power)
    error = node.address.kind == "error"
    border = palette.mix(palette.hue(helps), palette.INK, 0.45) if error else palette.shade(helps, 0.35 + 0.65 * power)
    yield Rectangle(box.left, box.top, box.width, box.height, 5, fill, border, 1.3 if error else 1.0, dashed=error)
    yield _label(box, LABEL_SIZE, palette.ink_on(fill))


def _label(box: Box, size: float, colour: str, bold: bool = False) -> Text:
    return Text(box.middle, box.top + box.height / 2 + size * 0.36, box.text, size, colour, "middle", bold)


def _boards(graph: FeatureGraph, layout: Layout) -> tuple[tuple[Shape, ...], float]:
    shapes: list[Shape] = []
    top = layout.height + 22
    targets = squares_in(graph.metric.target)
    last = max(
        (p for c in layout.columns if not c.folded and c.board for p in c.positions if p is not None), default=-1
    )
    for column in layout.columns:
        position = column.positions[0]
        if column.folded or not column.board or position is None:
            continue
        played = next(iter(squares_in(graph.positions[position].text)), None)
        aim = targets[0] if targets and position == last else None
        left = column.middle - BOARD_SIDE / 2
        title = f"position {position}: after {column.head}"
        shapes.append(
            Group("board", tuple(board_shapes(column.board, left, top, BOARD_SIDE, played, aim)), title=title)
        )
        shapes.append(
            Text(column.middle, top + BOARD_SIDE + 15, f"after {column.head}", NOTE_SIZE, palette.MUTED, "middle")
        )
    if not shapes:
        return (), layout.height
    return tuple(shapes), top + BOARD_SIDE + 22


def _header(
    graph: FeatureGraph, layout: Layout, width: float, words: captions.Words
) -> tuple[tuple[Shape, ...], float]:
    shapes: list[Shape] = []
    y = 16.0
    for line in wrap(captions.headline(graph), _TITLE, width, 2, bold=True):
        y += _TITLE * 1.28
        shapes.append(Text(0, y, line, _TITLE, palette.INK, "start", bold=True))
    y += 3
    for text in words.subtitles(graph, layout):
        for line in wrap(text, _SUBTITLE, width, 3):
            y += _SUBTITLE * 1.5
            shapes.append(Text(0, y, line, _SUBTITLE, palette.MUTED))
    y += 10
    x = 0.0
    y += _LEGEND * 1.7
    for entry in words.legend(graph):
        mark, used = legend_mark(entry.mark, y)
        text = fit(entry.text, _LEGEND, width - used - 8)
        needed = used + 8 + text_width(text, _LEGEND)
        if x and x + needed > width:
            x, y = 0.0, y + _LEGEND * 1.75
            mark, used = legend_mark(entry.mark, y)
        shapes.append(Group("mark", tuple(mark), shift=(x, 0.0)))
        shapes.append(Text(x + used + 8, y, text, _LEGEND, palette.INK))
        x += needed + 26
    note = words.scale_note(graph, layout)
    if x and x + text_width(note, _LEGEND) > width:
        x, y = 0.0, y + _LEGEND * 1.75
    shapes.append(Text(x, y, fit(note, _LEGEND, width), _LEGEND, palette.MUTED))
    return tuple(shapes), y + 26


def legend_mark(mark: captions.Mark, y: float) -> tuple[list[Shape], float]:
    """A legend's mark standing on the line ``y``, and its width."""
    top = y - 10.5
    if mark in ("helps", "hurts", "both"):
        helps = None if mark == "both" else mark == "helps"
        fills = [palette.shade(helps, share) for share in _SWATCHES]
        return [Rectangle(i * 12, top, 12, 13, 0, fill) for i, fill in enumerate(fills)], 12.0 * len(fills)
    if mark == "error":
        border = palette.mix(palette.NEUTRAL, palette.INK, 0.6)
        return [Rectangle(0, top, 30, 13, 4, palette.PAPER, border, 1.3, dashed=True)], 30.0
    colours = {"edge-helps": [palette.HELPS], "edge-hurts": [palette.HURTS], "edge": [palette.HELPS, palette.HURTS]}
    lines: list[Shape] = []
    for i, colour in enumerate(colours[mark]):
        x = 24.0 * i
        points = ((x, y - 4), (x, y - 4), (x + 7, y - 4), (x + 13, y - 4), (x + 20, y - 4), (x + 20, y - 4))
        lines.append(Curved(points, colour, 2.6, 0.8))
    return lines, 24.0 * len(colours[mark]) - 4


def _footer(graph: FeatureGraph, width: float, y: float, words: captions.Words) -> tuple[tuple[Shape, ...], float]:
    lines = [line for note in words.footnotes(graph) for line in wrap(note, _NOTE, width, 2)]
    if not any(p.board for p in graph.positions):
        lines[:0] = wrap(captions.input_text(graph), _NOTE, width, 3)
    shapes: list[Shape] = []
    y += 14
    for line in lines:
        y += _NOTE * 1.55
        shapes.append(Text(0, y, line, _NOTE, palette.MUTED))
    if any(p.board for p in graph.positions):
        y += _NOTE * 1.55
        shapes.append(Text(0, y, fit(BOARD_COLOURS[game_of(graph)], _NOTE, width), _NOTE, palette.MUTED))
    return tuple(shapes), y
