"""The JumpReLU dictionary: f = π · 1[π > θ] · 1[π > 0] with π = (x − b_dec) W_enc + b_enc, x̂ = f W_dec + b_dec.

What BatchTopK and Matryoshka dictionaries are after training, with one θ for all features.
Source: Rajamanoharan et al. 2024, https://arxiv.org/abs/2407.14435; BatchTopK: https://arxiv.org/abs/2412.06410.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary, DictionaryConfig


class JumpReLU(Dictionary):
    """A feature is active where its pre-activation exceeds its threshold ``threshold_F`` [F] (and is positive)."""

    arch = "jumprelu"

    def __init__(self, config: DictionaryConfig) -> None:
        super().__init__(config)
        self.threshold_F = nn.Parameter(torch.zeros(config.n_latents))

    def activate(self, pre: Tensor, indices: Tensor | None = None) -> Tensor:
        """ReLU above the threshold, 0 at and below it; every feature decides for itself."""
        threshold = self.threshold_F if indices is None else self.threshold_F[indices]
        return pre.relu() * (pre > threshold)

    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Features whose pre-activation can exceed both the threshold and 0."""
        return pre_TF + bound_TF > self.threshold_F.clamp_min(0)
