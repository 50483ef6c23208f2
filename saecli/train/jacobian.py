"""How strongly the features at one end of an MLP move those at its other end, and the gradient of that.

Of a token with active features I where the pair of dictionaries reads and O where it writes::

    layer, mlp_in to mlp_out        J = W_enc[:, O]ᵀ  W_outᵀ D W_inᵀ           W_dec[I]ᵀ
    block, resid_mid to resid_post  J = W_enc[:, O]ᵀ (W_outᵀ D W_inᵀ N + 1)    W_dec[I]ᵀ

with D the slopes of the activation function and N the Jacobian of the norm before the MLP::

    LayerNorm     N = diag(γ) (1 − (1 1ᵀ + x̂ x̂ᵀ) / d) / s     with x̂ = (x − μ) / s and s² = var x + ε
    RMSNorm       N = diag(γ) (1 − x̂ x̂ᵀ / d) / s              with x̂ = x / s and s² = mean x² + ε
    DynamicTanh   N = diag(γ α (1 − tanh²(α x)))

What is penalised is Σ |J| / k² on average over tokens; a feature that is not active counts nothing. D, N, I and O are
constants, and gradients reach W_dec of the one dictionary and W_enc of the other.

Per step P = W_dec W_in and Q = W_encᵀ W_outᵀ are made once, [F, M] each. A token takes k rows of each, and J is
Q[O] (P[I] ∘ slopes)ᵀ. Of a norm that divides, γ and the mean are in P, and (W_dec[I] x̂ / d) (h ∘ slopes) is taken away
from the rows, h = (γ ∘ x̂) W_in. DynamicTanh has other factors for every token: there (Q[O] ∘ slopes) W_inᵀ is a product
of k rows of every token. Some tokens are done at a time.

Source: Farnik et al. 2025, https://arxiv.org/abs/2502.18147, and https://github.com/Stefan-Heimersheim/gpt-circuits.
"""

from __future__ import annotations

from typing import Final, NamedTuple, cast

import torch
from torch import Tensor

from saecli.train.jacobian_path import Path, Slopes
from saecli.train.step import Workspace

_CHUNK_ELEMENTS: Final = 1 << 18


class Chosen(NamedTuple):
    """Features of every token, [B, K] each.

    Attributes:
        indices_BK: Which.
        active_BK: Whether they are active; None if all are.
    """

    indices_BK: Tensor
    active_BK: Tensor | None = None

    def part(self, rows: slice) -> Chosen:
        """Those of some tokens."""
        return Chosen(self.indices_BK[rows], None if self.active_BK is None else self.active_BK[rows])


class Found(NamedTuple):
    """The penalty and its gradients.

    Attributes:
        total: Σ |J| over tokens and pairs of features.
        g_dec_FD, g_enc_FD: Of W_dec of the first dictionary, and of W_encᵀ of the second; None if not asked for.
    """

    total: float
    g_dec_FD: Tensor | None
    g_enc_FD: Tensor | None


def absolute_jacobian(
    path: Path,
    at: Slopes,
    dec_FD: Tensor,
    enc_FD: Tensor,
    reads: Chosen,
    writes: Chosen,
    space: Workspace,
    *,
    gradients: bool = True,
) -> Found:
    """Σ |J| over tokens and pairs of active features, and its gradients.

    Args:
        path: In the number type of the weights.
        at: The constants.
        dec_FD: W_dec of the dictionary that reads.
        enc_FD: W_encᵀ of the dictionary that writes.
        reads, writes: Features of the two, by token.
        space: Reusable buffers.
        gradients: Whether they are wanted.
    """
    if at.norm_BD is not None:
        sides: _Sides = _ByToken(path, dec_FD, enc_FD, gradients)
    else:
        sides = _Folded(path, dec_FD, enc_FD, gradients)
    # Rows by int64 are copied and added faster.
    reads, writes = (Chosen(one.indices_BK.long(), one.active_BK) for one in (reads, writes))
    total, width = 0.0, sides.width * max(1, reads.indices_BK.shape[1], writes.indices_BK.shape[1])
    rows = max(1, _CHUNK_ELEMENTS // width)
    for first in range(0, len(at.hidden_BM), rows):
        here = slice(first, first + rows)
        some, others, local = reads.part(here), writes.part(here), at.part(here)
        J_CKK = sides.jacobian(some.indices_BK, others.indices_BK, local, space)
        for active_CK, axis in ((others.active_BK, 2), (some.active_BK, 1)):
            if active_CK is not None:
                J_CKK *= active_CK.unsqueeze(axis)
        total += float(torch.linalg.vector_norm(J_CKK, 1))
        if gradients:
            sides.add(J_CKK.sign_(), some.indices_BK, others.indices_BK, local, space)
    return Found(total, *sides.gradients()) if gradients else Found(total, None, None)


class _Folded:
    """Where J is a product of rows of two matrices, and one of rank one."""

    def __init__(self, path: Path, dec_FD: Tensor, enc_FD: Tensor, gradients: bool) -> None:
        self._path, self._hidden = path, len(path.b_in_M)
        self.right_FW, self.left_FW = self._read(dec_FD) @ path.W_in_DM, enc_FD @ path.W_out_MD.T
        if path.norm is not None:
            self.right_FW = torch.cat([self.right_FW, dec_FD], 1)
            self.left_FW = torch.cat([self.left_FW, enc_FD], 1)
        self.width = self.right_FW.shape[1]
        self._g_right_FW, self._g_left_FW = (
            torch.zeros_like(one) if gradients else one for one in (self.right_FW, self.left_FW)
        )

    def _read(self, rows_FD: Tensor) -> Tensor:
        """What the norm makes of decoder rows before it takes x̂ away and divides: γ ∘ (w − mean w), or w."""
        if self._path.centred:
            rows_FD = rows_FD - rows_FD.mean(1, keepdim=True)
        return rows_FD if self._path.gain_D is None else rows_FD * self._path.gain_D

    def jacobian(self, reads_CK: Tensor, writes_CK: Tensor, at: Slopes, space: Workspace) -> Tensor:
        self._left_CKW = _rows("left", self.left_FW, writes_CK, space)
        self._right_CKW = _rows("right", self.right_FW, reads_CK, space)
        through_CKM = self._right_CKW[..., : self._hidden]
        through_CKM *= at.hidden_BM.unsqueeze(1)
        if at.normed_BD is not None and at.along_BM is not None:
            along_CK1 = self._right_CKW[..., self._hidden :] @ (at.normed_BD.unsqueeze(2) / at.normed_BD.shape[1])
            through_CKM.addcmul_(along_CK1, at.along_BM.unsqueeze(1), value=-1)
        return self._left_CKW @ self._right_CKW.mT

    def add(self, sign_CKK: Tensor, reads_CK: Tensor, writes_CK: Tensor, at: Slopes, space: Workspace) -> None:
        _add_product(self._g_left_FW, writes_CK, sign_CKK, self._right_CKW, space)
        g_right_CKW = _product(sign_CKK.mT, self._left_CKW, space)
        through_CKM = g_right_CKW[..., : self._hidden]
        if at.normed_BD is not None and at.along_BM is not None:
            back_CK1 = through_CKM @ at.along_BM.unsqueeze(2)
            scaled_C1D = at.normed_BD.unsqueeze(1) / at.normed_BD.shape[1]
            g_right_CKW[..., self._hidden :].addcmul_(back_CK1, scaled_C1D, value=-1)
        through_CKM *= at.hidden_BM.unsqueeze(1)
        _add_rows(self._g_right_FW, reads_CK, g_right_CKW)

    def gradients(self) -> tuple[Tensor, Tensor]:
        path, hidden = self._path, self._hidden
        g_read_FD = self._g_right_FW[:, :hidden] @ path.W_in_DM.T
        if path.gain_D is not None:
            g_read_FD *= path.gain_D
        if path.centred:
            g_read_FD -= g_read_FD.mean(1, keepdim=True)
        g_enc_FD = self._g_left_FW[:, :hidden] @ path.W_out_MD
        if path.norm is not None:
            g_read_FD += self._g_right_FW[:, hidden:]
            g_enc_FD += self._g_left_FW[:, hidden:]
        return g_read_FD, g_enc_FD


class _ByToken:
    """Where the norm's factors are every token's own: rows of width d after a product with W_in."""

    def __init__(self, path: Path, dec_FD: Tensor, enc_FD: Tensor, gradients: bool) -> None:
        self._path, self._dec_FD, self._enc_FD = path, dec_FD, enc_FD
        self._hidden_FM = enc_FD @ path.W_out_MD.T
        self.width = len(path.b_in_M)
        self._g_dec_FD, self._g_enc_FD, self._g_hidden_FM = (
            torch.zeros_like(one) if gradients else one for one in (dec_FD, enc_FD, self._hidden_FM)
        )

    def jacobian(self, reads_CK: Tensor, writes_CK: Tensor, at: Slopes, space: Workspace) -> Tensor:
        norm_C1D = cast(Tensor, at.norm_BD).unsqueeze(1)
        self._right_CKD = _rows("right", self._dec_FD, reads_CK, space)
        hidden_CKM = _rows("left", self._hidden_FM, writes_CK, space).mul_(at.hidden_BM.unsqueeze(1))
        self._left_CKD = (hidden_CKM @ self._path.W_in_DM.T).mul_(norm_C1D)
        self._left_CKD += _rows("beside", self._enc_FD, writes_CK, space)
        return self._left_CKD @ self._right_CKD.mT

    def add(self, sign_CKK: Tensor, reads_CK: Tensor, writes_CK: Tensor, at: Slopes, space: Workspace) -> None:
        norm_C1D = cast(Tensor, at.norm_BD).unsqueeze(1)
        g_left_CKD = _product(sign_CKK, self._right_CKD, space)
        _add_rows(self._g_enc_FD, writes_CK, g_left_CKD)
        g_hidden_CKM = (g_left_CKD.mul_(norm_C1D) @ self._path.W_in_DM).mul_(at.hidden_BM.unsqueeze(1))
        _add_rows(self._g_hidden_FM, writes_CK, g_hidden_CKM)
        _add_product(self._g_dec_FD, reads_CK, sign_CKK.mT, self._left_CKD, space)

    def gradients(self) -> tuple[Tensor, Tensor]:
        return self._g_dec_FD, self._g_enc_FD.addmm_(self._g_hidden_FM, self._path.W_out_MD)


_Sides = _Folded | _ByToken


def _rows(name: str, from_FW: Tensor, indices_CK: Tensor, space: Workspace) -> Tensor:
    """[C, K, W] in a kept buffer."""
    out = space.take(f"jacobian {name}", indices_CK.numel(), from_FW.shape[1], like=from_FW)
    torch.index_select(from_FW, 0, indices_CK.reshape(-1), out=out)
    return out.view(*indices_CK.shape, -1)


def _product(sign_CKJ: Tensor, rows_CJW: Tensor, space: Workspace) -> Tensor:
    """[C, K, W] in a kept buffer."""
    out_CKW = space.take("jacobian product", *sign_CKJ.shape[:2], rows_CJW.shape[2], like=rows_CJW)
    return torch.bmm(sign_CKJ, rows_CJW, out=out_CKW)


def _add_product(to_FW: Tensor, indices_CK: Tensor, sign_CKJ: Tensor, rows_CJW: Tensor, space: Workspace) -> None:
    _add_rows(to_FW, indices_CK, _product(sign_CKJ, rows_CJW, space))


def _add_rows(to_FW: Tensor, indices_CK: Tensor, rows_CKW: Tensor) -> None:
    """Add rows to those of their features."""
    to_FW.index_add_(0, indices_CK.reshape(-1), rows_CKW.flatten(0, 1))
