"""The connections of one module as one CSR matrix over the features of all modules before it, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.core.connections import Connections
from saecli.core.site import Site


@dataclass(frozen=True, eq=False)
class Pattern:
    """Which upstream features each feature is connected with.

    Upstream features are numbered through: those of ``sources[0]`` first, then those of ``sources[1]``, ...

    Attributes:
        sources: Upstream modules with any connection, by the site they read, in the order of computation.
        widths: Their numbers of features.
        indptr_F1: int32 [F + 1]; row j is ``columns_E[indptr_F1[j] : indptr_F1[j + 1]]``.
        columns_E: int32 [E], ascending within a row.
    """

    sources: tuple[Site, ...]
    widths: tuple[int, ...]
    indptr_F1: Tensor
    columns_E: Tensor

    @classmethod
    def of(cls, connections: Connections, down: Site, device: torch.device) -> Pattern:
        """The connections of one downstream module of rule ``per-feature`` or ``overall``."""
        width_of = {module.reads: module.n_latents for module in connections.modules}
        sources = [up for here, up in connections.pairs if here == down and len(connections.rows[down, up].indices)]
        widths = [width_of[up] for up in sources]
        rows, columns, first = [], [], 0
        for up, width in zip(sources, widths, strict=True):
            block = connections.rows[down, up]
            rows.append(torch.arange(width_of[down]).repeat_interleave(block.indptr.diff()))
            columns.append(block.indices.long() + first)
            first += width
        row_E = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.int64)
        column_E = torch.cat(columns) if columns else torch.zeros(0, dtype=torch.int64)
        order_E = (row_E * max(first, 1) + column_E).argsort()
        counts_F = row_E.bincount(minlength=width_of[down])
        indptr_F1 = torch.cat([counts_F.new_zeros(1), counts_F.cumsum(0)])
        return cls(tuple(sources), tuple(widths), indptr_F1.int().to(device), column_E[order_E].int().to(device))

    @property
    def n_down(self) -> int:
        """Number of rows F."""
        return len(self.indptr_F1) - 1

    @property
    def n_up(self) -> int:
        """Number of columns N."""
        return sum(self.widths)

    @property
    def n_edges(self) -> int:
        """Number of connections E."""
        return len(self.columns_E)

    @property
    def n_bytes(self) -> int:
        """What the indices take."""
        return sum(one.numel() * one.element_size() for one in (self.indptr_F1, self.columns_E))

    def rows_E(self) -> Tensor:
        """The row of every connection, int32 [E]."""
        numbers_F = torch.arange(self.n_down, dtype=torch.int32, device=self.columns_E.device)
        return numbers_F.repeat_interleave(self.indptr_F1.diff(), output_size=self.n_edges)

    def transposed(self) -> tuple[Pattern, Tensor]:
        """The same by upstream feature, and where each of its connections stands here: int64 [E]."""
        order_E = self.columns_E.argsort(stable=True)
        counts_N = self.columns_E.bincount(minlength=self.n_up)
        indptr_N1 = torch.cat([counts_N.new_zeros(1), counts_N.cumsum(0)]).int()
        return Pattern(self.sources, (self.n_down,), indptr_N1, self.rows_E()[order_E]), order_E
