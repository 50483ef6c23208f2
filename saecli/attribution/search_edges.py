"""Edges between what suffices at one site and at the next.

For a feature v of the later site and the features U kept at the earlier one, v is read from samples in which only U is
kept. An edge is what v loses when its source u is not kept either:

    weight      = mean of v without u − mean of v with all of U
    importance  = max(0, MSE(U \\ u) − MSE(U)),   MSE(K) = mean over samples of ((v_K − v̄) / max v)²

v̄ being the mean of v with all of U, over four times as many samples, and max v the largest activation of v over data
(never less than it has here); importances are divided by the largest into v. All edges out of u need the one variant
without u.

Source: gpt-circuits (https://github.com/peterlai/gpt-circuits), where all are divided by the last feature's maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.attribution.keeping import ActiveFeatures, Kept
from saecli.attribution.search import without_each
from saecli.attribution.tail import Tail
from saecli.core.dictionary import Dictionary
from saecli.core.model import HookedModel

REFERENCE = 4
"""Samples of the reference, in those of a variant."""


@dataclass(frozen=True)
class SearchEdges:
    """Edges from U features to V features.

    Attributes:
        weight_UV: Change of the later feature's mean activation.
        importance_UV: 0 to 1; 0 where the earlier token comes after the later one.
    """

    weight_UV: Tensor
    importance_UV: Tensor


@torch.no_grad()
def edges_between(
    model: HookedModel,
    kept: Kept,
    reference: Kept,
    keep_N: Tensor,
    earlier: Dictionary,
    later: Dictionary,
    features: ActiveFeatures,
    maximum_V: Tensor,
) -> SearchEdges:
    """Edges from the kept nodes of one site to features of the next.

    Args:
        model: The model.
        kept: Values of the earlier site's tokens.
        reference: The same with more samples.
        keep_N: Which of its nodes are kept.
        earlier, later: Their dictionaries.
        features: The V later ones.
        maximum_V: Their largest activations over data.
    """
    tail = Tail(model, earlier.config.reads, later.config.reads)
    node_U = keep_N.nonzero()[:, 0]
    position_U = kept.position_N[node_U]

    def read(x_nSD: Tensor, begin: int) -> Tensor:
        """The later features [n, V], nan before ``begin``."""
        out_nV = x_nSD.new_full((len(x_nSD), len(features)), torch.nan)
        for position in features.position_N[features.position_N >= begin].unique().tolist():
            here = (features.position_N == position).nonzero()[:, 0]
            out_nV[:, here] = later.encode(x_nSD[:, position - begin])[:, features.index_N[here]]
        return out_nV

    def first(of: Kept) -> Tensor:
        values, _ = of.values(keep_N[None])
        samples = max(one.shape[1] for one in values)
        return read(tail.first(torch.stack([one[0].expand(samples, -1) for one in values], dim=1)), 0)

    mean_V = first(reference).mean(0)
    every_nV = first(kept)
    scale_V = torch.maximum(maximum_V.to(mean_V), features.activation_N.abs().to(mean_V)).clamp_min(1e-30)

    def error(v_nV: Tensor) -> Tensor:
        return (((v_nV - mean_V) / scale_V) ** 2).mean(0)

    base_V = error(every_nV)
    weight_UV = every_nV.new_zeros(len(node_U), len(features))
    importance_UV = torch.zeros_like(weight_UV)
    values, which_US = kept.values(torch.cat([keep_N[None], without_each(keep_N)]))
    samples = max(one.shape[1] for one in values)
    for u, position in enumerate(position_U.tolist()):
        tokens = [values[s][which_US[u + 1, s]].expand(samples, -1) for s in range(position, len(values))]
        v_nV = read(tail.all_positions(torch.stack(tokens, dim=1)[None], position)[0], position)
        reached_V = (features.position_N >= position).to(v_nV.device)
        weight_UV[u] = torch.where(reached_V, v_nV.mean(0) - every_nV.mean(0), 0.0)
        importance_UV[u] = torch.where(reached_V, error(v_nV) - base_V, 0.0).clamp_min(0)
    largest_V = importance_UV.amax(0) if len(node_U) else importance_UV.sum(0)
    return SearchEdges(weight_UV, importance_UV / largest_V.clamp_min(1e-30))
