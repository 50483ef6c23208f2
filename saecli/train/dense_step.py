"""The standard training step.

For a batch x [B, D], c = x − b_dec (c = x for a transcoder), target y and decoder norms n_f = |W_dec[f]|::

    f    = ReLU(c W_enc + b_enc)                          x̂ = f W_dec + b_dec
    loss = (|x̂ − y|² + w Σ_f (f n_f)^p) / (B D)          sums over the batch

With p = 1 that is the L1 penalty of https://transformer-circuits.pub/2024/april-update; p < 1 is p-annealing
(:mod:`saecli.train.anneal`), whose power is taken of f n_f as well, so that scaling a feature up and its decoder row
down changes nothing. With r = x̂ − y and λ = w / (B D), and where f > 0::

    u        = 2 r W_decᵀ / (B D) + λ p (f n)^p / f       gradient at the pre-activations
    dW_dec   = 2 fᵀ r / (B D) + λ p Σ_b (f n)^p W_dec / n²
    dW_enc   = cᵀ u,   db_enc = Σ_b u,   db_dec = 2 Σ_b r / (B D) − W_enc db_enc

Five dense products in kept buffers while many features are active; the encoder's alone, and lists of the active ones,
once few are (:mod:`saecli.train.ragged`).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.train.dense import (
    SMALLEST,
    WeightGradients,
    active_share,
    chunks,
    column_sums,
    count_positive,
    no_gradients,
    residual,
    squared_norm,
    where_positive_,
)
from saecli.train.products import multiply
from saecli.train.ragged import backward, centred, finish_b_dec, select_above, set_gradients
from saecli.train.step import StepInput, StepOutput

SPARSE_BELOW: Final = 0.03
"""Share of active features below which lists of them are faster than dense products (benchmarks/README.md)."""
_SMALLEST: Final = 1e-30


def standard_step(dictionary: Dictionary, step: StepInput) -> StepOutput:
    """Loss and gradients of a :class:`~saecli.dictionaries.standard.Standard` dictionary on one batch."""
    centred_BD = centred(dictionary, step)
    no_gradients(dictionary)
    few = active_share(dictionary, centred_BD) < SPARSE_BELOW
    return (_sparse if few else _dense)(dictionary, step, centred_BD)


def _dense(made: Dictionary, step: StepInput, centred_BD: Tensor) -> StepOutput:
    W_enc_DF, W_dec_FD, b_enc_F = made.W_enc_DF.detach(), made.W_dec_FD.detach(), made.b_enc_F.detach()
    norms_F = W_dec_FD.norm(dim=1)
    batch, width = step.batch, step.y_BD.shape[1]
    factor, weight, space = 2 / (batch * width), step.settings.sparsity_weight / (batch * width), step.workspace
    weights, precision = WeightGradients(made, step), step.settings.precision
    (g_b_enc_F, powers_F), g_b_dec_D = torch.zeros_like(b_enc_F).expand(2, -1).clone(), torch.zeros_like(made.b_dec_D)
    error, next_penalty, active = 0.0, 0.0, 0
    for part_CD, y_CD in chunks(centred_BD, step.y_BD, made.n_latents):
        acts_CF = space.take("acts", len(part_CD), made.n_latents, like=part_CD)
        multiply(acts_CF, part_CD, W_enc_DF, precision, bias=b_enc_F).relu_()
        residual_CD = residual(acts_CF, made, y_CD, step)
        error += squared_norm(residual_CD)
        active += count_positive(acts_CF)
        g_b_dec_D += residual_CD.sum(0)
        inner_CF = space.take("inner", *acts_CF.shape, like=part_CD)
        if step.p == 1:
            powers_F += norms_F * column_sums(acts_CF)
            multiply(inner_CF, residual_CD, W_dec_FD.T, precision, alpha=factor, bias=weight * norms_F)
        else:
            multiply(inner_CF, residual_CD, W_dec_FD.T, precision, alpha=factor)
            powers_CF = (acts_CF * norms_F).pow_(step.p)
            powers_F += column_sums(powers_CF)
            inner_CF.addcdiv_(powers_CF, acts_CF.clamp_min(SMALLEST), value=weight * step.p)
        if step.next_p is not None:
            next_penalty += float((acts_CF * norms_F).pow_(step.next_p).sum())
        where_positive_(inner_CF, acts_CF)
        g_b_enc_F += column_sums(inner_CF)
        weights.add(inner_CF, part_CD, acts_CF, residual_CD, factor)
    made.b_enc_F.grad, made.b_dec_D.grad = g_b_enc_F, g_b_dec_D * factor
    return _finished(made, step, (error, active, next_penalty), powers_F, norms_F)


def _sparse(made: Dictionary, step: StepInput, centred_BD: Tensor) -> StepOutput:
    chosen = select_above(made, centred_BD, torch.zeros_like(made.b_enc_F), step)
    back = backward(made, chosen, step)
    norms_F = made.W_dec_FD.detach().norm(dim=1)
    weighted_N = chosen.values_N * norms_F[chosen.indices_N]
    powers_N = weighted_N if step.p == 1 else weighted_N.pow(step.p)
    # set_gradients multiplies by 2 / (B D), of which λ is w / 2 times as much.
    pull_N = powers_N / chosen.values_N * (step.settings.sparsity_weight / 2 * step.p)
    set_gradients(made, chosen, back._replace(inner_N=back.inner_N + pull_N), centred_BD, step)
    powers_F = torch.zeros_like(norms_F).index_add_(0, chosen.indices_N, powers_N)
    next_penalty = 0.0 if step.next_p is None else float(weighted_N.pow(step.next_p).sum())
    return _finished(made, step, (back.error, len(powers_N), next_penalty), powers_F, norms_F)


def _finished(
    made: Dictionary, step: StepInput, sums: tuple[float, int, float], powers_F: Tensor, norms_F: Tensor
) -> StepOutput:
    """The penalty's part in the decoder's gradient, the encoder's in that of b_dec, and the loss.

    Args:
        sums: Over the batch: squared error, active features, the penalty with ``next_p``.
        powers_F: Σ_b (f n)^p.
    """
    batch, width = step.batch, step.y_BD.shape[1]
    size = batch * width
    error, active, next_penalty = sums
    if made.W_dec_FD.grad is not None:
        along_F = powers_F / norms_F.square().clamp_min(SMALLEST) * (step.settings.sparsity_weight * step.p / size)
        made.W_dec_FD.grad.addcmul_(made.W_dec_FD.detach(), along_F[:, None])
    finish_b_dec(made)
    penalty, mse = float(powers_F.sum()) / size, error / size
    penalties = None if step.next_p is None else (penalty, next_penalty / size)
    loss = mse + step.settings.sparsity_weight * penalty
    return StepOutput(loss, mse, active / step.batch, powers_F > 0, penalties=penalties)
