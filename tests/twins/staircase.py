"""The plain twin of saecli.train.sharing: one loss of all dictionaries, their weights slices of two leaves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def joint_gradients(
    W_enc_DF: Tensor,
    W_dec_FD: Tensor,
    biases: Sequence[tuple[Tensor, Tensor]],
    batches: Sequence[Tensor],
    k: int,
    own_from: Sequence[int] | None = None,
) -> tuple[Tensor, Tensor]:
    """Gradients at encoder and decoder of the sum of all mean squared errors of TopK dictionaries.

    Args:
        biases: b_enc [F_l] and b_dec of every dictionary.
        batches: What each reads.
        own_from: Per dictionary, the row below which it sees constants.
    """
    encoder, decoder = (one.detach().clone().requires_grad_() for one in (W_enc_DF, W_dec_FD))
    loss = torch.zeros((), dtype=W_enc_DF.dtype)
    for number, ((b_enc_F, b_dec_D), x_BD) in enumerate(zip(biases, batches, strict=True)):
        count, low = len(b_enc_F), own_from[number] if own_from else 0
        mine_DF = torch.cat([encoder[:, :low].detach(), encoder[:, low:count]], 1)
        mine_FD = torch.cat([decoder[:low].detach(), decoder[low:count]])
        pre = (x_BD - b_dec_D) @ mine_DF + b_enc_F
        values, indices = pre.topk(k, dim=-1)
        acts = torch.zeros_like(pre).scatter(-1, indices, values.relu())
        loss = loss + (acts @ mine_FD + b_dec_D - x_BD).square().mean()
    grads = torch.autograd.grad(loss, (encoder, decoder))
    return grads[0], grads[1]
