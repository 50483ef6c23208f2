"""The plain twin of saecli.train.matryoshka_step: every prefix decoded densely, differentiated by autograd."""

from __future__ import annotations

import torch

from saecli.core.dictionary import Dictionary
from saecli.train.step import StepInput


def matryoshka_loss(dictionary: Dictionary, step: StepInput) -> torch.Tensor:
    """The mean over the prefixes of their errors, and the auxiliary loss on what the last leaves."""
    centred = step.x_BD - dictionary.b_dec_D if dictionary.subtracts_b_dec else step.x_BD
    pre = centred @ dictionary.W_enc_DF + dictionary.b_enc_F
    values, places = pre.relu().view(-1).topk(step.settings.k * len(pre))
    acts = torch.zeros_like(pre).view(-1).scatter(0, places, values).view_as(pre)
    sizes, errors, decoded = dictionary.config.options["group_sizes"], [], torch.zeros_like(step.y_BD)
    for number in range(1, len(sizes) + 1):
        prefix = sum(sizes[:number])
        decoded = acts[:, :prefix] @ dictionary.W_dec_FD[:prefix] + dictionary.b_dec_D
        errors.append((decoded - step.y_BD).square().mean())
    loss = torch.stack(errors).mean()
    if not len(step.dead_N):
        return loss
    error = (step.y_BD - decoded).detach()
    lows = pre[:, step.dead_N]
    values, columns = lows.topk(step.settings.aux_k, dim=-1)
    guess = torch.zeros_like(lows).scatter(-1, columns, values.relu()) @ dictionary.W_dec_FD[step.dead_N]
    aux = (error - guess).square().sum() / error.square().sum() + (-lows).relu().mean()
    return loss + step.settings.aux_coefficient * aux
