"""Ablation the slow way: one whole forward and one dense encoding per removal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.attribution.ablation import Removal
from saecli.attribution.clean import CleanRun
from saecli.core.site import Site


@dataclass
class SlowAblation:
    """Effects [N] and dense changes [N, S, F] by watched site."""

    effects: Tensor
    changes: dict[Site, Tensor]


@torch.no_grad()
def ablate_one_at_a_time(clean: CleanRun, removal: Removal, watched: list[Site]) -> SlowAblation:
    """Remove each row of ``removal`` with an additive edit and run the whole model."""
    effects: list[float] = []
    changes: dict[Site, list[Tensor]] = {site: [] for site in watched}
    end = clean.metric.site(clean.model.info)
    for n in range(len(removal)):
        vector_SD = removal.vectors(slice(n, n + 1), len(clean.tokens_S))[0]
        run = clean.model.run(
            clean.tokens_S[None], read={*watched, end}, write={removal.site: lambda x, v=vector_SD: x - v}
        )
        effects.append(float(clean.metric.measure(clean.model, run.sites[end][:, clean.metric.position])) - clean.value)
        for site in watched:
            dictionary = clean.dictionaries[site]
            changes[site].append(dictionary.encode(run.sites[site][0]) - dictionary.encode(clean.values[site]))
    return SlowAblation(
        torch.tensor(effects, dtype=clean.tokens.vector_ND.dtype), {s: torch.stack(c) for s, c in changes.items()}
    )
