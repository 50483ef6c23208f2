"""What a model makes of another value at one site, computing only what comes after it.

With mid = resid_pre + attn_out and post = mid + mlp_out, and mlp_out = mlp(ln2(mid)) in sequential blocks:

    site        sequential                                  parallel
    resid_pre   runs from there                             runs from there
    attn_out    mid' = resid_pre + y, post' = mid' + mlp    post' = resid_pre + y + mlp_out
    resid_mid   post' = y + mlp(ln2(y))                     –
    mlp_in      post' = mid + mlp(y)                        post' = resid_pre + attn_out + mlp(y)
    mlp_out     post' = mid + y                             post' = resid_pre + attn_out + y
    others      the whole block again                       the whole block again
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.core.model import Block, Edit, HookedModel, ModelInfo
from saecli.core.site import Site

_PARTS = ("resid_pre", "attn_out", "mlp_out")


def read_with(info: ModelInfo, site: Site) -> set[Site]:
    """Sites whose clean values :class:`Replacing` needs to replace one, itself included."""
    start, kind = _resid_pre(site), site.canonical.kind
    if kind in ("resid_pre", "resid_mid"):
        return {site.canonical}
    if info.parallel:
        kinds = _PARTS if kind in ("attn_out", "mlp_out", "mlp_in") else ("resid_pre",)
    else:
        kinds = ("resid_mid",) if kind in ("mlp_in", "mlp_out") else ("resid_pre",)
    return {site, *(Site(start.layer, one) for one in kinds)}


class Replacing:
    """What becomes of a clean pass when a site has another value.

    Args:
        model: The model.

    Attributes:
        sites: Clean values of the pass, at least those of :func:`read_with`; set by the caller.
    """

    def __init__(self, model: HookedModel) -> None:
        self.model = model
        self.sites: Mapping[Site, Tensor] = {}
        self._blocks: dict[int, Block] = {}

    def logits(self, site: Site, y: Tensor) -> Tensor:
        """Logits [B, S, V] with the value y [B, S, width] at a site."""
        kind, layer = site.canonical.kind, site.canonical.layer
        post = None if kind == "resid_pre" else self._post(kind, layer, y)
        if post is not None:
            run = self.model.run_from(Site(layer + 1, "resid_pre"), post)
        elif kind == "resid_pre":
            run = self.model.run_from(site, y)
        else:
            start = _resid_pre(site)
            run = self.model.run_from(start, self.sites[start], write={site: lambda _: y})
        return cast(Tensor, run.logits)

    def _post(self, kind: str, layer: int, y: Tensor) -> Tensor | None:
        """resid_post with the value y at a site of the block; None where the block has to be run again."""
        if kind not in ("attn_out", "resid_mid", "mlp_in", "mlp_out"):
            return None
        if layer not in self._blocks:
            self._blocks[layer] = self.model.block(layer)
        block = self._blocks[layer]
        if self.model.info.parallel:
            resid_pre, attn_out, mlp_out = (self.sites[Site(layer, one)] for one in _PARTS)
            if kind == "attn_out":
                return resid_pre + y + mlp_out
            return resid_pre + attn_out + (block.mlp(y) if kind == "mlp_in" else y)
        if kind in ("attn_out", "resid_mid"):
            mid = y if kind == "resid_mid" else self.sites[Site(layer, "resid_pre")] + y
            return mid + block.mlp(block.ln2(mid))
        return self.sites[Site(layer, "resid_mid")] + (block.mlp(y) if kind == "mlp_in" else y)


def edits_of(dictionaries: Mapping[Site, Dictionary]) -> dict[Site, Edit]:
    """Edits that replace what every dictionary writes, each given what is there when its turn comes."""
    seen: dict[Site, Tensor] = {}
    edits: dict[Site, Edit] = {}

    def replacing(reads: Site, dictionary: Dictionary) -> Edit:
        return lambda x: dictionary.reconstruct(x if reads == dictionary.config.writes else seen[reads])

    def remembering(site: Site, first: Edit | None) -> Edit:
        def edit(x: Tensor) -> Tensor:
            seen[site] = x if first is None else first(x)
            return seen[site]

        return edit

    for reads, dictionary in dictionaries.items():
        edits[dictionary.config.writes] = replacing(reads, dictionary)
    for reads, dictionary in dictionaries.items():
        if reads != dictionary.config.writes:
            edits[reads] = remembering(reads, edits.get(reads))
    return edits


def _resid_pre(site: Site) -> Site:
    return Site(site.canonical.layer, "resid_pre")
