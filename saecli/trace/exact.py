"""A circuit by measurement alone: exact effects of features, errors and tokens, and edges measured one by one."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from saecli.asking.question import Question
from saecli.attribution.ablation import Ablation
from saecli.attribution.clean import CleanRun, SiteNodes
from saecli.attribution.exact import DirectEffects, exact_nodes
from saecli.core.address import Address
from saecli.core.graph import Edge, Node
from saecli.core.progress import Progress
from saecli.core.site import Site
from saecli.trace.config import TraceConfig
from saecli.trace.draft import Draft, addresses, nodes_of, target_address, totals_of
from saecli.trace.methods import Pinning
from saecli.trace.passes import Passes
from saecli.trace.removing import WOKEN_PER_SITE, removals_per_pass, strongest_per_child
from saecli.trace.select import kept_nodes, select_nodes


def by_exact(config: TraceConfig, question: Question, passes: Passes, pin: Pinning, progress: Progress) -> Draft:
    """Nodes by their exact effects, the features they wake, and the measured edges among them."""
    clean = passes.run(question)
    pinned = pin(clean.nodes)
    ablation = Ablation(clean, batch_size=removals_per_pass(config, clean))
    measured: dict[Site, SiteNodes] = {}
    for done, site in enumerate(clean.sites):
        progress(f"removing {len(clean.nodes[site]):,} nodes", done, len(clean.sites), str(site))
        measured[site] = exact_nodes(ablation, clean.nodes[site])
    kept = select_nodes(config, measured, pinned)
    tokens = exact_nodes(ablation, clean.tokens)
    tokens = tokens.take(kept_nodes(config, tokens))
    draft = Draft({}, [], totals_of(measured, kept))
    parents = [(kept[site], addresses(kept[site]), False) for site in clean.sites if len(kept[site])]
    words = zip(tokens.index_N.tolist(), tokens.position_N.tolist(), strict=True)
    if len(tokens):
        parents.append((tokens, [Address("token", None, i, p) for i, p in words], True))
    direct = [DirectEffects(ablation, nodes, embedding=is_token) for nodes, _, is_token in parents]
    nodes = _with_woken(clean, kept, direct, config.top_nodes or WOKEN_PER_SITE)
    for found in nodes.values():
        draft.nodes.update((node.address, node) for node in nodes_of(found))
    target = target_address(clean.metric)
    for done, ((_, names, _), one) in enumerate(zip(parents, direct, strict=True)):
        progress(f"measuring the edges of {len(names):,} nodes", done, len(direct))
        for edges in one.edges(nodes):
            kids = [target] if edges.children is None else addresses(edges.children)
            rows = zip(edges.parent_E.tolist(), edges.child_E.tolist(), edges.weight_E.tolist(), strict=True)
            draft.edges += [Edge(names[p], kids[c], weight) for p, c, weight in rows if weight]
    draft.edges = strongest_per_child(draft.edges, config)
    linked = {end for edge in draft.edges for end in (edge.source, edge.target)}
    draft.nodes = {a: node for a, node in draft.nodes.items() if node.activation or node.effect or a in linked}
    for _, names, is_token in parents:
        if is_token:
            effects = zip(names, tokens.effect_N.tolist(), strict=True)
            draft.nodes.update({name: Node(name, effect) for name, effect in effects if name in linked})
    return draft


def _with_woken(
    clean: CleanRun, kept: Mapping[Site, SiteNodes], direct: list[DirectEffects], most: int
) -> dict[Site, SiteNodes]:
    """The kept nodes and, per site, those silent features that write most when something is removed."""
    sizes: dict[Site, dict[tuple[int, int], float]] = {}
    for one in direct:
        for site, found in one.woken().items():
            here = sizes.setdefault(site, {})
            for key, size in found.items():
                here[key] = max(here.get(key, 0.0), size)
    out = dict(kept)
    for site, here in sizes.items():
        nodes = kept[site]
        there = set(zip(nodes.position_N.tolist(), nodes.index_N.tolist(), strict=True))
        best = sorted((key for key in here if key not in there), key=lambda key: (-here[key], key))[:most]
        if best:
            out[site] = _and_silent(nodes, torch.tensor(best, device=nodes.index_N.device))
    return out


def _and_silent(nodes: SiteNodes, more_M2: torch.Tensor) -> SiteNodes:
    def zeros(like: torch.Tensor) -> torch.Tensor:
        return torch.cat([like, like.new_zeros(len(more_M2), *like.shape[1:])])

    return SiteNodes(
        nodes.site,
        torch.cat([nodes.position_N, more_M2[:, 0]]),
        torch.cat([nodes.index_N, more_M2[:, 1]]),
        zeros(nodes.activation_N),
        zeros(nodes.vector_ND),
        zeros(nodes.effect_N),
    )


def cost(config: TraceConfig, question: Question, passes: Passes, pin: Pinning) -> str:
    """How many passes the method takes, in words.

    Edges are counted for the nodes that would be kept by their first-order effects: every pair that lies one step
    apart, at one position or, for a child after an attention, at any later one.
    """
    clean = passes.run(question)
    kept = select_nodes(config, clean.nodes, pin(clean.nodes))
    tokens = clean.tokens.take(kept_nodes(config, clean.tokens))
    removed = sum(len(nodes) for nodes in clean.nodes.values()) + len(clean.tokens)
    ablation = Ablation(clean)
    pairs = 0
    for nodes, is_token in [*((found, False) for found in kept.values()), (tokens, True)]:
        for site in DirectEffects(ablation, nodes, embedding=is_token).children:
            later = nodes.position_N[:, None] <= kept[site].position_N
            pairs += int(later.sum())
        pairs += len(nodes)
    return (
        f"{removed:,} removals, and up to {pairs:,} edges among the nodes that first-order effects would keep: a pass "
        "of what follows a site for each"
    )
