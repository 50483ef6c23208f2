"""Cotangents behind a transformer block, pulled back to what it reads, summed by what they belong to.

A feature behind a block is active at a few positions: only there has the sum of its activations a cotangent. Norm, MLP
and skip path are passed at these positions alone, one row each; attention spreads the rows over the positions before
them (:class:`~saecli.attribution.attention_rows.AttentionRows` in closed form, where the block's weights describe its
attention, else the module by batched gradients), and what reaches a position passes the first norm there.

Shapes: N rows in the order of J features, S positions of one sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from saecli.attribution.attention_rows import AttentionRows, push_through
from saecli.core.model import Block

_NUMBERS: Final = 1 << 25
"""Of the largest tables together, nearly."""
_CACHED: Final = 1 << 18
"""In the gradients by patterns, or by what attention reads, of one batched backward: what stays in a CPU's cache."""


@dataclass(frozen=True)
class Rows:
    """Where features are active, feature after feature, the rarest first.

    Attributes:
        feature_J: Which are active anywhere.
        counts_J: At how many positions each.
        position_N: At which.
    """

    feature_J: Tensor
    counts_J: Tensor
    position_N: Tensor

    @classmethod
    def of(cls, position_N: Tensor, feature_N: Tensor) -> Rows:
        """Of pairs in any order."""
        feature_J, number_N, counts_J = feature_N.unique(return_inverse=True, return_counts=True)
        rank_J = counts_J.argsort(stable=True)
        place_J = rank_J.argsort()
        order_N = place_J[number_N].argsort(stable=True)
        return cls(feature_J[rank_J], counts_J[rank_J], position_N[order_N])

    def parts(self, length: int, width: int, heads: int) -> Iterator[Rows]:
        """Features whose gradients at all positions, and what is needed for them, are held together."""
        numbers_J = length * width + self.counts_J * 2 * heads * (length + width)
        sizes = (numbers_J.cumsum(0) // _NUMBERS).unique_consecutive(return_counts=True)[1].tolist()
        features, counts = self.feature_J.split(sizes), self.counts_J.split(sizes)
        rows = self.position_N.split([int(one.sum()) for one in counts])
        return (Rows(*one) for one in zip(features, counts, rows, strict=True))

    @cached_property
    def number_N(self) -> Tensor:
        """Which of the J features each row is of."""
        return torch.arange(len(self.counts_J), device=self.counts_J.device).repeat_interleave(self.counts_J)


@dataclass(frozen=True)
class Pulled:
    """Gradients of features' sums over rows by what a block reads, before its first norm has been passed.

    Attributes:
        norm, x_SD: The norm, and what it reads.
        rows: Where features are active.
        seen_JSD: Gradients by what the norm gives to the attention.
        own_ND: Gradients on the other paths, which reach the rows' own positions alone.
    """

    norm: Callable[[Tensor], Tensor]
    x_SD: Tensor
    rows: Rows
    seen_JSD: Tensor
    own_ND: Tensor

    def whole(self) -> Tensor:
        """Gradients [J, S, d]."""
        sum_JSD = _pulled(self.norm, self.x_SD.expand_as(self.seen_JSD), self.seen_JSD)
        sum_JSD[self.rows.number_N, self.rows.position_N] += self.own_ND
        return sum_JSD

    def along(self, vector_SKD: Tensor) -> Tensor:
        """Products with K vectors at every position: [S, K, J]."""
        moved_SKD = push_through(self.norm, self.x_SD[:, None].expand_as(vector_SKD), vector_SKD)
        product_SJK = self.seen_JSD.transpose(0, 1) @ moved_SKD.transpose(1, 2)
        own_NK = (vector_SKD[self.rows.position_N] @ self.own_ND[..., None])[..., 0]
        product_SJK[self.rows.position_N, self.rows.number_N] += own_NK
        return product_SJK.transpose(1, 2)


@torch.no_grad()
def pull_back(block: Block, x_SD: Tensor, rows: Rows, direction_JD: Tensor) -> Pulled:
    """Gradients of features' sums over the rows by what the block reads.

    Args:
        block: The block.
        x_SD: What it reads.
        rows: Where features are active.
        direction_JD: Gradient of each feature by what the block writes.
    """
    along_ND = direction_JD.repeat_interleave(rows.counts_J, 0)
    in_1SD = x_SD[None] if block.parallel else x_SD[None] + block.attention(block.ln1(x_SD[None]))
    own_ND = along_ND + _pulled(lambda x: block.mlp(block.ln2(x)), in_1SD[:, rows.position_N], along_ND[None])[0]
    into_ND = along_ND if block.parallel else own_ND
    attention = AttentionRows.of(block, x_SD)
    if attention is None:
        into_JSD = into_ND.new_zeros(len(rows.counts_J), *x_SD.shape)
        into_JSD[rows.number_N, rows.position_N] = into_ND
        seen_JSD = _through_module(block, x_SD, into_JSD)
    else:
        seen_JSD = attention.pull_sums(rows.position_N, into_ND, rows.counts_J)
    return Pulled(block.ln1, x_SD, rows, seen_JSD, own_ND)


def _pulled(part: Callable[[Tensor], Tensor], x: Tensor, along: Tensor) -> Tensor:
    """Through a part without anything between positions."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(part(leaf), leaf, along)[0]


def _through_module(block: Block, x_SD: Tensor, along_JSD: Tensor) -> Tensor:
    """Through the attention, all through one forward pass."""
    leaf_SD = block.ln1(x_SD[None])[0].requires_grad_()
    with torch.enable_grad():
        out_SD = block.attention(leaf_SD[None])[0]
    parts = along_JSD.split(max(1, _CACHED // (len(x_SD) * max(x_SD.shape))))
    pulled = [torch.autograd.grad(out_SD, leaf_SD, part, is_grads_batched=True, retain_graph=True)[0] for part in parts]
    return torch.cat(pulled)
