"""How edges run: up along the boxes of a column, sideways only in the free channels between rows.

The edges that touch one lane of a cell share its width (ports), in the order of where they come from, so that
neighbours do not cross and parallel edges stay apart. A weak edge may pass behind other boxes; a strong one runs in
the free corridors between lanes and columns, so that it can be followed from end to end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from saecli.core.graph import FeatureGraph
from saecli.report.layout import Box, Column, Curve, Point, Row
from saecli.report.sizes import COLUMN_GAP

STRONG: Final = 120
"""How many edges get corridors of their own."""

_PORT_SPACING: Final = 7.0
_PORT_SHARE: Final = 0.82
_CLEAR: Final = 4.0
_TURN: Final = 9.0
_TRACK: Final = 3.5


def route(
    graph: FeatureGraph,
    chosen: Sequence[int],
    boxes: Sequence[Box],
    rows: Sequence[Row],
    columns: Sequence[Column],
) -> tuple[Curve, ...]:
    """Curves of the chosen edges (strongest first), in drawing order: weakest first."""
    box_of = {graph.nodes[box.node].address: box for box in boxes if box.node is not None}
    ends = {i: (box_of[graph.edges[i].source], box_of[graph.edges[i].target]) for i in chosen}
    leave, enter = _ports(ends, 0), _ports(ends, 1)
    corridors = _Corridors(boxes, columns)
    curves: list[Curve] = []
    for place, index in enumerate(chosen):
        source, target = ends[index]
        if source.row >= target.row:
            points = _bend((leave[index], source.top), (enter[index], target.bottom))
            points = (points[0], points[0], *points[1:], points[-1])
        elif place < STRONG:
            points = _clear_path(source, target, leave[index], enter[index], rows, corridors)
        else:
            points = _plain_path(source, target, leave[index], enter[index], rows)
        curves.append(Curve(index, points))
    return tuple(reversed(curves))


def _plain_path(source: Box, target: Box, start: float, end: float, rows: Sequence[Row]) -> tuple[Point, ...]:
    """Up behind the boxes of the source's column, sideways right under the target's row."""
    turn, arrive = (start, rows[target.row - 1].top - _CLEAR), (end, rows[target.row].bottom + _CLEAR)
    return ((start, source.top), *_bend(turn, arrive), (end, target.bottom))


def _clear_path(
    source: Box, target: Box, start: float, end: float, rows: Sequence[Row], corridors: _Corridors
) -> tuple[Point, ...]:
    """A path that passes behind no box."""
    open_above, open_below = corridors.is_free(source, above=True), corridors.is_free(target, above=False)
    low = rows[source.row].top - _CLEAR
    high = rows[target.row - 1].top - _CLEAR
    entry = end
    tail: tuple[Point, ...] = ((end, target.bottom),)
    if not open_below:
        entry = corridors.take(target, (target.row,), target.bottom, rows[target.row].bottom, start, target.middle)
        side = target.left if entry < target.middle else target.left + target.width
        middle = target.top + target.height / 2
        tail = ((entry, middle + _TURN), (entry, middle), (entry, middle), (side, middle), (side, middle))
    between = range(source.row + (1 if open_above else 0), target.row)
    if not between or (open_above and not corridors.blocked(source.column, between, start)):
        return ((start, source.top), *_bend((start, high), (entry, rows[target.row].bottom + _CLEAR)), *tail)
    lane = corridors.take(source, between, source.bottom, high, start if open_above else source.middle, entry)
    if open_above:
        head = ((start, source.top), *_bend((start, low), (lane, rows[source.row + 1].bottom + _CLEAR)))
    else:
        side = source.left if lane < source.middle else source.left + source.width
        middle = source.top + source.height / 2
        head = ((side, middle), (side, middle), (lane, middle), (lane, middle), (lane, middle - _TURN))
    return (*head, *_bend((lane, high), (entry, rows[target.row].bottom + _CLEAR)), *tail)


def _bend(start: Point, end: Point) -> tuple[Point, Point, Point, Point]:
    """A curve that begins and ends upright."""
    middle = (start[1] + end[1]) / 2
    return start, (start[0], middle), (end[0], middle), end


class _Corridors:
    """The free upright strips of every column and who runs in them."""

    def __init__(self, boxes: Sequence[Box], columns: Sequence[Column]) -> None:
        self._columns = columns
        self._cells: defaultdict[tuple[int, int], list[Box]] = defaultdict(list)
        for box in boxes:
            self._cells[box.row, box.column].append(box)
        self._taken: defaultdict[tuple[int, int], list[tuple[float, float, float]]] = defaultdict(list)

    def is_free(self, box: Box, above: bool) -> bool:
        """Whether nothing of the box's own cell lies straight above or below it."""
        others = (other for other in self._cells[box.row, box.column] if other.middle == box.middle)
        return not any(other.top < box.top if above else other.top > box.top for other in others)

    def blocked(self, column: int, rows: Sequence[int], x: float) -> bool:
        """Whether a box of the rows lies in the way of an upright line."""
        return any(box.left - 2 < x < box.left + box.width + 2 for row in rows for box in self._cells[row, column])

    def take(self, box: Box, rows: Sequence[int], bottom: float, top: float, *wishes: float) -> float:
        """A line in the free strip of the box's column that is nearest to the wishes, apart from those taken."""
        column = self._columns[box.column]
        solid = sorted((b.left, b.left + b.width) for row in rows for b in self._cells[row, box.column])
        margin = COLUMN_GAP / 2 - 2
        free: list[tuple[float, float]] = []
        edge = min(column.left, *(left for left, _ in solid)) - 2 * margin
        for left, right in solid:
            if left - edge >= 6:
                free.append((edge, left))
            edge = max(edge, right)
        free.append((edge, max(edge, column.left + column.width) + 2 * margin))
        strip = min(free, key=lambda gap: (sum(abs(wish - (gap[0] + gap[1]) / 2) for wish in wishes), gap))
        centre, half = (strip[0] + strip[1]) / 2, (strip[1] - strip[0]) / 2 - 1.5
        key = box.column, round(centre)
        steps = range(max(0, int(half / _TRACK)) + 1)
        tracks = sorted({sign * step * _TRACK for step in steps for sign in (1, -1)}, key=lambda t: (abs(t), t))
        low, high = max(bottom, top), min(bottom, top)

        def crowd(track: float) -> int:
            return sum(t == track and high < b and a < low for t, a, b in self._taken[key])

        track = min(tracks, key=lambda t: (crowd(t), abs(t), t))
        self._taken[key].append((track, high, low))
        return centre + track


def _ports(ends: dict[int, tuple[Box, Box]], side: int) -> dict[int, float]:
    """Horizontal place where every edge touches its source (side 0) or target (side 1)."""
    lanes: defaultdict[tuple[int, float], list[int]] = defaultdict(list)
    for index, boxes in ends.items():
        lanes[boxes[side].row, boxes[side].middle].append(index)
    ports: dict[int, float] = {}
    for members in lanes.values():
        # The same order at both ends of a bundle keeps its edges parallel.
        members.sort(key=lambda i: (ends[i][1 - side].middle, _span(*ends[i]), ends[i][0].top, ends[i][1].top, i))
        box = ends[members[0]][side]
        step = min(_PORT_SPACING, box.width * _PORT_SHARE / max(len(members) - 1, 1))
        first = box.middle - step * (len(members) - 1) / 2
        ports.update((index, first + step * place) for place, index in enumerate(members))
    return ports


def _span(source: Box, target: Box) -> int:
    return abs(source.row - target.row)
