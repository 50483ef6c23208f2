"""The gated training step.

With γ = c W_enc + b_gate, c = x − b_dec (c = x for a transcoder), H the step function and sg holding constant::

    f    = H(γ) · ReLU(m),  m = e^r (γ − b_gate) + b_mag            x̂ = f W_dec + b_dec
    loss = (|x̂ − y|² + w Σ_f (ReLU(γ) n)^p + |ReLU(γ) sg(W_dec) + sg(b_dec) − y|²) / D, on average over the batch

with n = sg(|W_dec[f]|), which is 1 unless decoder norms are free, so that the penalty cannot be evaded. The gate learns
from the last two terms alone, since H has no gradient. p = 1 is Rajamanoharan et al. 2024,
https://arxiv.org/abs/2404.16014; p < 1 anneals it (:mod:`saecli.train.anneal`), which dictionary_learning calls
GatedAnneal. The slope of the power is infinite at 0 and is taken where γ > 0 alone.

With r = x̂ − y, q the error of the gate's guess, s = 2 / (B D)::

    u_m = s r W_decᵀ where f > 0,   u_γ = s q W_decᵀ + w p (γ n)^p / (γ B D) where γ > 0,   u = e^r u_m + u_γ
    dW_enc = cᵀ u,   db_gate = Σ u_γ,   db_mag = Σ u_m,   dW_dec = s fᵀ r,   db_dec = s Σ r − W_enc Σ u
    dr  = Σ u_m (m − b_mag) = W_dec · dW_dec (row by row) − b_mag db_mag

Seven dense products in kept buffers while many gates are open; the encoder's alone, and lists of the open ones, once
few are (:mod:`saecli.train.ragged`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple, cast

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.dictionaries.gated import Gated
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

SPARSE_BELOW: Final = 0.04
"""Share of open gates below which lists of them are faster than dense products (benchmarks/README.md)."""


class _Sums(NamedTuple):
    """Over the batch.

    Attributes:
        error: |x̂ − y|².
        guess: |q|².
        active: Features with f > 0.
        penalty: Σ (ReLU(γ) n)^p.
        next_penalty: The same with the next p, if it is wanted.
        acts_F: Σ f.
        g_gate_F: Σ u_γ.
        g_mag_F: Σ u_m.
    """

    error: float
    guess: float
    active: int
    penalty: float
    next_penalty: float
    acts_F: Tensor
    g_gate_F: Tensor
    g_mag_F: Tensor


def gated_step(dictionary: Dictionary, step: StepInput) -> StepOutput:
    """Loss and gradients of a :class:`~saecli.dictionaries.gated.Gated` dictionary on one batch."""
    made = cast(Gated, dictionary)
    centred_BD = centred(made, step)
    no_gradients(made)
    few = active_share(made, centred_BD) < SPARSE_BELOW
    sums = (_sparse if few else _dense)(made, step, centred_BD)
    finish_b_dec(made)
    made.b_enc_F.grad, made.b_mag_F.grad = sums.g_gate_F, sums.g_mag_F
    if made.W_dec_FD.grad is not None:
        along_F11 = made.W_dec_FD.grad[:, None] @ made.W_dec_FD.detach()[:, :, None]
        made.r_mag_F.grad = along_F11[:, 0, 0] - made.b_mag_F.detach() * sums.g_mag_F
    size = step.batch * step.y_BD.shape[1]
    mse, aux, penalty = sums.error / size, sums.guess / size, sums.penalty / size
    loss = mse + step.settings.sparsity_weight * penalty + aux
    penalties = None if step.next_p is None else (penalty, sums.next_penalty / size)
    return StepOutput(loss, mse, sums.active / step.batch, sums.acts_F > 0, aux, penalties)


def _dense(made: Gated, step: StepInput, centred_BD: Tensor) -> _Sums:
    """Sets the gradients of the weights, and Σ u as that of b_enc."""
    W_enc_DF, W_dec_FD, b_enc_F = made.W_enc_DF.detach(), made.W_dec_FD.detach(), made.b_enc_F.detach()
    rise_F = made.r_mag_F.detach().exp()
    start_F = made.b_mag_F.detach() - rise_F * b_enc_F
    size = step.batch * step.y_BD.shape[1]
    factor, weight, space, latents = 2 / size, step.settings.sparsity_weight / size, step.workspace, made.n_latents
    norms_F = W_dec_FD.norm(dim=1)
    weights, precision = WeightGradients(made, step), step.settings.precision
    powers_F, acts_F, g_gate_F, g_mag_F = torch.zeros(4, latents, dtype=b_enc_F.dtype, device=b_enc_F.device)
    g_b_dec_D = torch.zeros_like(made.b_dec_D)
    error, guess, active, next_penalty = 0.0, 0.0, 0, 0.0
    truth_BD = step.y_BD if step.truth is None else step.truth.y_BD
    parts = zip(chunks(centred_BD, step.y_BD, latents), chunks(centred_BD, truth_BD, latents), strict=True)
    for (part_CD, y_CD), (_, truth_CD) in parts:
        gate_CF, acts_CF, inner_CF, pull_CF = space.take("gated", 4, len(part_CD), latents, like=part_CD)
        multiply(gate_CF, part_CD, W_enc_DF, precision, bias=b_enc_F).relu_()
        torch.addcmul(start_F, gate_CF, rise_F, out=acts_CF).relu_()
        where_positive_(acts_CF, gate_CF)
        residual_CD = residual(acts_CF, made, y_CD, step)
        guess_CD = residual(gate_CF, made, truth_CD, step, "guess")
        error, guess = error + squared_norm(residual_CD), guess + squared_norm(guess_CD)
        active += count_positive(acts_CF)
        acts_F += column_sums(acts_CF)
        g_b_dec_D += residual_CD.sum(0)
        multiply(pull_CF, residual_CD, W_dec_FD.T, precision)
        where_positive_(pull_CF, acts_CF)
        g_mag_F += column_sums(pull_CF)
        if step.p == 1:
            powers_F += norms_F * column_sums(gate_CF)
            torch.addmm(weight * norms_F, guess_CD, W_dec_FD.T, alpha=factor, out=inner_CF)
        else:
            torch.mm(guess_CD, W_dec_FD.T, out=inner_CF).mul_(factor)
            powers_CF = (gate_CF * norms_F).pow_(step.p)
            powers_F += column_sums(powers_CF)
            inner_CF.addcdiv_(powers_CF, gate_CF.clamp_min(SMALLEST), value=weight * step.p)
        if step.next_p is not None:
            next_penalty += float((gate_CF * norms_F).pow_(step.next_p).sum())
        where_positive_(inner_CF, gate_CF)
        g_gate_F += column_sums(inner_CF)
        inner_CF.addcmul_(pull_CF, rise_F, value=factor)
        weights.add(inner_CF, part_CD, acts_CF, residual_CD, factor)
    g_mag_F *= factor
    made.b_dec_D.grad, made.b_enc_F.grad = g_b_dec_D * factor, g_gate_F + rise_F * g_mag_F
    return _Sums(error, guess, active, float(powers_F.sum()), next_penalty, acts_F, g_gate_F, g_mag_F)


def _sparse(made: Gated, step: StepInput, centred_BD: Tensor) -> _Sums:
    """The same from lists of the open gates."""
    opened = select_above(made, centred_BD, torch.zeros_like(made.b_enc_F), step)
    rise_N = made.r_mag_F.detach().exp()[opened.indices_N]
    b_gate_N, b_mag_N = made.b_enc_F.detach()[opened.indices_N], made.b_mag_F.detach()[opened.indices_N]
    acts_N = torch.addcmul(b_mag_N, rise_N, opened.values_N - b_gate_N).relu_()
    chosen = opened._replace(values_N=acts_N)
    guessing = step if step.truth is None else replace(step, y_BD=step.truth.y_BD)
    back, guess = backward(made, chosen, step), backward(made, opened, guessing)
    pull_N = back.inner_N * (acts_N > 0)
    weighted_N = opened.values_N * made.W_dec_FD.detach().norm(dim=1)[opened.indices_N]
    powers_N = weighted_N.pow(step.p)
    # set_gradients multiplies by 2 / (B D).
    inner_N = guess.inner_N + powers_N / opened.values_N * (step.settings.sparsity_weight / 2 * step.p)
    set_gradients(made, chosen, back._replace(inner_N=inner_N + rise_N * pull_N), centred_BD, step)
    next_penalty = 0.0 if step.next_p is None else float(weighted_N.pow(step.next_p).sum())

    def by_feature(values_N: Tensor) -> Tensor:
        return torch.zeros_like(made.b_enc_F).index_add_(0, opened.indices_N, values_N)

    factor = 2 / (step.batch * step.y_BD.shape[1])
    sums = by_feature(acts_N), by_feature(inner_N) * factor, by_feature(pull_N) * factor
    return _Sums(back.error, guess.error, count_positive(acts_N), float(powers_N.sum()), next_penalty, *sums)
