"""The JumpReLU dictionary: f = π · 1[π > θ] · 1[π > 0] with π = (x − b_dec) W_enc + b_enc, x̂ = f W_dec + b_dec.

What BatchTopK and Matryoshka dictionaries are after training, with one θ for all features.
Source: Rajamanoharan et al. 2024, https://arxiv.org/abs/2407.14435; BatchTopK: https://arxiv.org/abs/2412.06410.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import UsageError


def from_topk(dictionary: Dictionary) -> JumpReLU:
    """The JumpReLU with the weights of a TopK dictionary and its threshold, ``options["threshold"]``, for all features.

    Raises:
        UsageError: It is not TopK, or has no threshold.
    """
    config = dictionary.config
    if config.arch != "topk":
        raise UsageError(f"Only a TopK dictionary becomes JumpReLU, and that at {config.reads} is {config.arch}.")
    if "threshold" not in config.options:
        raise UsageError(
            f"The TopK dictionary at {config.reads} has no threshold to become JumpReLU with.",
            "saecli train sae --arch topk and dictionary_learning learn one in training.",
        )
    options = {name: value for name, value in config.options.items() if name not in ("k", "threshold")}
    made = JumpReLU(replace(config, arch="jumprelu", options=options)).to(dictionary.b_dec_D)
    made.load_state_dict(dictionary.state_dict(), strict=False)
    made.threshold_F.data.fill_(config.options["threshold"])
    return made.requires_grad_(dictionary.b_dec_D.requires_grad).eval()


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
