"""The standard sparse autoencoder: f = ReLU((x − b_dec) W_enc + b_enc), x̂ = f W_dec + b_dec.

Source: Bricken et al. 2023, https://transformer-circuits.pub/2023/monosemantic-features.
"""

from __future__ import annotations

from torch import Tensor

from saecli.core.dictionary import Dictionary


class Standard(Dictionary):
    """ReLU dictionary; trained with an L1 penalty."""

    arch = "standard"

    def activate(self, pre: Tensor, indices: Tensor | None = None) -> Tensor:
        """ReLU; every feature decides for itself."""
        return pre.relu()

    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Features whose pre-activation can be positive: pre + bound > 0."""
        return pre_TF + bound_TF > 0
