"""Chess games written down while they are played, many at once.

Shapes: N games, L plies of the longest one, W characters of one ply with its number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saecli.games.chess_moves import LegalMoves, codes, legal_moves
from saecli.games.chess_position import Position, Steps
from saecli.games.chess_san import WORD_WIDTH, written

Choice = Callable[[int, npt.NDArray[np.intp], LegalMoves], Steps]
"""From the ply, the games that are still played and their legal moves to one move each; none ends a game."""


@dataclass(frozen=True)
class Games:
    """Games as text and as moves.

    Attributes:
        texts: ``;1.e4 e5 2.Nf3``, one per game.
        moves: uint16 [N, L], from | to << 6 | promotion << 12 (1 knight, 2 bishop, 3 rook, 4 queen), 0 after the end.
    """

    texts: list[str]
    moves: npt.NDArray[np.uint16]


def play(n: int, choose: Choice, max_chars: int | None = None) -> Games:
    """Plays n games by a choice of moves and writes them down.

    Args:
        n: how many.
        choose: the moves.
        max_chars: games are played until their text is that long, and cut there; no limit if left out.
    """
    position, games = Position.start(n), np.arange(n)
    length = np.zeros(n, dtype=np.int64)
    plies_NW = [np.zeros((n, 0), dtype=np.uint8)]
    moves = [np.zeros((n, 0), dtype=np.uint16)]
    while True:
        legal = legal_moves(position)
        ply = len(moves) - 1
        if ply:
            mated = legal.count == 0
            sign = np.where(mated, np.uint8(ord("#")), np.uint8(ord("+")))
            plies_NW[-1][games, -1] = np.where(position.checkers != 0, sign, np.uint8(0))
            length[games] += np.count_nonzero(plies_NW[-1][games], axis=1)
        steps = choose(ply, games, legal)
        going = steps.origin != 0
        if max_chars is not None:
            going &= length[games] < max_chars
        rows = np.flatnonzero(going)
        if not rows.size:
            return Games(_texts(np.concatenate(plies_NW, axis=1), max_chars), np.concatenate(moves, axis=1))
        if len(rows) < len(games):
            games, position, steps = games[rows], position.take(rows), steps.take(rows)
        plies_NW.append(_one_ply(n, games, ply, written(position, steps)))
        moves.append(np.zeros((n, 1), dtype=np.uint16))
        moves[-1][games, 0] = codes(position, steps)
        position = position.play(steps)


def _one_ply(n: int, games: npt.NDArray[np.intp], ply: int, words: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Zeros where nothing is written: what separates moves, the number, and the move, [N, W]."""
    before = f"{' ' if ply else ';'}{'' if ply % 2 else f'{ply // 2 + 1}.'}".encode()
    found = np.zeros((n, len(before) + WORD_WIDTH), dtype=np.uint8)
    found[games, : len(before)] = np.frombuffer(before, dtype=np.uint8)
    found[games, len(before) :] = words
    return found


def _texts(characters: npt.NDArray[np.uint8], max_chars: int | None) -> list[str]:
    """What is written in each row, zeros left out; ``;`` for a game without moves."""
    joined = characters[characters != 0].tobytes().decode("ascii")
    stops = np.cumsum(np.count_nonzero(characters, axis=1)).tolist()
    return [(joined[start:stop] or ";")[:max_chars] for start, stop in zip([0, *stops], stops, strict=False)]
