"""A circuit by ablation: features are removed one by one, and what follows is computed again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from saecli.asking.question import Question
from saecli.attribution.ablation import Ablation, Removal, Where, removals
from saecli.attribution.clean import CleanRun, SiteNodes
from saecli.core.address import Address
from saecli.core.graph import Edge, Node
from saecli.core.progress import Progress
from saecli.core.site import Site
from saecli.trace.config import TraceConfig
from saecli.trace.draft import Draft, addresses, nodes_of, target_address, totals_of
from saecli.trace.methods import Pinning
from saecli.trace.passes import Passes
from saecli.trace.select import considered, pinned_nodes, select_nodes, strongest_edges

WOKEN_PER_SITE = 20
"""Features that wake up under ablation, kept at each site unless ``--top-nodes`` says otherwise."""


def by_ablation(config: TraceConfig, question: Question, passes: Passes, pin: Pinning, progress: Progress) -> Draft:
    """Nodes by their exact effects, and the changes of activation that the kept ones cause."""
    clean = passes.run(question)
    pinned = pin(clean.nodes)
    where: Where = config.positions  # type: ignore[assignment]
    ablation = Ablation(clean, batch_size=removals_per_pass(config, clean))
    length = len(clean.tokens_S)
    removed: dict[Site, Removal] = {}
    measured: dict[Site, SiteNodes] = {}
    for done, site in enumerate(clean.sites):
        progress("removing features", done, len(clean.sites), str(site))
        nodes = clean.nodes[site].features
        if any(pin.site == site for pin in pinned):
            nodes = nodes.take(pinned_nodes(nodes, pinned))
        nodes = nodes.take(considered(nodes, pinned))
        removal = removals(nodes, where, length)
        measured[site] = _as_nodes(removal, ablation.effects(removal))
        removed[site] = removal
    kept = select_nodes(config, measured, pinned)
    draft = Draft({}, [], totals_of(measured, kept))
    for found in kept.values():
        draft.nodes.update((node.address, node) for node in nodes_of(found))
    target = target_address(clean.metric)
    for done, site in enumerate(clean.sites):
        progress("watching what changes", done, len(clean.sites), str(site))
        names = addresses(measured[site])
        keep_N = torch.tensor(
            [name in draft.nodes for name in names], dtype=torch.bool, device=measured[site].effect_N.device
        )
        watched = ablation.watched(site)
        if watched and keep_N.any():
            _watch(config, ablation, removed[site], keep_N, names, draft, where)
        if not any(later.is_residual for later in watched):
            effects = measured[site].effect_N
            draft.edges += [Edge(names[n], target, float(effects[n])) for n in keep_N.nonzero()[:, 0].tolist()]
    draft.edges = strongest_per_child(draft.edges, config)
    linked = {edge.target for edge in draft.edges}
    draft.nodes = {a: node for a, node in draft.nodes.items() if node.activation or node.effect or a in linked}
    return draft


def _as_nodes(removal: Removal, effect_N: Tensor) -> SiteNodes:
    """One node per removal; a feature removed at all positions is one node with its largest activation."""
    nodes = removal.nodes
    activation_N = torch.zeros_like(effect_N).scatter_reduce(0, removal.removal_M, nodes.activation_N, "amax")
    return SiteNodes(
        removal.site, removal.position_N, removal.index_N, activation_N, effect_N.new_zeros(len(removal), 0), effect_N
    )


def _watch(
    config: TraceConfig,
    ablation: Ablation,
    removal: Removal,
    keep_N: Tensor,
    names: Sequence[Address],
    draft: Draft,
    where: Where,
) -> None:
    """Add the edges out of the kept removals of one site, and the features they wake up.

    With ``all`` a child is a feature at all positions too, and its change is the sum over them. Of the features that
    wake up, the :data:`WOKEN_PER_SITE` with the largest changes are kept at each site.
    """
    kept = keep_N.nonzero()[:, 0]
    wanted = removals(removal.nodes.take(keep_N[removal.removal_M]), where, len(ablation.clean.tokens_S))
    sums: dict[tuple[int, Address], float] = {}
    woken: dict[Address, float] = {}
    for changes in ablation.changes(wanted, minimum=_noise(ablation, removal.site)):
        silent_SF = ablation.activations(changes.site) == 0
        position_E = changes.position_E
        if where == "all":
            silent_E = silent_SF.all(0)[changes.index_E]
            position_E = torch.full_like(position_E, -1)
        else:
            silent_E = silent_SF[position_E, changes.index_E]
        columns = (kept[changes.removal_E], position_E, changes.index_E, changes.delta_E, silent_E)
        for n, p, i, delta, is_silent in zip(*(column.tolist() for column in columns), strict=True):
            child = Address("feature", changes.site, i, None if p < 0 else p)
            if child in draft.nodes or is_silent:
                sums[n, child] = sums.get((n, child), 0.0) + delta
            if is_silent:
                woken[child] = max(woken.get(child, 0.0), abs(delta))
    for site in ablation.watched(removal.site):
        here = sorted((a for a in woken if a.site == site), key=lambda a: (-woken[a], a.order))
        for child in here[: config.top_nodes or WOKEN_PER_SITE]:
            draft.nodes.setdefault(child, Node(child, 0.0, 0.0))
    draft.edges += [Edge(names[n], child, weight) for (n, child), weight in sums.items() if child in draft.nodes]


def _noise(ablation: Ablation, site: Site) -> float:
    """Changes below this are rounding: the batched pass multiplies in another order than the unmodified one."""
    acts = [ablation.activations(later) for later in ablation.watched(site)]
    return max((float(a.max()) * 32 * torch.finfo(a.dtype).eps for a in acts), default=0.0)


def removals_per_pass(config: TraceConfig, clean: CleanRun) -> int:
    """Removals per batch: as asked, else as many up to 64 as fit into half of ``--max-memory``."""
    if config.batch_items is not None:
        return config.batch_items
    if config.max_memory_bytes is None:
        return 64
    info, length = clean.model.info, len(clean.tokens_S)
    latents = max(dictionary.n_latents for dictionary in clean.dictionaries.values())
    numbers = length * (3 * info.d_mlp + 12 * info.d_model + 2 * info.n_heads * length) + 4 * latents
    return max(1, min(64, config.max_memory_bytes // (2 * numbers * clean.tokens.vector_ND.element_size())))


def strongest_per_child(edges: Sequence[Edge], config: TraceConfig) -> list[Edge]:
    """The selection of edges, for edges as a list."""
    by_child: dict[Address, list[Edge]] = {}
    for edge in edges:
        by_child.setdefault(edge.target, []).append(edge)
    out: list[Edge] = []
    for found in by_child.values():
        mask = strongest_edges(torch.tensor([[edge.weight for edge in found]], dtype=torch.float64), config)[0]
        out += [edge for edge, keep in zip(found, mask.tolist(), strict=True) if keep]
    return out
