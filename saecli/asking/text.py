"""Texts as inputs: of language models, and games of chess, which their models read character by character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from saecli.asking.inputs import Answers, Continuation, Input, Reader
from saecli.core.documents import Documents
from saecli.core.errors import InputError, UsageError
from saecli.core.graph import Position
from saecli.core.model import ModelInfo
from saecli.data.boards import boards_at
from saecli.data.games import HELD_OUT_SEED
from saecli.data.vocabulary import Characters, Vocabulary
from saecli.games import chess

PYTHON_PROMPT: Final = "def first(items):\n    for item in ite"
"""What is traced in a model of Python if nobody says: a name that stood there before."""

PROMPT: Final = "When Mary and John went to the store, John gave a drink to"
"""What is traced in other models of text: a name that stood there once and is not the giver's."""

DEFAULT_MOVES = 6
"""Moves of each player in the default game of chess, the first held-out one; the next move is explained."""


class TextReader(Reader):
    """Text, in the tokens of a vocabulary.

    Args:
        info: The model.
        vocabulary: Its tokens.
        name: The model as the user named it.
        bos: Token to put before every text, None for none.
    """

    flag = "--prompt"
    unit = "tokens"

    def __init__(self, info: ModelInfo, vocabulary: Vocabulary, name: str = "", bos: int | None = None) -> None:
        super().__init__(info)
        self.vocabulary, self.model, self.bos = vocabulary, name, bos

    def read(self, given: str | None, flag: str) -> Input:
        text = self.default() if given is None else given
        if not text:
            raise InputError(f"{flag} is empty.")
        tokens = self.encode(text, flag)
        if self.bos is not None and tokens[:1] != [self.bos]:
            tokens = [self.bos, *tokens]
        return self.of_tokens(self.fitting(tokens, flag), flag)

    def of_tokens(self, tokens: list[int], flag: str) -> Input:
        del flag  # any tokens are a text
        return Input(tokens, tuple(Position(t, self.shown(t), str(i)) for i, t in enumerate(tokens)))

    def default(self) -> str:
        """The text if the user gave none."""
        from zoo.reading import data_of

        return PYTHON_PROMPT if data_of(self.model, self.info.vocabulary) == "data:python" else PROMPT

    def encode(self, text: str, flag: str) -> list[int]:
        """Text to token ids.

        Raises:
            InputError: A character that the vocabulary lacks.
        """
        try:
            tokens = self.vocabulary.encode(text)
        except InputError as error:
            raise InputError(f"{flag}: {error}", "Write it with characters that the vocabulary has.") from error
        if isinstance(self.vocabulary, Characters) and (back := self.vocabulary.decode(tokens)) != text:
            lost = next(a for a, b in zip(text, back, strict=True) if a != b)
            raise InputError(
                f"{flag}: the vocabulary {self.vocabulary.name} has no {lost!r} (U+{ord(lost):04X}).",
                "Write it with characters that the vocabulary has.",
            )
        return tokens

    def shown(self, token: int) -> str:
        """A token as text; what is no text on its own is spelled out."""
        text = self.vocabulary.decode([token])
        return self.vocabulary.token_text(token) if "\N{REPLACEMENT CHARACTER}" in text else text

    def answers(self, given: Input) -> Answers:
        del given  # any token may follow

        def best(logits_V: Tensor) -> int:
            return int(logits_V[: self.vocabulary.size].argmax())

        words = f"all {self.info.d_vocab:,} tokens"
        everything = list(range(self.info.d_vocab))
        return Answers(best, self._token, self._split, self.name, "over-mean", everything, words, "A-B")

    def name(self, token: int) -> str:
        return f'"{self.vocabulary.token_text(token)}"' if token < self.vocabulary.size else f"token {token}"

    @property
    def size(self) -> int:
        return min(self.info.d_vocab, self.vocabulary.size)

    def continuation(self, before: Sequence[int], made: Sequence[int]) -> Continuation:
        del before  # of a text nothing is wrong
        return Continuation(self.vocabulary.decode(made))

    def _find(self, text: str) -> int | None:
        """The one token that a text is, or that is printed so."""
        try:
            tokens = self.encode(text, "--target")
        except InputError:
            return None
        if len(tokens) == 1:
            return tokens[0]
        if "\\" not in text:
            return None
        return next((t for t in range(self.vocabulary.size) if self.vocabulary.token_text(t) == text), None)

    def _token(self, text: str) -> int:
        if (token := self._find(text)) is not None:
            return token
        parts = ", ".join(f'"{self.vocabulary.token_text(t)}"' for t in self.encode(text, "--target")[:8])
        raise UsageError(
            f'--target "{text}" is not one token but several: {parts}.' if text else "--target is empty.",
            "Name one token; a space before a word belongs to it.",
        )

    def _split(self, text: str) -> tuple[str, str]:
        """A pair, if the text is not one token itself: both sides of a dash that are tokens."""
        if self._find(text) is not None:
            return text, ""
        for place in (i for i, character in enumerate(text) if character == "-"):
            plus, minus = text[:place], text[place + 1 :]
            if plus and minus and self._find(plus) is not None and self._find(minus) is not None:
                return plus, minus
        return text, ""


class ChessReader(TextReader):
    """A game of chess as its model reads it: ``;1.e4 e5 2.Nf3``, a token per character."""

    flag = "--game"
    unit = "characters"

    def default(self) -> str:
        text = chess.random_games(1, HELD_OUT_SEED, self.info.n_ctx).texts[0]
        return text[: text.index(f" {DEFAULT_MOVES + 1}.") + len(f" {DEFAULT_MOVES + 1}.")]

    def of_tokens(self, tokens: list[int], flag: str) -> Input:
        """A game, with the board wherever a move has just been completed, and at the end."""
        found = super().of_tokens(tokens, flag)
        documents = Documents(torch.tensor(found.tokens, dtype=torch.int32), torch.tensor([0, len(found.tokens)]))
        boards = boards_at("chess", documents, torch.arange(len(found.tokens)))
        shown = [
            replace(position, board=board) if board != before or place == len(boards) - 1 else position
            for place, (position, board, before) in enumerate(
                zip(found.positions, boards, [*boards[:1], *boards], strict=False)
            )
        ]
        return replace(found, positions=tuple(shown))

    def encode(self, text: str, flag: str) -> list[int]:
        """A game's characters: as they stand if they begin with a semicolon, else written anew up to the next move."""
        if not flag.startswith("--target"):
            text = _game(text, flag)
        return super().encode(text, flag)

    def continuation(self, before: Sequence[int], made: Sequence[int]) -> Continuation:
        written = super().continuation(before, made)
        faults = chess.replay([self.vocabulary.decode([*before, *made])]).faults
        return Continuation(written.text, faults[0].what if faults else "")


def _game(text: str, flag: str) -> str:
    boards = chess.replay([text])
    if boards.faults:
        raise InputError(f"{flag}: {boards.faults[0].what}.")
    if text.startswith(";"):
        return text
    plies = int(boards.plies[0])
    if boards.cut[0] or not plies:
        what = "ends within a move" if boards.cut[0] else "has no moves"
        raise InputError(
            f"{flag} {what}.", "Write ;1.e4 e5 2.N, with the semicolon, to ask about any character of a game."
        )
    return chess.write(boards.moves[:, :plies])[0] + (" " if plies % 2 else f" {plies // 2 + 1}.")
