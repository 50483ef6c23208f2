"""Entries of a matrix product, without the rest of it."""

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch import Tensor


def sampled(starts: Tensor, columns_E: Tensor, left_RD: Tensor, right_CD: Tensor) -> Tensor:
    """left · rightᵀ at given entries alone: [E].

    Args:
        starts: [R + 1], where the entries of each row begin; the last is E. Of the same integer type as the columns.
        columns_E: Columns, row by row.
        left_RD: Rows.
        right_CD: Columns.
    """
    _quiet()
    left_RD, right_CD = left_RD.contiguous(), right_CD.contiguous()
    shape = (len(left_RD), len(right_CD))
    empty = torch.sparse_csr_tensor(starts, columns_E, left_RD.new_zeros(len(columns_E)), shape, check_invariants=False)
    return torch.sparse.sampled_addmm(empty, left_RD, right_CD.T, beta=0).values()


@cache
def _quiet() -> None:
    """Let torch say once, to nobody, that its CSR tensors are in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_csr_tensor(torch.tensor([0, 0]), torch.tensor([]).long(), torch.tensor([]), (1, 1))
