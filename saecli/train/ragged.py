"""Selections with any number of entries per row, and the gradients they give, sparse from end to end.

Where the number of active features differs from row to row (BatchTopK, JumpReLU), the batch's selection is a list of N
entries (row b_n, feature i_n, value v_n), row by row. With r = Σ v_n W_dec[i_n] + b_dec − y and g = 2 r / (B D)::

    u_n = g · W_dec[i_n]                                     gradient at the value of an entry
    dW_dec[f] = Σ_{n: i_n = f} v_n g,  dW_enc[:, f] = Σ_{n: i_n = f} u_n c,  db_enc[f] = Σ_{n: i_n = f} u_n
    db_dec    = Σ g − W_enc db_enc                           the latter where c = x − b_dec
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from saecli.core.dictionary import Dictionary
from saecli.train.products import multiply
from saecli.train.step import StepInput, Workspace, set_output_gradients

_FEWEST_ROWS: Final = 256
_MOST_ROWS: Final = 1024
_CHUNK_ELEMENTS: Final = 1 << 24
_BAG_ELEMENTS: Final = 1 << 20

with warnings.catch_warnings():  # of the first tensor of its kind, that it is "in beta state"
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0], [], [], (0, 0))


class Ragged(NamedTuple):
    """Entries of a batch, row by row.

    Attributes:
        starts_B: int32 [B + 1], where each row begins; the last is N.
        indices_N: int32 features, ascending within a row.
        values_N: Pre-activations.
    """

    starts_B: Tensor
    indices_N: Tensor
    values_N: Tensor

    def keep(self, which_N: Tensor) -> Ragged:
        """The entries of a mask."""
        before_N = torch.cat([which_N.new_zeros(1, dtype=torch.int32), which_N.cumsum(0, dtype=torch.int32)])
        return Ragged(before_N[self.starts_B.long()], self.indices_N[which_N], self.values_N[which_N])


class Backward(NamedTuple):
    """What a selection leaves unexplained.

    Attributes:
        residual_BD: x̂ − y.
        error: Its squared norm.
        inner_N: r · W_dec[i_n], that is u_n without the factor 2 / (B D).
    """

    residual_BD: Tensor
    error: float
    inner_N: Tensor


def centred(dictionary: Dictionary, step: StepInput) -> Tensor:
    """What the encoder sees: x − b_dec, for a transcoder x itself."""
    if not dictionary.subtracts_b_dec:
        return step.x_BD
    out = step.workspace.take("centred", *step.x_BD.shape, like=step.x_BD)
    return torch.sub(step.x_BD, dictionary.b_dec_D.detach(), out=out)


def encoder_rows(latents: int) -> int:
    """Rows of pre-activations that are held at once.

    Every chunk reads the whole encoder again, which more rows are worth; the selection wants them in the cache.
    """
    return max(_FEWEST_ROWS, min(_MOST_ROWS, latents // 4, _CHUNK_ELEMENTS // latents))


def select_above(dictionary: Dictionary, centred_BD: Tensor, floor_F: Tensor, step: StepInput) -> Ragged:
    """Entries whose pre-activation is above a floor; the dense ones exist for one chunk of rows at a time."""
    W_enc_DF, b_enc_F = dictionary.W_enc_DF.detach(), dictionary.b_enc_F.detach()
    latents = W_enc_DF.shape[1]
    rows = encoder_rows(latents)
    buffer = step.workspace.take("pre", rows, latents, like=centred_BD)
    counts, indices, values = [], [], []
    for part_CD in centred_BD.split(rows):
        pre_CF = multiply(buffer[: len(part_CD)], part_CD, W_enc_DF, step.settings.precision, bias=b_enc_F)
        above_CF = pre_CF > floor_F
        if pre_CF.device.type == "cpu":
            place_N = torch.from_numpy(np.flatnonzero(above_CF.numpy()))
        else:
            place_N = above_CF.view(-1).nonzero()[:, 0]
        counts.append(above_CF.sum(1, dtype=torch.int32))
        values.append(pre_CF.view(-1)[place_N])
        indices.append((place_N % latents).int())
    counts_B = torch.cat(counts)
    starts_B = torch.cat([counts_B.new_zeros(1), counts_B.cumsum(0, dtype=torch.int32)])
    return Ragged(starts_B, torch.cat(indices), torch.cat(values))


def backward(dictionary: Dictionary, chosen: Ragged, step: StepInput) -> Backward:
    """Decode a selection and go back through the decoder to its values."""
    W_dec_FD = dictionary.W_dec_FD.detach()
    entries = chosen.indices_N, W_dec_FD, chosen.starts_B[:-1]
    residual_BD = embedding_bag(*entries, per_sample_weights=chosen.values_N, mode="sum")
    residual_BD.add_(dictionary.b_dec_D.detach()).sub_(step.y_BD)
    error = float(torch.linalg.vector_norm(residual_BD)) ** 2
    return Backward(residual_BD, error, products(chosen.starts_B, chosen.indices_N, residual_BD, W_dec_FD))


def products(starts_B: Tensor, indices_N: Tensor, left_BD: Tensor, right_FD: Tensor) -> Tensor:
    """left_b · right_f for every entry (b, f) of lists row by row: [N]."""
    if left_BD.device.type == "cpu" and indices_N.dtype == torch.int32 and len(indices_N):
        values_N = left_BD.new_zeros(len(indices_N))
        entries_BF = torch.sparse_csr_tensor(starts_B, indices_N, values_N, (len(left_BD), len(right_FD)))
        return torch.sparse.sampled_addmm(entries_BF, left_BD, right_FD.T, beta=0).values()
    ones_N = torch.ones(len(indices_N), dtype=left_BD.dtype, device=left_BD.device, requires_grad=True)
    with torch.enable_grad():  # the gradient at the weights of a bag is the product of its rows with what comes back
        summed_BD = embedding_bag(indices_N, right_FD, starts_B[:-1], per_sample_weights=ones_N, mode="sum")
    return torch.autograd.grad(summed_BD, ones_N, left_BD)[0]


def set_gradients(
    dictionary: Dictionary, chosen: Ragged, back: Backward, centred_BD: Tensor, step: StepInput
) -> Tensor:
    """Set the gradients of |r|² / (B D) in all weights (b_dec without its encoder's part: :func:`finish_b_dec`).

    Args:
        chosen: The entries with their values in the reconstruction.
        back: With ``inner_N`` already 0 where a value does not move with its pre-activation.

    Returns:
        bool [F], the features that have a positive value somewhere.
    """
    factor = 2 / (step.batch * back.residual_BD.shape[1])
    starts_F, rows_N, values_N, inner_N = by_feature(*chosen, back.inner_N, dictionary.n_latents)
    fired_F = torch.segment_reduce(values_N, "max", offsets=starts_F, initial=0) > 0
    values_N, inner_N, space = values_N * factor, inner_N * factor, step.workspace
    dictionary.W_dec_FD.grad = bags("grad_dec", starts_F, rows_N, values_N, back.residual_BD, space)
    dictionary.W_enc_DF.grad = bags("grad_enc", starts_F, rows_N, inner_N, centred_BD, space).T
    dictionary.b_enc_F.grad = torch.segment_reduce(inner_N, "sum", offsets=starts_F, initial=0)
    set_output_gradients(dictionary, step, back.residual_BD, factor)
    return fired_F


def bags(name: str, starts_F: Tensor, rows_N: Tensor, weights_N: Tensor, source_BD: Tensor, space: Workspace) -> Tensor:
    """Σ weight · source row over the entries of every feature, [F, D] in a kept buffer, some features at a time."""
    latents, width = len(starts_F) - 1, source_BD.shape[1]
    out_FD = space.take(name, latents, width, like=source_BD)
    block = max(1, _BAG_ELEMENTS // width)
    ends = starts_F[[*range(0, latents, block), latents]].tolist()
    for number, (first, last) in enumerate(pairwise(ends)):
        here = slice(number * block, min((number + 1) * block, latents))
        offsets = starts_F[here] - first
        entries = rows_N[first:last], source_BD, offsets
        out_FD[here] = embedding_bag(*entries, per_sample_weights=weights_N[first:last], mode="sum")
    return out_FD


def finish_b_dec(dictionary: Dictionary) -> None:
    """Subtract from b_dec's gradient what comes through the encoder, once b_enc's gradient is whole."""
    if dictionary.subtracts_b_dec and dictionary.b_dec_D.grad is not None and dictionary.b_enc_F.grad is not None:
        dictionary.b_dec_D.grad -= dictionary.W_enc_DF.detach() @ dictionary.b_enc_F.grad


def by_feature(
    starts_B: Tensor, indices_N: Tensor, values_N: Tensor, inner_N: Tensor, latents: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Entries ordered by feature: starts [F + 1], and for every entry its row, value and gradient."""
    batch = len(starts_B) - 1
    if indices_N.device.type == "cpu" and indices_N.dtype == torch.int32:
        # A counting sort: scipy's CSR → CSC conversion carries the place of every entry along.
        place_N = np.arange(len(indices_N), dtype=np.int32)
        by_row = scipy.sparse.csr_array((place_N, indices_N.numpy(), starts_B.numpy()), shape=(batch, latents))
        by_column = by_row.tocsc()
        order_N = torch.from_numpy(by_column.data)
        starts_F, rows_N = torch.from_numpy(by_column.indptr), torch.from_numpy(by_column.indices)
    else:
        order_N = indices_N.argsort(stable=True)
        row_of_N = torch.arange(batch, device=indices_N.device).repeat_interleave(
            starts_B.to(indices_N.device).diff().long()
        )
        rows_N = row_of_N[order_N].to(indices_N.dtype)
        counts_F = indices_N.bincount(minlength=latents)
        starts_F = torch.cat([counts_F.new_zeros(1), counts_F.cumsum(0)]).to(indices_N.dtype)
    return starts_F, rows_N, values_N[order_N], inner_N[order_N]
