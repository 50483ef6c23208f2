"""Sequences to measure on."""

from __future__ import annotations

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
