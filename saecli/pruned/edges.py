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
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from saecli.pruned.pattern import Pattern


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
        acts = [_dense(pattern, *part) for part in _sequences(mix, indices_TK, values_TK)]
        parts = list(_sequences(mix, out_TF))
        weights_HE = torch.stack([sampled(pattern, *pair) for pair in zip(left_HFE, right_HNE, strict=True)])
        for head, weights_E in enumerate(weights_HE):
            for number, ((out_SF,), x_NS) in enumerate(zip(parts, acts, strict=True)):
                y_SF = summed(pattern, weights_E, x_NS).T
                if mix is None:
                    out_SF.copy_(y_SF)
                else:
                    out_SF.addmm_(mix[number, head], y_SF)
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
        grad_values_TK = torch.zeros_like(values_TK)
        grad_weights_HE = torch.zeros_like(weights_HE)
        parts = _sequences(mix, indices_TK, values_TK, grad_TF, grad_values_TK)
        for number, (indices, values, grad_SF, grad_values) in enumerate(parts):
            x_NS = _dense(pattern, indices, values)
            grad_x_NS = torch.zeros_like(x_NS)
            for head, weights_E in enumerate(weights_HE):
                grad_FS = (grad_SF if mix is None else mix[number, head].T @ grad_SF).T.contiguous()
                if wants_values:
                    grad_x_NS += summed(across, weights_E[order_E], grad_FS)
                if wants_left or wants_right:
                    grad_weights_HE[head] += sampled(pattern, grad_FS, x_NS)
            grad_values.copy_(grad_x_NS.T.gather(1, indices))
        grad_left = torch.zeros_like(left_HFE) if wants_left else None
        grad_right = torch.zeros_like(right_HNE) if wants_right else None
        for head, grad_E in enumerate(grad_weights_HE):
            if grad_left is not None:
                grad_left[head] = summed(pattern, grad_E, right_HNE[head])
            if grad_right is not None:
                grad_right[head] = summed(across, grad_E[order_E], left_HFE[head])
        return None, None, grad_values_TK if wants_values else None, grad_left, grad_right, None


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


def _sequences(mix: Tensor | None, *tensors: Tensor) -> Any:
    """Rows of T tokens cut into sequences: what attention mixes stays together."""
    length = len(tensors[0]) if mix is None else mix.shape[-1]
    return zip(*(tensor.split(length) for tensor in tensors), strict=True)


def _dense(pattern: Pattern, indices_SK: Tensor, values_SK: Tensor) -> Tensor:
    """Listed activations → [N, S]."""
    dense_SN = values_SK.new_zeros(len(values_SK), pattern.n_up).scatter_add_(1, indices_SK, values_SK)
    return dense_SN.T.contiguous()
