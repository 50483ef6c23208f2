"""Standard algebraic notation against many positions at once: which move a word means, and how a move is written.

Shapes: N positions, one word or move each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saecli.games.chess_position import (
    BISHOP,
    C1,
    G1,
    KING_PIECE,
    KNIGHTS,
    PAWN,
    PIECE_LETTERS,
    QUEEN,
    ROOK,
    Position,
    Steps,
)
from saecli.games.chess_tables import (
    ALL,
    BITS,
    FILE_A,
    KING,
    KNIGHT,
    LINE,
    PAWN_CAPTURES,
    RANK_4,
    RANK_8,
    Bitboards,
    Squares,
    bishop_attacks,
    rook_attacks,
    square_of,
)
from saecli.games.chess_text import SHORT

WORD_WIDTH = 9
"""Columns of a written move: piece, file, rank, x, file, rank, =, promotion, check."""

_FILES: Bitboards = np.array([ALL, *(FILE_A << file for file in range(8))], dtype=np.uint64)
_RANKS: Bitboards = np.array([ALL, *(0xFF << 8 * rank for rank in range(8))], dtype=np.uint64)
_PAWN_ORIGINS: Bitboards = PAWN_CAPTURES[np.arange(64) ^ 56].byteswap()
_LETTERS = np.frombuffer(PIECE_LETTERS.encode(), dtype=np.uint8)
_CASTLING_WORDS = np.zeros((2, WORD_WIDTH), dtype=np.uint8)
_CASTLING_WORDS[0, :3] = np.frombuffer(b"O-O", dtype=np.uint8)
_CASTLING_WORDS[1, :5] = np.frombuffer(b"O-O-O", dtype=np.uint8)
_SLIDES_STRAIGHT = np.array([kind in (ROOK, QUEEN) for kind in range(6)])
_SLIDES_OBLIQUE = np.array([kind in (BISHOP, QUEEN) for kind in range(6)])
_LEAPS = np.zeros((6, 64), dtype=np.uint64)
_LEAPS[KNIGHTS], _LEAPS[KING_PIECE] = KNIGHT, KING


@dataclass(frozen=True)
class Meaning:
    """What words mean.

    Attributes:
        steps: the moves; where the word means no legal move, or several, origin and target are 0.
        able: uint64 [N], the pieces the word may mean by the way they move, king safety left out.
        legal: uint64 [N], those of them that may do it.
    """

    steps: Steps
    able: Bitboards
    legal: Bitboards


def meaning(position: Position, words: npt.NDArray[np.int32]) -> Meaning:
    """Finds the piece that each word (``chess_text.read_word``) moves."""
    said = np.maximum(words, 0).astype(np.intp)
    piece, promotion, castling = said & 7, said >> 17 & 7, said >> 20 & 3
    square = (said >> 3 & 63) ^ position.flip
    target = BITS[square]
    able = _reach(position, piece, square) & _kind(position, piece)
    pawns = np.flatnonzero(piece == PAWN)
    able[pawns] = _pawns_able(position, pawns, square[pawns], promotion[pawns])
    rank = said >> 13 & 15
    able &= _FILES[said >> 9 & 15] & _RANKS[np.where(position.black & (rank > 0), 9 - rank, rank)]
    able &= _all_where((position.own & target == 0) & (words > 0) & (castling == 0))
    legal = able & _unpinned(position, square) & _all_where((position.evasion & target != 0) | (piece == KING_PIECE))
    castles = np.flatnonzero(castling)
    target[castles] = np.where(castling[castles] == SHORT, np.uint64(G1), np.uint64(C1))
    able[castles] = position.pieces[0, KING_PIECE, castles]
    legal[castles] = able[castles] & _all_where(position.free_castles(castles) & target[castles] != 0)
    _drop_unsafe(position, piece, castles, target, able, legal)
    one = _all_where((legal != 0) & (legal & (legal - np.uint64(1)) == 0))
    return Meaning(Steps(piece, legal & one, target & one, promotion), able, legal)


def written(position: Position, steps: Steps) -> npt.NDArray[np.uint8]:
    """Legal moves in standard algebraic notation, without the sign of check.

    Returns:
        uint8 [N, 9]: ASCII in the columns of WORD_WIDTH, 0 where nothing is written; no move is a row of zeros.
    """
    piece, origin, target = steps.piece, steps.origin, steps.target
    from_square, to_square = square_of(origin) & 63, square_of(target) & 63
    others = _reach(position, piece, to_square) & _kind(position, piece) & ~origin & _unpinned(position, to_square)
    others &= _all_where((piece != PAWN) & (piece != KING_PIECE))
    same_file = others & _FILES[(from_square & 7) + 1] != 0
    same_rank = others & _RANKS[(from_square >> 3) + 1] != 0
    capture = (target & (position.their | np.where(piece == PAWN, position.en_passant, 0))) != 0
    flip = position.flip >> 3
    found = np.zeros((len(position), WORD_WIDTH), dtype=np.uint8)
    found[:, 0] = np.where(piece == PAWN, 0, _LETTERS[piece])
    show_file = (others != 0) & (same_rank | ~same_file) | (piece == PAWN) & capture
    found[:, 1] = np.where(show_file, ord("a") + (from_square & 7), 0)
    found[:, 2] = np.where(same_file, ord("1") + (from_square >> 3 ^ flip), 0)
    found[:, 3] = np.where(capture, ord("x"), 0)
    found[:, 4] = ord("a") + (to_square & 7)
    found[:, 5] = ord("1") + (to_square >> 3 ^ flip)
    found[:, 6] = np.where(steps.promotion > 0, ord("="), 0)
    found[:, 7] = np.where(steps.promotion > 0, _LETTERS[steps.promotion], 0)
    castles = np.flatnonzero((piece == KING_PIECE) & (abs(from_square - to_square) == 2))
    found[castles] = _CASTLING_WORDS[(to_square[castles] < from_square[castles]).astype(np.intp)]
    found[origin == 0] = 0
    return found


def _reach(position: Position, piece: npt.NDArray[np.intp], square: Squares) -> Bitboards:
    """The squares from which a piece of this kind, pawns left out, comes to the square."""
    found = _LEAPS[piece, square]
    for slides, attacks in ((_SLIDES_STRAIGHT, rook_attacks), (_SLIDES_OBLIQUE, bishop_attacks)):
        rows = np.flatnonzero(slides[piece])
        found[rows] |= attacks(square[rows], position.occupied[rows])
    return found


def _pawns_able(
    position: Position, rows: npt.NDArray[np.intp], square: Squares, promotion: npt.NDArray[np.intp]
) -> Bitboards:
    """The pawns of these rows that come to the squares, promoting if and only if they must."""
    target, pawns, occupied = BITS[square], position.pieces[0, PAWN, rows], position.occupied[rows]
    once = target >> 8
    twice = (target & np.uint64(RANK_4) & ~(occupied << 8)) >> 16
    captures = _PAWN_ORIGINS[square] & _all_where(target & (position.their[rows] | position.en_passant[rows]) != 0)
    steps = (once | twice) & _all_where(target & occupied == 0)
    due = target & np.uint64(RANK_8) != 0
    return (steps | captures) & pawns & _all_where(due == (promotion > 0))


def _drop_unsafe(
    position: Position,
    piece: npt.NDArray[np.intp],
    castles: npt.NDArray[np.intp],
    target: Bitboards,
    able: Bitboards,
    legal: Bitboards,
) -> None:
    """Settles the moves whose safety pins and checks do not tell: the king's, castling among them, and en passant."""
    kings = np.flatnonzero((piece == KING_PIECE) & (able != 0))
    passing = np.flatnonzero((piece == PAWN) & (target == position.en_passant) & (able != 0))
    without_king = position.occupied[kings] ^ position.pieces[0, KING_PIECE, kings]
    after_capture, victim = position.after_en_passant(passing, able[passing])
    attackers = position.attackers(
        np.concatenate([kings, castles, passing]),
        np.concatenate([square_of(target[kings]), np.where(target[castles] == G1, 5, 3), position.king[passing]]),
        np.concatenate([without_king, position.occupied[castles], after_capture]),
    )
    to_target, passed, discovered = np.split(attackers, [len(kings), len(kings) + len(castles)])
    legal[passing] = able[passing] & _all_where(discovered & ~victim == 0)
    legal[kings] &= _all_where(to_target == 0)
    legal[castles] &= _all_where(passed == 0)


def _kind(position: Position, piece: npt.NDArray[np.intp]) -> Bitboards:
    return position.pieces[0][piece, np.arange(len(position))]


def _unpinned(position: Position, square: Squares) -> Bitboards:
    """The squares whose pieces a pin does not keep from going to the square."""
    return ~position.pinned | LINE[(position.king << 6) + square]


def _all_where(condition: npt.NDArray[np.bool_]) -> Bitboards:
    """All squares where the condition holds, else none."""
    return ~(condition.astype(np.uint64) - np.uint64(1))
