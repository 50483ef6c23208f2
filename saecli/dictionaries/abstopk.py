"""The AbsTopK dictionary: f keeps the k largest |(x − b_dec) W_enc + b_enc| with their signs, x̂ = f W_dec + b_dec.

A feature can be active in either direction, so activations may be negative.
Source: "AbsTopK: Rethinking Sparse Autoencoders For Bidirectional Features", https://arxiv.org/abs/2510.00404.
"""

from __future__ import annotations

from torch import Tensor

from saecli.dictionaries.selection import top_k
from saecli.dictionaries.topk import TopK


class AbsTopK(TopK):
    """Dictionary with k active features of either sign; ``options["k"]``."""

    arch = "abstopk"

    def select(self, pre_TF: Tensor) -> tuple[Tensor, Tensor]:
        """Signed activations and indices of the k columns of largest magnitude of every row, [T, k] each."""
        _, indices_TK = top_k(pre_TF.abs(), min(self.k, pre_TF.shape[-1]))
        return pre_TF.gather(-1, indices_TK), indices_TK

    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Features that can be among the k of largest magnitude: those that reach the k-th largest lower bound."""
        floor_T1 = (pre_TF.abs() - bound_TF).clamp_min(0).topk(self.k, dim=-1).values[..., -1:]
        most_TF = pre_TF.abs() + bound_TF
        return (most_TF >= floor_T1) & (most_TF > 0)
