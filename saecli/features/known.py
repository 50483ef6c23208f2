"""What is known of the features of a graph, each once: contexts, what they write, what resembles them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch

from saecli.core.address import Address
from saecli.core.evidence import Context, Evidence, Weighted
from saecli.core.graph import FeatureGraph
from saecli.core.model import HookedModel
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.features.directions import logit_effects, neighbours, residual_directions
from saecli.features.sample import Shown

MOST_NUMBERS: Final = 10**8
"""Decoders that hold more together are not searched for neighbours."""


def features_of(graph: FeatureGraph) -> dict[Site, list[int]]:
    """Site → the features of a graph, each once, ascending."""
    found: dict[Site, set[int]] = {}
    for node in graph.nodes:
        address = node.address
        if address.kind == "feature" and address.site is not None and address.index is not None:
            found.setdefault(address.site, set()).add(address.index)
    return {site: sorted(found[site]) for site in sorted(found)}


def evidence_of(
    graph: FeatureGraph,
    model: HookedModel,
    suite: Suite,
    *,
    name: Callable[[int], str],
    tokens: Sequence[int],
    shown: Mapping[Site, Shown],
    game: str = "",
    effects: int = 5,
    near: int = 3,
) -> dict[Address, Evidence]:
    """What is known of every feature of a graph.

    Args:
        graph: The graph.
        model: The model.
        suite: The dictionaries that the graph is made of.
        name: Token id → its text.
        tokens: The tokens that may follow.
        shown: Site → contexts, for sites whose features have any.
        game: As of :meth:`saecli.features.sample.Shown.contexts`.
        effects: Tokens raised, and as many lowered.
        near: Neighbours at earlier sites, and as many at later ones.
    """
    wanted = features_of(graph)
    index = {site: torch.tensor(features) for site, features in wanted.items()}
    contexts: dict[tuple[Site, int], tuple[Context, ...]] = {}
    spoken: dict[tuple[Site, int], tuple[Weighted, Weighted]] = {}
    for site, features in wanted.items():
        if site in shown:
            found = shown[site].contexts(features, name, game)
            contexts |= {(site, feature): one for feature, one in zip(features, found, strict=True)}
        directions = residual_directions(model, suite[site], index[site])
        if directions is not None:
            said = logit_effects(model, directions, name, tokens, effects)
            spoken |= {(site, feature): one for feature, one in zip(features, said, strict=True)}
    alike = _alike(graph, model, suite, index, near)
    return {
        Address("feature", site, feature): Evidence(
            contexts.get((site, feature), ()),
            *spoken.get((site, feature), ((), ())),
            alike.get((site, feature), ()),
        )
        for site, features in wanted.items()
        for feature in features
    }


def _alike(
    graph: FeatureGraph, model: HookedModel, suite: Suite, index: Mapping[Site, torch.Tensor], count: int
) -> dict[tuple[Site, int], Weighted]:
    """Neighbours among the sites of the graph, by their names."""
    sites = [site for site in suite if suite.label(site) in graph.sites]
    if sum(suite.configs[site].n_latents for site in sites) * model.info.d_model > MOST_NUMBERS:
        return {}
    every = {site: residual_directions(model, suite[site], torch.arange(suite[site].n_latents)) for site in sites}
    directions = {site: one for site, one in every.items() if one is not None}
    here = {site: one for site, one in index.items() if site in directions}
    return {
        key: tuple((graph.id_of(Address("feature", site, feature)), cosine) for site, feature, cosine in rows)
        for key, rows in neighbours(directions, here, count).items()
    }
