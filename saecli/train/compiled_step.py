"""The standard and the gated step as formulas, differentiated by autograd and fused by ``torch.compile``.

Losses and gradients are those of :mod:`saecli.train.dense_step` and :mod:`saecli.train.gated_step`. For accelerators:
on a CPU those are faster, since they keep their buffers and turn to lists once few features are active
(benchmarks/README.md).
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.train.dense import SMALLEST, no_gradients
from saecli.train.step import StepFunction, StepInput, StepOutput

_Parts = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""Squared error, the gate's squared error, penalties with p and next p, active features (all summed); who fired."""


def compiled_step(recipe: str) -> StepFunction:
    """The step of ``standard`` or ``gated``; the first call of a process compiles it, which takes a minute or so."""
    formula = torch.compile(FORMULAS[recipe])

    def step(dictionary: Dictionary, given: StepInput) -> StepOutput:
        no_gradients(dictionary)
        size, settings = given.batch * given.y_BD.shape[1], given.settings
        powers = None if given.p == 1 and given.next_p is None else given.x_BD.new_tensor([given.p, given.next_p or 1])
        weights: dict[str, Any] = dict(dictionary.named_parameters())
        bf16 = settings.precision == "bf16"
        with torch.enable_grad(), torch.autocast(given.x_BD.device.type, torch.bfloat16, enabled=bf16):
            parts = formula(given.x_BD, given.y_BD, weights, dictionary.subtracts_b_dec, powers)
            error, guess, penalty, next_penalty, active, fired_F = parts
            loss = (error + guess + settings.sparsity_weight * penalty) / size
        loss.backward()
        penalties = None if given.next_p is None else (float(penalty.detach()) / size, float(next_penalty) / size)
        mse, l0 = float(error.detach()) / size, int(active) / given.batch
        return StepOutput(float(loss.detach()), mse, l0, fired_F, float(guess.detach()) / size, penalties)

    return step


def _standard(x_BD: Tensor, y_BD: Tensor, weights: dict[str, Tensor], centre: bool, powers: Tensor | None) -> _Parts:
    W_dec_FD, b_dec_D = weights["W_dec_FD"], weights["b_dec_D"]
    centred_BD = x_BD - b_dec_D if centre else x_BD
    acts_BF = (centred_BD @ weights["W_enc_DF"] + weights["b_enc_F"]).relu()
    error = (acts_BF @ W_dec_FD + b_dec_D - y_BD).square().sum()
    penalties = _penalties(acts_BF * W_dec_FD.norm(dim=1), powers)
    return (error, torch.zeros_like(error), *penalties, *_firing(acts_BF))


def _gated(x_BD: Tensor, y_BD: Tensor, weights: dict[str, Tensor], centre: bool, powers: Tensor | None) -> _Parts:
    W_dec_FD, b_dec_D = weights["W_dec_FD"], weights["b_dec_D"]
    plain_BF = (x_BD - b_dec_D if centre else x_BD) @ weights["W_enc_DF"]
    gate_BF = plain_BF + weights["b_enc_F"]
    magnitude_BF = (weights["r_mag_F"].exp() * plain_BF + weights["b_mag_F"]).relu()
    acts_BF = magnitude_BF * (gate_BF > 0)
    error = (acts_BF @ W_dec_FD + b_dec_D - y_BD).square().sum()
    guess = (gate_BF.relu() @ W_dec_FD.detach() + b_dec_D.detach() - y_BD).square().sum()
    return (error, guess, *_penalties(gate_BF.relu() * W_dec_FD.detach().norm(dim=1), powers), *_firing(acts_BF))


def _penalties(weighted_BF: Tensor, powers: Tensor | None) -> tuple[Tensor, Tensor]:
    """Σ (f n)^p for both powers, of the positive ones; p = 1 if none are given."""
    if powers is None:
        total = weighted_BF.sum()
        return total, total.detach()
    positive_BF = weighted_BF > 0
    safe_BF = torch.where(positive_BF, weighted_BF, SMALLEST)
    p, next_p = powers
    return (safe_BF**p * positive_BF).sum(), (safe_BF.detach() ** next_p * positive_BF).sum()


def _firing(acts_BF: Tensor) -> tuple[Tensor, Tensor]:
    active_BF = acts_BF.detach() > 0
    return active_BF.sum(), active_BF.any(0)


FORMULAS: Final = {"standard": _standard, "gated": _gated}
