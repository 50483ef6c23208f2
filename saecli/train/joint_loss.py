"""The loss of dictionaries that are trained along with a language model.

With x_l the activations of the model at site l, x̂_l what their dictionary makes of them::

    loss = CE + mean over l of ( λ (recon_l + aux_l) / ‖x_l‖ + w_l penalty_l )

    recon     mean over tokens of Σ_d (x̂ − x)²
    ‖x‖       mean over tokens of the 2-norm
    penalty   mean over tokens of   standard   Σ_f f |W_dec[f]|
                                    gated      Σ_f ReLU(γ) sg(|W_dec[f]|)
                                    jumprelu   Σ_f H(π − θ)
                                    topk       0
    aux       gated: mean over tokens of |ReLU(γ) sg(W_dec) + sg(b_dec) − x|²; others 0

sg holds constant, H is the step function. Gradients reach the model through x, in ‖x‖ too. Thresholds learn through
straight-through estimates, within a window of width ε around θ on both sides, K(z) = 1[|z| < 1/2]::

    ∂f/∂θ = −(θ / ε) K((π − θ) / ε),    ∂H(π − θ)/∂θ = −(1 / ε) K((π − θ) / ε),    ∂f/∂π = H(π − θ)

as in :mod:`saecli.train.jumprelu_step`, with ε one hundredth of ‖x‖. No gradient passes from H to π.

Source: https://github.com/Stefan-Heimersheim/gpt-circuits (regularisation); gated: Rajamanoharan et al. 2024,
https://arxiv.org/abs/2404.16014; thresholds: Rajamanoharan et al. 2024, https://arxiv.org/abs/2407.14435.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, SparseActs
from saecli.dictionaries.gated import Gated
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.dictionaries.topk import TopK

BANDWIDTH: Final = 0.01
"""ε over ‖x‖; the default of ``saecli train sae --bandwidth``."""


class SiteSums(NamedTuple):
    """Of one dictionary, sums over tokens; all but ``active`` are differentiable.

    Attributes:
        error: Σ |x̂ − x|².
        auxiliary: Σ of the gate's own error; 0 without gates.
        penalty: Σ of the sparsity penalty, without its weight.
        active: Number of active features.
    """

    error: Tensor
    auxiliary: Tensor
    penalty: Tensor
    active: Tensor


def site_sums(dictionary: Dictionary, x_TD: Tensor, norm: Tensor | float) -> SiteSums:
    """Sums over tokens of what a site adds to the loss.

    Args:
        dictionary: An autoencoder: Standard, Gated, JumpReLU or TopK.
        x_TD: Activations of the site; gradients reach them.
        norm: ‖x‖ over the whole batch, for the width of the window; held constant.
    """
    zero = x_TD.new_zeros(())
    if isinstance(dictionary, TopK):
        values_TK, indices_TK = dictionary.select(dictionary.preactivations(x_TD))
        made_TD = dictionary.decode_sparse(SparseActs(indices_TK, values_TK))
        return SiteSums((made_TD - x_TD).square().sum(), zero, zero, (values_TK > 0).sum())
    pre_TF = dictionary.preactivations(x_TD)
    auxiliary = zero
    if isinstance(dictionary, JumpReLU):
        acts_TF, open_TF = _Jump.apply(pre_TF, dictionary.threshold_F, BANDWIDTH * float(norm))
        penalty = open_TF.sum()
    else:
        acts_TF = dictionary.activate(pre_TF)
        gates_TF, norms_F = acts_TF, dictionary.decoder_norms()
        if isinstance(dictionary, Gated):
            gates_TF, norms_F = pre_TF.relu(), norms_F.detach()
            guess_TD = gates_TF @ dictionary.W_dec_FD.detach() + dictionary.b_dec_D.detach()
            auxiliary = (guess_TD - x_TD).square().sum()
        penalty = (gates_TF @ norms_F).sum()
    error = (dictionary.decode(acts_TF) - x_TD).square().sum()
    return SiteSums(error, auxiliary, penalty, (acts_TF > 0).sum())


class _Jump(torch.autograd.Function):
    """Activations π H(π − θ) and steps H(π − θ), with the estimates above; θ is not negative."""

    @staticmethod
    def forward(ctx: Any, pre_TF: Tensor, theta_F: Tensor, width: float) -> tuple[Tensor, Tensor]:
        above_TF = pre_TF > theta_F
        ctx.save_for_backward(pre_TF, theta_F)
        ctx.width = width
        return pre_TF * above_TF, above_TF.to(pre_TF.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (at_acts_TF, at_step_TF), (pre_TF, theta_F) = gradients, ctx.saved_tensors
        within_TF = (pre_TF - theta_F).abs() < ctx.width / 2
        pull_F = ((at_acts_TF * theta_F + at_step_TF) * within_TF).sum(0) / -ctx.width
        return at_acts_TF * (pre_TF > theta_F), pull_F, None
