"""Target features from kept edges the slow way: target by target, number by number, everything dense."""

from __future__ import annotations

import torch
from torch import Tensor

from saecli.attribution.pair import FeaturePair


@torch.no_grad()
def slow_targets(
    pair: FeaturePair, ranks_UF: Tensor, count: int, acts_TU: Tensor, clean_TD: Tensor, counted_T: Tensor
) -> Tensor:
    """[T, F] with so many edges kept."""
    kept_UF = ranks_UF < count
    pre_TF = torch.zeros(len(clean_TD), ranks_UF.shape[1], dtype=clean_TD.dtype)
    for j in range(ranks_UF.shape[1]):
        if kept_UF[:, j].any():
            x_TD = (acts_TU * kept_UF[:, j]) @ pair.up.W_dec_FD + pair.up.b_dec_D
            x_TD = torch.where(counted_T[:, None], x_TD, clean_TD)
            pre_TF[:, j] = pair.down.preactivations(pair.through(x_TD))[:, j]
    return pair.down.activate(pre_TF) * kept_UF.any(0)
