"""A circuit by search: of each residual site the fewest features that keep the prediction, and edges between sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saecli.asking.question import Question
from saecli.attribution.clean import CleanRun, SiteNodes
from saecli.attribution.cluster import Data
from saecli.attribution.fill import Drawn, Fill, Mean, Nearest, Silent, any_rows, generators
from saecli.attribution.keeping import ActiveFeatures, Divergence, Kept
from saecli.attribution.metric import DivergenceMetric
from saecli.attribution.search import Found, choose_tokens, put_back, rank_nodes
from saecli.attribution.search_edges import REFERENCE, edges_between
from saecli.core.codes import SiteCodes
from saecli.core.dictionary import Dictionary
from saecli.core.errors import Failure
from saecli.core.graph import Edge
from saecli.core.progress import Progress
from saecli.core.site import Site
from saecli.trace.config import TraceConfig
from saecli.trace.draft import Draft, addresses, nodes_of, target_address, totals_of
from saecli.trace.methods import Pinning
from saecli.trace.passes import Passes
from saecli.trace.removing import strongest_per_child
from saecli.trace.search_data import read_data

_Token = tuple[Dictionary, Tensor, Tensor, Tensor, int]
"""What every :class:`~saecli.attribution.fill.Fill` is made of."""

COARSE_SAMPLES = 4
"""Samples for the choice of tokens, in those of the search."""


@dataclass(frozen=True)
class Searched:
    """What was found at one site.

    Attributes:
        features: The features kept, the first rank first.
        found: Their divergences.
        kept: Values of the site's tokens, for edges; and the same with more samples.
        keep_N: Which of its nodes are kept.
        tokens: Whose features were candidates.
        active: Features that fire at the site.
        baseline: Divergence of the dictionary with every feature kept.
    """

    features: ActiveFeatures
    found: Found
    kept: Kept
    reference: Kept
    keep_N: Tensor
    tokens: list[int]
    active: int
    baseline: float


def by_search(config: TraceConfig, question: Question, passes: Passes, pin: Pinning, progress: Progress) -> Draft:
    """Nodes by search, one site after the other; edges between each and the next."""
    del pin  # refused by the configuration
    clean = passes.run(question)
    passes.stands_in = config.stands_in
    data = read_data(config, passes, clean.tokens_S, progress) if config.stands_in in ("mean", "resample") else {}
    fills = Fills(config, clean, data, _patched(clean, question))
    searched: dict[Site, Searched] = {}
    tokens: list[int] = []
    for number, site in enumerate(clean.sites):
        name = passes.suite.label(site)
        progress("searching", number, len(clean.sites), f"site {name}")
        one = _search(config, clean, site, number, fills, tokens)
        searched[site] = one
        tokens = sorted({clean.metric.position, *one.features.position_N.tolist()})
        if not one.found.reached:
            progress(
                f"at {name} no set falls below {config.threshold:g} nats: {one.found.divergence:.3g} with "
                f"{len(one.features)} features, {one.baseline:.3g} with all of the dictionary"
            )
    if not any(len(one.features) for one in searched.values()):
        raise Failure(
            f"The prediction stays within {config.threshold:g} nats with no feature kept at any site.",
            "Lower --threshold.",
        )
    return _draft(config, clean, passes, searched, fills, progress)


def _search(
    config: TraceConfig, clean: CleanRun, site: Site, number: int, fills: Fills, upstream: list[int]
) -> Searched:
    metric = clean.metric
    assert isinstance(metric, DivergenceMetric)  # noqa: S101 (the search asks for it)
    model, dictionary, target = clean.model, clean.dictionaries[site], metric.position
    every = _active(clean.nodes[site], target)
    final = site == Site(model.info.n_layers, "resid_pre")

    def divergence(features: ActiveFeatures, times: int = 1) -> tuple[Divergence, Kept]:
        kept = kept_values(fills, site, number, features, times)
        return Divergence(model, dictionary, kept, metric.clean_logits_V.to(clean.values[site])), kept

    coarse, _ = divergence(every, COARSE_SAMPLES)
    baseline = coarse.of_values(dictionary.reconstruct(clean.values[site][: target + 1])[None])
    tokens = [target] if final else upstream
    if not tokens:
        tokens = choose_tokens(coarse, every.position_N, target, config.threshold, config.max_tokens)
    features = every.take(torch.isin(every.position_N, torch.tensor(tokens)))
    evaluate, kept = divergence(features)
    found = put_back(evaluate, rank_nodes(evaluate, len(features)), config.threshold, config.window)
    keep_N = torch.zeros(len(features), dtype=torch.bool)
    keep_N[found.node_C] = True
    reference = kept_values(fills, site, number, features, REFERENCE)
    return Searched(features.take(found.node_C), found, kept, reference, keep_N, sorted(tokens), len(every), baseline)


class Fills:
    """What stands in for features left out, as the user asks for it."""

    def __init__(
        self, config: TraceConfig, clean: CleanRun, data: Mapping[Site, Data], patched: Mapping[Site, Data]
    ) -> None:
        self.config, self.clean, self.data, self.patched = config, clean, data, patched

    def of(self, site: Site, number: int, features: ActiveFeatures, times: int) -> list[Fill]:
        """Of every token up to the target.

        Args:
            site, number: Which site, and which of those searched.
            features: The nodes.
            times: Samples, in those that the user asks for.
        """
        config, clean = self.config, self.clean
        dictionary, value_SD = clean.dictionaries[site], clean.values[site]
        length = clean.metric.position + 1
        random = generators(config.seed, number, length)
        active = _active(clean.nodes[site], length - 1)
        out: list[Fill] = []
        for position in range(length):
            here = features.take(features.position_N == position)
            token = (
                dictionary,
                value_SD[position],
                here.index_N.to(value_SD.device),
                here.activation_N.to(value_SD),
                int((active.position_N == position).sum()),
            )
            if config.stands_in == "zero":
                out.append(Silent(*token))
            elif config.stands_in == "mean":
                out.append(Mean(*token, self.data[site].mean(position)))
            elif config.stands_in == "patch":
                out.append(Drawn(*token, self.patched[site], torch.tensor([position])))
            else:
                out.append(self._resampled(token, site, position, len(here), times, random[position]))
        return out

    def _resampled(
        self, token: _Token, site: Site, position: int, features: int, times: int, generator: torch.Generator
    ) -> Fill:
        config, data = self.config, self.data[site]
        weight = config.position_weight * (1 - site.canonical.layer / self.clean.model.info.n_layers)
        row_n = any_rows(data, position if weight else None, config.samples * times, generator)
        if not (config.neighbours and features):
            return Drawn(*token, data, row_n)
        return Nearest(
            *token,
            data,
            row_n,
            position=position,
            position_weight=weight,
            neighbours=config.neighbours,
            generator=generator,
        )


def kept_values(fills: Fills, site: Site, number: int, features: ActiveFeatures, times: int = 1) -> Kept:
    """Values of a site's tokens for sets of its features; arguments as of :meth:`Fills.of`."""
    return Kept(fills.of(site, number, features, times), features.position_N)


@torch.no_grad()
def _patched(clean: CleanRun, question: Question) -> dict[Site, Data]:
    """Codes of the counterfactual's tokens by site."""
    if question.patch_S is None:
        return {}
    run = clean.model.run(question.patch_S[None], read=clean.sites, stop_after=clean.sites[-1])
    position_S = torch.arange(len(question.patch_S))
    out = {}
    for site, dictionary in clean.dictionaries.items():
        acts = dictionary.encode_sparse(run.sites[site][0])
        codes = SiteCodes.of(acts.indices_TK.cpu(), acts.values_TK.cpu())
        out[site] = Data(codes, position_S, len(position_S), dictionary.n_latents)
    return out


def _active(nodes: SiteNodes, target: int) -> ActiveFeatures:
    nodes = nodes.features
    nodes = nodes.take((nodes.activation_N != 0) & (nodes.position_N <= target))
    return ActiveFeatures(nodes.position_N.cpu(), nodes.index_N.cpu(), nodes.activation_N.cpu())


def _draft(
    config: TraceConfig,
    clean: CleanRun,
    passes: Passes,
    searched: Mapping[Site, Searched],
    fills: Fills,
    progress: Progress,
) -> Draft:
    nodes = {site: _as_nodes(site, one) for site, one in searched.items()}
    draft = Draft({}, [], totals_of(nodes, nodes))
    draft.totals["active_nodes"] = sum(one.active for one in searched.values())
    names = {site: addresses(found) for site, found in nodes.items()}
    residual = passes.suite.info.residual
    ranks: dict[str, dict[str, float]] = {}
    for site, found in nodes.items():
        draft.nodes.update((node.address, node) for node in nodes_of(found))
        entered = searched[site].found.entered_C.tolist()
        for place, (name, divergence) in enumerate(zip(names[site], entered, strict=True)):
            ranks[name.format(residual)] = {"rank": place + 1, "divergence": divergence}
    importance: dict[str, float] = {}
    pairs = list(zip(clean.sites, clean.sites[1:], strict=False))
    for done, (earlier, later) in enumerate(pairs):
        progress("edges", done, len(pairs))
        one, features = searched[earlier], searched[later].features
        if not len(features) or not one.keep_N.any():
            continue
        found = edges_between(
            clean.model,
            one.kept,
            one.reference,
            one.keep_N,
            clean.dictionaries[earlier],
            clean.dictionaries[later],
            features,
            fills.data[later].maximum_F[features.index_N] if later in fills.data else features.activation_N.abs(),
        )
        order = one.keep_N.nonzero()[:, 0].argsort().tolist()
        by_node = {int(node): name for node, name in zip(one.found.node_C, names[earlier], strict=True)}
        sources = [by_node[int(node)] for node in one.keep_N.nonzero()[order, 0]]
        for u, v in (found.importance_UV > 0).nonzero().tolist():
            edge = Edge(sources[u], names[later][v], float(found.weight_UV[u, v]))
            draft.edges.append(edge)
            key = f"{edge.source.format(residual)} → {edge.target.format(residual)}"
            importance[key] = float(found.importance_UV[u, v])
    last = clean.sites[-1]
    target = target_address(clean.metric)
    draft.edges += [Edge(name, target, draft.nodes[name].effect) for name in names[last]]
    draft.edges = strongest_per_child(draft.edges, config)
    left = {f"{edge.source.format(residual)} → {edge.target.format(residual)}" for edge in draft.edges}
    draft.details["search"] = {
        "sites": {passes.suite.label(site): _numbers(one) for site, one in searched.items()},
        "nodes": ranks,
        "importance": {key: value for key, value in importance.items() if key in left},
    }
    return draft


def _as_nodes(site: Site, one: Searched) -> SiteNodes:
    features, effect_C = one.features, one.found.effect_C
    nothing = effect_C.new_zeros(len(features), 0)
    return SiteNodes(site, features.position_N, features.index_N, features.activation_N, nothing, effect_C)


def _numbers(one: Searched) -> dict[str, Any]:
    found = one.found
    return {
        "features": len(one.features),
        "active": one.active,
        "divergence": found.divergence,
        "all": one.baseline,
        "none": found.empty,
        "reached": found.reached,
        "tokens": one.tokens,
    }
