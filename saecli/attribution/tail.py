"""What follows a residual site, up to one position of the last one, for many variants of the same tokens.

Variants are compared with a first one: positions before the first that differs are not computed again, only attended
to, and in the last block only the position asked for is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saecli.core.model import Block, HookedModel
from saecli.core.site import Site


class Tail:
    """The blocks from one residual site to another.

    Args:
        model: The model.
        start, end: Residual sites; ``end`` is not before ``start``.
    """

    def __init__(self, model: HookedModel, start: Site, end: Site) -> None:
        self.start, self.end = start.canonical, end.canonical
        self._blocks = {
            layer: model.block(layer) for layer in range(self.start.layer, min(self.end.layer + 1, model.info.n_layers))
        }
        self._streams: dict[int, Tensor] = {}

    def first(self, x_nSD: Tensor) -> Tensor:
        """The first variant, which the others are compared with: its stream at the end [n, S, d]."""
        self._streams = {}
        return self._run(x_nSD[None], 0, keep=True, whole=True)[0]

    def last_position(self, x_GnSD: Tensor, begin: int) -> Tensor:
        """The stream at the end at the last position [G, n, d].

        Args:
            x_GnSD: G variants from position ``begin`` on, n samples each; those before are of the first variant.
            begin: First position that differs.
        """
        return self._run(x_GnSD, begin)[:, :, -1]

    def all_positions(self, x_GnSD: Tensor, begin: int) -> Tensor:
        """The same at every position from ``begin`` on: [G, n, S', d]."""
        return self._run(x_GnSD, begin, whole=True)

    def _run(self, x_GnSD: Tensor, begin: int, *, keep: bool = False, whole: bool = False) -> Tensor:
        count, samples = x_GnSD.shape[:2]
        x = x_GnSD.flatten(0, 1)
        for layer, block in self._blocks.items():
            entering = x
            if layer > self.start.layer or self.start.kind == "resid_pre":
                if Site(layer, "resid_pre") == self.end:
                    break
                if keep:
                    self._streams[layer] = x
                last = not whole and Site(layer + 1, "resid_pre") == self.end
                x, entering = self._attend(block, layer, x, begin, count, last)
                if Site(layer, "resid_mid") == self.end:
                    break
            elif not whole and Site(layer + 1, "resid_pre") == self.end:
                x = entering = x[:, -1:]
            x = x + block.mlp(block.ln2(entering if block.parallel else x))
        return x.unflatten(0, (count, samples))

    def _attend(self, block: Block, layer: int, x: Tensor, begin: int, count: int, last: bool) -> tuple[Tensor, Tensor]:
        """The stream after the attention, and before it; at the last position only if no more is needed."""
        seen = x
        if begin:
            before_nSD = self._streams[layer][:, :begin]
            seen = torch.cat([before_nSD.expand(count, -1, -1, -1).flatten(0, 1), x], dim=1)
        attn = block.attention(block.ln1(seen))[:, begin:]
        if last:
            x, attn = x[:, -1:], attn[:, -1:]
        return x + attn, x
