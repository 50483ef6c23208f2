"""The GroupMax dictionary: of every one of k groups of neighbouring features, the largest through ReLU.

With π = (x − b_dec) W_enc + b_enc cut into k groups of F / k columns: f_i = ReLU(π_i) if π_i is the largest of its
group (the first of equal ones), else 0; x̂ = f W_dec + b_dec.
Source: https://github.com/EleutherAI/sparsify (``fused_encoder.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig, SparseActs
from saecli.core.errors import UsageError


class GroupMax(Dictionary):
    """Dictionary with at most one active feature in each of ``options["k"]`` groups of equal size."""

    arch = "groupmax"

    def __init__(self, config: DictionaryConfig) -> None:
        super().__init__(config)
        k = config.options.get("k")
        if type(k) is not int or k < 1 or config.n_latents % k:
            raise UsageError(
                f"A groupmax dictionary of {config.n_latents} latents needs k that divides them, not {k!r}."
            )
        self.k = k

    def activate(self, pre: Tensor, indices: Tensor | None = None) -> Tensor:
        """ReLU of the largest column of every group, 0 elsewhere."""
        columns = torch.arange(pre.shape[-1], device=pre.device)
        group_C = (columns if indices is None else indices).div(self.n_latents // self.k, rounding_mode="floor")
        flat = pre.reshape(-1, pre.shape[-1])
        groups = group_C.expand_as(flat)
        largest = flat.new_full((len(flat), self.k), -torch.inf).scatter_reduce(1, groups, flat.detach(), "amax")
        order = (columns if indices is None else indices).expand_as(flat)
        tied = torch.where(flat.detach() == largest.gather(1, groups), order, self.n_latents)
        first = torch.full_like(largest, self.n_latents, dtype=torch.long).scatter_reduce(1, groups, tied, "amin")
        return (flat.relu() * (order == first.gather(1, groups))).view_as(pre)

    def encode_sparse(self, x: Tensor) -> SparseActs:
        """[T, d_in] → one slot per group."""
        values_TK, within_TK = self.preactivations(x).unflatten(-1, (self.k, -1)).max(-1)
        start_K = torch.arange(0, self.n_latents, self.n_latents // self.k, device=x.device)
        return SparseActs(start_K + within_TK, values_TK.relu())

    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Features that can be the largest of their group and positive.

        The largest lower bound of a group is a floor for its largest pre-activation after the change.
        """
        floor_TK1 = (pre_TF - bound_TF).unflatten(-1, (self.k, -1)).amax(-1, keepdim=True)
        most_TF = pre_TF + bound_TF
        reaches_TF = (most_TF.unflatten(-1, (self.k, -1)) >= floor_TK1).flatten(-2)
        return reaches_TF & (most_TF > 0)
