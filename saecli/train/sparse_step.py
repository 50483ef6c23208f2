"""The TopK training step, sparse from end to end.

For a batch x [B, D], with c = x − b_dec (c = x for a transcoder), target y and all sums over the batch::

    pre = c W_enc + b_enc                    the only dense product, in chunks through one buffer
    v, i = ReLU(top-k of pre)                [B, K]
    r    = Σ_k v_k W_dec[i_k] + b_dec − y    embedding bag
    loss = |r|² / (B D)

    g        = 2 r / (B D)                                gradient at the reconstruction
    u_k      = g · W_dec[i_k]  where v_k > 0              gradient at the selected pre-activations
    dW_dec[f] = Σ_{k: i_k = f} v_k g,  dW_enc[:, f] = Σ_{k: i_k = f} u_k c     bags over the transposed selection
    db_enc[f] = Σ_{k: i_k = f} u_k
    db_dec    = Σ g − W_enc db_enc           instead of a product of the size of the encoder's

The auxiliary loss of Gao et al. 2024 (https://arxiv.org/abs/2406.04093, A.2) revives dead latents: the ``aux_k``
largest pre-activations among the dead reconstruct the residual error e = −r (held constant) as ê, and
``aux_coefficient · |e − ê|² / |e|²`` is added. A latent whose pre-activation is negative everywhere would get no
gradient from that, so ``aux_coefficient · mean ReLU(−pre)`` over batch and dead latents lifts it (after Conerly et al.
2025, https://transformer-circuits.pub/2025/january-update). Both run densely on the columns of the dead alone.

Gradients equal those of plain autograd (tests/twins/topk_step.py); :mod:`benchmarks.topk_step` has the speed.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from saecli.core.dictionary import Dictionary
from saecli.dictionaries.selection import ROWS_PER_CHUNK, select_rows, top_k
from saecli.dictionaries.topk import TopK
from saecli.train.products import multiply
from saecli.train.ragged import bags, by_feature, centred, encoder_rows, finish_b_dec, products
from saecli.train.step import StepInput, StepOutput, set_output_gradients

_AUX_ROWS: Final = 1024
_FEWEST_SPARE: Final = 8
"""Features more than k that a bf16 product proposes, at least; half of k if that is more."""


def topk_step(dictionary: Dictionary, step: StepInput) -> StepOutput:
    """Loss and gradients of a :class:`~saecli.dictionaries.topk.TopK` dictionary on one batch.

    Args:
        dictionary: Its ``parameter.grad`` are set.
        step: The batch.

    Returns:
        The loss and what fired.
    """
    topk = cast(TopK, dictionary)
    W_dec_FD, b_dec_D = topk.W_dec_FD.detach(), topk.b_dec_D.detach()
    x_BD, y_BD, space = step.x_BD, step.y_BD, step.workspace
    (here, width), batch = y_BD.shape, step.batch
    centred_BD = centred(topk, step)
    values_BK, indices_BK = select(topk, centred_BD, step)
    k = values_BK.shape[1]

    decoded_BD = embedding_bag(indices_BK, W_dec_FD, per_sample_weights=values_BK, mode="sum")
    residual_BD = space.take("residual", here, width, like=y_BD)
    if centred_BD is not x_BD and y_BD is x_BD:
        torch.sub(decoded_BD, centred_BD, out=residual_BD)
    else:
        torch.add(decoded_BD, b_dec_D, out=residual_BD).sub_(y_BD)
    error = float(torch.linalg.vector_norm(residual_BD)) ** 2
    # The factor 2 / (B D) of the gradient g is applied to the few weights of the bags instead of to the residual.
    starts_B = torch.arange(0, values_BK.numel() + 1, k, dtype=torch.int32, device=x_BD.device)
    inner_BK = products(starts_B, indices_BK.reshape(-1), residual_BD, W_dec_FD).view_as(values_BK)
    active, least_B = values_BK.numel(), values_BK.amin(1)
    if active and not bool(least_B.min() > 0):
        active_BK = values_BK > 0
        active = int(active_BK.count_nonzero())
        inner_BK *= active_BK
        least_B = values_BK.where(active_BK, torch.inf).amin(1)
        least_B = least_B[least_B.isfinite()]
    rows = step.sum(len(least_B))
    least = step.sum(float(least_B.sum())) / rows if rows else None

    factor = 2 / (batch * width)
    entries = starts_B, indices_BK.reshape(-1), values_BK.reshape(-1), inner_BK.reshape(-1)
    starts_F, rows_N, values_N, inner_N = by_feature(*entries, topk.n_latents)
    values_N, inner_N = values_N.mul_(factor), inner_N.mul_(factor)
    g_dec_FD = bags("grad_dec", starts_F, rows_N, values_N, residual_BD, space)
    g_enc_FD = bags("grad_enc", starts_F, rows_N, inner_N, centred_BD, space)
    g_b_enc_F = torch.segment_reduce(inner_N, "sum", offsets=starts_F)
    if active == values_BK.numel():
        fired_F = starts_F.diff() > 0
    else:
        fired_F = torch.segment_reduce(values_N, "max", offsets=starts_F, initial=0) > 0

    topk.W_enc_DF.grad, topk.b_enc_F.grad = g_enc_FD.T, g_b_enc_F
    topk.W_dec_FD.grad = g_dec_FD
    set_output_gradients(topk, step, residual_BD, factor)
    aux = lift = 0.0
    if len(step.dead_N) and step.settings.aux_coefficient > 0:
        aux, lift = auxiliary(topk, step, centred_BD, residual_BD, step.sum(error))
    finish_b_dec(topk)
    mse = error / (batch * width)
    loss = mse + step.settings.aux_coefficient * (aux + lift)
    chunk_l0 = step.l0_of_chunks(indices_BK, values_BK > 0)
    chosen = indices_BK, values_BK
    return StepOutput(loss, mse, active / batch, fired_F, aux, least=least, chunk_l0=chunk_l0, chosen=chosen)


def select(topk: TopK, centred_BD: Tensor, step: StepInput) -> tuple[Tensor, Tensor]:
    """Activations [B, K] of the k largest pre-activations and their indices, int32 on the CPU path."""
    W_enc_DF, b_enc_F, latents = topk.W_enc_DF.detach(), topk.b_enc_F.detach(), topk.n_latents
    k = min(step.settings.k, latents)
    if step.settings.precision != "bf16-screen" or k >= latents:
        values_BK, indices_BK = _largest(centred_BD, W_enc_DF, b_enc_F, k, step, step.settings.precision)
    else:
        spare = min(latents, k + max(_FEWEST_SPARE, k // 2))
        _, places_BJ = _largest(centred_BD, W_enc_DF, b_enc_F, spare, step, "bf16")
        values_BK, indices_BK = rescored(centred_BD, W_enc_DF, b_enc_F, places_BJ, k)
    return values_BK.relu_(), indices_BK


def rescored(centred_BD: Tensor, W_enc_DF: Tensor, b_enc_F: Tensor, places_BJ: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of some pre-activations of every row, computed in the number type of the weights.

    Args:
        places_BJ: Features among which the k largest are.
    """
    spare = places_BJ.shape[1]
    starts_B = torch.arange(0, places_BJ.numel() + 1, spare, dtype=torch.int32, device=centred_BD.device)
    pre_BJ = products(starts_B, places_BJ.reshape(-1), centred_BD, W_enc_DF.T).view_as(places_BJ)
    values_BK, order_BK = (pre_BJ + b_enc_F[places_BJ]).topk(k, sorted=False)
    return values_BK, places_BJ.gather(1, order_BK)


def _largest(
    centred_BD: Tensor, W_enc_DF: Tensor, b_enc_F: Tensor, k: int, step: StepInput, precision: str
) -> tuple[Tensor, Tensor]:
    """The same by one product of a precision."""
    batch, latents = len(centred_BD), W_enc_DF.shape[1]
    rows = encoder_rows(latents)
    if centred_BD.device.type != "cpu" or centred_BD.dtype != torch.float32 or k >= latents:
        pre_BF = step.workspace.take("pre", batch, latents, like=centred_BD)
        return top_k(multiply(pre_BF, centred_BD, W_enc_DF, precision, bias=b_enc_F), k)
    pre = step.workspace.take("pre", rows, latents, like=centred_BD)
    values_BK = np.empty((batch, k), dtype=np.float32)
    indices_BK = np.empty((batch, k), dtype=np.int32)
    for start in range(0, batch, rows):
        part = centred_BD[start : start + rows]
        pre_CF = multiply(pre[: len(part)], part, W_enc_DF, precision, bias=b_enc_F).numpy()
        for first in range(0, len(part), ROWS_PER_CHUNK):
            here = slice(start + first, start + min(first + ROWS_PER_CHUNK, len(part)))
            select_rows(pre_CF[first : first + ROWS_PER_CHUNK], values_BK[here], indices_BK[here])
    return torch.from_numpy(values_BK), torch.from_numpy(indices_BK)


def auxiliary(
    dictionary: Dictionary, step: StepInput, centred_BD: Tensor, residual_BD: Tensor, error: float
) -> tuple[float, float]:
    """Add the gradients of the auxiliary loss to those there; return |e − ê|² / |e|² and mean ReLU(−pre).

    ``error`` is |e|² over all processes. N dead latents; ``b_dec`` gets its part from that of ``b_enc`` afterwards.
    """
    if step.truth is not None:
        residual_BD = step.truth.missed_BD
        error = step.sum(float(torch.linalg.vector_norm(residual_BD)) ** 2)
    dead_N = step.dead_N
    enc_DN, dec_ND = dictionary.W_enc_DF.detach()[:, dead_N], dictionary.W_dec_FD.detach()[dead_N]
    b_N = dictionary.b_enc_F.detach()[dead_N]
    g_enc_DF, g_dec_FD = cast(Tensor, dictionary.W_enc_DF.grad), cast(Tensor, dictionary.W_dec_FD.grad)
    g_b_enc_F = cast(Tensor, dictionary.b_enc_F.grad)
    if error == 0:
        return 0.0, 0.0
    keep = min(step.settings.aux_k, len(dead_N))
    left = low = 0.0
    push = step.settings.aux_coefficient / (step.batch * len(dead_N))
    for start in range(0, len(centred_BD), _AUX_ROWS):
        part_CD = centred_BD[start : start + _AUX_ROWS]
        pre_CN = torch.addmm(b_N, part_CD, enc_DN)
        low -= float(pre_CN.clamp_max(0).sum())
        lifted_CN = (pre_CN < 0).to(pre_CN.dtype)
        if keep < len(dead_N):
            values_CK, columns_CK = top_k(pre_CN, keep)
            acts_CN = torch.zeros_like(pre_CN).scatter_(1, columns_CK, values_CK.relu())
        else:
            acts_CN = pre_CN.relu()
        # e − ê with e = −residual, so its negative is residual + ê.
        miss_CD = torch.addmm(residual_BD[start : start + _AUX_ROWS], acts_CN, dec_ND)
        left += float(miss_CD.square().sum())
        grad_CD = miss_CD.mul_(2 * step.settings.aux_coefficient / error)
        inner_CN = (grad_CD @ dec_ND.T).mul_(acts_CN > 0).sub_(lifted_CN, alpha=push)
        g_dec_FD.index_add_(0, dead_N, acts_CN.T @ grad_CD)
        g_enc_DF.T.index_add_(0, dead_N, inner_CN.T @ part_CD)
        g_b_enc_F.index_add_(0, dead_N, inner_CN.sum(0))
    return left / error, low / (step.batch * len(dead_N))
