"""What follows a site: the blocks after it, and of them only the positions that can differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from saecli.core.model import Block, HookedModel
from saecli.core.site import Site


class Suffix:
    """Runs what follows a site of one prompt, from changed values of the residual stream. Differentiable.

    Args:
        model: The model.
        tokens_S: The prompt.
    """

    def __init__(self, model: HookedModel, tokens_S: Tensor) -> None:
        self.model = model
        self.tokens_S = tokens_S
        self._blocks: dict[int, Block] = {}
        self._streams: dict[Site, Tensor] = {}

    def after(self, site: Site) -> Site:
        """The residual site right after a site: what is taken from the site is taken from the stream there."""
        site = site.canonical
        if site.is_residual:
            return site
        if site.kind == "attn_out" and not self.model.info.parallel:
            return Site(site.layer, "resid_mid")
        return Site(site.layer + 1, "resid_pre")

    @torch.no_grad()
    def stream(self, site: Site) -> Tensor:
        """The unmodified residual stream at a residual site [S, d]."""
        if site not in self._streams:
            run = self.model.run(self.tokens_S[None], read=[site], stop_after=site)
            self._streams[site] = run.sites[site][0]
        return self._streams[site]

    def at(self, start: Site, x: Tensor, begin: int, end: Site, position: int) -> Tensor:
        """The value at a site at one position: [n, d]; the block that leads to it computes no other after attention.

        Args:
            start, x, begin: As of :meth:`walk`.
            end: A site not before ``start``.
            position: Which, from ``begin`` on.
        """
        place = slice(position - begin, position - begin + 1)
        if start == end:
            return x[:, place.start]
        *_, (_, value) = self.walk(start, x, begin, end, only=place)
        return value[:, 0]

    def walk(
        self,
        start: Site,
        x: Tensor,
        begin: int,
        last: Site,
        held: Mapping[Site, Tensor] | None = None,
        only: slice | None = None,
    ) -> Iterator[tuple[Site, Tensor]]:
        """Run the blocks after a residual site, yielding the value at every site on the way up to ``last``.

        Positions before ``begin`` are those of the unmodified pass: they are not computed, only attended to.

        Args:
            start: Where ``x`` lives.
            x: The stream from position ``begin`` on: [n, S', d].
            begin: First position that can differ.
            last: Where to stop.
            held: Values [S, d] of attention and MLP outputs that go on in the place of those computed; these are
                yielded all the same.
            only: Which of the positions are wanted at ``last``; none but these are yielded of the block before it.
        """
        if start == last:
            yield start, x
            return
        final = last.layer - (last.kind == "resid_pre")
        for layer in range(start.layer, self.model.info.n_layers):
            wanted = only if only is not None and layer == final else slice(None)
            for site, value in self._walk_block(layer, start, x, begin, held or {}, wanted):
                yield site, value
                if site == last:
                    return
                x = value if site == Site(layer + 1, "resid_pre") else x

    def _walk_block(
        self, layer: int, start: Site, x: Tensor, begin: int, held: Mapping[Site, Tensor], wanted: slice
    ) -> Iterator[tuple[Site, Tensor]]:
        block = self._block(layer)
        if start.kind == "resid_pre" or layer > start.layer:
            before = self.stream(Site(layer, "resid_pre"))[:begin].expand(len(x), -1, -1)
            attn = block.attention(block.ln1(torch.cat([before, x], dim=1)))[:, begin:][:, wanted]
            site = Site(layer, "attn_out")
            yield site, attn
            mlp_input = x[:, wanted]
            x = mlp_input + (held[site][begin:][wanted] if site in held else attn)
        else:
            x = mlp_input = x[:, wanted]
        if not block.parallel:
            mlp_input = x
            yield Site(layer, "resid_mid"), x
        mlp = block.mlp(block.ln2(mlp_input))
        site = Site(layer, "mlp_out")
        yield site, mlp
        yield Site(layer + 1, "resid_pre"), x + (held[site][begin:][wanted] if site in held else mlp)

    def _block(self, layer: int) -> Block:
        if layer not in self._blocks:
            self._blocks[layer] = self.model.block(layer)
        return self._blocks[layer]
