"""Chess by python-chess, one game and one move at a time: the twin of saecli.games.chess."""

from __future__ import annotations

import random
from collections.abc import Iterator

import chess
import numpy as np

from saecli.games.chess_position import Position

CORNERS = (chess.H1, chess.A1, chess.H8, chess.A8)


def pieces(board: chess.Board) -> list[int]:
    return [board.pieces_mask(kind, colour) for colour in chess.COLORS for kind in chess.PIECE_TYPES]


def rights(board: chess.Board) -> int:
    corners = board.clean_castling_rights()
    return sum(1 << bit for bit, corner in enumerate(CORNERS) if corners >> corner & 1)


def code(move: chess.Move) -> int:
    return move.from_square | move.to_square << 6 | (move.promotion - 1 if move.promotion else 0) << 12


def move_of(code: int) -> chess.Move:
    return chess.Move(code & 63, code >> 6 & 63, (code >> 12) + 1 if code >> 12 else None)


def position(boards: list[chess.Board]) -> Position:
    """The same positions as arrays."""
    return Position.of_boards(
        np.array([pieces(board) for board in boards], dtype=np.uint64),
        np.array([board.clean_castling_rights() for board in boards], dtype=np.uint64),
        np.array([chess.BB_SQUARES[b.ep_square] if b.ep_square is not None else 0 for b in boards], dtype=np.uint64),
        np.array([not board.turn for board in boards]),
    )


def spread(moves: list[chess.Move], board: chess.Board, chooser: random.Random) -> chess.Move:
    """A random move that prefers the rare kinds: castling, promotion, en passant, and the steps that lead there."""
    rare = [move for move in moves if move.promotion or board.is_castling(move) or board.is_en_passant(move)]
    if rare and chooser.random() < 0.7:
        return chooser.choice(rare)
    pawns = [move for move in moves if board.piece_type_at(move.from_square) == chess.PAWN]
    return chooser.choice(pawns if pawns and chooser.random() < 0.3 else moves)


def game(seed: int, plies: int) -> Iterator[tuple[chess.Board, chess.Move]]:
    """A random game: each board (the same object throughout) with the move that is played on it next."""
    board, chooser = chess.Board(), random.Random(seed)
    for _ in range(plies):
        moves = list(board.legal_moves)
        if not moves:
            return
        move = spread(moves, board, chooser)
        yield board, move
        board.push(move)


def transcript(seed: int, plies: int) -> str:
    words = []
    for board, move in game(seed, plies):
        words.append(f"{board.fullmove_number}." * board.turn + board.san(move))
    return ";" + " ".join(words)


def next_characters(moves: list[int], width: int) -> list[dict[str, float]]:
    """The distribution of each character behind the first of a text of random moves, by listing every move's text.

    Args:
        moves: coded, 0 after the game's end.
        width: characters of the text.
    """
    board, found = chess.Board(), []
    for ply, played in enumerate(map(move_of, filter(None, moves))):
        before = f"{' ' if ply else ';'}{'' if ply % 2 else f'{ply // 2 + 1}.'}"
        found += [{character: 1.0} for character in before[1:]]
        texts = {move: _with_what_follows(board, move) for move in board.legal_moves}
        word = texts[played]
        for at in range(len(word)):
            following = [text[at] for text in texts.values() if text[:at] == word[:at]]
            found.append({character: following.count(character) / len(following) for character in following})
        board.push(played)
    return [row for row in found if "$" not in row][: width - 1]


def _with_what_follows(board: chess.Board, move: chess.Move) -> str:
    """A move as it is written and the space behind it, ``$`` if the game is over."""
    word = board.san(move)
    board.push(move)
    word += " " if any(board.legal_moves) else "$"
    board.pop()
    return word
