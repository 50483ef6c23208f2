"""How edges run: straight up behind the boxes of a column, sideways only in the free channels between rows.

An edge leaves its node at the top, turns in the channel under its target's row, and enters the target from below. The
edges of one lane of a cell share its width (ports), sorted by where they come from, so that neighbours do not cross and
parallel edges stay apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from saecli.core.graph import FeatureGraph
from saecli.report.layout import Box, Curve, Row

_PORT_SPACING: Final = 7.0
_PORT_SHARE: Final = 0.82


def route(graph: FeatureGraph, chosen: Sequence[int], boxes: Sequence[Box], rows: Sequence[Row]) -> tuple[Curve, ...]:
    """Curves of the chosen edges (strongest first), in drawing order: weakest first."""
    box_of = {graph.nodes[box.node].address: box for box in boxes if box.node is not None}
    ends = {i: (box_of[graph.edges[i].source], box_of[graph.edges[i].target]) for i in chosen}
    leave = _ports(ends, 0)
    enter = _ports(ends, 1)
    curves: list[Curve] = []
    for index in reversed(chosen):
        source, target = ends[index]
        start, end = (leave[index], source.top), (enter[index], target.bottom)
        turn, arrive = rows[source.row].top - 4.0, rows[target.row].bottom + 4.0
        if source.row < target.row:
            # Sideways only in the channel under the target's row.
            turn = rows[target.row - 1].top - 4.0
        else:
            turn, arrive = start[1], end[1]
        middle = (turn + arrive) / 2
        curves.append(
            Curve(index, (start, (start[0], turn), (start[0], middle), (end[0], middle), (end[0], arrive), end))
        )
    return tuple(curves)


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
