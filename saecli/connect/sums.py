"""What scores are made of, summed over batches: vectors for all features, matrices for the active ones.

Contributions are as :mod:`saecli.connect.reading` says. Unconditional sums need a vector per module (and head), since
the weights do not depend on the position ::

    Σ_t c_ji(t) = w_ji m_i            m_i = Σ_t f_i(t) / s(t)
    Σ_q c_ji(q) = Σ_h w^h_ji m^h_i    m^h_i = Σ_k (Σ_q P_h[q, k]) f_i(k) / s(k)

Sums over the positions where j is active, with weights a_j(t), need one number per pair (and head), added up from the
features that are active together: K x K_up pairs per position. With attention ::

    Σ_q a_j(q) c_ji(q) = Σ_h w^h_ji Σ_k (Σ_q a_j(q) P_h[q, k] / s(k)) f_i(k)

Shapes: T positions, K active downstream and I active upstream features of a position, R rows (downstream features), U
upstream features, H heads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

import torch
from torch import Tensor

from saecli.connect.batches import Batch
from saecli.connect.modules import Down
from saecli.connect.reading import Reading
from saecli.core.dictionary import SparseActs

_NUMBERS: Final = 1 << 22
"""That are held at once beside the sums."""


class Sums(ABC):
    """Sums over the batches of one half of the data for some downstream features of a module.

    Args:
        reading: How the module reads others.
        rows: Its features.
    """

    def __init__(self, reading: Reading, rows: slice) -> None:
        self.reading, self.rows = reading, rows
        self.positions = 0

    @abstractmethod
    def add(self, batch: Batch) -> None:
        """Add a batch."""

    @property
    def _down(self) -> Down:
        return self.reading.down

    @property
    def _count(self) -> int:
        return self.rows.stop - self.rows.start


class Means(Sums):
    """Unconditional: ``sum_HU`` [H, U]; the same for all rows."""

    def __init__(self, reading: Reading, rows: slice) -> None:
        super().__init__(reading, rows)
        self.sum_HU = reading.written_HUE.new_zeros(reading.heads, self._down.width)

    def add(self, batch: Batch) -> None:
        counted_BS = batch.counted_BS.to(self.sum_HU.dtype)
        if self.reading.attends:
            share_HT = torch.einsum("bhqk,bq->hbk", batch.mix[self._down.site.layer], counted_BS).flatten(1)
        else:
            share_HT = (counted_BS.reshape(-1) / batch.scale[self._down.site])[None]
        for up, start in zip(self._down.ups, self._down.starts, strict=True):
            acts = batch.acts[up.reads]
            places = (acts.indices_TK + start).flatten()
            for head, share_T in enumerate(share_HT):
                self.sum_HU[head].index_add_(0, places, (acts.values_TK * share_T[:, None]).flatten())
        self.positions += int(batch.counted_BS.sum())


class ActiveSums(Sums):
    """Over positions where a row is active: ``sum_UHR`` [U, H, R] and the number of positions ``active_R``.

    Args:
        reading, rows: See :class:`Sums`.
        slopes: Weigh positions by |∂CE / ∂f_j|.
    """

    def __init__(self, reading: Reading, rows: slice, *, slopes: bool = False) -> None:
        super().__init__(reading, rows)
        self._slopes = slopes
        self.sum_UHR = reading.written_HUE.new_zeros(self._down.width, reading.heads, self._count)
        self.active_R = reading.written_HUE.new_zeros(self._count)

    def add(self, batch: Batch) -> None:
        self.positions += int(batch.counted_BS.sum())
        weights = _rows_of(batch.active(self._down.module, slopes=self._slopes), self.rows)
        plain = _rows_of(batch.active(self._down.module, slopes=False), self.rows) if self._slopes else weights
        self.active_R.index_add_(0, plain.indices_TK.flatten(), plain.values_TK.flatten())
        if self.reading.attends:
            self._through_attention(batch, weights)
            return
        scaled_TK = weights.values_TK / batch.scale[self._down.site][:, None]
        flat, heads_rows = self.sum_UHR.view(-1), self._count
        for up, start in zip(self._down.ups, self._down.starts, strict=True):
            acts = batch.acts[up.reads]
            for here in _parts(len(scaled_TK), scaled_TK.shape[1] * acts.indices_TK.shape[1]):
                rows_TIK = weights.indices_TK[here, None, :]
                places_TIK = (acts.indices_TK[here, :, None] + start) * heads_rows + rows_TIK
                flat.index_add_(
                    0, places_TIK.flatten(), (acts.values_TK[here, :, None] * scaled_TK[here, None, :]).flatten()
                )

    def _through_attention(self, batch: Batch, weights: SparseActs) -> None:
        """The sparse activations [U, T] times Σ_q a_j(q) mix_h[q, k] [T, H * J] of the J rows that are active here."""
        mix_BHSS = batch.mix[self._down.site.layer]
        length = mix_BHSS.shape[-1]
        step = max(1, _NUMBERS // max(1, length * self.reading.heads * self._count))
        for first in range(0, len(mix_BHSS), step):
            mix = mix_BHSS[first : first + step]
            here = slice(first * length, (first + len(mix)) * length)
            active_J, slot_TK = _numbered(weights.indices_TK[here], weights.values_TK[here] != 0)
            if not len(active_J):
                continue
            weights_TJ = mix.new_zeros(len(mix) * length, len(active_J))
            weights_TJ.scatter_add_(1, slot_TK, weights.values_TK[here].to(mix.dtype))
            seen = torch.einsum("bhqk,bqj->bkhj", mix, weights_TJ.view(len(mix), length, -1)).flatten(0, 1)
            found = _sparse(batch, self._down, here, seen.dtype) @ seen.flatten(1)
            self.sum_UHR.index_add_(2, active_J, found.view(-1, self.reading.heads, len(active_J)))


class ActiveMax(Sums):
    """The largest |c_ji| over positions where a row is active: ``max_RU`` [R, U]."""

    def __init__(self, reading: Reading, rows: slice) -> None:
        super().__init__(reading, rows)
        self.max_RU = reading.written_HUE.new_zeros(self._count, self._down.width)
        self._weights_HRU = reading.weights(rows)

    def add(self, batch: Batch) -> None:
        self.positions += int(batch.counted_BS.sum())
        weights = _rows_of(batch.active(self._down.module, slopes=False), self.rows)
        if self.reading.attends:
            self._through_attention(batch, weights)
            return
        scaled_TK = weights.values_TK / batch.scale[self._down.site][:, None]
        flat, width = self.max_RU.view(-1), self._down.width
        for up, start in zip(self._down.ups, self._down.starts, strict=True):
            acts = batch.acts[up.reads]
            for here in _parts(len(scaled_TK), scaled_TK.shape[1] * acts.indices_TK.shape[1]):
                places_TKI = weights.indices_TK[here, :, None] * width + acts.indices_TK[here, None, :] + start
                size_TKI = acts.values_TK[here, None, :].abs() * scaled_TK[here, :, None]
                size_TKI = size_TKI * self._weights_HRU.view(-1)[places_TKI].abs()
                flat.scatter_reduce_(0, places_TKI.flatten(), size_TKI.flatten(), "amax")

    def _through_attention(self, batch: Batch, weights: SparseActs) -> None:
        """Sequence by sequence: what every head moves of every feature, then row by row where it is active."""
        mix_BHSS = batch.mix[self._down.site.layer]
        length = mix_BHSS.shape[-1]
        for number, mix_HSS in enumerate(mix_BHSS):
            here = slice(number * length, (number + 1) * length)
            used_U, acts_SU = _side_by_side(batch, self._down, here)
            seen_HSU = mix_HSS @ acts_SU.to(mix_HSS.dtype)
            active_J, slot_SK = _numbered(weights.indices_TK[here], weights.values_TK[here] != 0)
            if not len(active_J):
                continue
            there_SJ = seen_HSU.new_zeros(length, len(active_J)).scatter_add_(1, slot_SK, weights.values_TK[here]) > 0
            for slot, row in enumerate(active_J.tolist()):
                sums_QU = torch.einsum("hqu,hu->qu", seen_HSU[:, there_SJ[:, slot]], self._weights_HRU[:, row, used_U])
                self.max_RU[row, used_U] = torch.maximum(self.max_RU[row, used_U], sums_QU.abs().amax(0))


def _rows_of(active: SparseActs, rows: slice) -> SparseActs:
    """Only some features, numbered from 0; others have value 0."""
    inside_TK = (active.indices_TK >= rows.start) & (active.indices_TK < rows.stop)
    return SparseActs((active.indices_TK - rows.start).where(inside_TK, 0), active.values_TK.where(inside_TK, 0))


def _parts(positions: int, pairs: int) -> list[slice]:
    """Positions in parts, so that what is made of all pairs of active features stays small."""
    step = max(1, _NUMBERS // max(1, pairs))
    return [slice(at, min(at + step, positions)) for at in range(0, positions, step)]


def _numbered(indices_TK: Tensor, there_TK: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct features that are there, ascending, and for each place the number of its feature among them (0 where
    nothing is there)."""
    active_J = indices_TK[there_TK].unique()
    slot_TK = torch.searchsorted(active_J, indices_TK).clamp_max(max(0, len(active_J) - 1))
    return active_J, slot_TK.where(there_TK, 0)


def _sparse(batch: Batch, down: Down, here: slice, dtype: torch.dtype) -> Tensor:
    """Activations of all upstream features at some positions, as a sparse matrix [U, T]."""
    features, positions, values = [], [], []
    for up, start in zip(down.ups, down.starts, strict=True):
        acts = batch.acts[up.reads]
        there_TK = acts.values_TK[here] != 0
        features.append(acts.indices_TK[here][there_TK] + start)
        positions.append(there_TK.nonzero()[:, 0])
        values.append(acts.values_TK[here][there_TK].to(dtype))
    where_2N = torch.stack([torch.cat(features), torch.cat(positions)])
    return torch.sparse_coo_tensor(
        where_2N, torch.cat(values), (down.width, here.stop - here.start), check_invariants=False
    )


def _side_by_side(batch: Batch, down: Down, here: slice) -> tuple[Tensor, Tensor]:
    """The upstream features active anywhere among some positions, and their activations there, dense [S, used]."""
    columns, values = [], []
    for up, start in zip(down.ups, down.starts, strict=True):
        acts = batch.acts[up.reads]
        columns.append(acts.indices_TK[here] + start)
        values.append(acts.values_TK[here])
    column_SI, value_SI = torch.cat(columns, 1), torch.cat(values, 1)
    used_U, slot_SI = _numbered(column_SI, value_SI != 0)
    acts_SU = value_SI.new_zeros(len(value_SI), max(1, len(used_U))).scatter_add_(1, slot_SI, value_SI)
    return used_U, acts_SU[:, : len(used_U)]
