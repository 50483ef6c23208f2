"""The identity dictionary: f = (x − b_dec) W_enc + b_enc without an activation function, x̂ = f W_dec + b_dec.

With identity matrices its features are the neurons (or residual channels) themselves: the baseline of
dictionary_learning's ``IdentityDict``. Activations may be negative.
"""

from __future__ import annotations

from torch import Tensor

from saecli.core.dictionary import Dictionary


class Identity(Dictionary):
    """Every feature is active, with either sign."""

    arch = "identity"

    def activate(self, pre: Tensor, indices: Tensor | None = None) -> Tensor:
        """The pre-activations themselves."""
        return pre

    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Features that can differ from 0."""
        return pre_TF.abs() + bound_TF > 0
