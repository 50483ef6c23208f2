"""Sums over connections, and their gradients.

For T tokens, upstream activations x [T, N] of which K per token are listed, downstream features j and their connected
upstream features i ∈ M_j, per head h::

    w^h_ji = left^h_j · right^h_i                           (only at connections: SDDMM)
    y^h[t, j] = Σ_{i ∈ M_j} w^h_ji x[t, i]                  (SpMM)
    out[q, j] = Σ_h Σ_k mix^h[q, k] y^h[k, j]               (heads; without them out = y)

An MLP's connections are one head without mixing. Nothing of size [F, N] or [H, T, F] is made.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from saecli.pruned.pattern import Pattern

_POSITIONS: Final = 64
"""Positions whose upstream activations [N, P] are held densely: a few megabytes, near the second-level cache."""


def edge_sums(
    pattern: Pattern, indices_TK: Tensor, values_TK: Tensor, left_HFE: Tensor, right_HNE: Tensor, mix: Tensor | None
) -> Tensor:
    """What the connected upstream features give every downstream feature.

    Args:
        pattern: The connections.
        indices_TK: int64 upstream features (numbered through) active at every token.
        values_TK: Their activations; differentiable.
        left_HFE, right_HNE: Factors of the weights; differentiable.
        mix: [B, H, S, S] with B·S = T, rows are the positions written; None for one head without mixing.

    Returns:
        [T, F].
    """
    return _EdgeSums.apply(pattern, indices_TK, values_TK, left_HFE, right_HNE, mix)  # pyright: ignore[reportReturnType]


class _EdgeSums(Function):
    @staticmethod
    def forward(
        ctx: Any,
        pattern: Pattern,
        indices_TK: Tensor,
        values_TK: Tensor,
        left_HFE: Tensor,
        right_HNE: Tensor,
        mix: Tensor | None,
    ) -> Tensor:
        out_TF = values_TK.new_zeros(len(values_TK), pattern.n_down)
        weights_HE = torch.stack([sampled(pattern, *pair) for pair in zip(left_HFE, right_HNE, strict=True)])
        for tokens, after, mix_HAP in _chunks(len(out_TF), mix):
            x_NP = _dense(pattern, indices_TK[tokens], values_TK[tokens])
            for head, weights_E in enumerate(weights_HE):
                y_PF = summed(pattern, weights_E, x_NP).T
                if mix_HAP is None:
                    out_TF[tokens] = y_PF
                else:
                    out_TF[after].addmm_(mix_HAP[head], y_PF)
        ctx.pattern = pattern
        ctx.save_for_backward(indices_TK, values_TK, left_HFE, right_HNE, weights_HE, mix)
        return out_TF

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        (grad_TF,) = grads
        pattern: Pattern = ctx.pattern
        indices_TK, values_TK, left_HFE, right_HNE, weights_HE, mix = ctx.saved_tensors
        _, _, wants_values, wants_left, wants_right, _ = ctx.needs_input_grad
        across, order_E = pattern.transposed()
        across_HE = weights_HE[:, order_E]
        grad_values_TK = torch.zeros_like(values_TK) if wants_values else None
        grad_across_EH = torch.zeros_like(across_HE).T.contiguous()
        for tokens, after, mix_HAP in _chunks(len(grad_TF), mix):
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
            if wants_left or wants_right:
                grad_across_EH += _visited(across, indices_PK, values_PK, grad_HFP)
        grad_across_HE = grad_across_EH.T.contiguous()
        grad_HE = torch.empty_like(grad_across_HE)
        grad_HE[:, order_E] = grad_across_HE
        pairs = zip(grad_HE, right_HNE, strict=True)
        grad_left = torch.stack([summed(pattern, *pair) for pair in pairs]) if wants_left else None
        pairs = zip(grad_across_HE, left_HFE, strict=True)
        grad_right = torch.stack([summed(across, *pair) for pair in pairs]) if wants_right else None
        return None, None, grad_values_TK, grad_left, grad_right, None


def _visited(across: Pattern, indices_PK: Tensor, values_PK: Tensor, grad_HFP: Tensor) -> Tensor:
    """Gradient of every weight, Σ_t x[t, i] grad^h[t, j], over the tokens alone where i is active: [E, H].

    Args:
        across: The connections by upstream feature.
    """
    heads, n_down, positions = grad_HFP.shape
    table = grad_HFP.permute(2, 1, 0).reshape(positions * n_down, heads)
    feature_A, order_A = indices_PK.flatten().sort(stable=True)
    active_N = feature_A.bincount(minlength=across.n_down)
    visits_E = active_N.repeat_interleave(across.indptr_F1.diff(), output_size=across.n_edges)
    first_E = visits_E.cumsum(0) - visits_E
    # Visit v belongs to one connection and is the (v - first)-th of the tokens at which its upstream feature is active.
    jump_E = (active_N.cumsum(0) - active_N).repeat_interleave(
        across.indptr_F1.diff(), output_size=across.n_edges
    ) - first_E
    total = int(visits_E.sum())
    place_V = torch.arange(total, device=table.device) + jump_E.repeat_interleave(visits_E, output_size=total)
    active_V = order_A[place_V]
    row_V = active_V.div(indices_PK.shape[1], rounding_mode="floor") * n_down
    row_V += across.columns_E.repeat_interleave(visits_E, output_size=total)
    return functional.embedding_bag(row_V, table, first_E, mode="sum", per_sample_weights=values_PK.flatten()[active_V])


def sampled(pattern: Pattern, left_FE: Tensor, right_NE: Tensor) -> Tensor:
    """left · rightᵀ at the connections alone: [E]."""
    _quiet()
    empty = torch.sparse_csr_tensor(
        pattern.indptr_F1,
        pattern.columns_E,
        left_FE.new_zeros(pattern.n_edges),
        (pattern.n_down, pattern.n_up),
        check_invariants=False,
    )
    return torch.sparse.sampled_addmm(empty, left_FE, right_NE.T, beta=0).values()


@cache
def _quiet() -> None:
    """Let torch say once, to nobody, that its CSR tensors are in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor(torch.tensor([0, 0]), torch.tensor([]).long(), torch.tensor([]), (1, 1))


def summed(pattern: Pattern, weights_E: Tensor, x_NX: Tensor) -> Tensor:
    """The sparse matrix with these weights times a dense one [N, X]: [F, X]."""
    return functional.embedding_bag(
        pattern.columns_E,
        x_NX,
        pattern.indptr_F1,
        mode="sum",
        per_sample_weights=weights_E,
        include_last_offset=True,
    )


def _chunks(tokens: int, mix: Tensor | None) -> Iterator[tuple[slice, slice, Tensor | None]]:
    """Parts of a batch: positions of one sequence attended to, the positions from there on, and the part of the mix
    [H, A, P] that leads from the ones to the others; without mixing, tokens alone."""
    length = tokens if mix is None else mix.shape[-1]
    for start in range(0, tokens, length):
        for first in range(0, length, _POSITIONS):
            here = slice(start + first, start + min(first + _POSITIONS, length))
            part = None if mix is None else mix[start // length, :, first:, first : first + _POSITIONS]
            yield here, slice(start + first, start + length), part


def _dense(pattern: Pattern, indices_SK: Tensor, values_SK: Tensor) -> Tensor:
    """Listed activations → [N, S]."""
    dense_SN = values_SK.new_zeros(len(values_SK), pattern.n_up).scatter_add_(1, indices_SK, values_SK)
    return dense_SN.T.contiguous()
