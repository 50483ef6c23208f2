"""The TopK sparse autoencoder: f = ReLU(TopK((x − b_dec) W_enc + b_enc)), x̂ = f W_dec + b_dec.

Exactly the k largest pre-activations are kept, and of those the positive ones are active.
Source: Gao et al. 2024, https://arxiv.org/abs/2406.04093.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saecli.core.dictionary import PREACTIVATIONS, Dictionary, DictionaryConfig, SparseActs
from saecli.core.errors import UsageError
from saecli.dictionaries.selection import top_k


class TopK(Dictionary):
    """Dictionary with k active features; ``options["k"]``."""

    arch = "topk"

    def __init__(self, config: DictionaryConfig) -> None:
        super().__init__(config)
        k = config.options.get("k")
        if not isinstance(k, int) or not 1 <= k <= config.n_latents:
            raise UsageError(
                f"A {config.arch} dictionary of {config.n_latents} latents needs k from 1 to that, not {k!r}."
            )
        self.k = k

    def select(self, pre_TF: Tensor) -> tuple[Tensor, Tensor]:
        """Activations and indices of the (at most) k kept columns of every row, [T, k] each."""
        values_TK, indices_TK = top_k(pre_TF, min(self.k, pre_TF.shape[-1]))
        return values_TK.relu(), indices_TK

    def activate(self, pre: Tensor, indices: Tensor | None = None) -> Tensor:
        """The k largest of the columns through ReLU, 0 elsewhere."""
        flat = pre.reshape(-1, pre.shape[-1])
        values_TK, indices_TK = self.select(flat)
        return torch.zeros_like(flat).scatter(-1, indices_TK, values_TK).view_as(pre)

    def encode_sparse(self, x: Tensor) -> SparseActs:
        """[T, d_in] → k slots per row, in chunks of rows, so that the dense [T, F] never exists."""
        rows = max(1, PREACTIVATIONS // self.n_latents)
        parts = [self.select(self.preactivations(part)) for part in x.split(rows)]
        return SparseActs(torch.cat([indices for _, indices in parts]), torch.cat([values for values, _ in parts]))

    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Features that can be among the k largest and positive.

        The k-th largest lower bound τ of a row is a floor for the k-th largest pre-activation after the change, so
        whatever cannot reach τ is out: (pre + bound ≥ τ) and (pre + bound > 0).
        """
        floor_T1 = (pre_TF - bound_TF).topk(self.k, dim=-1).values[..., -1:]
        most_TF = pre_TF + bound_TF
        return (most_TF >= floor_T1) & (most_TF > 0)
