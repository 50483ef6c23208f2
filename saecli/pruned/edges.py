"""Sums over connections, and their gradients.

For T tokens, upstream activations x [T, N] of which K per token are listed, downstream features j and their connected
upstream features i ∈ M_j, per head h::

    w^h_ji = gate_ji left^h_j · right^h_i                   (only at connections: SDDMM)
    y^h[t, j] = Σ_{i ∈ M_j} w^h_ji x[t, i]                  (SpMM)
    out[q, j] = Σ_h Σ_k mix^h[q, k] y^h[k, j]               (heads; without them out = y)

right^h_i is decoder row i, for attention through the values of head h, right^h_i = W_i V_h; an MLP's connections are
one head without mixing. Nothing of size [F, N] or [H, T, F] is made, and of the right factors one head or block of
coordinates at a time: they are made again on the way back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from saecli.core.sampled import sampled
from saecli.pruned.pattern import Pattern

_POSITIONS: Final = 64
"""Positions whose upstream activations [N, P] are held densely: a few megabytes, near the second-level cache."""
_COORDINATES: Final = 128
"""Coordinates of the residual stream taken together where there are no heads."""


def edge_sums(
    pattern: Pattern,
    indices_TK: Tensor,
    values_TK: Tensor,
    left_HFE: Tensor,
    decoders_FD: Sequence[Tensor],
    heads: Heads | None = None,
    gates_E: Tensor | None = None,
) -> Tensor:
    """What the connected upstream features give every downstream feature.

    Args:
        pattern: The connections.
        indices_TK: int64 upstream features (numbered through) active at every token.
        values_TK: Their activations; differentiable.
        left_HFE: Left factors; differentiable. Without heads [1, F, D].
        decoders_FD: Decoder of every upstream module of the pattern; differentiable.
        heads: Of an attention module.
        gates_E: Factor on every connection, of all heads; differentiable. None for 1.

    Returns:
        [T, F].
    """
    return _EdgeSums.apply(pattern, indices_TK, values_TK, left_HFE, heads, gates_E, *decoders_FD)  # pyright: ignore[reportReturnType]


class Heads(NamedTuple):
    """Attention with its pattern fixed.

    Attributes:
        values_HDE: From the residual stream to the values of each head.
        mix_BHSS: Pattern over the norm's scale, rows are the positions written; B·S = T.
    """

    values_HDE: Tensor
    mix_BHSS: Tensor


class _EdgeSums(Function):
    @staticmethod
    def forward(
        ctx: Any,
        pattern: Pattern,
        indices_TK: Tensor,
        values_TK: Tensor,
        left_HFE: Tensor,
        heads: Heads | None,
        gates_E: Tensor | None,
        *decoders_FD: Tensor,
    ) -> Tensor:
        out_TF = values_TK.new_zeros(len(values_TK), pattern.n_down)
        weights_HE = values_TK.new_zeros(len(left_HFE), pattern.n_edges)
        for head, block in _blocks(left_HFE, heads):
            right_NE = torch.cat([_right(decoder, block, heads) for decoder in decoders_FD])
            weights_HE[head] += sampled(pattern.indptr_F1, pattern.columns_E, _left(left_HFE, block, heads), right_NE)
        gated_HE = weights_HE if gates_E is None else weights_HE * gates_E
        for tokens, after, mix_HAP in _chunks(len(out_TF), heads):
            x_NP = _dense(pattern, indices_TK[tokens], values_TK[tokens])
            for head, weights_E in enumerate(gated_HE):
                y_PF = summed(pattern, weights_E, x_NP).T
                if mix_HAP is None:
                    out_TF[tokens] = y_PF
                else:
                    out_TF[after].addmm_(mix_HAP[head], y_PF)
        ctx.pattern, ctx.heads = pattern, heads
        ctx.save_for_backward(indices_TK, values_TK, left_HFE, weights_HE, gates_E, *decoders_FD)
        return out_TF

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        (grad_TF,) = grads
        pattern, heads = ctx.pattern, ctx.heads
        indices_TK, values_TK, left_HFE, weights_HE, gates_E, *decoders_FD = ctx.saved_tensors
        _, _, wants_values, wants_left, _, wants_gates, *wants_decoders = ctx.needs_input_grad
        across, order_E = pattern.transposed()
        across_HE = (weights_HE if gates_E is None else weights_HE * gates_E)[:, order_E]
        grad_values_TK = torch.zeros_like(values_TK) if wants_values else None
        grad_across_EH = across_HE.new_zeros(across_HE.shape[::-1])
        for tokens, after, mix_HAP in _chunks(len(grad_TF), heads):
            indices_PK, values_PK = indices_TK[tokens], values_TK[tokens]
            if mix_HAP is None:
                grad_HFP = grad_TF[tokens].T.contiguous()[None]
            else:
                grad_HFP = torch.stack([grad_TF[after].T @ mix_AP for mix_AP in mix_HAP])
            if grad_values_TK is not None:
                grad_x_NP = summed(across, across_HE[0], grad_HFP[0])
                for weights_E, grad_FP in zip(across_HE[1:], grad_HFP[1:], strict=True):
                    grad_x_NP += summed(across, weights_E, grad_FP)
                grad_values_TK[tokens] = grad_x_NP.T.gather(1, indices_PK)
            if wants_left or wants_gates or any(wants_decoders):
                grad_across_EH += _visited(across, indices_PK, values_PK, grad_HFP)
        grad_across_HE = grad_across_EH.T.contiguous()
        grad_HE = torch.empty_like(grad_across_HE)
        grad_HE[:, order_E] = grad_across_HE
        grad_gates_E = (grad_HE * weights_HE).sum(0) if wants_gates else None
        if gates_E is not None:
            grad_HE, grad_across_HE = grad_HE * gates_E, grad_across_HE * gates_E[order_E]
        grad_left = torch.zeros_like(left_HFE) if wants_left else None
        wanted = zip(decoders_FD, wants_decoders, strict=True)
        grad_decoders = [torch.zeros_like(one) if wants else None for one, wants in wanted]
        for head, block in _blocks(left_HFE, heads):
            if grad_left is not None:
                right_NE = torch.cat([_right(decoder, block, heads) for decoder in decoders_FD])
                _left(grad_left, block, heads).copy_(summed(pattern, grad_HE[head], right_NE))
            if any(wants_decoders):
                grad_right_NE = summed(across, grad_across_HE[head], _left(left_HFE, block, heads))
                for one, part in zip(grad_decoders, grad_right_NE.split(pattern.widths), strict=True):
                    if one is not None and heads is None:
                        one[:, block] = part
                    elif one is not None and heads is not None:
                        one.addmm_(part, heads.values_HDE[head].T)
        return None, None, grad_values_TK, grad_left, None, grad_gates_E, *grad_decoders


def _blocks(left_HFE: Tensor, heads: Heads | None) -> Iterator[tuple[int, int | slice]]:
    """Head by head, or the one head by blocks of coordinates: (number in the weights, what is taken of the factors)."""
    if heads is not None:
        yield from ((head, head) for head in range(len(left_HFE)))
    else:
        width = left_HFE.shape[-1]
        yield from ((0, slice(first, first + _COORDINATES)) for first in range(0, width, _COORDINATES))


def _left(left_HFE: Tensor, block: int | slice, heads: Heads | None) -> Tensor:
    return left_HFE[block] if heads is not None else left_HFE[0][:, block]


def _right(decoder_FD: Tensor, block: int | slice, heads: Heads | None) -> Tensor:
    return decoder_FD[:, block] if heads is None else decoder_FD @ heads.values_HDE[block]


def _visited(across: Pattern, indices_PK: Tensor, values_PK: Tensor, grad_HFP: Tensor) -> Tensor:
    """Gradient of every weight, Σ_t x[t, i] grad^h[t, j], over the tokens alone where i is active: [E, H].

    Args:
        across: The connections by upstream feature.
    """
    heads, n_down, positions = grad_HFP.shape
    table = grad_HFP.permute(2, 1, 0).reshape(positions * n_down, heads)
    feature_A, order_A = indices_PK.flatten().sort(stable=True)
    row_A = (order_A.div(indices_PK.shape[1], rounding_mode="floor") * n_down).int()
    value_A = values_PK.flatten()[order_A]
    active_N = feature_A.bincount(minlength=across.n_down).int()
    degree_N = across.indptr_F1.diff()
    visits_E = active_N.repeat_interleave(degree_N, output_size=across.n_edges)
    first_E = (visits_E.cumsum(0) - visits_E).int()
    # Visit v belongs to one connection and is the (v - first)-th of the tokens at which its upstream feature is active.
    before_E = (active_N.cumsum(0) - active_N).int().repeat_interleave(degree_N, output_size=across.n_edges)
    total = int(visits_E.sum())
    place_V = torch.arange(total, dtype=torch.int32, device=table.device)
    place_V += (before_E - first_E).repeat_interleave(visits_E, output_size=total)
    row_V = row_A.index_select(0, place_V)
    row_V += across.columns_E.repeat_interleave(visits_E, output_size=total)
    return functional.embedding_bag(
        row_V, table, first_E, mode="sum", per_sample_weights=value_A.index_select(0, place_V)
    )


def summed(pattern: Pattern, weights_E: Tensor, x_NX: Tensor) -> Tensor:
    """The sparse matrix with these weights times a dense one [N, X]: [F, X]."""
    return functional.embedding_bag(
        pattern.columns_E,
        x_NX.contiguous(),
        pattern.indptr_F1,
        mode="sum",
        per_sample_weights=weights_E,
        include_last_offset=True,
    )


def _chunks(tokens: int, heads: Heads | None) -> Iterator[tuple[slice, slice, Tensor | None]]:
    """Parts of a batch: positions of one sequence attended to, the positions from there on, and the part of the mix
    [H, A, P] that leads from the ones to the others; without heads, tokens alone."""
    length = tokens if heads is None else heads.mix_BHSS.shape[-1]
    for start in range(0, tokens, length):
        for first in range(0, length, _POSITIONS):
            here = slice(start + first, start + min(first + _POSITIONS, length))
            last = first + _POSITIONS
            part = None if heads is None else heads.mix_BHSS[start // length, :, first:, first:last]
            yield here, slice(start + first, start + length), part


def _dense(pattern: Pattern, indices_SK: Tensor, values_SK: Tensor) -> Tensor:
    """Listed activations → [N, S]."""
    dense_SN = values_SK.new_zeros(len(values_SK), pattern.n_up).scatter_add_(1, indices_SK, values_SK)
    return dense_SN.T.contiguous()
