"""Exact edges the slow way: two whole forwards per edge."""

from __future__ import annotations

import torch
from torch import Tensor

from saecli.attribution.clean import ERROR, CleanRun, SiteNodes
from saecli.core.site import Site


@torch.no_grad()
def edge_one_at_a_time(
    clean: CleanRun, parents: SiteNodes, n: int, child: tuple[Site, int, int] | None, *, embedding: bool = False
) -> float:
    """The metric's change over the path from one parent straight into a child (site, position, index) or the metric."""
    end = clean.metric.site(clean.model.info)
    seen: dict[Site, Tensor] = {}

    def hold(site: Site):
        def edit(x: Tensor) -> Tensor:
            seen[site] = x
            return clean.values[site][None]

        return edit

    def remove(x: Tensor) -> Tensor:
        x = x.clone()
        x[0, parents.position_N[n]] -= parents.vector_ND[n]
        return x

    edits = {site: hold(site) for site in clean.sites if site > parents.site}
    if embedding and parents.site in clean.dictionaries:

        def edit(x: Tensor) -> Tensor:
            seen[parents.site] = remove(x)
            return x

        edits[parents.site] = edit
    else:
        edits[parents.site] = remove
    run = clean.model.run(clean.tokens_S[None], read=[end], write=edits)
    if child is None:
        return float(clean.metric.measure(clean.model, run.sites[end][:, clean.metric.position])) - clean.value
    site, position, index = child
    dictionary = clean.dictionaries[site]
    change_FD = _parts(dictionary, seen[site][0, position]) - _parts(dictionary, clean.values[site][position])
    moved = seen[site][0, position] - clean.values[site][position]
    part = moved - change_FD.sum(0) if index == ERROR else change_FD[index]

    def put(x: Tensor) -> Tensor:
        x = x.clone()
        x[0, position] += part
        return x

    run = clean.model.run(clean.tokens_S[None], read=[end], write={site: put})
    return float(clean.metric.measure(clean.model, run.sites[end][:, clean.metric.position])) - clean.value


def _parts(dictionary, x_D: Tensor) -> Tensor:
    """What every feature writes: [F, d]."""
    norm = dictionary.input_norm(x_D[None])
    factor = 1.0 if norm is None else norm.factor[0]
    return dictionary.encode(x_D[None])[0][:, None] * dictionary.W_dec_FD * factor
