"""The plain training step: the loss written down and differentiated by autograd."""

from __future__ import annotations

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.train.step import StepInput, StepOutput


def standard_step(dictionary: Dictionary, step: StepInput) -> StepOutput:
    """Mean squared error and a sparsity penalty weighted by decoder norms, which are free.

    loss = (|x̂ − y|² + w Σ_f (f |W_dec[f]|)^p) / D, on average over the batch. With p = 1 that is the L1 penalty of
    https://transformer-circuits.pub/2024/april-update; p < 1 is p-annealing (:mod:`saecli.train.anneal`), whose power
    is taken of f |W_dec[f]| as well, so that scaling a feature up and its decoder row down changes nothing.
    """
    for parameter in dictionary.parameters():
        parameter.grad = None
    width = step.y_BD.shape[1]
    with torch.enable_grad():
        acts_BF = dictionary.encode(step.x_BD)
        norms_F = dictionary.W_dec_FD.norm(dim=1)
        mse = (dictionary.decode(acts_BF) - step.y_BD).square().mean()
        penalty = _power_sum(acts_BF, norms_F, step.p) / width
        loss = mse + step.settings.sparsity_weight * penalty
        loss.backward()
    acts_BF, norms_F = acts_BF.detach(), norms_F.detach()
    penalties = None
    if step.next_p is not None:
        penalties = float(penalty.detach()), float(_power_sum(acts_BF, norms_F, step.next_p)) / width
    active_BF = acts_BF > 0
    l0 = float(active_BF.sum(-1).float().mean())
    return StepOutput(float(loss.detach()), float(mse.detach()), l0, active_BF.any(0), penalties=penalties)


def _power_sum(acts_BF: Tensor, norms_F: Tensor, p: float) -> Tensor:
    """Mean over the batch of Σ (f |W_dec[f]|)^p; of the positive ones, as the slope at 0 is infinite for p < 1."""
    if p == 1:
        return (acts_BF @ norms_F).mean()
    positive_BF = acts_BF > 0
    return torch.where(positive_BF, acts_BF * norms_F, 1.0).pow(p).mul(positive_BF).sum(-1).mean()
