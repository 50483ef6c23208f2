"""The position of a game at tokens of it: contexts of game models are boards."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
import torch
from torch import Tensor

from saecli.core.documents import Documents
from saecli.games import chess, chess_text, othello
from saecli.games.chess_tables import squares_of

_PIECES: Final = "PNBRQKpnbrqk"


def boards_at(game: str, documents: Documents, at_N: Tensor) -> list[str]:
    """The position after each token, 64 characters from A1 along the first row.

    Args:
        game: ``othello`` (``x`` black, ``o`` white, ``.`` empty) or ``chess`` (``PNBRQK`` white, ``pnbrqk`` black).
        documents: Games, from their first tokens on.
        at_N: Indices of tokens, ascending. A game that breaks the rules stays as it was before.
    """
    document_N, position_N = documents.document_of(at_N), documents.position_of(at_N).numpy()
    games, game_N = torch.unique(document_N, return_inverse=True)
    tokens = [
        documents.tokens_T[int(documents.starts_D[one]) : int(documents.starts_D[one + 1])].numpy()
        for one in games.tolist()
    ]
    if not tokens:
        return []
    text_NR = (_othello if game == "othello" else _chess)(tokens, game_N.numpy(), position_N)
    return ["".join(row) for row in text_NR]


def _othello(tokens: list[np.ndarray], game_N: np.ndarray, position_N: np.ndarray) -> np.ndarray:
    games = [othello.tokens_to_moves(one.astype(np.int64)).tolist() for one in tokens]
    boards, _ = othello.replay_legal([list(itertools.takewhile(lambda move: move >= 0, one)) for one in games])
    at = game_N, np.minimum(position_N, boards.black.shape[1] - 1)
    text_NR = np.full((len(game_N), 64), ".")
    text_NR[othello.squares(boards.black[at])] = "x"
    text_NR[othello.squares(boards.white[at])] = "o"
    return text_NR


def _chess(tokens: list[np.ndarray], game_N: np.ndarray, position_N: np.ndarray) -> np.ndarray:
    transcripts = chess_text.parse([chess_text.decode(one) for one in tokens])
    boards = chess.replay(transcripts)
    ply_N = transcripts.complete(boards.plies)[game_N, position_N]
    text_NR = np.full((len(game_N), 64), ".")
    for piece, sign in enumerate(_PIECES):
        bits_N = np.ascontiguousarray(boards.pieces[game_N, ply_N, piece])
        text_NR[squares_of(bits_N).reshape(-1, 64)] = sign
    return text_NR
