"""Scores of pairs of features the slow way: one backward per target feature, dense activations, no sparse path."""

from __future__ import annotations

import torch
from torch import Tensor

from saecli.attribution.pair import FeaturePair


def slow_scores(
    pair: FeaturePair, score: str, acts_TU: Tensor, clean_TD: Tensor, counted_T: Tensor, steps: int
) -> Tensor:
    """What is to be added for one sequence: [F_up, F_down]."""
    counted_T1 = counted_T[:, None]
    acts_TU = acts_TU * counted_T1

    def target(f_TU: Tensor) -> Tensor:
        x_TD = torch.where(counted_T1, f_TU @ pair.up.W_dec_FD + pair.up.b_dec_D, clean_TD)
        return pair.through(x_TD)

    def magnitudes(x_TD: Tensor) -> Tensor:
        """Before the activation function, of a gated dictionary e^r times that of the gate and a bias."""
        scale_F = pair.down.get_parameter("r_mag_F").exp() if pair.down.config.arch == "gated" else 1
        return pair.down.preactivations(x_TD) * scale_F

    def gradient(f_TU: Tensor, feature: int, weights_TF: Tensor | None) -> Tensor:
        """Of the sum over positions of one target: activations, or weighed pre-activations."""
        leaf_TU = f_TU.clone().requires_grad_()
        with torch.enable_grad():
            x_TD = target(leaf_TU)
            values_TF = pair.down.encode(x_TD) * counted_T1 if weights_TF is None else magnitudes(x_TD) * weights_TF
            return torch.autograd.grad(values_TF[:, feature].sum(), leaf_TU, allow_unused=True)[0]

    features = range(pair.down.n_latents)
    if score == "reference":
        threshold_F = getattr(pair.up, "threshold_F", torch.zeros(acts_TU.shape[1], dtype=acts_TU.dtype))
        base_TU = threshold_F * (acts_TU != 0)
        length_T1 = (acts_TU - base_TU).norm(dim=1, keepdim=True)
        way = [base_TU + alpha * (acts_TU - base_TU) for alpha in torch.linspace(0, 1, steps, dtype=acts_TU.dtype)]
        sums = [sum(gradient(f_TU, j, None) for f_TU in way) * length_T1 / steps for j in features]
        return torch.stack([one.square().sum(0) for one in sums], 1)
    whole_TF = pair.down.encode(target(acts_TU)) * counted_T1
    if score == "ablation":
        total = torch.zeros(acts_TU.shape[1], pair.down.n_latents, dtype=acts_TU.dtype)
        for t, i in acts_TU.nonzero().tolist():
            without_TU = acts_TU.clone()
            without_TU[t, i] = 0
            total[i] += (pair.down.encode(target(without_TU)) * counted_T1 - whole_TF).abs().sum(0)
        return total
    active_TF = (whole_TF != 0).to(acts_TU.dtype)
    if score == "jacobian":
        sums = [gradient(acts_TU, j, active_TF) * (acts_TU != 0) for j in features]
    else:
        alphas = [(step + 0.5) / steps for step in range(steps)]
        sums = [acts_TU * sum(gradient(a * acts_TU, j, active_TF) for a in alphas) / steps for j in features]
    return torch.stack([one.abs().sum(0) for one in sums], 1)
