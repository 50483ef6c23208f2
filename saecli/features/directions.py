"""What a feature writes into the residual stream, by itself: which tokens it speaks for, and what resembles it.

Shapes: N features, F features of a dictionary, D width of the residual stream, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.core.evidence import Weighted
from saecli.core.model import HookedModel
from saecli.core.site import Site
from saecli.dictionaries.cross_layer import CrossLayer

_BLOCK: Final = 1 << 24
"""Numbers of a block of logits or cosines."""
_IN_STREAM: Final = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")


@torch.no_grad()
def residual_directions(model: HookedModel, dictionary: Dictionary, index_N: Tensor) -> Tensor | None:
    """What one unit of each feature adds to the residual stream: [N, D].

    Of what heads write (``attn_z``) and of neurons (``mlp_post``) it is their part of the block's output; of a
    cross-layer transcoder the sum over the layers that it writes. None where the site is only read by a module.
    """
    if isinstance(dictionary, CrossLayer):
        return dictionary.decoder_rows(index_N).sum(1)
    site = dictionary.config.writes
    direction_ND = dictionary.W_dec_FD[index_N.to(dictionary.W_dec_FD.device)]
    if site.kind in _IN_STREAM:
        return direction_ND
    if site.kind not in ("attn_z", "mlp_post"):
        return None
    weights = model.block(site.layer).weights
    out = weights.W_O.flatten(0, 1) if site.kind == "attn_z" else weights.W_out
    return direction_ND @ out.to(direction_ND)


@torch.no_grad()
def logit_effects(
    model: HookedModel, direction_ND: Tensor, name: Callable[[int], str], tokens: Sequence[int], count: int
) -> list[tuple[Weighted, Weighted]]:
    """The tokens whose logits each direction raises and lowers the most.

    A direction of length √D is unembedded by itself, less what nothing at all gives: U(√D d / |d|) − U(0), U with the
    final norm. The mean over the tokens is taken off, which no choice between tokens depends on.

    Args:
        model: The model.
        direction_ND: The directions.
        name: How a token is written.
        tokens: Those that may be named.
        count: How many each way.
    """
    allowed_A = torch.as_tensor(list(tokens), device=direction_ND.device)
    count = min(count, len(tokens) // 2)
    weight = next(model.module.parameters(), direction_ND)
    nothing_V = model.unembed(direction_ND.new_zeros(1, direction_ND.shape[1]).to(weight))[0]
    found: list[tuple[Weighted, Weighted]] = []
    for part_MD in direction_ND.split(max(1, _BLOCK // model.info.d_vocab)):
        unit_MD = part_MD / part_MD.norm(dim=1, keepdim=True).clamp_min(1e-12) * part_MD.shape[1] ** 0.5
        logit_MA = (model.unembed(unit_MD.to(weight)) - nothing_V)[:, allowed_A].double()
        logit_MA -= logit_MA.mean(1, keepdim=True)
        sides = []
        for sign in (1, -1):
            top = (sign * logit_MA).topk(count, dim=1)
            rows = zip(allowed_A[top.indices].tolist(), (sign * top.values).tolist(), strict=True)
            sides.append([tuple((name(t), _short(v)) for t, v in zip(*row, strict=True)) for row in rows])
        found += zip(*sides, strict=True)
    return found


@torch.no_grad()
def neighbours(
    directions: Mapping[Site, Tensor], wanted: Mapping[Site, Tensor], count: int
) -> dict[tuple[Site, int], list[tuple[Site, int, float]]]:
    """Features of other sites whose directions have the highest cosines, of earlier sites and of later ones.

    Args:
        directions: Site → [F, D], of all features.
        wanted: Site → int64 [N], the features asked about.
        count: How many of earlier sites, and as many of later ones.

    Returns:
        (site, feature) → (site, feature, cosine), those of earlier sites first, the highest cosine first.
    """
    unit = {site: one / one.norm(dim=1, keepdim=True).clamp_min(1e-12) for site, one in directions.items()}
    result: dict[tuple[Site, int], list[tuple[Site, int, float]]] = {}
    for site, index_N in wanted.items():
        others = [other for other in sorted(unit) if other != site]
        for part_M in index_N.split(max(1, _BLOCK // max(1, sum(map(len, unit.values()))))):
            own_MD = unit[site][part_M]
            found: list[list[tuple[Site, int, float]]] = [[] for _ in part_M]
            for sites in ([s for s in others if s < site], [s for s in others if s > site]):
                if not sites:
                    continue
                cosine_MF = torch.cat([own_MD @ unit[other].T for other in sites], dim=1)
                ends = torch.tensor([len(unit[other]) for other in sites]).cumsum(0)
                top = cosine_MF.topk(min(count, cosine_MF.shape[1]), dim=1)
                for row, places, values in zip(found, top.indices.tolist(), top.values.tolist(), strict=True):
                    for place, value in zip(places, values, strict=True):
                        which = int(torch.searchsorted(ends, place, right=True))
                        row.append((sites[which], place - (int(ends[which - 1]) if which else 0), _short(value)))
            for feature, row in zip(part_M.tolist(), found, strict=True):
                result[site, feature] = row
    return result


def _short(value: float) -> float:
    return float(f"{value:.3g}")
