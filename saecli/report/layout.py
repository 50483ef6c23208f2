"""The geometry of a graph's picture: a plain noun that SVG, PNG and HTML draw alike.

Rows are sites from early (bottom) to the target (top), columns are positions with their token or move. Coordinates are
in pixels of the picture's body, from its top left corner. :func:`saecli.report.place.lay_out` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from saecli.report.grid import RowKind

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A drawn node, or the chip that counts the nodes a cell has no room for.

    Attributes:
        left, top, width, height: Its place.
        text: What stands in it, already short enough.
        node: Index of the node in the graph; None for a chip.
        hidden: Indices of the nodes a chip counts.
        row, column: Its cell.
    """

    left: float
    top: float
    width: float
    height: float
    text: str
    node: int | None
    hidden: tuple[int, ...]
    row: int
    column: int

    @property
    def middle(self) -> float:
        """Horizontal centre."""
        return self.left + self.width / 2

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.top + self.height


@dataclass(frozen=True)
class Row:
    """A band of the picture: one site, the tokens or the target.

    Attributes:
        kind: What stands in it.
        label: The site as addresses write it.
        detail: What that means, in words.
        top, bottom: The band that its boxes fill.
        empty: Whether no node of the graph lies in it.
    """

    kind: RowKind
    label: str
    detail: str
    top: float
    bottom: float
    empty: bool


@dataclass(frozen=True)
class Column:
    """A position or a run of folded ones.

    Attributes:
        positions: Token positions, ``(None,)`` for "every position".
        left, width: The strip it fills.
        head, note: The two lines above it.
        board: The board after its token, if there is one to draw.
        folded: Whether it only counts its nodes.
        is_target: Whether the target is read here.
    """

    positions: tuple[int | None, ...]
    left: float
    width: float
    head: str
    note: str
    board: str | None
    folded: bool
    is_target: bool

    @property
    def middle(self) -> float:
        """Horizontal centre."""
        return self.left + self.width / 2


@dataclass(frozen=True)
class Curve:
    """A drawn edge.

    Attributes:
        edge: Index of the edge in the graph.
        points: Start, then any number of straight pieces (one point) each followed by a bend (two control points and
            its end), then the end of a last straight piece. Straight pieces may be empty.
    """

    edge: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Layout:
    """The geometry of a graph's picture.

    Attributes:
        width, height: Size of the body: row labels, column heads and boxes, without title, legend and boards.
        left: Where the row labels end.
        rows: From bottom to top.
        columns: From left to right.
        boxes: Drawn nodes and chips; no two overlap.
        curves: Drawn edges, weakest first. Only edges between drawn nodes: one that ends in a chip would say of a
            whole group what is true of one node.
    """

    width: float
    height: float
    left: float
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    boxes: tuple[Box, ...]
    curves: tuple[Curve, ...]

    @property
    def drawn_nodes(self) -> int:
        """How many nodes have a box of their own."""
        return sum(box.node is not None for box in self.boxes)
