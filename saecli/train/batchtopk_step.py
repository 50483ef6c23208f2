"""The BatchTopK training step: the k·B largest positive pre-activations of the whole batch are active.

    v    = the k·B largest of ReLU(π), 0 elsewhere          π = c W_enc + b_enc, c = x − b_dec
    loss = |x̂ − y|² / (B D) + the auxiliary loss for dead latents of :mod:`saecli.train.sparse_step`

At inference a vector cannot compete with others, so the dictionary is a JumpReLU with one threshold: a running mean of
the smallest value kept in a batch, θ := θ + 0.01 (min v − θ), as in SAELens. It is no parameter of the optimiser.
Source: Bussmann et al. 2024, https://arxiv.org/abs/2412.06410.

The dense pre-activations are never held for more than a chunk of rows: candidates are those above a share of the
running threshold, and should they be fewer than k·B, those above 0.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.train.ragged import Ragged, backward, centred, finish_b_dec, select_above, set_gradients
from saecli.train.sparse_step import auxiliary
from saecli.train.step import StepInput, StepOutput

THRESHOLD_RATE: Final = 0.01
_CANDIDATES: Final = 0.7  # share of the running threshold above which an entry is a candidate


def batchtopk_step(dictionary: Dictionary, step: StepInput) -> StepOutput:
    """Loss and gradients on one batch of what is a JumpReLU at inference; moves its threshold."""
    made = cast(JumpReLU, dictionary)
    centred_BD = centred(made, step)
    chosen, least = select_batch(made, centred_BD, step)
    back = backward(made, chosen, step)
    fired_F = set_gradients(made, chosen, back, centred_BD, step)
    more, aux = finish(made, step, centred_BD, back.residual_BD, back.error, least)
    mse = back.error / (step.batch * step.y_BD.shape[1])
    return StepOutput(mse + more, mse, len(chosen.values_N) / step.batch, fired_F, aux)


def finish(
    made: JumpReLU, step: StepInput, centred_BD: Tensor, residual_BD: Tensor, error: float, least: Tensor | None
) -> tuple[float, float]:
    """Add the gradients of the auxiliary loss, complete that of b_dec, move the threshold.

    Args:
        residual_BD, error: x̂ − y and its squared norm.
        least: The smallest value kept, None if nothing was.

    Returns:
        What is added to the loss, and the auxiliary term without its coefficient.
    """
    aux = lift = 0.0
    if len(step.dead_N) and step.settings.aux_coefficient > 0:
        aux, lift = auxiliary(made, step, centred_BD, residual_BD, step.sum(error))
    finish_b_dec(made)
    made.threshold_F.grad = None
    if least is not None:
        made.threshold_F.data.lerp_(least.expand_as(made.threshold_F), THRESHOLD_RATE)
    return step.settings.aux_coefficient * (aux + lift), aux


def select_batch(made: JumpReLU, centred_BD: Tensor, step: StepInput) -> tuple[Ragged, Tensor | None]:
    """The k·B largest positive entries of all processes, and the smallest of these; of equal ones the first."""
    keep = max(1, round(step.settings.k * step.batch))
    floor_F = made.threshold_F.detach().clamp_min(0) * _CANDIDATES
    found = select_above(made, centred_BD, floor_F, step)
    if step.sum(len(found.values_N)) < keep:
        found = select_above(made, centred_BD, torch.zeros_like(floor_F), step)
    all_N = step.ranks.gather_rows(found.values_N)
    if len(all_N) <= keep:
        return found, all_N.min() if len(all_N) else None
    edge = _smallest_of_largest(all_N, keep)
    which_N = found.values_N > edge
    # Equal ones at the edge, counted through the processes in their order.
    room = keep - int(step.sum(float(which_N.count_nonzero())))
    ties_N = (found.values_N == edge).nonzero()[:, 0]
    before = int(sum(step.ranks.gather_rows(torch.tensor([len(ties_N)]))[: step.ranks.rank]))
    which_N[ties_N[: max(0, room - before)]] = True
    return found.keep(which_N), edge


def _smallest_of_largest(values_N: Tensor, keep: int) -> Tensor:
    place = len(values_N) - keep
    if values_N.device.type == "cpu":
        return torch.from_numpy(np.partition(values_N.numpy(), place)[place : place + 1])[0]
    return values_N.kthvalue(place + 1).values
