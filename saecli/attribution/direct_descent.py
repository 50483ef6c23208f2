"""Gradients on their way down through a frozen model, from where something is read to everything that is written below.

The residual stream carries a gradient down unchanged; a norm and an attention pull it back to the stream below them
(:mod:`saecli.attribution.direct_frozen`); MLPs, and attention that dictionaries stand in for, end it. Where a gradient
passes a place that something writes, the traveller hears of it, and can send more gradient to a place further down.

Rows: a gradient of N rows is [N, d] as long as each is at its row's own position alone, and [N, P, d] at the positions
0..P − 1, none after the last row's own, once attention has spread it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

import torch
from torch import Tensor

from saecli.attribution.direct_frozen import FrozenModel
from saecli.core.site import Site

Hear = Callable[[Site, Tensor], Iterable[tuple[Site, Tensor]]]
"""A place that is written and the gradient there → gradients to add at places further down, or at the same attn_out."""


class Descent:
    """The way down of N rows.

    Args:
        frozen: The model.
        replaced: ``attn_out`` of layers whose attention dictionaries stand in for.
        position_N: Where each row begins.
        hear: Told of every ``attn_out`` and ``mlp_out`` on the way, from the last to the first.
    """

    def __init__(self, frozen: FrozenModel, replaced: Collection[Site], position_N: Tensor, hear: Hear) -> None:
        self.frozen, self.replaced, self.position_N, self._hear = frozen, replaced, position_N, hear
        self._pending: dict[Site, Tensor] = {}

    def run(self, start: Site, gradient: Tensor) -> Tensor | None:
        """Go down from the gradient at one site.

        Args:
            start: The residual stream, what a module is given, or ``attn_out`` as attention makes it.
            gradient: Its rows there.

        Returns:
            The gradient at the embedding; None if none arrives.
        """
        start = start.canonical
        self._pending = {start: gradient}
        stream: Tensor | None = None
        for layer in range(start.layer, -1, -1):
            if layer < len(self.frozen.blocks):
                stream = self._through(layer, stream)
            stream = self._sum(stream, self._arrived(layer, "resid_pre"))
        return stream

    def _through(self, layer: int, after: Tensor | None) -> Tensor | None:
        """The gradient at a block's resid_post → at its resid_pre, as far as it passes the block."""
        block, rows = self.frozen.blocks[layer], self.position_N
        self._pass(Site(layer, "mlp_out"), after)
        into_mlp = self._arrived(layer, "mlp_in")
        if into_mlp is not None and block.ln2 is not None:
            into_mlp = block.ln2.pull_back(into_mlp, rows)
        middle = self._sum(after, self._arrived(layer, "resid_mid"))
        parallel = self.frozen.model.info.parallel
        if not parallel:
            middle = self._sum(middle, into_mlp)
        out = Site(layer, "attn_out")
        at_out = after if parallel else middle
        self._pass(out, at_out)
        mixed = self._sum(self._arrived(layer, "attn_out"), None if out in self.replaced else at_out)
        into_attention = self._arrived(layer, "attn_in")
        if mixed is not None:
            into_attention = self._sum(into_attention, block.attention.pull_back(mixed, rows))
        if into_attention is not None:
            into_attention = block.ln1.pull_back(into_attention, rows)
        before = self._sum(middle, into_attention)
        return self._sum(before, into_mlp) if parallel else before

    def _pass(self, site: Site, gradient: Tensor | None) -> None:
        if gradient is None:
            return
        for below, more in self._hear(site, gradient):
            below = below.canonical
            self._pending[below] = self._sum(self._pending.get(below), more)  # type: ignore[assignment]

    def _arrived(self, layer: int, kind: str) -> Tensor | None:
        return self._pending.pop(Site(layer, kind), None)

    def _sum(self, one: Tensor | None, other: Tensor | None) -> Tensor | None:
        if one is None or other is None:
            return other if one is None else one
        if one.dim() == other.dim():
            return one + other
        own, spread = (one, other) if one.dim() == 2 else (other, one)
        rows_N = torch.arange(len(own), device=own.device)
        return spread.index_put((rows_N, self.position_N), own, accumulate=True)
