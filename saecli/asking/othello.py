"""Games of Othello as inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from saecli.asking.inputs import Answers, Continuation, Input, Reader
from saecli.core.errors import InputError, UsageError
from saecli.core.graph import Position
from saecli.data.games import HELD_OUT_SEED
from saecli.games import othello

DEFAULT_MOVES = 20
"""Length of the default game: the first moves of the first held-out game."""


class OthelloReader(Reader):
    """Moves, one token each."""

    flag = "--game"
    unit = "moves"
    features_first = True

    def read(self, given: str | None, flag: str) -> Input:
        moves = _moves(given, flag)
        try:
            boards = othello.replay([moves])
        except othello.IllegalMove as error:
            played = " ".join(othello.square_name(m) for m in moves[: error.ply])
            raise InputError(
                f"{flag}: move {error.ply + 1}, {othello.square_name(error.move)}, is illegal"
                + (f" after {played}." if played else " as a first move.")
            ) from error
        tokens = self.fitting(othello.moves_to_tokens(moves).tolist(), flag)
        drawn = enumerate(zip(tokens, moves, _drawn(boards), strict=True))
        positions = (
            Position(token, othello.square_name(move), f"move {i + 1}", board) for i, (token, move, board) in drawn
        )
        return Input(tokens, tuple(positions), boards)

    def of_tokens(self, tokens: list[int], flag: str) -> Input:
        return self.read(" ".join(map(othello.token_name, tokens)), flag)

    def answers(self, given: Input) -> Answers:
        boards: othello.Boards = given.game
        last = len(given.tokens) - 1
        legal = np.flatnonzero(othello.squares(boards.legal[0, last]))
        if not len(legal):
            raise InputError(f"The game is over after {last + 1} moves: there is no next move to explain.")
        tokens_L = torch.from_numpy(othello.SQUARE_TO_TOKEN[legal].astype(int))

        def best(logits_V: Tensor) -> int:
            return int(tokens_L[int(logits_V[tokens_L].argmax())])

        def read(name: str) -> int:
            return _token(name)

        def split(text: str) -> tuple[str, str]:
            plus, dash, minus = text.partition("-")
            if dash and not (plus and minus):
                raise UsageError(f"--target {text} is half a pair.", "Write F5, or a pair F5-C3.")
            if int(othello.TOKEN_TO_SQUARE[_token(plus)]) not in legal:
                moves = ", ".join(othello.square_name(int(square)) for square in legal)
                raise UsageError(f"--target {plus.upper()} is not legal after {last + 1} moves.", f"Legal: {moves}.")
            return plus, minus

        empty = np.flatnonzero(othello.squares(boards.empty[0, last]))
        illegal = sorted(set(empty.tolist()) - set(legal.tolist()))
        return Answers(
            best,
            read,
            split,
            othello.token_name,
            "over-illegal",
            [int(othello.SQUARE_TO_TOKEN[square]) for square in illegal]
            or "Every empty square is a legal move here, so none is left to compare with.",
            f"the {len(illegal)} illegal empty squares",
            "F5-C3",
        )

    def name(self, token: int) -> str:
        return othello.token_name(token)

    def continuation(self, before: Sequence[int], made: Sequence[int]) -> Continuation:
        text = " ".join(map(othello.token_name, made))
        for count, token in enumerate(made):
            if token not in self.allowed([*before, *made[:count]]):
                return Continuation(text, f"move {len(before) + count + 1}, {othello.token_name(token)}, is illegal")
        return Continuation(text)

    def allowed(self, tokens: Sequence[int]) -> frozenset[int]:
        boards = othello.replay([othello.tokens_to_moves(tokens).tolist()])
        legal = np.flatnonzero(othello.squares(boards.legal[0, len(tokens) - 1]))
        return frozenset(othello.SQUARE_TO_TOKEN[legal].tolist())


def _moves(game: str | None, flag: str) -> list[int]:
    if game is None:
        return othello.random_games(1, HELD_OUT_SEED).moves[0, :DEFAULT_MOVES].tolist()
    try:
        return othello.parse_game(game)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{flag}: {error}.") from error


def _drawn(boards: othello.Boards) -> list[str]:
    black, white = othello.squares(boards.black[0]), othello.squares(boards.white[0])
    marks = np.where(black, "x", np.where(white, "o", "."))
    return ["".join(row) for row in marks]


def _token(name: str) -> int:
    try:
        (square,) = othello.parse_game(name)
        return int(othello.moves_to_tokens([square])[0])
    except ValueError as error:
        raise UsageError(f"--target {name} is no square that can be played.", "Write F5, or a pair F5-C3.") from error
