"""The plain twin of saecli.train.sparse_step: the same loss, written down and differentiated by autograd."""

from __future__ import annotations

import torch

from saecli.core.dictionary import Dictionary
from saecli.train.step import StepInput


def topk_step(dictionary: Dictionary, step: StepInput) -> tuple[torch.Tensor, torch.Tensor]:
    """Set the gradients of a TopK dictionary on one batch; return the loss and which features fired."""
    for parameter in dictionary.parameters():
        parameter.grad = None
    centred = step.x_BD - dictionary.b_dec_D if dictionary.subtracts_b_dec else step.x_BD
    pre = centred @ dictionary.W_enc_DF + dictionary.b_enc_F
    values, indices = pre.topk(step.settings.k, dim=-1)
    acts = torch.zeros_like(pre).scatter(-1, indices, values.relu())
    reconstruction = acts @ dictionary.W_dec_FD + dictionary.b_dec_D
    loss = (reconstruction - step.y_BD).square().mean()
    if len(step.dead_N) and step.settings.aux_coefficient > 0:
        error = (step.y_BD - reconstruction).detach()
        dead = pre[:, step.dead_N]
        values, indices = dead.topk(min(step.settings.aux_k, dead.shape[1]), dim=-1)
        aux_acts = torch.zeros_like(dead).scatter(-1, indices, values.relu())
        aux = (error - aux_acts @ dictionary.W_dec_FD[step.dead_N]).square().sum() / error.square().sum()
        loss = loss + step.settings.aux_coefficient * (aux + (-dead).relu().mean())
    loss.backward()
    return loss.detach(), (acts.detach() > 0).any(0)
