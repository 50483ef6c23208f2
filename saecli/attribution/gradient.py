"""Node effects and direct edges to first order.

Node effect of u: −(∂m/∂x · v_u), where x is u's site, v_u what u adds there, m the metric and the gradient that of
the unmodified model. Edge u → c: the part of u's effect that passes directly (over no other chosen site) through the
feature or error c. A feature c of a dictionary with encoder row e_c and decoder row w_c passes on (∂m/∂x_c · w_c) e_c;
the error of that position passes on what the active features there do not, so that nothing is lost (a feature that is
silent, a node only since its stand-in is not, passes on nothing):

    Σ over children c, errors and positions included, of edge(u → c)  =  effect(u)      (conservation)

Where a dictionary norms its input, e_c holds that norm fixed; with live norms it is the gradient through the norm too.

Sources: Marks et al. 2024 (feature circuits); the split-leaf form is ours and equals theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from saecli.attribution.attention_rows import AttentionRows
from saecli.attribution.clean import ERROR, CleanRun, SiteNodes
from saecli.attribution.paths import DirectPaths, Route
from saecli.core.site import Site

_PER_PART: Final = 24
"""Operations of a backward pass through an attention or MLP per position and squared width, about."""


@dataclass(frozen=True)
class EdgeBlock:
    """Edges between the nodes of two sites.

    Attributes:
        parents: Nodes the edges come from.
        children: Nodes they go to; None for the metric itself (one row).
        weight_CP: −(part of the metric's change) for each child and parent: [C, P].
        tokens: Whether the parents are token nodes.
    """

    parents: SiteNodes
    children: SiteNodes | None
    weight_CP: Tensor
    tokens: bool = False


def cotangents(clean: CleanRun, children: SiteNodes) -> Tensor:
    """Gradient [C, d] that each child passes down to the value of its own site, at its own position."""
    site = children.site
    gradient_SD = clean.gradients[site]
    out_CD = gradient_SD[children.position_N].clone()
    is_feature = children.index_N != ERROR
    fires = is_feature & (children.activation_N != 0)
    out_CD[is_feature & ~fires] = 0
    if fires.any():
        out_CD[fires] = _feature_cotangents(clean, site, children.position_N[fires], children.index_N[fires])
    if not is_feature.all():
        every = clean.nodes[site].features
        every = every.take(every.activation_N != 0)
        passed_ND = _feature_cotangents(clean, site, every.position_N, every.index_N)
        passed_SD = torch.zeros_like(gradient_SD).index_add_(0, every.position_N, passed_ND)
        out_CD[~is_feature] -= passed_SD[children.position_N[~is_feature]]
    return out_CD


def direct_edges(
    clean: CleanRun, nodes: Mapping[Site, SiteNodes], *, tokens: SiteNodes | None = None
) -> Iterator[list[EdgeBlock]]:
    """Direct edges among the given nodes, into each site and into the metric.

    Args:
        clean: The unmodified pass.
        nodes: Nodes wanted, by site: all of ``clean.nodes`` or a part. Edges between them do not depend on the part.
        tokens: Token nodes wanted as parents. The embedding is the parent of a dictionary at ``resid_pre`` of layer 0,
            else of everything that no chosen residual site cuts off from it.

    Yields:
        All edges into some children, one block per site of their parents; from early to late children, the metric last.
    """
    paths = DirectPaths(clean, from_tokens=tokens is not None)
    for site in clean.sites:
        if site in nodes:
            yield from edges_into(paths, nodes[site], nodes, tokens=tokens)
    direct = paths.pull_back_metric()
    yield [
        EdgeBlock(parents, None, -(direct[site][parents.position_N] * parents.vector_ND).sum(-1)[None], is_token)
        for site, parents, is_token in _parents(paths, None, nodes, tokens)
    ]


def token_work(clean: CleanRun, nodes: Mapping[Site, SiteNodes]) -> float:
    """Floating-point operations, roughly, of the edges from tokens into nodes with whole blocks between.

    A backward pass per child, through every attention and MLP on the way, over the positions up to the child's.
    """
    paths, total = DirectPaths(clean), 0.0
    for site, children in nodes.items():
        route = paths.route(site)
        if route.start not in clean.dictionaries:
            parts = sum(part not in route.parents for part in route.parts)
            total += _PER_PART * clean.model.info.d_model**2 * parts * float((children.position_N + 1).sum())
    return total


def edges_into(
    paths: DirectPaths, children: SiteNodes, nodes: Mapping[Site, SiteNodes], *, tokens: SiteNodes | None = None
) -> Iterator[list[EdgeBlock]]:
    """The part of :func:`direct_edges` that goes into the given children of one site."""
    parents = _parents(paths, children.site, nodes, tokens)
    if not parents or not len(children):
        return
    passed = cotangents(paths.clean, children)
    if (over := paths.over_attention(children.site)) is not None:
        yield from _edges_over_attention(paths, children, passed, parents, *over)
        return
    for part, gradients in paths.pull_back(children.site, children.position_N, passed):
        chunk = children.take(torch.arange(part.start, part.stop))
        yield [
            EdgeBlock(found, chunk, _contract(gradients[site], chunk.position_N, found), is_token)
            for site, found, is_token in parents
        ]


def _edges_over_attention(
    paths: DirectPaths,
    children: SiteNodes,
    passed: Tensor,
    parents: list[tuple[Site, SiteNodes, bool]],
    route: Route,
    attention: Site,
    rows: AttentionRows,
) -> Iterator[list[EdgeBlock]]:
    """Edges into children that an attention leads to: what passes at their own position, and what it brings."""
    pushed = [rows.push(found.position_N, found.vector_ND) if site < attention else None for site, found, _ in parents]
    largest = max(len(found) for _, found, _ in parents)
    for part, gradients in paths.pull_back_rows(route, children.position_N, passed):
        chunk = children.take(torch.arange(part.start, part.stop))
        for few in rows.batches(len(chunk), largest):
            some = chunk.take(torch.arange(few.start, few.stop))
            blocks = []
            for (site, found, is_token), seen in zip(parents, pushed, strict=True):
                weight_CP = passed.new_zeros(len(some), len(found))
                if site in gradients:
                    weight_CP += _contract(gradients[site][few], some.position_N, found)
                if seen is not None:
                    weight_CP -= rows.pull(some.position_N, gradients[attention][few], seen)
                blocks.append(EdgeBlock(found, some, weight_CP, is_token))
            yield blocks


def _parents(
    paths: DirectPaths, child: Site | None, nodes: Mapping[Site, SiteNodes], tokens: SiteNodes | None
) -> list[tuple[Site, SiteNodes, bool]]:
    """Wanted parents of a child's site: where, which nodes, and whether they are the tokens."""
    out = []
    for site in paths.route(child).parents:
        is_embedding = site == child or site not in paths.clean.dictionaries
        found = tokens if is_embedding else nodes.get(site)
        if found is not None and len(found):
            out.append((site, found, is_embedding))
    return out


def _feature_cotangents(clean: CleanRun, site: Site, position_N: Tensor, index_N: Tensor) -> Tensor:
    dictionary, x_ND = clean.dictionaries[site], clean.values[site][position_N]
    gain_N = (clean.gradients[site][position_N] * dictionary.decoder_directions(x_ND, index_N)).sum(-1)
    read_ND = dictionary.encoder_directions(x_ND, index_N)
    return gain_N[:, None] * (dictionary.through_norm(x_ND, read_ND) if clean.live_norms else read_ND)


def _contract(gradient: Tensor, position_C: Tensor, parents: SiteNodes) -> Tensor:
    """−gradient · vector for each child and parent: [C, P] from [C, S', d], or from [C, d] at the child's position."""
    if gradient.dim() == 2:
        same_CP = position_C[:, None] == parents.position_N
        return torch.where(same_CP, -(gradient @ parents.vector_ND.T), 0.0)
    out_CP = gradient.new_zeros(len(gradient), len(parents))
    for position in parents.position_N[parents.position_N < gradient.shape[1]].unique().tolist():
        here = (parents.position_N == position).nonzero()[:, 0]
        out_CP[:, here] = -(gradient[:, position] @ parents.vector_ND[here].T)
    return out_CP
