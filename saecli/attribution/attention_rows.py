"""Attention of one prompt in closed form: how what reaches a query depends on every position before it.

Pulling a cotangent back through an attention module costs its whole pattern, though a child at one position uses one
row of it. With w_u the change of attn_in that a parent u at position k makes (its vector, pushed through the norm's
derivative there), c the cotangent at query p, and per head q, k, v, the pattern a and g = W_O c:

    c · ∂attn_p/∂u  =  Σ_heads a_pk (g · W_V w_u) + s_k (q_p · W_K w_u) + [k = p] (Σ_j s_j k_j) · W_Q w_u
    s_j             =  a_pj (g · v_j − Σ_i a_pi g · v_i) / sqrt(d_head)

so that a child's edges cost a product of head-sized vectors each, and nothing after its position is touched. Cotangents
at several queries, as those of one feature at all positions where it is active, reach position k as

    Σ_p Σ_heads a_pk W_V g_p + s_pk W_K q_p, at the queries themselves also W_Q Σ_j s_pj k_j

which is one product of matrices per feature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from saecli.core.model import Block

_NUMBERS: Final = 1 << 22
"""Largest intermediate table of children and parents, or children and positions."""
_ROUNDINGS: Final = 1 << 10
"""The closed form is used where it gives the module's own output to this many roundings."""


@dataclass(frozen=True)
class Pushed:
    """P parents as the heads see them.

    Attributes:
        position_P: Where they are.
        query_HPe, key_HPe, value_HPe: What they add to queries, keys and values there.
    """

    position_P: Tensor
    query_HPe: Tensor
    key_HPe: Tensor
    value_HPe: Tensor


class AttentionRows:
    """The attention of one block on one prompt; made by :meth:`of`.

    Attributes:
        out_SD: What it adds to the stream.
    """

    def __init__(self, block: Block, x_SD: Tensor) -> None:
        weights, heads = block.weights, len(block.weights.W_Q)
        self._block, self._x_SD = block, x_SD
        self._W_O = weights.W_O
        self._W_Q, self._W_K, self._W_V = (
            W.repeat_interleave(heads // len(W), 0) for W in (weights.W_Q, weights.W_K, weights.W_V)
        )
        biases = (weights.b_Q, weights.b_K, weights.b_V)
        in_SD = block.ln1(x_SD[None])[0]
        self._q_HSe, self._k_HSe, self._v_HSe = (
            _by_head(in_SD, W) + (0.0 if b is None else b.repeat_interleave(heads // len(b), 0)[:, None])
            for W, b in zip((self._W_Q, self._W_K, self._W_V), biases, strict=True)
        )
        self._scale = 1 / math.sqrt(self._W_Q.shape[-1])
        scores_HSS = self._q_HSe @ self._k_HSe.transpose(1, 2) * self._scale
        future_SS = torch.ones_like(scores_HSS[0], dtype=torch.bool).triu(1)
        self._pattern_HSS = scores_HSS.masked_fill_(future_SS, -torch.inf).softmax(-1)
        z_HSe = self._pattern_HSS @ self._v_HSe
        self.out_SD = torch.einsum("hse,hed->sd", z_HSe, self._W_O) + (0.0 if weights.b_O is None else weights.b_O)

    @classmethod
    @torch.no_grad()
    def of(cls, block: Block, x_SD: Tensor) -> AttentionRows | None:
        """The attention that reads a stream [S, d], or None if the block computes another function of its weights.

        Others are rotary attention, capped scores, windows and post-norms: their output is compared.
        """
        if not block.weights.W_Q.numel():
            return None
        made = cls(block, x_SD)
        expected_SD = block.attention(block.ln1(x_SD[None]))[0]
        allowed = _ROUNDINGS * torch.finfo(x_SD.dtype).eps * expected_SD.abs().max()
        return made if (made.out_SD - expected_SD).abs().max() <= allowed else None

    def push(self, position_P: Tensor, vector_PD: Tensor) -> Pushed:
        """What vectors in the stream do to queries, keys and values, to first order."""
        moved_PD = push_through(self._block.ln1, self._x_SD[None, position_P], vector_PD[None])[0]
        return Pushed(position_P, *(_by_head(moved_PD, W) for W in (self._W_Q, self._W_K, self._W_V)))

    def batches(self, children: int, parents: int) -> Iterator[slice]:
        """Children that are computed together."""
        step = max(1, _NUMBERS // max(1, parents, len(self._x_SD)))
        return (slice(start, min(start + step, children)) for start in range(0, children, step))

    @torch.no_grad()
    def pull(self, position_C: Tensor, cotangent_CD: Tensor, parents: Pushed) -> Tensor:
        """Cotangent · derivative · parent, for cotangents at positions and parents in the stream: [C, P]."""
        end = int(position_C.max()) + 1
        near_M = (parents.position_P < end).nonzero()[:, 0]
        position_M = parents.position_P[near_M]
        own_CM = position_C[:, None] == position_M
        sum_CM = cotangent_CD.new_zeros(len(position_C), len(near_M))
        for head, pattern_SS in enumerate(self._pattern_HSS):
            gain_Ce = cotangent_CD @ self._W_O[head].T
            a_CS = pattern_SS[position_C, :end]
            t_CS = gain_Ce @ self._v_HSe[head, :end].T
            s_CS = a_CS * (t_CS - (a_CS * t_CS).sum(-1, keepdim=True)) * self._scale
            sum_CM += a_CS[:, position_M] * (gain_Ce @ parents.value_HPe[head, near_M].T)
            sum_CM += s_CS[:, position_M] * (self._q_HSe[head, position_C] @ parents.key_HPe[head, near_M].T)
            sum_CM += own_CM * (s_CS @ self._k_HSe[head, :end] @ parents.query_HPe[head, near_M].T)
        out_CP = sum_CM.new_zeros(len(position_C), len(parents.position_P))
        out_CP[:, near_M] = sum_CM
        return out_CP

    @torch.no_grad()
    def pull_sums(self, position_N: Tensor, cotangent_ND: Tensor, counts_J: Tensor) -> Tensor:
        """Sums of cotangents, each at a query, pulled back to attn_in: [J, S, d].

        Args:
            position_N: Queries.
            cotangent_ND: Behind the attention, one at each of these.
            counts_J: How many of them, in their order, are in each sum; at least 1, ascending.
        """
        heads, length, _ = self._pattern_HSS.shape
        width = cotangent_ND.shape[1]
        gain_NHe = torch.einsum("nd,hed->nhe", cotangent_ND, self._W_O)
        share_N2HS = gain_NHe.new_empty(len(position_N), 2, heads, length)
        vector_N2HD = gain_NHe.new_empty(len(position_N), 2, heads, width)
        a_NHS = self._pattern_HSS.transpose(0, 1)[position_N]
        t_NHS = torch.einsum("nhe,hse->nhs", gain_NHe, self._v_HSe)
        s_NHS = a_NHS * (t_NHS - (a_NHS * t_NHS).sum(-1, keepdim=True)) * self._scale
        share_N2HS[:, 0], share_N2HS[:, 1] = a_NHS, s_NHS
        vector_N2HD[:, 0] = torch.einsum("nhe,hde->nhd", gain_NHe, self._W_V)
        vector_N2HD[:, 1] = torch.einsum("hse,hde->shd", self._q_HSe, self._W_K)[position_N]
        own_ND = torch.einsum("nhe,hde->nd", torch.einsum("nhs,hse->nhe", s_NHS, self._k_HSe), self._W_Q)
        sum_JSD = own_ND.new_empty(len(counts_J), length, width)
        rows = sums = 0
        for count, number in zip(
            *(one.tolist() for one in counts_J.unique_consecutive(return_counts=True)), strict=True
        ):
            here = slice(rows, rows := rows + count * number)
            share_GRS = share_N2HS[here].view(number, -1, length)
            vector_GRD = vector_N2HD[here].view(number, -1, width)
            torch.bmm(share_GRS.transpose(1, 2), vector_GRD, out=sum_JSD[sums : (sums := sums + number)])
        number_N = torch.arange(len(counts_J), device=position_N.device).repeat_interleave(counts_J)
        return sum_JSD.index_put_((number_N, position_N), own_ND, accumulate=True)


def push_through(part: Callable[[Tensor], Tensor], x: Tensor, vector: Tensor) -> Tensor:
    """Derivatives of a part of the model at ``x`` times vectors, both [B, S, d]; nothing passes between positions."""
    with torch.enable_grad():  # the derivative's product with a vector, as that of its transpose's transpose
        leaf = x.detach().requires_grad_()
        out = part(leaf)
        any_one = torch.zeros_like(out, requires_grad=True)
        (back,) = torch.autograd.grad((out * any_one).sum(), leaf, create_graph=True)
        return torch.autograd.grad((back * vector).sum(), any_one)[0]


def _by_head(x_ND: Tensor, W_HDe: Tensor) -> Tensor:
    return torch.einsum("nd,hde->hne", x_ND, W_HDe)
