"""Evidence: what is known of a feature besides its label, so that a reader can judge what it stands for."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Final

_PEAK: Final = 0.5
_FAR: Final = 1.5
_ENOUGH: Final = 3
_LONGEST: Final = 48
_MOVE: Final = re.compile("[A-H][1-8]")

Weighted = tuple[tuple[str, float], ...]
"""Names with numbers, the largest absolute number first."""


@dataclass(frozen=True)
class Context:
    """Tokens around one where a feature fires strongly.

    Attributes:
        tokens: As text.
        values: The feature's activation on each, 0 where it is silent.
        at: Which of them it is about.
        sequence, position: Where that token stands in the data.
        board: Of games, the position after that token: 64 characters row by row from A1.
    """

    tokens: tuple[str, ...]
    values: tuple[float, ...]
    at: int
    sequence: int
    position: int
    board: str | None = None

    @property
    def moves(self) -> bool:
        """Whether the tokens are moves of a game, not its characters."""
        return self.board is not None and any(len(token) > 1 for token in self.tokens)

    @property
    def text(self) -> str:
        """``before|token|after``; moves with a blank between them."""
        glue = " " if self.moves else ""
        parts = self.tokens[: self.at], self.tokens[self.at : self.at + 1], self.tokens[self.at + 1 :]
        return "|".join(map(glue.join, parts))


@dataclass(frozen=True)
class Evidence:
    """What is known of one feature.

    Attributes:
        contexts: Where it fires most strongly, the strongest first, each in another sequence.
        raises, lowers: Tokens or moves whose logits its direction raises and lowers the most, by itself.
        near: Features of other sites with the most similar decoder directions, and the cosines.
        explanation: What someone else says of it.
    """

    contexts: tuple[Context, ...] = ()
    raises: Weighted = ()
    lowers: Weighted = ()
    near: Weighted = ()
    explanation: str = ""

    @property
    def label(self) -> str:
        """A short description for a feature that has none: the explanation, else ``on F5``, else ``for F5``, else none.

        It fires *on* a token if that is the one in at least half of three or more contexts, and speaks *for* one if its
        direction raises that one's logit at least one and a half times as much as any other's.
        """
        if self.explanation:
            short = self.explanation.strip()
            return short if len(short) <= _LONGEST else short[: _LONGEST - 1].rstrip() + "…"
        if len(self.contexts) >= _ENOUGH:
            tokens = [context.tokens[context.at] for context in self.contexts]
            best = max(dict.fromkeys(tokens), key=tokens.count)
            if tokens.count(best) >= _PEAK * len(tokens):
                return f"on {_quoted(best)}"
        if len(self.raises) > 1 and self.raises[0][1] >= _FAR * self.raises[1][1]:
            return f"for {_quoted(self.raises[0][0])}"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; what is empty is left out."""
        values = asdict(self)
        values["contexts"] = [
            {key: value for key, value in asdict(context).items() if value is not None} for context in self.contexts
        ]
        return {key: value for key, value in values.items() if value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Evidence:
        """Inverse of :meth:`to_json`.

        Raises:
            TypeError, KeyError, ValueError, OverflowError: It is none.
        """
        contexts = tuple(
            Context(
                tokens=tuple(map(str, one["tokens"])),
                values=tuple(map(float, one["values"])),
                at=int(one["at"]),
                sequence=int(one["sequence"]),
                position=int(one["position"]),
                board=None if one.get("board") is None else str(one["board"]),
            )
            for one in data.get("contexts", ())
        )
        for context in contexts:
            if len(context.tokens) != len(context.values) or not 0 <= context.at < len(context.tokens):
                raise ValueError("a context has another number of activations than of tokens")
        weighted = {
            name: tuple((str(text), float(value)) for text, value in data.get(name, ()))
            for name in ("raises", "lowers", "near")
        }
        return cls(contexts=contexts, explanation=str(data.get("explanation", "")), **weighted)


def _quoted(token: str) -> str:
    """Moves as they are, other tokens in quotes."""
    return token if _MOVE.fullmatch(token) else f'"{token}"'
