"""The end-to-end loss by its formula: whole passes of the model on tokens, and plain autograd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from saecli.core.model import HookedModel
from saecli.core.site import Site


def end_to_end_loss(
    model: HookedModel,
    tokens_BS: Tensor,
    learned_BS: Tensor,
    site: Site,
    reconstruction_NO: Tensor,
    later: Mapping[Site, float],
    weight: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """KL + weight · D, and both; differentiable in what the dictionary writes.

    Args:
        model: The model.
        tokens_BS: What it reads.
        learned_BS: Where a vector is replaced and counts.
        site: Where.
        reconstruction_NO: In the units of the model, of the positions learned.
        later: Sites and the squared scale of each.
        weight: Of D.
    """
    clean = model.run(tokens_BS, read=later)

    def edit(x: Tensor) -> Tensor:
        rows = [
            reconstruction_NO[int(learned_BS.flatten()[:n].sum())] if bool(learned_BS.flatten()[n]) else row
            for n, row in enumerate(x.flatten(0, 1))
        ]
        return torch.stack(rows).view_as(x)

    run = model.run(tokens_BS, read=later, write={site: edit})
    p = cast(Tensor, clean.logits)[learned_BS].softmax(-1)
    q = cast(Tensor, run.logits)[learned_BS].softmax(-1)
    kl = (p * (p.log() - q.log())).sum(-1).mean()
    terms = [
        scale * (run.sites[one] - clean.sites[one])[learned_BS].square().sum(-1).mean() / model.info.width(one)
        for one, scale in later.items()
    ]
    downstream = torch.stack(terms).mean() if terms else torch.zeros_like(kl)
    return kl + weight * downstream, kl, downstream
