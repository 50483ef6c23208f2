"""A small board: the position after a token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from saecli.core.graph import FeatureGraph
from saecli.report.palette import HELPS, INK, PAPER
from saecli.report.shapes import Disc, Rectangle, Shape, Text

_FELT, _GRID, _PLAYED = "#eef2ee", "#cdd6cf", "#bccabf"
BOARD_COLOURS: Final = {
    "othello": "Boards: A1 is the top left square; the dot marks the move just played, the blue square the target.",
    "chess": "Boards: a1 is the bottom left square, White plays up; shown where a move ends.",
}
"""How boards of a game are read."""
_GLYPHS: Final = dict(zip("KQRBNPkqrbnp", "♔♕♖♗♘♙♚♛♜♝♞♟", strict=True))
_DARK: Final = "#dbe3ec"
_SQUARE: Final = re.compile(r"\b([A-Ha-h])([1-8])\b")


def game_of(graph: FeatureGraph) -> str:
    """``chess`` or ``othello`` of a graph that shows boards, else empty."""
    boards = [position.board for position in graph.positions if position.board]
    boards += [context.board for one in graph.features.values() for context in one.contexts if context.board]
    if not boards:
        return ""
    return "chess" if any(map(is_chess, boards)) else "othello"


def is_chess(board: str) -> bool:
    """Whether a board has chess pieces on it."""
    return not set(board).isdisjoint(_GLYPHS)


def squares_in(text: str) -> list[int]:
    """The squares a text names, as indices from A1 (0) along the first row to H8 (63)."""
    return [8 * (int(row) - 1) + "ABCDEFGH".index(column.upper()) for column, row in _SQUARE.findall(text)]


def board_shapes(
    board: str, left: float, top: float, side: float, played: int | None = None, target: int | None = None
) -> Iterator[Shape]:
    """Draw a board.

    Args:
        board: 64 characters row by row from A1: ``x`` black, ``o`` white, or ``KQRBNPkqrbnp`` of chess, whose first row
            is drawn at the bottom; ``.`` empty.
        left, top, side: Its place.
        played: Square of the move that led here.
        target: Square to point at.
    """
    cell = side / 8
    if is_chess(board):
        yield from _chess_shapes(board, left, top, side)
        return
    yield Rectangle(left, top, side, side, 2, _FELT, _GRID, 1.0)
    for line in range(1, 8):
        yield Rectangle(left + line * cell - 0.25, top, 0.5, side, 0, _GRID)
        yield Rectangle(left, top + line * cell - 0.25, side, 0.5, 0, _GRID)
    if played is not None:
        yield Rectangle(left + played % 8 * cell, top + played // 8 * cell, cell, cell, 0, _PLAYED)
    for index, piece in enumerate(board[:64]):
        x, y = left + (index % 8 + 0.5) * cell, top + (index // 8 + 0.5) * cell
        if piece in "xo":
            yield Disc(x, y, cell * 0.38, INK if piece == "x" else PAPER, INK, 0.7)
        if index == played:
            yield Disc(x, y, cell * 0.13, PAPER if piece == "x" else INK)
    if target is not None:
        x, y = left + target % 8 * cell, top + target // 8 * cell
        yield Rectangle(x, y, cell, cell, 1, _FELT, HELPS, 2.2)


def _chess_shapes(board: str, left: float, top: float, side: float) -> Iterator[Shape]:
    cell = side / 8
    yield Rectangle(left, top, side, side, 2, PAPER, _GRID, 1.0)
    for index, piece in enumerate(board[:64]):
        x, y = left + index % 8 * cell, top + (7 - index // 8) * cell
        if (index // 8 + index) % 2 == 0:
            yield Rectangle(x, y, cell, cell, 0, _DARK)
        if piece in _GLYPHS:
            yield Text(x + cell / 2, y + cell * 0.84, _GLYPHS[piece], cell, INK, "middle")
