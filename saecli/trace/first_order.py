"""A circuit to first order: every effect and edge from gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import torch

from saecli.asking.question import Question
from saecli.attribution.clean import SiteNodes
from saecli.attribution.gradient import EdgeBlock, direct_edges, token_work
from saecli.core.address import Address
from saecli.core.graph import Edge, Node
from saecli.core.progress import Progress
from saecli.core.site import Site
from saecli.trace.config import TraceConfig
from saecli.trace.draft import Draft, addresses, nodes_of, target_address, totals_of
from saecli.trace.methods import Pinning
from saecli.trace.passes import Passes
from saecli.trace.select import kept_nodes, select_nodes, strongest_edges

MOST_TOKEN_WORK: Final = 1e13
"""Operations, minutes of one core, above which edges from tokens through whole blocks are not computed."""


def by_gradient(config: TraceConfig, question: Question, passes: Passes, pin: Pinning, progress: Progress) -> Draft:
    """Nodes by the effects of one pass (with ``ig`` along the path), and the direct edges among those that stay."""
    clean = passes.run(question)
    progress("edges")
    nodes = select_nodes(config, clean.nodes, pin(clean.nodes))
    tokens = clean.tokens.take(kept_nodes(config, clean.tokens))
    left_out = token_work(clean, nodes) > MOST_TOKEN_WORK
    if left_out:
        progress("edges from tokens are left out: too many blocks and positions lie between; --layers 0: has them")
    edges = direct_edges(clean, nodes, tokens=None if left_out else tokens)
    draft = draft_of(config, clean.nodes, nodes, tokens, edges, target_address(clean.metric))
    draft.details |= {"tokens": "left out"} if left_out else {}
    return draft


def draft_of(
    config: TraceConfig,
    every: Mapping[Site, SiteNodes],
    kept: Mapping[Site, SiteNodes],
    tokens: SiteNodes,
    edges: Iterable[Sequence[EdgeBlock]],
    target: Address,
) -> Draft:
    """The nodes kept, the strongest edges into each, and the tokens that an edge leads from.

    Args:
        config: Which edges are kept.
        every, kept: All nodes, and those that stay.
        tokens: Token nodes that can stay.
        edges: All edges into some children, then into others; the target's have no children.
        target: The metric's own node.
    """
    draft = Draft({}, [], totals_of(every, kept))
    for found in kept.values():
        draft.nodes.update((node.address, node) for node in nodes_of(found))
    used: set[Address] = set()
    token_addresses = [
        Address("token", None, int(i), int(p)) for i, p in zip(tokens.index_N, tokens.position_N, strict=True)
    ]
    for blocks in edges:
        if not blocks:
            continue
        children = blocks[0].children
        names = [target] if children is None else addresses(children)
        parents = [a for b in blocks for a in (token_addresses if b.tokens else addresses(b.parents))]
        weight_CP = torch.cat([block.weight_CP for block in blocks], dim=1)
        for c, p in strongest_edges(weight_CP, config).nonzero().tolist():
            draft.edges.append(Edge(parents[p], names[c], float(weight_CP[c, p])))
            used.add(parents[p])
    for n, address in enumerate(token_addresses):
        if address in used:
            draft.nodes[address] = Node(address, float(tokens.effect_N[n]))
    return draft
