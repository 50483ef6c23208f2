"""Split leaves: how one site depends *directly* on the chosen sites before it.

A path is direct if no other chosen site lies on it. Below a child, every chosen site nearest to it is replaced by a
leaf that holds its clean value; what lies between is recomputed. The gradient at a leaf is then the direct dependence
on that parent and nothing else, for any choice of sites: between two residual sites whose attention and MLP outputs
are all chosen it is the identity, for an MLP output it is the norm and the MLP at one position, for an attention
output the norm and the attention over all positions (Marks et al. 2024 reach the same by stopping gradients).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.attribution.attention_rows import AttentionRows
from saecli.attribution.clean import CleanRun
from saecli.core.model import Block
from saecli.core.site import Site

PullBack = Callable[[Tensor, Tensor], list[Tensor]]
"""Positions [N] and cotangents [N, d] → gradient at each parent."""

COTANGENTS_PER_BACKWARD = 32
"""Larger batches through attention were measured to be no faster."""

PATTERN_PER_BACKWARD = 1 << 21
"""Entries of one head's attention patterns in the backward of all cotangents together, unless one needs more."""

ROWS_PER_BACKWARD = 1024
"""Position-wise paths are stacked over this many (position, cotangent) rows."""


@dataclass(frozen=True)
class Route:
    """What lies between a child and the chosen sites nearest below it.

    Attributes:
        start: The deepest chosen residual site below the child, else the embedding (``resid_pre`` of layer 0) or the
            stream that takes its place.
        end: The child, or the site that the metric reads.
        parts: Attention and MLP outputs that are added on the way, in order of computation; ``end`` may be the last.
        parents: ``start`` and those parts that are chosen sites.
    """

    start: Site
    end: Site
    parts: tuple[Site, ...]
    parents: tuple[Site, ...]

    @property
    def is_identity(self) -> bool:
        """Nothing is recomputed: the child is the sum of its parents."""
        return not self._live

    @property
    def is_position_wise(self) -> bool:
        """No attention is recomputed: the child depends on its own position only."""
        return all(site.kind != "attn_out" for site in self._live)

    @property
    def attention(self) -> Site | None:
        """The only attention that is recomputed, if the stream that it reads is a sum of parents."""
        first, *rest = self._live or (None,)
        if first is None or first.kind != "attn_out" or any(site.kind == "attn_out" for site in rest):
            return None
        return first

    def cut_at(self, site: Site) -> Route:
        """The same with one of its parts as a parent."""
        parents = (*self.parents, site)
        return Route(self.start, self.end, self.parts, (self.start, *(part for part in self.parts if part in parents)))

    @property
    def _live(self) -> tuple[Site, ...]:
        return tuple(site for site in self.parts if site not in self.parents)


class DirectPaths:
    """Direct dependence of chosen sites, and of the metric, on the chosen sites before them.

    Where no residual site was chosen below a child the embedding, ``resid_pre`` of layer 0, is its parent.

    Args:
        clean: The unmodified pass.
        from_tokens: Whether that is wanted. If not, the stream before the first chosen site's block takes the
            embedding's place, so that no path goes on below it.
    """

    def __init__(self, clean: CleanRun, *, from_tokens: bool = True) -> None:
        self.clean = clean
        self._blocks: dict[int, Block] = {}
        self._values = dict(clean.values)
        self._entry = Site(0, "resid_pre")
        if not from_tokens:
            first = min(clean.dictionaries).canonical
            self._entry = Site(first.layer, "resid_pre")
            run = clean.model.run(clean.tokens_S[None], read=[self._entry], stop_after=self._entry)
            self._values.setdefault(self._entry, run.sites[self._entry][0].to(clean.values[Site(0, "resid_pre")]))

    def route(self, child: Site | None) -> Route:
        """The route into a chosen site, or into the metric (None)."""
        info = self.clean.model.info
        end = (self.clean.metric.site(info) if child is None else child).canonical
        cuts = [site for site in self.clean.dictionaries if site < end or (child is None and site == end)]
        start = max((site for site in cuts if site.is_residual), default=self._entry)
        between = [
            Site(layer, kind)
            for layer in range(start.canonical.layer, end.layer + 1)
            for kind in ("attn_out", "mlp_out")
            if start < Site(layer, kind) <= end
        ]
        if info.parallel and end.kind == "mlp_out":
            between.remove(Site(end.layer, "attn_out"))
        return Route(start, end, tuple(between), (start, *(site for site in between if site in cuts)))

    def pull_back(
        self, child: Site, position_N: Tensor, cotangent_ND: Tensor
    ) -> Iterator[tuple[slice, dict[Site, Tensor]]]:
        """Vector-Jacobian products of the direct paths into a chosen site.

        Args:
            child: A chosen site.
            position_N: Position of each cotangent.
            cotangent_ND: Gradient of something with respect to the child's value at that position.

        Yields:
            A slice n of the cotangents, and per parent the gradient: [n, S', d] at every position up to the last of
            the cotangents (later ones have none), or [n, d] where the route is position-wise, so that only the
            cotangent's own position has any. Cotangents in the order of their positions cost least.
        """
        yield from self._pull_back(self.route(child), position_N, cotangent_ND)

    def over_attention(self, child: Site) -> tuple[Route, Site, AttentionRows] | None:
        """How to go into a child in two steps, first to an attention's output at the child's own position.

        Returns:
            The route from that output (and the other parents) to the child, the attention, and its closed form; None
            where the route has no attention or several, or one that has no closed form.
        """
        route = self.route(child)
        site = route.attention
        if site is None or (self.clean.model.info.parallel and site != route.end):
            return None
        before = [part for part in route.parents if part < site]
        stream_SD = torch.stack([self._values[part] for part in before]).sum(0)
        rows = AttentionRows.of(self._block(site.layer), stream_SD)
        if rows is None:
            return None
        self._values[site] = rows.out_SD
        return route.cut_at(site), site, rows

    def pull_back_rows(
        self, route: Route, position_N: Tensor, cotangent_ND: Tensor
    ) -> Iterator[tuple[slice, dict[Site, Tensor]]]:
        """:meth:`pull_back` along the route of :meth:`over_attention`: gradients [n, d] at the own position."""
        if route.end in route.parents:
            yield slice(0, len(position_N)), {route.end: cotangent_ND}
        else:
            yield from self._pull_back(route, position_N, cotangent_ND)

    def _pull_back(
        self, route: Route, position_N: Tensor, cotangent_ND: Tensor
    ) -> Iterator[tuple[slice, dict[Site, Tensor]]]:
        if route.is_identity:
            yield slice(0, len(position_N)), dict.fromkeys(route.parents, cotangent_ND)
            return
        parts = _slices(len(position_N), ROWS_PER_BACKWARD) if route.is_position_wise else _batches(position_N)
        pull = self._by_rows(route) if route.is_position_wise else self._by_batch(route)
        for part in parts:
            yield part, dict(zip(route.parents, pull(position_N[part], cotangent_ND[part]), strict=True))

    def pull_back_metric(self) -> Mapping[Site, Tensor]:
        """Gradient [S, d] of the metric along its direct path from each parent."""
        if self.clean.direct is not None:
            return self.clean.direct
        route = self.route(None)
        metric = self.clean.metric
        with torch.enable_grad():
            out, leaves = self._forward(route, None)
            value = metric.measure(self.clean.model, out[:, metric.position])[0]
            found = torch.autograd.grad(value, leaves)
        return {site: gradient[0] for site, gradient in zip(route.parents, found, strict=True)}

    def metric_gradient(self, parent: Site, x_NSD: Tensor) -> Tensor:
        """Gradient [n, S, d] of the metric along its direct path from one parent.

        Args:
            parent: One of the metric's parents.
            x_NSD: Values that it takes, while all other parents keep theirs.
        """
        metric = self.clean.metric
        with torch.enable_grad():
            leaf = x_NSD.detach().clone().requires_grad_()
            out, _ = self._forward(self.route(None), None, {parent: leaf})
            value = metric.measure(self.clean.model, out[:, metric.position]).sum()
            return torch.autograd.grad(value, leaf)[0]

    def _by_rows(self, route: Route) -> PullBack:
        """Position-wise paths: every cotangent is a row of its own, one backward for all of them."""

        def pull(position_N: Tensor, cotangent_ND: Tensor) -> list[Tensor]:
            with torch.enable_grad():
                out, leaves = self._forward(route, position_N)
                # as a sum, since torch imports sympy for cotangents given to it
                found = torch.autograd.grad((out * cotangent_ND[:, None]).sum(), leaves)
                return [g[:, 0] for g in found]

        return pull

    def _by_batch(self, route: Route) -> PullBack:
        """Paths through attention: a forward up to the last position, cotangents batched through its backward graph."""

        def pull(position_N: Tensor, cotangent_ND: Tensor) -> list[Tensor]:
            with torch.enable_grad():
                out, leaves = self._forward(route, None, length=int(position_N.max()) + 1)
            spread_NBSD = cotangent_ND.new_zeros(len(position_N), *out.shape)
            spread_NBSD[torch.arange(len(position_N)), 0, position_N] = cotangent_ND
            found = torch.autograd.grad(out, leaves, spread_NBSD, is_grads_batched=True)
            return [g[:, 0] for g in found]

        return pull

    def _forward(
        self,
        route: Route,
        rows_N: Tensor | None,
        moved: Mapping[Site, Tensor] | None = None,
        length: int | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Value of the route's end from leaves that hold the parents' clean values.

        Args:
            route: What to compute.
            rows_N: Positions to compute as N sequences of one position [N, 1, d]; None for all of them [1, S, d].
            moved: Parents that have other values [n, S, d].
            length: Without ``rows_N`` and ``moved``, how many positions to compute; None for all.
        """
        leaves: list[Tensor] = []

        def leaf(site: Site) -> Tensor:
            if moved and site in moved:
                return moved[site]
            value_SD = self._values[site]
            value = value_SD[None, :length] if rows_N is None else value_SD[rows_N, None]
            leaves.append(value.detach().clone().requires_grad_())
            return leaves[-1]

        parallel = self.clean.model.info.parallel
        x = entering = leaf(route.start)
        layer = route.start.canonical.layer
        for site in route.parts:
            if site.layer != layer:
                layer, entering = site.layer, x
            if site in route.parents:
                out = leaf(site)
            else:
                block = self._block(site.layer)
                if site.kind == "attn_out":
                    out = block.attention(block.ln1(x))
                else:
                    out = block.mlp(block.ln2(entering if parallel else x))
                if site == route.end:
                    return out, leaves
            x = x + out
        return x, leaves

    def _block(self, layer: int) -> Block:
        if layer not in self._blocks:
            self._blocks[layer] = self.clean.model.block(layer)
        return self._blocks[layer]


def _slices(count: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _batches(position_N: Tensor) -> Iterator[slice]:
    """Cotangents for one backward: few where the attention patterns up to their positions are large."""
    start = 0
    while start < len(position_N):
        last = int(position_N[start : start + COTANGENTS_PER_BACKWARD].max())
        count = max(1, min(COTANGENTS_PER_BACKWARD, PATTERN_PER_BACKWARD // (last + 1) ** 2))
        yield slice(start, min(start + count, len(position_N)))
        start += count
