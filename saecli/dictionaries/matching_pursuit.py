"""The matching pursuit dictionary: features are chosen one after the other, each for what the others left.

With r = x − b_dec, in every step: i = argmax r · W_dec[i], a = ReLU(r · W_dec[i]), f_i += a, r −= a W_dec[i]. It ends
when ‖r‖ falls below ``residual_threshold`` (if positive), when a step chose nothing new
(``stop_on_duplicate_support``), or after ``max_iterations`` (d_in by default). x̂ = f W_dec + b_dec; the encoder is the
decoder. Source: Costa et al. 2025, https://arxiv.org/abs/2506.03093; the rule as in sae-lens 6.
"""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import UsageError
from saecli.dictionaries.tied import Tied


class MatchingPursuit(Tied):
    """Has ``W_dec_FD`` and ``b_dec_D`` alone; its features do not follow from one set of pre-activations."""

    arch = "matching_pursuit"

    def __init__(self, config: DictionaryConfig) -> None:
        super().__init__(config)
        options = config.options
        self.residual_threshold: float = options.get("residual_threshold", 1e-2)
        iterations = options.get("max_iterations")
        if iterations is not None and (type(iterations) is not int or iterations < 1):
            raise UsageError(f"A matching pursuit dictionary needs max_iterations of 1 or more, not {iterations!r}.")
        self.max_iterations: int = iterations or config.d_in
        self.stop_on_duplicate_support = bool(options.get("stop_on_duplicate_support", True))

    def preactivations(self, x: Tensor) -> Tensor:
        """r · W_dec of the first step, [..., F]."""
        return self.prepare(x)[0] @ self.W_enc_DF

    def encode(self, x: Tensor) -> Tensor:
        """[..., d_in] → dense activations [..., F]."""
        r_TD = self.prepare(x)[0].reshape(-1, self.config.d_in).clone()
        acts_TF = r_TD.new_zeros(len(r_TD), self.n_latents)
        running_T = torch.ones(len(r_TD), dtype=torch.bool, device=r_TD.device)
        for _ in range(self.max_iterations):
            if not running_T.any():
                break
            r_ND = r_TD[running_T]
            index_N = (r_ND @ self.W_enc_DF).argmax(-1)
            chosen_ND = self.W_dec_FD[index_N]
            step_N = (r_ND * chosen_ND).sum(-1).relu()
            before_N = acts_TF[running_T, index_N]
            acts_TF[running_T, index_N] = before_N + step_N
            r_TD[running_T] = r_ND = r_ND - step_N[:, None] * chosen_ND
            goes_on_N = torch.ones_like(step_N, dtype=torch.bool)
            if self.stop_on_duplicate_support:
                goes_on_N &= (before_N == 0) & (step_N != 0)
            if self.residual_threshold > 0:
                goes_on_N &= r_ND.norm(dim=-1) >= self.residual_threshold
            running_T[running_T.clone()] = goes_on_N
        return acts_TF.view(*x.shape[:-1], self.n_latents)

    def activate(self, pre: Tensor, indices: Tensor | None = None) -> NoReturn:
        """Refused: the second choice depends on the vectors, not on the pre-activations alone."""
        raise UsageError("A matching pursuit dictionary has no activation function of its pre-activations.")

    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Every feature."""
        return torch.ones_like(pre_TF, dtype=torch.bool)

    def encoder_directions(self, x_ND: Tensor, indices_N: Tensor) -> NoReturn:
        """Refused: a feature's gradient depends on the features chosen before it."""
        raise UsageError("The features of a matching pursuit dictionary have no encoder directions of their own.")
