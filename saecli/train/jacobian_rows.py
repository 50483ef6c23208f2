"""Rows of every token in buffers that are kept: a fresh one costs more than what is done in it."""

from __future__ import annotations

import torch
from torch import Tensor

from saecli.train.step import Workspace


class Rows:
    """A buffer [C, K, W] for rows of some tokens.

    Args:
        name: Buffers of one name are one.
        shape: C, K and W.
        like: Of their number type and device.
        space: Where it is kept.

    Attributes:
        CKW: The buffer.
        flat_NW: It as [C K, W].
    """

    def __init__(self, name: str, shape: tuple[int, int, int], like: Tensor, space: Workspace) -> None:
        self.CKW = space.take(f"jacobian {name}", *shape, like=like)
        self.flat_NW = self.CKW.view(-1, shape[2])

    def take(self, from_FW: Tensor, indices_N: Tensor) -> Tensor:
        """Fill it with the rows of some features; the buffer [C, K, W]."""
        torch.index_select(from_FW, 0, indices_N, out=self.flat_NW)
        return self.CKW

    def product(self, one_CKJ: Tensor, other_CJW: Tensor) -> Tensor:
        """Fill it with products, token by token; the buffer [C, K, W]."""
        return torch.bmm(one_CKJ, other_CJW, out=self.CKW)

    def add_to(self, to_FW: Tensor, indices_N: Tensor) -> None:
        """Add them to the rows of some features."""
        to_FW.index_add_(0, indices_N, self.flat_NW)
