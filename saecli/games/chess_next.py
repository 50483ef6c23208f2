"""What may be written next in a text of random moves: the exact distribution of every character.

``random_games`` plays every legal move with equal probability, so a character's probability is the share of the legal
moves, as they are written, that agree with what stands there of the move and go on with that character. Numbers, dots
and the spaces between moves follow with certainty. A game ends behind mate and stalemate, where nothing follows.

Shapes: N games, C characters, P positions of all games, M legal moves of all positions, V = 32 characters of
``chess_text.CHARACTERS``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saecli.games.chess_moves import legal_moves, steps_of
from saecli.games.chess_position import Position
from saecli.games.chess_san import written
from saecli.games.chess_tables import Squares
from saecli.games.chess_text import CHARACTERS
from saecli.games.chess_writer import Games

LONGEST_WORD = 8
"""Characters of the longest written move, ``bxa8=Q#`` or ``Qa1xb2+``, and the space behind it."""

_SPACE, _DOT, _CHECK, _MATE = (ord(character) for character in " .+#")
_TOKEN = np.zeros(256, dtype=np.intp)
_TOKEN[np.frombuffer(CHARACTERS.encode(), dtype=np.uint8)] = np.arange(len(CHARACTERS))
_V = len(CHARACTERS)
_FIRST_BYTES = np.array([(1 << 8 * length) - 1 for length in range(LONGEST_WORD + 1)], dtype=np.uint64)


def word_starts(characters_NC: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Squares]:
    """Where moves begin, behind their numbers.

    Args:
        characters_NC: uint8 [N, C], texts as ``random_games`` writes them in ASCII, 0 behind their ends.

    Returns:
        intp [P] each: the game, the move's number within it (from 0), and the place of its first character, which may
        be the first place behind the text. Ordered by game and place.
    """
    ply_NC = np.cumsum(characters_NC == _SPACE, axis=1)
    begins_NC = (characters_NC == _DOT) | ((characters_NC == _SPACE) & (ply_NC % 2 == 1))
    game_P, place_P = np.nonzero(begins_NC)
    return game_P, ply_NC[game_P, place_P], place_P + 1


def next_characters(games: Games) -> npt.NDArray[np.float32]:
    """The probability of every character behind every character of some games.

    Args:
        games: what ``random_games`` made, or other games from the start with the moves of their texts (a last move may
            be cut).

    Returns:
        float32 [N, C - 1, 32]: entry c is about character c + 1; zeros from a text's last character on.
    """
    characters_NC, game_P, start_P, position = _begun(games)
    n, width = characters_NC.shape
    found = np.zeros((n, max(0, width - 1), _V), dtype=np.float32)
    game, place = np.nonzero(characters_NC[:, 1:])
    found[game, place, _TOKEN[characters_NC[game, place + 1]]] = 1
    words_P = _behind(characters_NC, game_P, start_P)
    for offset, (rows, chances) in enumerate(_chances(position, words_P)):
        found[game_P[rows], start_P[rows] + offset - 1] = chances
    return found


def as_array(texts: list[str]) -> npt.NDArray[np.uint8]:
    """Texts in ASCII, uint8 [N, C], 0 behind their ends."""
    width = max(map(len, texts), default=0)
    joined = "".join(text.ljust(width, "\0") for text in texts).encode("ascii")
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(texts), width)


@dataclass(frozen=True)
class LegalWords:
    """Every move that could be written where a move of some games begins.

    Attributes:
        game, start: intp [P], where moves begin (``word_starts``) of which at least a character is written.
        row: intp [M], the one of these places that a legal move is for, ascending.
        word: uint64 [M], its characters without the sign of check (``packed``).
    """

    game: npt.NDArray[np.intp]
    start: npt.NDArray[np.intp]
    row: npt.NDArray[np.intp]
    word: npt.NDArray[np.uint64]

    def hold(self, words_P: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """bool [P]: whether each place's packed word is one of its legal moves."""
        return np.bincount(self.row[self.word == words_P[self.row]], minlength=len(self.game)) > 0


def legal_words(games: Games) -> LegalWords:
    """What could be written where the moves of games begin; see :func:`next_characters` for the games."""
    _, game_P, start_P, position = _begun(games)
    row_M, steps = legal_moves(position).every()
    return LegalWords(game_P, start_P, row_M, packed(written(position.take(row_M), steps)))


def packed(characters_RW: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """At most eight characters a row, zeros between them left out, as integers [R], the first in the lowest byte."""
    found = np.zeros(len(characters_RW), dtype=np.uint64)
    shift = np.zeros(len(characters_RW), dtype=np.uint64)
    for column in characters_RW.T:
        found |= column.astype(np.uint64) << shift
        shift += (column != 0).astype(np.uint64) << np.uint64(3)
    return found


def _begun(games: Games) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.intp], Squares, Position]:
    """The texts, where moves begin in them of which something is written, and the positions there."""
    characters_NC = as_array(games.texts)
    game_P, ply_P, start_P = word_starts(characters_NC)
    begun = start_P < characters_NC.shape[1]
    begun[begun] = characters_NC[game_P[begun], start_P[begun]] != 0
    game_P, ply_P, start_P = game_P[begun], ply_P[begun], start_P[begun]
    return characters_NC, game_P, start_P, _positions(games.moves, game_P, ply_P)


def _positions(moves: npt.NDArray[np.uint16], game_P: npt.NDArray[np.intp], ply_P: npt.NDArray[np.intp]) -> Position:
    """The positions before chosen moves of games that were played from the start."""
    position, before = Position.start(len(moves)), []
    for ply in range(int(ply_P.max(initial=-1)) + 1):
        before.append(position)
        position = position.play(steps_of(position, moves[:, ply]))
    if not before:
        return Position.start(0)
    pieces = np.stack([one.pieces for one in before])[ply_P, :, :, game_P].transpose(1, 2, 0)
    chosen = (np.stack([getattr(one, name) for one in before]) for name in ("castling", "en_passant", "black"))
    return Position(np.ascontiguousarray(pieces), *(values[ply_P, game_P] for values in chosen))


def _chances(
    position: Position, words_P: npt.NDArray[np.uint64]
) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]]:
    """By the number of characters that stand there of a word: the rows [R] in which one more does, and what it could
    be, float64 [R, 32]."""
    row_M, steps = legal_moves(position).every()
    word_M = packed(written(position.take(row_M), steps))
    told = np.flatnonzero(_agree(word_M, words_P[row_M], _length(word_M)))
    after = position.take(row_M[told]).play(steps.take(told))
    word_M[told] |= _ends(after) << (8 * _length(word_M[told])).astype(np.uint64)
    for offset in range(LONGEST_WORD):
        next_M = word_M >> np.uint64(8 * offset) & np.uint64(0xFF)
        counts = np.bincount(row_M * _V + _TOKEN[next_M.astype(np.intp)], next_M != 0, len(words_P) * _V)
        rows = np.flatnonzero(words_P >> np.uint64(8 * offset))
        counts = counts.reshape(-1, _V)[rows]
        total = counts.sum(1, keepdims=True)
        if not total.all():
            raise ValueError("the texts do not say the moves")
        yield rows, counts / total
        same = np.flatnonzero(_agree(word_M, words_P[row_M], np.full(len(row_M), offset + 1)))
        row_M, word_M = row_M[same], word_M[same]


def _agree(
    words: npt.NDArray[np.uint64], others: npt.NDArray[np.uint64], length: npt.NDArray[np.integer]
) -> npt.NDArray[np.bool_]:
    """Whether the first characters are the same."""
    return (words ^ others) & _FIRST_BYTES[length] == 0


def _ends(after: Position) -> npt.NDArray[np.uint64]:
    """What stands behind the moves that led to these positions: a sign, and a space if the game goes on; packed."""
    going = legal_moves(after).count > 0
    sign = np.where(after.checkers != 0, np.where(going, _CHECK, _MATE), 0).astype(np.uint64)
    space = np.where(going, _SPACE, 0).astype(np.uint64)
    return np.where(sign != 0, sign | space << np.uint64(8), space)


def _behind(
    characters_NC: npt.NDArray[np.uint8], game_P: npt.NDArray[np.intp], start_P: npt.NDArray[np.intp]
) -> npt.NDArray[np.uint64]:
    """Each move with its sign and the space behind it, as far as they are written, packed."""
    padded = np.pad(characters_NC, ((0, 0), (0, LONGEST_WORD)))
    found_PW = padded[game_P[:, None], start_P[:, None] + np.arange(LONGEST_WORD)]
    over_PW = np.cumsum(found_PW == _SPACE, axis=1) - (found_PW == _SPACE) > 0
    return packed(np.where(over_PW, np.uint8(0), found_PW))


def _length(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """Characters of packed words."""
    found = np.zeros(len(words), dtype=np.intp)
    for at in range(LONGEST_WORD):
        found += words >> np.uint64(8 * at) != 0
    return found
