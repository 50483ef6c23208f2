"""The k largest entries of every row, exactly, faster than ``torch.topk`` on a CPU.

Rows of up to a few thousand entries: the k-th largest value by numpy's vectorised ``partition``, then one comparison.
Longer rows in two stages: the row is cut into C strided columns of G; the k largest of the G column maxima name the
columns that can hold a top-k entry, and the k largest of their C·k entries are the answer. Exact ties at the k-th place
(and NaN) are left to ``torch.topk``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

ROWS_PER_CHUNK: Final = 128
"""Rows whose pre-activations stay in the second-level cache at the usual sizes."""
_LONG_ROW: Final = 8192
_GROUPS: Final = 1024


def top_k(pre_TF: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of every row, in no particular order.

    Args:
        pre_TF: [T, F]; part of an autograd graph or not, on any device.
        k: At most F.

    Returns:
        Values [T, k] (differentiable) and int64 indices [T, k].
    """
    if pre_TF.device.type != "cpu" or pre_TF.dtype != torch.float32 or k >= pre_TF.shape[1]:
        values_TK, indices_TK = pre_TF.topk(min(k, pre_TF.shape[1]), sorted=False)
        return values_TK, indices_TK
    pre = pre_TF.detach().contiguous()
    values = np.empty((len(pre), k), dtype=np.float32)
    indices = np.empty((len(pre), k), dtype=np.int32)
    for start in range(0, len(pre), ROWS_PER_CHUNK):
        rows = slice(start, start + ROWS_PER_CHUNK)
        select_rows(pre[rows].numpy(), values[rows], indices[rows])
    indices_TK = torch.from_numpy(indices).long()
    if pre_TF.requires_grad:
        return pre_TF.gather(-1, indices_TK), indices_TK
    return torch.from_numpy(values), indices_TK


def select_rows(
    pre_TF: npt.NDArray[np.float32], values_TK: npt.NDArray[np.float32], indices_TK: npt.NDArray[np.int32]
) -> None:
    """Fill ``values_TK`` and ``indices_TK`` with the k largest entries of every row of ``pre_TF`` (k < F)."""
    rows, width = pre_TF.shape
    k = values_TK.shape[1]
    groups = _GROUPS if _GROUPS >= 8 * k else 2048
    if width >= _LONG_ROW and width % groups == 0 and groups >= 4 * k:
        _select_in_two_stages(pre_TF, values_TK, indices_TK, groups)
        return
    largest_TK = np.partition(pre_TF, width - k, axis=1)[:, width - k :]
    flat = np.flatnonzero(pre_TF >= largest_TK[:, :1])
    if len(flat) != rows * k or np.isnan(largest_TK.sum()):  # partition puts NaN last
        values, indices = torch.from_numpy(pre_TF).topk(k, sorted=False)
        values_TK[:], indices_TK[:] = values.numpy(), indices.numpy()
        return
    np.take(pre_TF.reshape(-1), flat, out=values_TK.reshape(-1), mode="clip")
    first_T1 = np.arange(0, rows * width, width)[:, None]
    np.subtract(flat.reshape(rows, k), first_T1, out=indices_TK, casting="unsafe")


def _select_in_two_stages(
    pre_TF: npt.NDArray[np.float32],
    values_TK: npt.NDArray[np.float32],
    indices_TK: npt.NDArray[np.int32],
    groups: int,
) -> None:
    rows, width = pre_TF.shape
    k = values_TK.shape[1]
    parts_TCG = torch.from_numpy(pre_TF).view(rows, width // groups, groups)
    maxima_TG = parts_TCG.amax(1)
    select_rows(maxima_TG.numpy(), values_TK, indices_TK)
    columns_TK = torch.from_numpy(indices_TK).long()
    candidates_TN = parts_TCG.gather(2, columns_TK[:, None].expand(rows, width // groups, k)).flatten(1)
    places_TK = np.empty_like(indices_TK)
    select_rows(candidates_TN.numpy(), values_TK, places_TK)
    places = torch.from_numpy(places_TK).long()
    indices_TK[:] = ((places // k) * groups + columns_TK.gather(1, places % k)).numpy()
