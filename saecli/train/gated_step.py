"""The gated training step.

With γ = c W_enc + b_gate, c = x − b_dec (c = x for a transcoder), H the step function and sg holding constant::

    f    = H(γ) · ReLU(e^r (γ − b_gate) + b_mag)                    x̂ = f W_dec + b_dec
    loss = (|x̂ − y|² + w Σ_f ReLU(γ) + |ReLU(γ) sg(W_dec) + sg(b_dec) − y|²) / D, on average over the batch

The gate learns from the last two terms alone, since H has no gradient; decoder rows have norm 1, so that the penalty
cannot be evaded. Source: Rajamanoharan et al. 2024, https://arxiv.org/abs/2404.16014.
"""

from __future__ import annotations

from typing import cast

import torch

from saecli.core.dictionary import Dictionary
from saecli.dictionaries.gated import Gated
from saecli.train.step import StepInput, StepOutput


def gated_step(dictionary: Dictionary, step: StepInput) -> StepOutput:
    """Loss and gradients of a :class:`~saecli.dictionaries.gated.Gated` dictionary on one batch."""
    made = cast(Gated, dictionary)
    for parameter in made.parameters():
        parameter.grad = None
    with torch.enable_grad():
        pre_BF = made.preactivations(step.x_BD)
        acts_BF, gate_BF = made.activate(pre_BF), pre_BF.relu()
        mse = (made.decode(acts_BF) - step.y_BD).square().mean()
        guess_BD = gate_BF @ made.W_dec_FD.detach() + made.b_dec_D.detach()
        aux = (guess_BD - step.y_BD).square().mean()
        penalty = gate_BF.sum() / step.y_BD.numel()
        loss = mse + step.settings.sparsity_weight * penalty + aux
        loss.backward()
    active_BF = acts_BF.detach() > 0
    l0 = float(active_BF.sum(-1).float().mean())
    return StepOutput(float(loss.detach()), float(mse.detach()), l0, active_BF.any(0), float(aux.detach()))
