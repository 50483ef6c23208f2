"""The plain training step: the loss written down and differentiated by autograd."""

from __future__ import annotations

import torch

from saecli.core.dictionary import Dictionary
from saecli.train.step import StepInput, StepOutput


def standard_step(dictionary: Dictionary, step: StepInput) -> StepOutput:
    """Mean squared error and an L1 penalty weighted by decoder norms.

    loss = (|x̂ − y|² + l1 Σ_f f |W_dec[f]|) / D, on average over the batch.
    Source: April 2024 update of https://transformer-circuits.pub/2024/april-update.
    """
    for parameter in dictionary.parameters():
        parameter.grad = None
    width = step.y_BD.shape[1]
    with torch.enable_grad():
        acts_BF = dictionary.encode(step.x_BD)
        mse = (dictionary.decode(acts_BF) - step.y_BD).square().mean()
        penalty = (acts_BF @ dictionary.W_dec_FD.norm(dim=1)).mean() / width
        loss = mse + step.l1 * penalty
        loss.backward()
    active_BF = acts_BF.detach() > 0
    l0 = float(active_BF.sum(-1).float().mean())
    return StepOutput(float(loss.detach()), float(mse.detach()), l0, active_BF.any(0))
