r"""Target features made from kept source features alone, for many numbers of kept edges together.

Edges (i, j) stand in an order; with E kept, target j at position t is given the active sources whose edge is among the
first E::

    x_j(t) = b + Σ_{i kept for j} f_i(t) w_i        z_j(t) = pre-activation of j behind component(x_j)

and the activation function, with its selection, looks at all z together. Targets without any kept edge are 0.

Numbers of edges are taken in ascending order. A target's pre-activation changes only where an edge to an active source
has come in, so only those are computed again, and targets that are given the same sources share one row of the
component: at a position, or where attention lies between, in a sequence.

Shapes: T positions, K active sources of a position, U source and F target features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from saecli.attribution.pair import FeaturePair
from saecli.core.dictionary import SparseActs

_NUMBERS: Final = 1 << 23
"""Held at once in the widest layer."""
_BITS: Final = 52
"""Sources that one word has room for; sums of so many powers of 2 are exact in double precision."""


@torch.no_grad()
def kept_targets(
    pair: FeaturePair, ranks_UF: Tensor, counts: Sequence[int], acts: SparseActs, clean_TD: Tensor, counted_T: Tensor
) -> Iterator[Tensor]:
    """Target features [T, F] for every number of edges; of one sequence.

    Args:
        pair: The features and what is between them.
        ranks_UF: Place of every edge in the order, 0 first.
        counts: Numbers of edges, ascending.
        acts: Source features.
        clean_TD: What the model has at the source.
        counted_T: bool; the other positions keep the model's values at the source, and their targets mean nothing.
    """
    acts = SparseActs(acts.indices_TK, acts.values_TK.where(counted_T[:, None], 0))
    first_F = ranks_UF.min(0).values
    pre_TF = clean_TD.new_zeros(len(clean_TD), ranks_UF.shape[1])
    step = _AtPositions(pair, ranks_UF, acts) if pair.positionwise else _InSequence(pair, ranks_UF, acts)
    for count in counts:
        has_F = first_F < count
        step.update(pre_TF, count, has_F, clean_TD, counted_T)
        yield pair.down.activate(pre_TF * has_F) * has_F


class _AtPositions:
    """Rows of the component are positions."""

    def __init__(self, pair: FeaturePair, ranks_UF: Tensor, acts: SparseActs) -> None:
        self.pair, self.acts = pair, acts
        never = ranks_UF.numel()
        ranks_TKF = torch.where((acts.values_TK != 0)[..., None], ranks_UF[acts.indices_TK], never)
        self.ranks_TFK = ranks_TKF.transpose(1, 2).contiguous()
        self.encoder_FD = pair.down.W_enc_DF.T.contiguous()
        self.words_TFW: Tensor | None = None

    def update(self, pre_TF: Tensor, count: int, has_F: Tensor, clean_TD: Tensor, counted_T: Tensor) -> None:
        words_TFW = _words(self.ranks_TFK < count)
        changed_TF = has_F & counted_T[:, None]
        if self.words_TFW is not None:
            changed_TF = changed_TF & ((words_TFW != self.words_TFW).any(-1) | ~self.had_F)
        self.words_TFW, self.had_F = words_TFW, has_F
        row_M, target_M = changed_TF.nonzero().unbind(1)
        if not len(row_M):
            return
        row_N, words_NW, place_M = _distinct(row_M, words_TFW[row_M, target_M], self.acts.values_TK.shape[1])
        kept_NK = _bits(words_NW, self.acts.values_TK.shape[1])
        out_ND = []
        for part in torch.arange(len(row_N)).split(max(1, _NUMBERS // self.pair.width)):
            rows = row_N[part]
            some = SparseActs(self.acts.indices_TK[rows], self.acts.values_TK[rows] * kept_NK[part])
            out_ND.append(self.pair.down.prepare(self.pair.through(self.pair.decode(some)))[0])
        into_ND = torch.cat(out_ND)
        for part in torch.arange(len(row_M)).split(max(1, _NUMBERS // clean_TD.shape[1])):
            value_M = (into_ND[place_M[part]] * self.encoder_FD[target_M[part]]).sum(1)
            pre_TF[row_M[part], target_M[part]] = value_M + self.pair.down.b_enc_F[target_M[part]]


class _InSequence:
    """Rows of the component are sequences: what a target is given at one position may reach it at another."""

    def __init__(self, pair: FeaturePair, ranks_UF: Tensor, acts: SparseActs) -> None:
        self.pair, self.acts = pair, acts
        self.active_A = acts.indices_TK[acts.values_TK != 0].unique()
        self.ranks_FA = ranks_UF[self.active_A].T
        self.words_FW: Tensor | None = None

    def update(self, pre_TF: Tensor, count: int, has_F: Tensor, clean_TD: Tensor, counted_T: Tensor) -> None:
        words_FW = _words(self.ranks_FA < count)
        changed_F = has_F
        if self.words_FW is not None:
            changed_F = changed_F & ((words_FW != self.words_FW).any(-1) | ~self.had_F)
        self.words_FW, self.had_F = words_FW, has_F
        (target_M,) = changed_F.nonzero().unbind(1)
        if not len(target_M):
            return
        unique_NW, place_M = torch.unique(words_FW[target_M], dim=0, return_inverse=True)
        kept_NU = torch.zeros(len(unique_NW), self.pair.up.n_latents, dtype=clean_TD.dtype, device=clean_TD.device)
        kept_NU[:, self.active_A] = _bits(unique_NW, len(self.active_A)).to(clean_TD.dtype)
        length, down = len(clean_TD), self.pair.down
        for part in torch.arange(len(unique_NW)).split(max(1, _NUMBERS // (length * self.pair.width))):
            values_NTK = self.acts.values_TK * kept_NU[part][:, self.acts.indices_TK]
            some = SparseActs(self.acts.indices_TK.repeat(len(part), 1), values_NTK.flatten(0, 1))
            x_NTD = self.pair.decode(some).unflatten(0, (len(part), length))
            into_NTD = down.prepare(self.pair.through(x_NTD.where(counted_T[:, None], clean_TD)))[0]
            here_M = (place_M >= part[0]) & (place_M <= part[-1])
            targets = target_M[here_M]
            rows = into_NTD[place_M[here_M] - part[0]]
            pre_TF[:, targets] = torch.einsum("mtd,dm->tm", rows, down.W_enc_DF[:, targets]) + down.b_enc_F[targets]


def _words(kept: Tensor) -> Tensor:
    """bool [..., K] → int64 [..., W], so that equal patterns are equal numbers."""
    words = []
    for part in kept.split(_BITS, dim=-1):
        powers_B = 2.0 ** torch.arange(part.shape[-1], dtype=torch.float64, device=kept.device)
        words.append((part.double() @ powers_B).long())
    return torch.stack(words, -1) if words else torch.zeros(*kept.shape[:-1], 1, dtype=torch.int64, device=kept.device)


def _bits(words_NW: Tensor, count: int) -> Tensor:
    """The inverse: bool [N, K]."""
    bits_NWB = (words_NW[..., None] >> torch.arange(_BITS, device=words_NW.device)) & 1
    return bits_NWB.flatten(1)[:, :count].bool()


def _distinct(row_M: Tensor, words_MW: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Distinct positions with a pattern: the position and the pattern of each, and which one every entry is."""
    if words_MW.shape[1] == 1 and count + int(row_M.max()).bit_length() <= _BITS:  # both fit into one number
        key_N, place_M = torch.unique((row_M << count) | words_MW[:, 0], return_inverse=True)
        return key_N >> count, (key_N & ((1 << count) - 1))[:, None], place_M
    unique_NW, place_M = torch.unique(torch.cat([row_M[:, None], words_MW], 1), dim=0, return_inverse=True)
    return unique_NW[:, 0], unique_NW[:, 1:], place_M
