"""The stream that goes on beside an MLP and its norm, in a Jacobian: W_enc[:, O]ᵀ W_dec[I]ᵀ of every token."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from saecli.train.jacobian_rows import Rows
from saecli.train.step import Workspace

_CHEAPER: Final = 4
"""How many products of all features with each other cost as much as one of a token's."""


class OfAll:
    """From the products of all features with each other: one number each."""

    def __init__(self, dec_FD: Tensor, enc_FD: Tensor, space: Workspace) -> None:
        self._dec_FD, self._enc_FD, self._space = dec_FD, enc_FD, space
        self._all_FF = enc_FD @ dec_FD.T
        self._signs_FF = torch.zeros_like(self._all_FF)
        self._all_N, self._signs_N = self._all_FF.view(-1), self._signs_FF.view(-1)

    def lay(self, count: int, outs: int, ins: int) -> None:
        """Prepare for so many tokens with so many features written and read."""
        like = torch.empty(0, dtype=torch.int64, device=self._dec_FD.device)
        self._places_CKK = self._space.take("jacobian places", count, outs, ins, like=like)
        self._found_CKK = self._space.take("jacobian beside", count, outs, ins, like=self._dec_FD)
        self._places_N, self._found_N = self._places_CKK.view(-1), self._found_CKK.view(-1)

    def add_to(self, J_CKK: Tensor, reads_CK: Tensor, writes_CK: Tensor) -> None:
        """Add it to the Jacobians of some tokens."""
        torch.add(reads_CK.unsqueeze(1), writes_CK.unsqueeze(2), alpha=len(self._dec_FD), out=self._places_CKK)
        torch.index_select(self._all_N, 0, self._places_N, out=self._found_N)
        J_CKK += self._found_CKK

    def add(self, sign_CKK: Tensor) -> None:
        """Note the signs of those Jacobians."""
        self._signs_N.scatter_add_(0, self._places_N, sign_CKK.view(-1))

    def gradients(self, g_dec_FD: Tensor, g_enc_FD: Tensor) -> None:
        """Add the gradients of all noted."""
        g_dec_FD.addmm_(self._signs_FF.T, self._enc_FD)
        g_enc_FD.addmm_(self._signs_FF, self._dec_FD)


class OfRows:
    """From the rows of every token: where there are many features and few tokens."""

    def __init__(self, dec_FD: Tensor, enc_FD: Tensor, space: Workspace) -> None:
        self._dec_FD, self._enc_FD, self._space = dec_FD, enc_FD, space
        self._g_dec_FD, self._g_enc_FD = torch.zeros_like(dec_FD), torch.zeros_like(enc_FD)

    def lay(self, count: int, outs: int, ins: int) -> None:
        """Prepare for so many tokens with so many features written and read."""
        d, like, space = self._dec_FD.shape[1], self._dec_FD, self._space
        self._dec, self._enc = (
            Rows(f"beside {name}", (count, k, d), like, space) for name, k in (("dec", ins), ("enc", outs))
        )
        self._g_dec, self._g_enc = (
            Rows(f"beside g {name}", (count, k, d), like, space) for name, k in (("dec", ins), ("enc", outs))
        )
        self._turned_CDK = space.take("jacobian turned", count, d, ins, like=like)
        self._found = Rows("beside", (count, outs, ins), like, space)

    def add_to(self, J_CKK: Tensor, reads_CK: Tensor, writes_CK: Tensor) -> None:
        """Add it to the Jacobians of some tokens."""
        self._reads_N, self._writes_N = reads_CK.view(-1), writes_CK.view(-1)
        self._turned_CDK.copy_(self._dec.take(self._dec_FD, self._reads_N).mT)
        J_CKK += self._found.product(self._enc.take(self._enc_FD, self._writes_N), self._turned_CDK)

    def add(self, sign_CKK: Tensor) -> None:
        """Note the signs of those Jacobians."""
        self._g_enc.product(sign_CKK, self._dec.CKW)
        self._g_enc.add_to(self._g_enc_FD, self._writes_N)
        self._g_dec.product(sign_CKK.mT, self._enc.CKW)
        self._g_dec.add_to(self._g_dec_FD, self._reads_N)

    def gradients(self, g_dec_FD: Tensor, g_enc_FD: Tensor) -> None:
        """Add the gradients of all noted."""
        g_dec_FD += self._g_dec_FD
        g_enc_FD += self._g_enc_FD


def beside(dec_FD: Tensor, enc_FD: Tensor, count: int, space: Workspace) -> OfAll | OfRows:
    """The cheaper way for ``count`` pairs of features, over all tokens."""
    few = len(dec_FD) * len(enc_FD) <= _CHEAPER * count
    return (OfAll if few else OfRows)(dec_FD, enc_FD, space)
