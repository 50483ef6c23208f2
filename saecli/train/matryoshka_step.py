"""The Matryoshka BatchTopK training step: features in groups, and every prefix of the groups reconstructs alone.

One selection for all groups, that of :mod:`saecli.train.batchtopk_step`: v, the k·B largest of ReLU(π) in the batch.
With groups g = 1..G of consecutive features (options["group_sizes"])::

    x̂_g  = Σ_{f in groups 1..g} v_f W_dec[f] + b_dec,    r_g = x̂_g − y
    loss = 1/G Σ_g |r_g|² / (B D) + the auxiliary loss of :mod:`saecli.train.sparse_step` for the residual of all groups

so that early groups learn what is general and are not left to the later ones to be absorbed. A feature of group g is in
the prefixes g..G, and its gradient is that of a dictionary with the residual R_g = 1/G Σ_{h ≥ g} r_h::

    u_n = R_g(n) · W_dec[i_n],   dW_dec[f] = Σ v_n R_g(f),   dW_enc[:, f] = Σ u_n c,   db_dec = Σ R_1 − W_enc db_enc

times 2 / (B D). The groups' parts of all rows come from one embedding bag over (row, group), as large as one decode.

Source: Bussmann et al. 2025, https://arxiv.org/abs/2503.17547; equal weights as in dictionary_learning (which divides
by G twice; sae-lens adds the prefixes up). At inference it is a JumpReLU with one threshold, learned as BatchTopK's.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from saecli.core.dictionary import Dictionary
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.train.batchtopk_step import finish, select_batch
from saecli.train.ragged import Ragged, by_feature, centred
from saecli.train.step import StepInput, StepOutput, set_output_gradients


def matryoshka_step(dictionary: Dictionary, step: StepInput) -> StepOutput:
    """Loss and gradients on one batch of what is a JumpReLU at inference; moves its threshold."""
    made = cast(JumpReLU, dictionary)
    centred_BD = centred(made, step)
    chosen, least = select_batch(made, centred_BD, step)
    sizes = made.config.options["group_sizes"]
    size = step.batch * step.y_BD.shape[-1]

    grouped = _by_group(chosen, sizes)
    values_N = chosen.values_N.detach().clone().requires_grad_()
    with torch.enable_grad():
        parts = _decoded(made, grouped._replace(values_N=values_N))
    residuals_BGD = parts.detach().view(len(step.y_BD), len(sizes), -1).cumsum(1)
    residuals_BGD += made.b_dec_D.detach() - (step.y_BD if step.y_BD.ndim == 3 else step.y_BD[:, None])
    errors_G = residuals_BGD.square().sum((0, 2)).tolist()
    last_BD = residuals_BGD[:, -1].clone()
    pulls_BGD = residuals_BGD.flip(1).cumsum(1).flip(1).div_(len(sizes))
    pulls_ND = pulls_BGD.view(-1, pulls_BGD.shape[2])
    (inner_N,) = torch.autograd.grad(parts, values_N, pulls_ND)

    fired_F = _set_gradients(made, step, grouped, inner_N, pulls_BGD, centred_BD)
    more, aux = finish(made, step, centred_BD, last_BD, errors_G[-1], least)
    fit = sum(errors_G) / len(sizes) / size
    return StepOutput(fit + more, errors_G[-1] / size, len(chosen.values_N) / step.batch, fired_F, aux, fit=fit)


def prefixes(made: JumpReLU, chosen: Ragged) -> Tensor:
    """Σ v W_dec over the features of every prefix of groups: [B, G, D]."""
    sizes = made.config.options["group_sizes"]
    parts = _decoded(made, _by_group(chosen, sizes))
    return parts.view(len(chosen.starts_B) - 1, len(sizes), -1).cumsum(1)


def _decoded(made: JumpReLU, grouped: Ragged) -> Tensor:
    """Of every row: [rows, D]."""
    entries = grouped.indices_N, made.W_dec_FD.detach(), grouped.starts_B[:-1]
    return embedding_bag(*entries, per_sample_weights=grouped.values_N, mode="sum")


def _by_group(chosen: Ragged, sizes: list[int]) -> Ragged:
    """The same entries as rows (row, group): within a row they are in the order of features, so of groups already."""
    rows, groups = len(chosen.starts_B) - 1, len(sizes)
    ends_G = torch.tensor(sizes, device=chosen.indices_N.device).cumsum(0)
    row_N = torch.arange(rows, device=ends_G.device).repeat_interleave(chosen.starts_B.to(ends_G.device).diff().long())
    place_N = row_N * groups + torch.bucketize(chosen.indices_N.long(), ends_G, right=True)
    counts = place_N.bincount(minlength=rows * groups)
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)]).to(chosen.starts_B)
    return chosen._replace(starts_B=starts)


def _set_gradients(
    made: JumpReLU, step: StepInput, grouped: Ragged, inner_N: Tensor, pulls_BGD: Tensor, centred_BD: Tensor
) -> Tensor:
    """Set the gradients of the prefixes' errors (b_dec without its encoder's part); return what fired, bool [F]."""
    groups, width = pulls_BGD.shape[1:]
    factor = 2 / (step.batch * width)
    starts_F, rows_N, values_N, inner_N = by_feature(*grouped, inner_N, made.n_latents)
    fired_F = starts_F.diff() > 0
    values_N, inner_N, offsets_F = values_N * factor, inner_N * factor, starts_F[:-1]
    made.W_dec_FD.grad = embedding_bag(
        rows_N, pulls_BGD.view(-1, width), offsets_F, per_sample_weights=values_N, mode="sum"
    )
    made.W_enc_DF.grad = embedding_bag(
        rows_N // groups, centred_BD, offsets_F, per_sample_weights=inner_N, mode="sum"
    ).T
    made.b_enc_F.grad = torch.segment_reduce(inner_N, "sum", offsets=starts_F, initial=0)
    set_output_gradients(made, step, pulls_BGD[:, 0], factor)
    return fired_F
