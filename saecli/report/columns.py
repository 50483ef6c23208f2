"""Shares the width of the page out among positions.

Step by step, the width goes to what shows the most absolute effect for it: a column for one more position, or one more
lane of boxes in a crowded column. What is left then flattens the tallest stacks and widens the boxes.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby
from typing import Final

from saecli.core.graph import FeatureGraph
from saecli.report.measure import text_width
from saecli.report.names import box_text
from saecli.report.sizes import (
    BOX_NARROW,
    BOX_PADDING,
    BOX_TIGHT,
    BOX_WIDE,
    COLUMN_GAP,
    FOLD_WIDTH,
    LABEL_SIZE,
    LANE_GAP,
    PAGE_WIDEST,
    PAGE_WIDTH,
)

Position = int | None
"""A token position; None stands for every position, and its column is the last."""

# What all nodes weigh by merely being there, against all the effect.
_PRESENCE: Final = 0.05
_CANDIDATES: Final = 64
_MANY_NODES: Final = 200
_WIDTH_PER_NODE: Final = 0.5


class Page:
    """The width of a page and what it is given to.

    Args:
        graph: The graph.
        cells: (row, position) → indices of nodes, strongest first.
        smallest: Least width of an open column.
        levels: How many boxes a cell is expected to stack.

    Attributes:
        lanes: Open positions and how many boxes stand side by side there.
        box_width: Width of a node's box.
    """

    def __init__(
        self, graph: FeatureGraph, cells: Mapping[tuple[int, Position], Sequence[int]], smallest: float, levels: int
    ) -> None:
        self._smallest = smallest
        self._levels = levels
        self._room = min(PAGE_WIDEST, PAGE_WIDTH + _WIDTH_PER_NODE * max(0, len(graph.nodes) - _MANY_NODES))
        self._positions = _all_positions(graph, {position for _, position in cells})
        self._wanted = _wanted_width(graph)
        self.box_width = min(self._wanted, BOX_TIGHT)
        self.lanes: dict[Position, int] = {}
        self._fullest: Counter[Position] = Counter()
        self._sums: defaultdict[Position, list[list[float]]] = defaultdict(list)
        total = sum(abs(node.effect) for node in graph.nodes) or 1.0
        presence = _PRESENCE / max(len(graph.nodes), 1)
        for (_, position), nodes in cells.items():
            gains = (abs(graph.nodes[i].effect) / total + presence for i in nodes)
            self._sums[position].append([0.0, *accumulate(gains)])
            self._fullest[position] = max(self._fullest[position], len(nodes))
        everything = {position: sum(sums[-1] for sums in cell) for position, cell in self._sums.items()}
        self._candidates = sorted(everything, key=lambda p: (-everything[p], p is None, p))[:_CANDIDATES]
        targets = {node.address.position for node in graph.nodes if node.address.kind == "target"}
        self.lanes.update(dict.fromkeys(sorted(targets, key=lambda p: (p is None, p))[-1:], 1))

    def share_out(self) -> None:
        """Give the width away."""
        while self._show_more():
            pass
        while self._flatten():
            pass
        if boxes := sum(self.lanes.values()):
            spare = (self._room - self._width(self.lanes)) / boxes
            self.box_width = min(self._wanted, self.box_width + max(spare, 0.0))

    def columns(self) -> list[tuple[tuple[Position, ...], bool]]:
        """Positions and whether they are folded: open ones singly, every run of the others as one."""
        return _columns(self._positions, self.lanes)

    def _show_more(self) -> bool:
        """Take the step that shows the most for its width; False if none fits or helps."""
        now = self._width(self.lanes)
        best: tuple[float, dict[Position, int]] | None = None
        for position in self._candidates:
            step = {**self.lanes, position: self.lanes.get(position, 0) + 1}
            gain = self._visible(position, step[position]) - self._visible(position, step[position] - 1)
            width = self._width(step)
            if gain <= 0 or (width > self._room and self.lanes):
                continue
            worth = gain / max(width - now, 1.0)
            if best is None or worth > best[0]:
                best = worth, step
        if best is None:
            return False
        self.lanes = best[1]
        return True

    def _flatten(self) -> bool:
        """Add a lane where boxes stack highest; False if that is not needed or does not fit."""
        few = 1 if len(self.lanes) <= 3 else 2 if len(self.lanes) <= 7 else 3
        stacks = [(math.ceil(self._fullest[position] / lanes), position) for position, lanes in self.lanes.items()]
        for height, position in sorted(stacks, key=lambda s: (-s[0], s[1] is None, s[1])):
            step = {**self.lanes, position: self.lanes[position] + 1}
            if height > few and self._width(step) <= self._room:
                self.lanes = step
                return True
        return False

    def _visible(self, position: Position, lanes: int) -> float:
        room = lanes * self._levels
        return sum(sums[min(room, len(sums) - 1)] for sums in self._sums[position])

    def _width(self, lanes: Mapping[Position, int]) -> float:
        folds = sum(folded for _, folded in _columns(self._positions, lanes))
        return folds * (FOLD_WIDTH + COLUMN_GAP) + sum(
            max(count * (self.box_width + LANE_GAP) - LANE_GAP, self._smallest) + COLUMN_GAP for count in lanes.values()
        )


def _all_positions(graph: FeatureGraph, used: set[Position]) -> list[Position]:
    placed = [position for position in used if position is not None]
    # A graph whose nodes all stand for every position has nothing to fold.
    length = max(len(graph.positions), max(placed) + 1) if placed else 0
    return [*range(length), *([None] if None in used else [])]


def _columns(positions: list[Position], lanes: Mapping[Position, int]) -> list[tuple[tuple[Position, ...], bool]]:
    columns: list[tuple[tuple[Position, ...], bool]] = []
    for is_open, run in groupby(positions, key=lambda position: position in lanes):
        members = tuple(run)
        columns.extend([((position,), False) for position in members] if is_open else [(members, True)])
    return columns


def _wanted_width(graph: FeatureGraph) -> float:
    """Width of a box that leaves 19 of 20 labels whole, within reason."""
    widths = sorted(text_width(box_text(graph, i), LABEL_SIZE) + BOX_PADDING for i in range(len(graph.nodes)))
    return min(max(widths[math.ceil(0.95 * (len(widths) - 1))], BOX_NARROW), BOX_WIDE) if widths else BOX_NARROW
