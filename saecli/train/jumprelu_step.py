"""The JumpReLU training step: thresholds learned through straight-through estimates, sparse from end to end.

With π = c W_enc + b_enc, c = x − b_dec (c = x for a transcoder), H the step function::

    f    = π H(π − θ)                                       x̂ = f W_dec + b_dec
    loss = |x̂ − y|² / (B D) + w · penalty                   L0 = mean over the batch of Σ_f H(π − θ)

    target   penalty = (L0 / target − 1)²                   of the whole batch; the default
    l0       penalty = L0 / D
    tanh     penalty = Σ_f tanh(c f |W_dec[f]|) / D         on average over the batch, c = ``tanh_scale``

θ moves nothing but at the jump, so its gradient is estimated from the pre-activations within a window of width ε around
it, K(z) = 1[|z| < 1/2]::

    ∂f/∂θ = −(θ / ε) K((π − θ) / ε),    ∂H(π − θ)/∂θ = −(1 / ε) K((π − θ) / ε),    ∂f/∂π = H(π − θ)

Source: Rajamanoharan et al. 2024, https://arxiv.org/abs/2407.14435 (l0; the target in its appendix); tanh: Conerly et
al. 2025, https://transformer-circuits.pub/2025/january-update, and sae-lens, both with c = 4 and the norms of free
decoder rows; a penalty on f alone moves θ through ∂f/∂θ and π where a feature is active.

The window is that of the paper's formulas, around θ on both sides; codes that evaluate it on f see its upper half
alone. ε is ``bandwidth`` · √d_in: the paper's inputs have mean squared norm 1, ours d_in. The default is ten times the
paper's 0.001: with a narrower window L0 takes more steps to reach its target, and these runs are short.

A dead latent has no gradient in its encoder. ``aux_coefficient · mean ReLU(θ − π)`` over batch and dead latents lifts
it (Conerly et al. 2025, https://transformer-circuits.pub/2025/january-update).
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.train.dense import SMALLEST
from saecli.train.ragged import Ragged, backward, centred, finish_b_dec, select_above, set_gradients
from saecli.train.step import StepInput, StepOutput


def jumprelu_step(dictionary: Dictionary, step: StepInput) -> StepOutput:
    """Loss and gradients of a :class:`~saecli.dictionaries.jumprelu.JumpReLU` dictionary on one batch."""
    made = cast(JumpReLU, dictionary)
    batch, width = step.batch, step.y_BD.shape[1]
    theta_F = made.threshold_F.detach()
    window = step.settings.bandwidth * made.config.d_in**0.5
    centred_BD = centred(made, step)
    near = select_above(made, centred_BD, theta_F - window / 2, step)  # what is active or within the window
    theta_N = theta_F[near.indices_N]
    above_N = near.values_N > theta_N
    chosen = near._replace(values_N=near.values_N * above_N)
    back = backward(made, chosen, step)
    mse, l0 = back.error / (batch * width), int(above_N.count_nonzero()) / batch
    penalty = _penalty(made, step, chosen, l0)

    within_N = (near.values_N - theta_N).abs() < window / 2
    inner_N = back.inner_N + penalty.at_value_N * (batch * width / 2)
    pull_N = (theta_N * inner_N * (2 / (batch * width)) + penalty.at_step) * within_N
    theta_grad_F = torch.zeros_like(theta_F).index_add_(0, near.indices_N, pull_N).div_(-window)
    fired_F = set_gradients(made, chosen, back._replace(inner_N=inner_N * above_N), centred_BD, step)
    if penalty.at_norm_F is not None and made.W_dec_FD.grad is not None:
        made.W_dec_FD.grad.addcmul_(made.W_dec_FD.detach(), penalty.at_norm_F[:, None])
    lift = 0.0
    if len(step.dead_N) and step.settings.aux_coefficient > 0:
        lift = _lift(made, step, centred_BD, theta_grad_F)
    made.threshold_F.grad = theta_grad_F
    finish_b_dec(made)
    loss = mse + penalty.value + step.settings.aux_coefficient * lift
    chunk_l0 = step.l0_of_chunks(near.indices_N, above_N)
    return StepOutput(loss, mse, l0, fired_F, lift, chunk_l0=chunk_l0)


class _Penalty(NamedTuple):
    """The weighted penalty and its gradients.

    Attributes:
        value: This process's share of it.
        at_step: At H(π − θ), of every entry.
        at_value_N: At f, entry by entry, or 0.
        at_norm_F: At |W_dec[f]|, over that norm; None for none.
    """

    value: float
    at_step: float = 0.0
    at_value_N: Tensor | float = 0.0
    at_norm_F: Tensor | None = None


def _penalty(made: JumpReLU, step: StepInput, chosen: Ragged, l0: float) -> _Penalty:
    settings = step.settings
    weight, size = settings.sparsity_weight, step.batch * step.y_BD.shape[1]
    if settings.l0_loss == "target":
        excess = step.sum(l0) / settings.target_l0 - 1
        value = weight * excess**2 if step.ranks.first else 0.0  # of the whole batch, so one process tells it
        return _Penalty(value, 2 * weight * excess / (settings.target_l0 * step.batch))
    if settings.l0_loss == "l0":
        return _Penalty(weight * l0 * step.batch / size, weight / size)
    norms_F = made.W_dec_FD.detach().norm(dim=1)
    norms_N, scale = norms_F[chosen.indices_N], settings.tanh_scale
    tanh_N = torch.tanh(scale * norms_N * chosen.values_N)
    slope_N = (1 - tanh_N.square()) * (weight * scale / size)
    at_norm_F = torch.zeros_like(norms_F).index_add_(0, chosen.indices_N, slope_N * chosen.values_N)
    at_norm_F /= norms_F.clamp_min(SMALLEST)
    return _Penalty(weight * float(tanh_N.sum()) / size, 0.0, slope_N * norms_N, at_norm_F)


def _lift(made: JumpReLU, step: StepInput, centred_BD: Tensor, theta_grad_F: Tensor) -> float:
    """Add the gradients of the dead latents' term; return mean ReLU(θ − π)."""
    dead_N = step.dead_N
    pre_BN = torch.addmm(made.b_enc_F.detach()[dead_N], centred_BD, made.W_enc_DF.detach()[:, dead_N])
    short_BN = made.threshold_F.detach()[dead_N] - pre_BN
    low_BN = (short_BN > 0).to(pre_BN.dtype)
    push = step.settings.aux_coefficient / (step.batch * len(dead_N))
    counts_N = low_BN.sum(0) * push
    theta_grad_F.index_add_(0, dead_N, counts_N)
    if made.b_enc_F.grad is not None and made.W_enc_DF.grad is not None:
        made.b_enc_F.grad.index_add_(0, dead_N, counts_N, alpha=-1)
        made.W_enc_DF.grad.index_add_(1, dead_N, centred_BD.T @ low_BN, alpha=-push)
    return float(short_BN.relu_().sum()) / (step.batch * len(dead_N))
