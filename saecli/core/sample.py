"""Sequences to measure on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """Sequences of one length.

    Attributes:
        tokens_BS: int64 [B, S].
        next_BS: int64 [B, S], the token that followed; −1 at positions that do not count.
        allowed_BSV: bool [B, S, V], tokens that the rules allow next; None where there are no such rules.
    """

    tokens_BS: Tensor
    next_BS: Tensor
    allowed_BSV: Tensor | None = None

    def to(self, device: torch.device) -> Sample:
        """The same on another device."""
        allowed = None if self.allowed_BSV is None else self.allowed_BSV.to(device)
        return Sample(self.tokens_BS.to(device), self.next_BS.to(device), allowed)


def regrouped(samples: Iterable[Sample], rows: int) -> Iterator[Sample]:
    """The same sequences in the same order, ``rows`` of one length together and fewer only at the end of a run of them.

    Args:
        samples: Sequences in any grouping; those of one length have rules all or none.
        rows: At least 1.
    """
    waiting: list[Sample] = []
    for sample in samples:
        if waiting and waiting[0].tokens_BS.shape[1] != sample.tokens_BS.shape[1]:
            yield from _split(waiting, rows)
            waiting = []
        waiting.append(sample)
        if sum(len(one.tokens_BS) for one in waiting) >= rows:
            *whole, last = _split(waiting, rows)
            yield from whole
            waiting = [last]
    yield from _split(waiting, rows)


def _split(samples: list[Sample], rows: int) -> Iterator[Sample]:
    if not samples:
        return
    tokens = torch.cat([one.tokens_BS for one in samples]).split(rows)
    following = torch.cat([one.next_BS for one in samples]).split(rows)
    rules = [one.allowed_BSV for one in samples if one.allowed_BSV is not None]
    allowed = torch.cat(rules).split(rows) if rules else [None] * len(tokens)
    yield from map(Sample, tokens, following, allowed)
