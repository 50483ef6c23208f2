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
Q[O] (P[I] ∘ slopes)ᵀ. Of a norm that divides, γ and the mean are in P, and what x̂ takes away is of rank one:
Q[O] ((γ ∘ x̂) W_in ∘ slopes) by W_dec[I] x̂ / d. DynamicTanh has other factors for every token: there
(Q[O] ∘ slopes) W_inᵀ is a product of k rows of every token. Some tokens are done at a time.

Source: Farnik et al. 2025, https://arxiv.org/abs/2502.18147, and https://github.com/Stefan-Heimersheim/gpt-circuits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Final, NamedTuple, cast

import torch
from torch import Tensor

from saecli.core.gpt import DynamicTanh
from saecli.train.jacobian_beside import beside
from saecli.train.jacobian_path import Path, Slopes, slopes
from saecli.train.jacobian_rows import Rows
from saecli.train.step import Workspace

_CHUNK_ELEMENTS: Final = 1 << 19


class Chosen(NamedTuple):
    """Features of every token, [B, K] each.

    Attributes:
        indices_BK: Which.
        active_BK: Whether they are active; None if all are.
    """

    indices_BK: Tensor
    active_BK: Tensor | None = None


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
    x_BD: Tensor,
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
        x_BD: What the MLP is given, or its norm, in the units of the model.
        dec_FD: W_dec of the dictionary that reads.
        enc_FD: W_encᵀ of the dictionary that writes.
        reads, writes: Features of the two, by token.
        space: Reusable buffers.
        gradients: Whether they are wanted.
    """
    # Rows by int64 are copied and added faster.
    reads, writes = (Chosen(one.indices_BK.long().contiguous(), one.active_BK) for one in (reads, writes))
    ins, outs = reads.indices_BK.shape[1], writes.indices_BK.shape[1]
    stream = None if path.norm is None else beside(dec_FD, enc_FD, len(x_BD) * ins * outs, space)
    through = (_ByToken if isinstance(path.norm, DynamicTanh) else _Folded)(path, dec_FD, enc_FD, space)
    count = max(1, _CHUNK_ELEMENTS // (len(path.b_in_M) * max(1, ins, outs)))
    sums, signs = [x_BD.new_zeros(())], Rows("signs", (0, outs, ins), x_BD, space)
    for reads_CK, writes_CK, on_reads_CK, on_writes_CK, here in _parts(reads, writes, slopes(path, x_BD, space), count):
        if len(reads_CK) != len(signs.CKW):
            signs = Rows("signs", (len(reads_CK), outs, ins), x_BD, space)
            through.lay(len(reads_CK), outs, ins)
            if stream is not None:
                stream.lay(len(reads_CK), outs, ins)
        J_CKK = through.jacobian(reads_CK, writes_CK, here)
        if stream is not None:
            stream.add_to(J_CKK, reads_CK, writes_CK)
        if on_writes_CK is not None:
            J_CKK *= on_writes_CK.unsqueeze(2)
        if on_reads_CK is not None:
            J_CKK *= on_reads_CK.unsqueeze(1)
        torch.sign(J_CKK, out=signs.CKW)
        sums.append(torch.dot(signs.CKW.view(-1), J_CKK.view(-1)))
        if gradients:
            through.add(signs.CKW)
            if stream is not None:
                stream.add(signs.CKW)
    total = float(torch.stack(sums).double().sum())
    if not gradients:
        return Found(total, None, None)
    g_dec_FD, g_enc_FD = through.gradients()
    if stream is not None:
        stream.gradients(g_dec_FD, g_enc_FD)
    return Found(total, g_dec_FD, g_enc_FD)


_Part = tuple[Tensor, Tensor, Tensor | None, Tensor | None, Slopes]


def _parts(reads: Chosen, writes: Chosen, at: Slopes, count: int) -> Iterator[_Part]:
    """Features, which of them are active, and slopes of some tokens at a time."""

    def split(one: Tensor | None) -> Iterator[Tensor | None]:
        return repeat(None) if one is None else iter(one.split(count))

    if not len(at.hidden_BM):
        return iter(())
    indices = reads.indices_BK.split(count), writes.indices_BK.split(count)
    here = map(Slopes, *map(split, at))
    return zip(*indices, split(reads.active_BK), split(writes.active_BK), here)  # noqa: B905 - some never end


class _Folded:
    """Through the MLP where J is a product of rows of two matrices, and one of rank one."""

    def __init__(self, path: Path, dec_FD: Tensor, enc_FD: Tensor, space: Workspace) -> None:
        self._path, self._space, self._dec_FD = path, space, dec_FD
        self._right_FM, self._left_FM = self._read(dec_FD) @ path.W_in_DM, enc_FD @ path.W_out_MD.T
        self._g_right_FM, self._g_left_FM = torch.zeros_like(self._right_FM), torch.zeros_like(self._left_FM)
        self._g_dec_FD = torch.zeros_like(dec_FD)

    def _read(self, rows_FD: Tensor) -> Tensor:
        """What the norm makes of decoder rows before it takes x̂ away and divides: γ ∘ (w − mean w), or w."""
        if self._path.centred:
            rows_FD = rows_FD - rows_FD.mean(1, keepdim=True)
        return rows_FD if self._path.gain_D is None else rows_FD * self._path.gain_D

    def lay(self, count: int, outs: int, ins: int) -> None:
        """Prepare for so many tokens with so many features written and read."""
        like, space = self._dec_FD, self._space
        hidden, d = self._right_FM.shape[1], self._dec_FD.shape[1]
        more = ins + (self._path.norm is not None)
        self._left, self._right = (
            Rows(name, (count, k, hidden), like, space) for name, k in (("left", outs), ("right", more))
        )
        self._g_left, self._g_right = (Rows("product", (count, k, hidden), like, space) for k in (outs, ins))
        self._J = Rows("J", (count, outs, ins), like, space)
        if self._path.norm is not None:
            self._more_J = Rows("J and more", (count, outs, more), like, space)
            self._more_signs_CKJ = space.take("jacobian more signs", count, outs, more, like=like)
            self._dec, self._g_dec = (
                Rows("dec", (count, ins, d), like, space),
                Rows("dec", (count, ins, d), like, space),
            )
            self._dots, self._backs = (
                Rows("dots", (count, ins, 1), like, space),
                Rows("back", (count, ins, 1), like, space),
            )

    def jacobian(self, reads_CK: Tensor, writes_CK: Tensor, at: Slopes) -> Tensor:
        """[C, K, K] of some tokens: :meth:`add` is for the same."""
        self._reads_N, self._writes_N = reads_CK.view(-1), writes_CK.view(-1)
        self._slopes_C1M = at.hidden_BM.unsqueeze(1)
        left_CKM = self._left.take(self._left_FM, self._writes_N)
        if at.normed_BD is None or at.along_BM is None:
            right_CKM = self._right.take(self._right_FM, self._reads_N).mul_(self._slopes_C1M)
            return self._J.product(left_CKM, right_CKM.mT)
        # The last row is no feature's: it makes a column of Q[O] ((γ ∘ x̂) W_in ∘ slopes) beside J.
        more_CJ = torch.cat([reads_CK, reads_CK[:, :1]], 1)
        right_CJM = self._right.take(self._right_FM, more_CJ.view(-1)).mul_(self._slopes_C1M)
        right_CJM[:, -1] = at.along_BM
        J_CKJ = self._more_J.product(left_CKM, right_CJM.mT)
        self._normed_C1D = (at.normed_BD / -at.normed_BD.shape[1]).unsqueeze(1)
        dots_CK1 = self._dots.product(self._dec.take(self._dec_FD, self._reads_N), self._normed_C1D.mT)
        return torch.addcmul(J_CKJ[..., :-1], J_CKJ[..., -1:], dots_CK1.mT, out=self._J.CKW)

    def add(self, sign_CKK: Tensor) -> None:
        """Add the gradients of Σ sign ∘ J."""
        more_CKJ = sign_CKK
        if self._path.norm is not None:
            more_CKJ = torch.cat([sign_CKK, sign_CKK @ self._dots.CKW], 2, out=self._more_signs_CKJ)
            self._g_dec.product(self._backs.product(sign_CKK.mT, self._more_J.CKW[..., -1:]), self._normed_C1D)
            self._g_dec.add_to(self._g_dec_FD, self._reads_N)
        self._g_left.product(more_CKJ, self._right.CKW)
        self._g_left.add_to(self._g_left_FM, self._writes_N)
        self._g_right.product(sign_CKK.mT, self._left.CKW).mul_(self._slopes_C1M)
        self._g_right.add_to(self._g_right_FM, self._reads_N)

    def gradients(self) -> tuple[Tensor, Tensor]:
        """What was added, of W_dec and W_encᵀ."""
        path = self._path
        g_read_FD = self._g_right_FM @ path.W_in_DM.T
        if path.gain_D is not None:
            g_read_FD *= path.gain_D
        if path.centred:
            g_read_FD -= g_read_FD.mean(1, keepdim=True)
        return g_read_FD.add_(self._g_dec_FD), self._g_left_FM @ path.W_out_MD


class _ByToken:
    """Through the MLP where the norm's factors are every token's own: rows of width d after a product with W_in."""

    def __init__(self, path: Path, dec_FD: Tensor, enc_FD: Tensor, space: Workspace) -> None:
        self._W_in_DM, self._W_out_MD, self._space, self._dec_FD = path.W_in_DM, path.W_out_MD, space, dec_FD
        self._hidden_FM = enc_FD @ path.W_out_MD.T
        self._g_dec_FD, self._g_hidden_FM = torch.zeros_like(dec_FD), torch.zeros_like(self._hidden_FM)

    def lay(self, count: int, outs: int, ins: int) -> None:
        """Prepare for so many tokens with so many features written and read."""
        like, space = self._dec_FD, self._space
        d, hidden = self._W_in_DM.shape
        self._hidden = Rows("left", (count, outs, hidden), like, space)
        self._left, self._g_left = (Rows(name, (count, outs, d), like, space) for name in ("by token", "product"))
        self._right, self._g_right = (Rows(name, (count, ins, d), like, space) for name in ("right", "product"))
        self._turned_CDK = space.take("jacobian turned", count, d, ins, like=like)
        self._J = Rows("J", (count, outs, ins), like, space)

    def jacobian(self, reads_CK: Tensor, writes_CK: Tensor, at: Slopes) -> Tensor:
        """[C, K, K] of some tokens: :meth:`add` is for the same."""
        self._reads_N, self._writes_N = reads_CK.view(-1), writes_CK.view(-1)
        self._slopes_C1M, self._norm_C1D = at.hidden_BM.unsqueeze(1), cast(Tensor, at.norm_BD).unsqueeze(1)
        self._hidden.take(self._hidden_FM, self._writes_N).mul_(self._slopes_C1M)
        torch.mm(self._hidden.flat_NW, self._W_in_DM.T, out=self._left.flat_NW)
        # As the second factor, rows as short as these are much slower than columns.
        self._turned_CDK.copy_(self._right.take(self._dec_FD, self._reads_N).mT)
        return self._J.product(self._left.CKW.mul_(self._norm_C1D), self._turned_CDK)

    def add(self, sign_CKK: Tensor) -> None:
        """Add the gradients of Σ sign ∘ J."""
        self._g_right.product(sign_CKK.mT, self._left.CKW)
        self._g_right.add_to(self._g_dec_FD, self._reads_N)
        self._g_left.product(sign_CKK, self._right.CKW).mul_(self._norm_C1D)
        torch.mm(self._g_left.flat_NW, self._W_in_DM, out=self._hidden.flat_NW)
        self._hidden.CKW.mul_(self._slopes_C1M)
        self._hidden.add_to(self._g_hidden_FM, self._writes_N)

    def gradients(self) -> tuple[Tensor, Tensor]:
        """What was added, of W_dec and W_encᵀ."""
        return self._g_dec_FD, self._g_hidden_FM @ self._W_out_MD
