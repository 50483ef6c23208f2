"""Direct effects among transcoder features: the circuit of a model in which features stand in for MLPs.

In the local replacement model of a prompt, MLPs (and attention, where dictionaries stand for it) add what active
features write and an error that makes up for the rest, constant; norms keep the prompt's scales and attention its
patterns (:mod:`saecli.attribution.direct_frozen`). With v_u what u adds to the places that it writes, and a the
activation of a feature that stays active, everything is linear:

    a_t  =  Σ_u w(u, t) + constant         w(u, t) = v_u · ∂a_t/∂(the places)         u features, errors, tokens
    m    =  Σ_u w(u, m) + constant         (to first order where the metric is not linear in the logits)

w goes over the residual stream, norms, patterns and skip paths of transcoders, and over no other feature. The total
effect of u adds up all ways, over other features too; removing u changes the metric by

    effect(u) = −(w(u, m) + Σ_t w(u, t) g_t)         g_t = ∂m/∂a_t = −effect(t) / a_t

Sources: Ameisen et al. 2025, https://transformer-circuits.pub/2025/attribution-graphs/methods.html; Dunefsky et al.
2024 (transcoders, arXiv:2406.11944); https://github.com/safety-research/circuit-tracer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from saecli.attribution.clean import ERROR, SiteNodes
from saecli.attribution.direct_descent import Descent
from saecli.attribution.direct_frozen import FrozenNorm
from saecli.attribution.direct_replacement import Replacement
from saecli.attribution.gradient import EdgeBlock
from saecli.attribution.metric import FeatureMetric, LogitMetric, Metric
from saecli.core.dictionary import Dictionary
from saecli.core.model import HookedModel
from saecli.core.site import Site

_ROWS: Final = 4096
"""Positions of all children that are traced together."""
_CHILDREN: Final = 256
_ROW_ELEMENTS: Final = 1 << 22
"""Numbers of decoder rows held at once."""


@dataclass(frozen=True)
class DirectRun:
    """One prompt in its local replacement model, and what every node does to the metric.

    Attributes:
        replacement: The model.
        metric: What is measured.
        value: The metric.
        nodes: Site → features of the dictionary that reads there and errors of the place it writes first, or errors of
            a place that no dictionary writes first; by position, then index. ``vector_ND`` is empty, ``effect_N`` the
            total effect.
        tokens: One node per position: what the embedding puts into the residual stream there.
    """

    replacement: Replacement
    metric: Metric
    value: float
    nodes: dict[Site, SiteNodes]
    tokens: SiteNodes


@torch.no_grad()
def direct_run(
    model: HookedModel, dictionaries: Mapping[Site, Dictionary], tokens_S: Tensor, metric: Metric
) -> DirectRun:
    """Run the prompt, and go down once from the metric.

    Args:
        model: The model.
        dictionaries: Transcoders, also across layers, and autoencoders of attention outputs, by the site they read.
        tokens_S: int64 [S].
        metric: What is measured; its position lies in the prompt.

    Raises:
        UsageError: A dictionary or metric of which no linear picture can be made, or a norm without a scale.
    """
    replacement = Replacement.of(model, dictionaries, tokens_S, metric)
    x_1D = replacement.frozen.values[replacement.frozen.end][metric.position, None]
    value = float(metric.measure(model, x_1D)[0])
    return DirectRun(replacement, metric, value, *_total_effects(replacement, metric, tokens_S))


@torch.no_grad()
def direct_edges(
    run: DirectRun, nodes: Mapping[Site, SiteNodes], *, tokens: SiteNodes | None = None
) -> Iterator[list[EdgeBlock]]:
    """Direct effects among the given nodes, into features and into the metric, as changes when the parent is removed.

    Args:
        run: The prompt.
        nodes: Nodes wanted, by site: all of ``run.nodes`` or a part. Edges between them do not depend on the part.
        tokens: Token nodes wanted as parents.

    Yields:
        All edges into some features of one site, in units of their activations, one block per site of their parents;
        from early to late children, the metric last.
    """
    edges = DirectEdges(run, nodes, tokens)
    for site in sorted(nodes):
        yield from edges.into(nodes[site].features)
    yield edges.into_metric()


class DirectEdges:
    """Direct effects of some parents; see :func:`direct_edges`."""

    def __init__(self, run: DirectRun, nodes: Mapping[Site, SiteNodes], tokens: SiteNodes | None) -> None:
        self.run = run
        replacement = run.replacement
        self._parents = [_parents(replacement, found) for _, found in sorted(nodes.items()) if len(found)]
        if tokens is not None and len(tokens):
            first = Site(0, "resid_pre")
            embedded_ND = replacement.frozen.values[first][tokens.position_N]
            rows_N = torch.arange(len(tokens), device=tokens.index_N.device)
            self._parents.insert(0, _Parents(tokens, {first: (rows_N, tokens.position_N, embedded_ND)}, True))

    def into(self, children: SiteNodes) -> Iterator[list[EdgeBlock]]:
        """All edges into features of one site, as many together as there is room for."""
        replacement, start = self.run.replacement, 0
        while start < len(children):
            stop = _until(children.position_N, start)
            chunk = children.take(torch.arange(start, stop, device=children.index_N.device))
            gradient_CD = replacement.reads(chunk.site, chunk.position_N, chunk.index_N)
            yield _edges_into(replacement, chunk, self._parents, chunk.site, chunk.position_N, gradient_CD)
            start = stop

    def into_metric(self) -> list[EdgeBlock]:
        """All edges into the metric."""
        site, position_1, gradient_1D = _metric_gradient(self.run.replacement, self.run.metric)
        return _edges_into(self.run.replacement, None, self._parents, site, position_1, gradient_1D)


class _Parents(NamedTuple):
    """Nodes of one site, and per place which of them (rows) write it, where, and what."""

    nodes: SiteNodes
    parts: dict[Site, tuple[Tensor, Tensor, Tensor]]
    tokens: bool = False


def _parents(replacement: Replacement, nodes: SiteNodes) -> _Parents:
    parts: dict[Site, tuple[Tensor, Tensor, Tensor]] = {}
    feature_N = (nodes.index_N != ERROR).nonzero()[:, 0]
    error_N = (nodes.index_N == ERROR).nonzero()[:, 0]
    if len(feature_N):
        position_M = nodes.position_N[feature_N]
        for place, unit_MD in replacement.writes(nodes.site, position_M, nodes.index_N[feature_N]).items():
            parts[place] = feature_N, position_M, nodes.activation_N[feature_N, None] * unit_MD
    for place, error_SD in replacement.errors.items():
        if len(error_N) and replacement.home(place) == nodes.site:
            position_M = nodes.position_N[error_N]
            added = (error_N, position_M, error_SD[position_M])
            here = parts.get(place)
            parts[place] = added if here is None else tuple(torch.cat(pair) for pair in zip(here, added, strict=True))  # type: ignore[assignment]
    return _Parents(nodes, parts)


def _edges_into(
    replacement: Replacement,
    children: SiteNodes | None,
    parents: list[_Parents],
    start: Site,
    position_C: Tensor,
    gradient_CD: Tensor,
) -> list[EdgeBlock]:
    weights: dict[int, Tensor] = {}

    def contract(place: Site, gradient: Tensor) -> None:
        for number, (nodes, parts, _) in enumerate(parents):
            if place in parts:
                rows_M, position_M, vector_MD = parts[place]
                into_CN = weights.setdefault(number, gradient.new_zeros(len(position_C), len(nodes)))
                into_CN[:, rows_M] -= _product(gradient, position_C, position_M, vector_MD)

    def hear(place: Site, gradient: Tensor) -> Iterator[tuple[Site, Tensor]]:
        contract(place, gradient)
        return replacement.skip(place, gradient)

    arrived = Descent(replacement.frozen, replacement.replaced, position_C, hear).run(start, gradient_CD)
    if arrived is not None:
        contract(Site(0, "resid_pre"), arrived)
    return [
        EdgeBlock(parents[number].nodes, children, weight_CN, parents[number].tokens)
        for number, weight_CN in sorted(weights.items())
    ]


def _product(gradient: Tensor, position_C: Tensor, position_M: Tensor, vector_MD: Tensor) -> Tensor:
    """Gradient · vector for each row and vector: [C, M]; rows as of :class:`Descent`."""
    if gradient.dim() == 2:
        same_CM = position_C[:, None] == position_M
        return torch.where(same_CM, gradient @ vector_MD.T, 0.0)
    out_CM = gradient.new_zeros(len(gradient), len(position_M))
    for position in position_M[position_M < gradient.shape[1]].unique().tolist():
        here = (position_M == position).nonzero()[:, 0]
        out_CM[:, here] = gradient[:, position] @ vector_MD[here].T
    return out_CM


def _until(position_N: Tensor, start: int) -> int:
    """The end of a chunk of children: as many as there is room for, up to the position of the last one."""
    last_N = position_N[start : start + _CHILDREN] + 1
    rows_N = torch.arange(1, len(last_N) + 1, device=last_N.device) * last_N
    return start + max(1, int((rows_N <= _ROWS).sum()))


def _metric_gradient(replacement: Replacement, metric: Metric) -> tuple[Site, Tensor, Tensor]:
    """Where the metric is read: the site, its position [1], and the metric's gradient there [1, d]."""
    frozen = replacement.frozen
    x_1D = frozen.values[frozen.end][metric.position, None]
    position_1 = torch.tensor([metric.position], device=x_1D.device)
    if isinstance(metric, FeatureMetric):
        index_1 = torch.tensor([metric.index], device=x_1D.device)
        return frozen.end, position_1, metric.dictionary.encoder_directions(x_1D, index_1)
    assert isinstance(metric, LogitMetric)  # noqa: S101 (others were refused)
    with torch.enable_grad():
        normed_1D = frozen.model.final_norm(x_1D).detach().requires_grad_()
        value = metric(frozen.model.head(normed_1D))[0]
        (gradient_1D,) = torch.autograd.grad(value, normed_1D)
    norm = FrozenNorm.at(frozen.model.final_norm, x_1D)
    return frozen.end, position_1, norm.pull_back(gradient_1D, torch.zeros_like(position_1))


def _total_effects(
    replacement: Replacement, metric: Metric, tokens_S: Tensor
) -> tuple[dict[Site, SiteNodes], SiteNodes]:
    """One way down from the metric, on which features pass on what reaches them."""
    frozen, arrived = replacement.frozen, {}
    effects: dict[Site, Tensor] = {site: torch.zeros_like(one.value_N) for site, one in replacement.active.items()}

    def hear(place: Site, gradient: Tensor) -> Iterator[tuple[Site, Tensor]]:
        arrived[place] = gradient[0]
        yield from replacement.skip(place, gradient)
        for site, config in replacement.configs.items():
            if config.writes == place:  # the deepest place that it writes: all others have been passed
                gain_N, passed_SD = _through_features(replacement, site, arrived)
                effects[site] = -gain_N * replacement.active[site].value_N
                yield site, passed_SD[None]

    start, position_1, gradient_1D = _metric_gradient(replacement, metric)
    whole_SD = frozen.values[Site(0, "resid_pre")].new_zeros(len(tokens_S), gradient_1D.shape[1])
    whole_SD[position_1] = gradient_1D
    embedded_SD = frozen.values[Site(0, "resid_pre")]
    below = Descent(frozen, replacement.replaced, position_1, hear).run(start, whole_SD[None])
    effect_S = torch.zeros_like(embedded_SD[:, 0]) if below is None else -(below[0] * embedded_SD).sum(-1)
    positions_S = torch.arange(len(tokens_S), device=tokens_S.device)
    tokens = _site_nodes(Site(0, "resid_pre"), positions_S, tokens_S, embedded_SD.norm(dim=-1), effect_S)
    nodes: dict[Site, SiteNodes] = {}
    for site in sorted({*replacement.active, *map(replacement.home, replacement.errors)}):
        parts: list[tuple[Tensor, ...]] = []
        if site in replacement.active:
            parts.append((*replacement.active[site], effects[site]))
        for place, error_SD in replacement.errors.items():
            if replacement.home(place) == site:
                effect_S = -(arrived[place] * error_SD).sum(-1) if place in arrived else torch.zeros_like(effect_S)
                index_S = torch.full_like(positions_S, ERROR)
                parts.append((positions_S, index_S, error_SD.norm(dim=-1), effect_S))
        nodes[site] = _site_nodes(site, *(torch.cat(part) for part in zip(*parts, strict=True)))
    return nodes, tokens


def _through_features(replacement: Replacement, site: Site, arrived: Mapping[Site, Tensor]) -> tuple[Tensor, Tensor]:
    """Gradient of the metric at every active feature of a dictionary [N], and what they pass on to its site [S, d]."""
    position_N, index_N, value_N = replacement.active[site]
    config = replacement.configs[site]
    gain_N = torch.zeros_like(value_N)
    passed_SD = torch.zeros_like(replacement.frozen.values[site])
    step = max(1, _ROW_ELEMENTS // (len(config.written) * config.d_out))
    for part in torch.arange(len(index_N), device=index_N.device).split(step):
        where_M, which_M = position_N[part], index_N[part]
        for place, unit_MD in replacement.writes(site, where_M, which_M).items():
            if place in arrived:
                gain_N[part] += (arrived[place][where_M] * unit_MD).sum(-1)
        passed_SD.index_add_(0, where_M, gain_N[part, None] * replacement.reads(site, where_M, which_M))
    return gain_N, passed_SD


def _site_nodes(site: Site, position_N: Tensor, index_N: Tensor, activation_N: Tensor, effect_N: Tensor) -> SiteNodes:
    return SiteNodes(site, position_N, index_N, activation_N, effect_N.new_zeros(len(effect_N), 0), effect_N)
