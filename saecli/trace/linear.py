"""A circuit of transcoders: direct effects where norms keep their scales and attention its patterns."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from saecli.asking.question import Question
from saecli.attribution.clean import SiteNodes
from saecli.attribution.direct import direct_edges
from saecli.attribution.direct_influence import Influence, influence_of
from saecli.core.progress import Progress
from saecli.trace.config import TraceConfig
from saecli.trace.draft import Draft, addresses, target_address
from saecli.trace.first_order import draft_of
from saecli.trace.methods import Pinning
from saecli.trace.passes import Passes
from saecli.trace.select import kept_nodes, pinned_nodes, select_nodes


def by_direct_effects(
    config: TraceConfig, question: Question, passes: Passes, pin: Pinning, progress: Progress
) -> Draft:
    """Nodes by their total effects in the local replacement model, and the direct effects among those that stay."""
    run = passes.replaced(question)
    pins = pin(run.nodes)
    nodes = select_nodes(config, run.nodes, pins)
    influence: Influence | None = None
    if config.influence is not None:
        progress("influence")
        influence = influence_of(run)
        head = influence.head(config.influence)
        for site, every in run.nodes.items():
            stay = every.take(head[site] | pinned_nodes(every, pins))
            nodes[site] = nodes[site].take(torch.isin(_key(nodes[site]), _key(stay)))
    progress("edges")
    tokens = run.tokens.take(kept_nodes(config, run.tokens))
    edges = direct_edges(run, nodes, tokens=tokens)
    draft = draft_of(config, run.nodes, nodes, tokens, edges, target_address(run.metric))
    if influence is not None:
        shares = influence.shares()
        for site, every in run.nodes.items():
            for address, share in zip(addresses(every), shares.nodes[site].tolist(), strict=True):
                if address in draft.nodes:
                    draft.nodes[address] = replace(draft.nodes[address], influence=share)
    return draft


def _key(nodes: SiteNodes) -> Tensor:
    """int64 [N]: another one for every node of a site."""
    return (nodes.position_N << 40) + nodes.index_N
