"""What a trainer of language models needs from data: batches by step number, and a measurement on held-out data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn


@dataclass(frozen=True)
class Batch:
    """Token sequences and what they should predict.

    Attributes:
        tokens_BS: int64 [B, S], what the model reads.
        next_BS: int64 [B, S], the token that follows each, -1 where nothing is to be predicted.
        expected_BSV: float32 [B, S, V], the known distribution of the next token, zero where nothing is to be
            predicted; None if the source does not know it.
    """

    tokens_BS: Tensor
    next_BS: Tensor
    expected_BSV: Tensor | None = None

    def rows(self, start: int, stop: int) -> Batch:
        """Some of the sequences, as views."""
        expected = None if self.expected_BSV is None else self.expected_BSV[start:stop]
        return Batch(self.tokens_BS[start:stop], self.next_BS[start:stop], expected)

    def to(self, device: str) -> Batch:
        """The same batch on another device."""
        expected = None if self.expected_BSV is None else self.expected_BSV.to(device)
        return Batch(self.tokens_BS.to(device), self.next_BS.to(device), expected)


class TokenSource(Protocol):
    """Endless training data.

    Attributes:
        vocabulary: name of the vocabulary: ``othello``, ``chess``, ``ascii``.
        vocab_size: number of tokens.
        n_ctx: positions per sequence.
    """

    @property
    def vocabulary(self) -> str: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def n_ctx(self) -> int: ...

    def batch(self, step: int) -> Batch:
        """The batch of a step, from 0: a function of the source's seed and the step alone, so training can resume."""
        ...

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Measures a model on data that no batch contains; at least ``ce``, the mean cross-entropy in nats."""
        ...
