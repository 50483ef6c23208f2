"""The gated dictionary: f = 1[γ > 0] · ReLU(e^r · (γ − b_gate) + b_mag) with γ = (x − b_dec) W_enc + b_gate.

One encoder with two readings: the gate decides which features are active, the magnitude how much. x̂ = f W_dec + b_dec.
Source: Rajamanoharan et al. 2024, https://arxiv.org/abs/2404.16014.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary, DictionaryConfig


class Gated(Dictionary):
    """Pre-activations are those of the gate, ``b_enc_F`` is b_gate; ``r_mag_F`` and ``b_mag_F`` [F] give magnitudes."""

    arch = "gated"

    def __init__(self, config: DictionaryConfig) -> None:
        super().__init__(config)
        self.r_mag_F = nn.Parameter(torch.zeros(config.n_latents))
        self.b_mag_F = nn.Parameter(torch.zeros(config.n_latents))

    def activate(self, pre: Tensor, indices: Tensor | None = None) -> Tensor:
        """The magnitude where the gate is open; every feature decides for itself."""
        return self._magnitude(pre, slice(None) if indices is None else indices).relu() * (pre > 0)

    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Features whose gate can open and whose magnitude can be positive; both grow with the pre-activation."""
        most_TF = pre_TF + bound_TF
        return (most_TF > 0) & (self._magnitude(most_TF) > 0)

    def encoder_directions(self, x_ND: Tensor, indices_N: Tensor) -> Tensor:
        """Gradient of an active feature's magnitude: the encoder's row times e^r."""
        return super().encoder_directions(x_ND, indices_N) * self.r_mag_F[indices_N].exp()[:, None]

    def _magnitude(self, gate: Tensor, which: Tensor | slice = slice(None)) -> Tensor:
        return self.r_mag_F[which].exp() * (gate - self.b_enc_F[which]) + self.b_mag_F[which]
