"""Games of chess in PGN files: the moves of every game, without tags, comments, side lines, glyphs and results.

Source: the PGN specification of 1994 (https://www.saremba.de/chessgml/standards/pgn/pgn-complete.htm), sections 7, 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(r"\{[^}]*\}|;[^\n]*|^%[^\n]*|^\s*\[[^\n]*|[()]|[^\s(){};]+", re.MULTILINE)
_RESULTS: Final = ("1-0", "0-1", "1/2-1/2", "*")
_NUMBER: Final = re.compile(r"\d+\.*")


def games_of(text: str) -> list[str]:
    """The moves of every game of a PGN file, ``e4 e5 Nf3``, in the order of the file; games without moves are left out.

    Raises:
        ValueError: A side line does not end, or one ends that did not begin.
    """
    return [" ".join(moves) for moves in _games(text) if moves]


def _games(text: str) -> Iterator[list[str]]:
    moves: list[str] = []
    depth = 0
    for match in _TOKEN.finditer(text):
        word = match[0].strip()
        if word.startswith("[") and depth == 0:
            if moves:  # a new game's tags: the last one had no result
                yield moves
                moves = []
        elif word in "()":
            depth += 1 if word == "(" else -1
            if depth < 0:
                raise ValueError("a side line ends that did not begin")
        elif depth or word[0] in "{;%$[":
            continue
        elif word in _RESULTS:
            yield moves
            moves = []
        elif move := _NUMBER.sub("", word, count=1) if word[0].isdigit() else word:
            moves.append(move.rstrip("!?"))
    if depth:
        raise ValueError("a side line does not end")
    yield moves
