"""What a model reads: a text or a game as tokens, and what may be asked about the next one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from saecli.core.errors import InputError
from saecli.core.graph import Position
from saecli.core.model import ModelInfo


@dataclass(frozen=True)
class Input:
    """Tokens, and how each is written for people.

    Attributes:
        tokens: Token ids.
        positions: One per token.
        game: The game behind them, for the reader that made it.
    """

    tokens: list[int]
    positions: tuple[Position, ...]
    game: Any = None

    def until(self, end: int) -> Input:
        """The tokens up to position ``end``, that one included."""
        return Input(self.tokens[: end + 1], self.positions[: end + 1], self.game)


@dataclass(frozen=True)
class Answers:
    """What may be asked about the token that follows.

    Attributes:
        best: The model's choice among the logits [V].
        read: From what the user wrote to a token.
        split: From what the user wrote to one target, or to two and an empty text if there is no second.
        name: How a token is written for people.
        over: Name of the default metric: the logit of the target minus the mean logit of other tokens.
        others: These tokens; an explanation to give where there are none.
        words: What they are, in words.
        example: A pair as a user would write it.
    """

    best: Callable[[Tensor], int]
    read: Callable[[str], int]
    split: Callable[[str], tuple[str, str]]
    name: Callable[[int], str]
    over: str
    others: list[int] | str
    words: str
    example: str


@dataclass(frozen=True)
class Continuation:
    """What a model writes after an input.

    Attributes:
        text: What it wrote, for people.
        fault: Why the rules do not allow it, empty if they do or there are none; what follows a fault is not judged.
    """

    text: str
    fault: str = ""


class Reader(ABC):
    """Reads the inputs of one model.

    Attributes:
        flag: The flag that names an input.
        unit: What tokens are called.
        features_first: Whether a target with a colon can only be a feature.
    """

    flag: str
    unit: str
    features_first: bool = False

    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    @abstractmethod
    def read(self, given: str | None, flag: str) -> Input:
        """An input, or the default one.

        Args:
            given: What the user wrote.
            flag: Where, for messages.

        Raises:
            InputError: It cannot be read, or is longer than the model's context.
        """

    @abstractmethod
    def of_tokens(self, tokens: list[int], flag: str) -> Input:
        """The input that tokens are.

        Raises:
            InputError: Against the rules of a game.
        """

    @abstractmethod
    def answers(self, given: Input) -> Answers:
        """What may be asked after an input.

        Raises:
            InputError: Nothing follows it.
        """

    @abstractmethod
    def name(self, token: int) -> str:
        """A token for people."""

    @abstractmethod
    def continuation(self, before: Sequence[int], made: Sequence[int]) -> Continuation:
        """What was written after tokens, judged by the rules of the game if there are any."""

    @property
    def size(self) -> int:
        """How many of the model's tokens can be written."""
        return self.info.d_vocab

    def allowed(self, tokens: Sequence[int]) -> frozenset[int] | None:
        """The tokens that the rules allow next; None where they say nothing of single tokens."""
        del tokens
        return None

    def fitting(self, tokens: list[int], flag: str) -> list[int]:
        """The tokens if the model can read them.

        Raises:
            InputError: None, too many, or one that the model does not know.
        """
        info = self.info
        if not tokens:
            raise InputError(f"{flag} has no {self.unit}.")
        if len(tokens) > info.n_ctx:
            raise InputError(
                f"{flag} has {len(tokens)} {self.unit}; {info.name} reads at most {info.n_ctx}.", "Shorten it."
            )
        if max(tokens) >= info.d_vocab:
            raise InputError(f"{flag} has token {max(tokens)}, and {info.name} knows tokens 0..{info.d_vocab - 1}.")
        return tokens
