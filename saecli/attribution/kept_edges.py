r"""Target features made from kept source features alone, for many numbers of kept edges together.

Edges (i, j) stand in an order; with E kept, target j at position t is given the active sources whose edge is among the
first E::

    x_j(t) = b + Σ_{i kept for j} f_i(t) w_i        z_j(t) = pre-activation of j behind component(x_j)

and the activation function, with its selection, looks at all z together. Targets without any kept edge are 0.

A target's pre-activation changes only where an edge to an active source arrives, and targets that are given the same
sources share one row of the component: a position or, where attention lies between, a sequence. Every distinct row is
computed once for all targets and all numbers of edges, and multiplied by the encoders of those targets alone.

Shapes: C numbers of edges, T positions, K active sources of a position, A of a sequence, U source and F target
features; G positions or 1 sequence, M changes, N distinct rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import torch
from torch import Tensor

from saecli.attribution.pair import FeaturePair
from saecli.core.dictionary import SparseActs
from saecli.core.sampled import sampled

_PATTERNS: Final = 1 << 20
"""Looked at together."""
_TARGETS: Final = 1 << 23
"""Pre-activations of a sequence held at once."""
_WIDEST: Final = 1 << 20
"""Numbers held at once in the widest layer."""
_BITS: Final = 40
"""Sources that one word has room for; above them stands which row it was so far."""


class Kept(NamedTuple):
    """Target features with some numbers of edges at some positions.

    Attributes:
        counts: Which of the numbers.
        positions_T: Where.
        targets_CTF: Target features.
    """

    counts: slice
    positions_T: Tensor
    targets_CTF: Tensor


@torch.no_grad()
def kept_targets(
    pair: FeaturePair, ranks_UF: Tensor, counts: Sequence[int], acts: SparseActs, clean_TD: Tensor, counted_T: Tensor
) -> Iterator[Kept]:
    """Target features for every number of edges at every counted position of one sequence, piece by piece.

    Args:
        pair: The features and what is between them.
        ranks_UF: Place of every edge in the order, 0 first; int64, or int32 to save memory.
        counts: Numbers of edges, ascending.
        acts: Source features.
        clean_TD: What the model has at the source.
        counted_T: bool; the other positions keep the model's values at the source.
    """
    order = _Order(ranks_UF, torch.tensor(counts, dtype=ranks_UF.dtype, device=ranks_UF.device))
    sweep = _at_positions if pair.positionwise else _in_sequence
    for chosen, positions_T, pre_CTF in sweep(pair, order, acts, clean_TD, counted_T):
        yield Kept(chosen, positions_T, pair.down.activate(pre_CTF) * order.has_CF[chosen, None])


def _at_positions(
    pair: FeaturePair, order: _Order, acts: SparseActs, clean_TD: Tensor, counted_T: Tensor
) -> Iterator[Kept]:
    """Pre-activations; rows of the component are positions."""
    encoder_FD, every = pair.down.W_enc_DF.T.contiguous(), slice(0, len(order.counts_C))
    most = max(acts.values_TK.shape[1], every.stop + 1) * len(encoder_FD)
    (counted,) = counted_T.nonzero().unbind(1)
    for positions_G in counted.split(max(1, _PATTERNS // most)):
        indices_GK, values_GK = acts.indices_TK[positions_G], acts.values_TK[positions_G]
        active_A, place_GK = indices_GK.unique(return_inverse=True)
        arrivals_GKF = order.arrivals(active_A)[place_GK].masked_fill_((values_GK == 0)[..., None], every.stop)
        changes = order.changes(arrivals_GKF, every)
        value_M = clean_TD.new_empty(len(changes.flat_M))
        for rows in changes.parts(pair.width):
            group_N, kept_NK = changes.rows(rows, arrivals_GKF)
            x_ND = pair.decode(SparseActs(indices_GK[group_N], values_GK[group_N] * kept_NK))
            into_ND = pair.down.prepare(pair.through(x_ND))[0]
            here, start_N = changes.entries(rows)
            value_M[here] = sampled(start_N, changes.target_M[here], into_ND, encoder_FD)
        pre_CGF = clean_TD.new_zeros(changes.changed_CGF.shape)
        pre_CGF.view(-1)[changes.flat_M] = value_M + pair.down.b_enc_F[changes.target_M]
        yield Kept(every, positions_G, _carried(pre_CGF, changes.changed_CGF, torch.zeros_like(pre_CGF[0])))


def _in_sequence(
    pair: FeaturePair, order: _Order, acts: SparseActs, clean_TD: Tensor, counted_T: Tensor
) -> Iterator[Kept]:
    """Pre-activations; rows are whole sequences: what a target is given at one position may reach it at another."""
    down, length = pair.down, len(clean_TD)
    values_TK = acts.values_TK.where(counted_T[:, None], 0)
    active_A = acts.indices_TK[values_TK != 0].unique()
    arrivals_GAF = order.arrivals(active_A)[None]
    (counted,) = counted_T.nonzero().unbind(1)
    before_TF = clean_TD.new_zeros(len(counted), down.n_latents)
    for chosen in _parts(len(order.counts_C), _TARGETS // max(1, before_TF.numel())):
        changes = order.changes(arrivals_GAF, chosen)
        pre_CTF = before_TF.new_zeros(chosen.stop - chosen.start, *before_TF.shape)
        for rows in changes.parts(length * pair.width):
            _, kept_NA = changes.rows(rows, arrivals_GAF)
            kept_NU = kept_NA.new_zeros(len(kept_NA), pair.up.n_latents).index_copy_(1, active_A, kept_NA)
            values_NTK = values_TK * kept_NU[:, acts.indices_TK]
            some = SparseActs(acts.indices_TK.repeat(len(kept_NA), 1), values_NTK.flatten(0, 1))
            x_NTD = pair.decode(some).unflatten(0, (-1, length))
            into_NTD = down.prepare(pair.through(x_NTD.where(counted_T[:, None], clean_TD))[:, counted])[0]
            here, start_N = changes.entries(rows)
            target_M, number_M = changes.target_M[here], changes.flat_M[here] // down.n_latents
            for into_TD, (start, end) in zip(into_NTD, pairwise(start_N.tolist()), strict=True):
                some_M = target_M[start:end]
                value_TM = into_TD @ down.W_enc_DF[:, some_M] + down.b_enc_F[some_M]
                pre_CTF[number_M[start:end], :, some_M] = value_TM.T
        before_TF = _carried(pre_CTF, changes.changed_CGF, before_TF)[-1]
        yield Kept(chosen, counted, pre_CTF)


class _Order:
    """An order of edges and the numbers of them.

    Attributes:
        ranks_UF: Place of every edge.
        counts_C: Numbers of edges.
        first_F: From which of the numbers on a target has any edge, C if from none.
        has_CF: Whether it has one.
    """

    def __init__(self, ranks_UF: Tensor, counts_C: Tensor) -> None:
        self.ranks_UF, self.counts_C = ranks_UF, counts_C
        self.first_F = torch.bucketize(ranks_UF.min(0).values, counts_C, right=True)
        self.has_CF = self.first_F <= torch.arange(len(counts_C), device=counts_C.device)[:, None]

    def arrivals(self, active_A: Tensor) -> Tensor:
        """From which of the numbers on an edge is kept, C if from none: int16 [A, F]."""
        return torch.bucketize(self.ranks_UF[active_A], self.counts_C, out_int32=True, right=True).short()

    def changes(self, arrivals_GKF: Tensor, chosen: slice) -> _Changes:
        """Changes at some of the numbers: where the edge from an active source arrives, or a target's first edge."""
        groups, _, features = arrivals_GKF.shape
        numbers, device = len(self.counts_C), arrivals_GKF.device
        words = arrivals_GKF.split(_BITS, 1)
        changed_CGF = torch.zeros(numbers + 1, groups, features, dtype=torch.bool, device=device)
        changed_CGF.scatter_(0, self.first_F.expand(1, groups, features), True)
        for arrivals_GBF in words:
            changed_CGF.scatter_(0, arrivals_GBF.transpose(0, 1).long(), True)
        changed_CGF = changed_CGF[chosen]
        flat_M = changed_CGF.view(-1).nonzero()[:, 0]
        row_M, order_M, starts_M = flat_M // features % groups, flat_M, flat_M
        for arrivals_GBF in words:
            word_M = _kept_words(arrivals_GBF, numbers)[chosen].view(-1)[flat_M]
            key_M, order_M = ((row_M << arrivals_GBF.shape[1]) | word_M).sort()
            starts_M = key_M.diff(prepend=key_M[:1] - 1) != 0
            if len(words) > 1:
                row_M = torch.empty_like(row_M).scatter_(0, order_M, starts_M.cumsum(0) - 1)
        start_N = torch.cat([starts_M.nonzero()[:, 0], flat_M.new_tensor([len(flat_M)])])
        flat_M = flat_M[order_M]
        return _Changes(changed_CGF, chosen.start, flat_M, flat_M % features, start_N)


@dataclass(frozen=True)
class _Changes:
    """Where pre-activations change, those that share a row one after the other.

    Attributes:
        changed_CGF: Where, as a mask.
        first: Which of the numbers of edges the mask's first is.
        flat_M: Where in the mask.
        target_M: The targets.
        start_N: [N + 1], where the changes of each row begin.
    """

    changed_CGF: Tensor
    first: int
    flat_M: Tensor
    target_M: Tensor
    start_N: Tensor

    def parts(self, width: int) -> Iterator[slice]:
        """All rows, as many at once as their width allows."""
        return _parts(len(self.start_N) - 1, _WIDEST // width)

    def rows(self, rows: slice, arrivals_GKF: Tensor) -> tuple[Tensor, Tensor]:
        """Group and kept sources of some rows, [N] and bool [N, K]."""
        _, groups, features = self.changed_CGF.shape
        some_N = self.start_N[:-1][rows]
        place_N = self.flat_M[some_N] // features
        group_N, number_N = place_N % groups, place_N // groups + self.first
        return group_N, arrivals_GKF[group_N, :, self.target_M[some_N]] <= number_N[:, None]

    def entries(self, rows: slice) -> tuple[slice, Tensor]:
        """The changes that share some rows, and where among them those of each begin: [N + 1]."""
        start_N = self.start_N[rows.start : rows.stop + 1]
        return slice(int(start_N[0]), int(start_N[-1])), start_N - start_N[0]


def _kept_words(arrivals_GBF: Tensor, numbers: int) -> Tensor:
    """Kept sources by number of edges, int64 [C + 1, G, F]: bit b where source b is kept."""
    groups, bits, features = arrivals_GBF.shape
    words_CGF = torch.zeros(numbers + 1, groups, features, dtype=torch.int64, device=arrivals_GBF.device)
    powers_B11 = (1 << torch.arange(bits, device=arrivals_GBF.device))[:, None, None]
    words_CGF.scatter_add_(0, arrivals_GBF.transpose(0, 1).long(), powers_B11.expand(bits, groups, features))
    for number in range(1, numbers):
        words_CGF[number] += words_CGF[number - 1]
    return words_CGF


def _carried(pre_CTF: Tensor, changed_CTF: Tensor, before_TF: Tensor) -> Tensor:
    """What does not change stays as with fewer edges; in place."""
    for here_TF, changed_TF in zip(pre_CTF, changed_CTF, strict=True):
        before_TF = torch.where(changed_TF, here_TF, before_TF, out=here_TF)
    return pre_CTF


def _parts(count: int, size: int) -> Iterator[slice]:
    size = max(1, size)
    return (slice(first, min(first + size, count)) for first in range(0, count, size))
