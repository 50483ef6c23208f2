"""Ablation: remove a feature, run what follows, see which downstream features change.

The edit is additive, x − v_u, so the dictionary's error and bias stay in place. Only the blocks between the feature
and the farthest watched site are run, many removals at a time. Newly woken features are watched too: at each site the
change of the input bounds the change of every pre-activation, |Δ(w·x)| <= |w|·|Δx|, and only the features whose
pre-activation can reach their threshold are encoded again. The bound is exact, so is the result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saecli.attribution.clean import CleanRun, SiteNodes
from saecli.attribution.suffix import Suffix
from saecli.core.dictionary import Dictionary
from saecli.core.site import Site

Where = Literal["each", "all", "last"]

GATHER_COST = 8
"""Gathering a column of the encoder was measured to cost as much as multiplying by about this many."""


@dataclass(frozen=True)
class Removal:
    """What is removed from one site: N removals, each of one feature at one position or at all of them.

    Removals are in the order of the first position they change, so that a batch shares what comes before it.

    Attributes:
        nodes: The active features concerned, M of them.
        removal_M: Which removal each belongs to.
        index_N: Feature index of each removal.
        position_N: Position of each removal, −1 where the feature is removed at every position.
    """

    nodes: SiteNodes
    removal_M: Tensor
    index_N: Tensor
    position_N: Tensor

    def __len__(self) -> int:
        return len(self.index_N)

    @property
    def site(self) -> Site:
        """Where the features live."""
        return self.nodes.site

    @property
    def first_position_N(self) -> Tensor:
        """Nothing before this position can change."""
        first_N = torch.full_like(self.index_N, torch.iinfo(torch.int64).max)
        return first_N.scatter_reduce(0, self.removal_M, self.nodes.position_N, "amin")

    def vectors(self, part: slice, length: int) -> Tensor:
        """What the removals of a slice subtract from the site at each of ``length`` positions: [n, S, d]."""
        member_M = (self.removal_M >= part.start) & (self.removal_M < part.stop)
        nodes = self.nodes.take(member_M)
        out_NSD = nodes.vector_ND.new_zeros(part.stop - part.start, length, nodes.vector_ND.shape[-1])
        out_NSD[self.removal_M[member_M] - part.start, nodes.position_N] = nodes.vector_ND
        return out_NSD


@dataclass(frozen=True)
class Changes:
    """Changes of the activations at one site, sparse: E entries.

    Attributes:
        site: Where.
        removal_E: Which removal caused it.
        position_E, index_E: The feature that changed.
        delta_E: activation(without) − activation(with), never 0.
    """

    site: Site
    removal_E: Tensor
    position_E: Tensor
    index_E: Tensor
    delta_E: Tensor


def removals(nodes: SiteNodes, where: Where, length: int, *, errors: bool = False) -> Removal:
    """The removals that the features of a site make.

    Args:
        nodes: Active features of one site.
        where: ``each``: every feature at every position on its own; ``last``: those at the last position only;
            ``all``: every feature at all positions at once.
        length: Number of positions of the prompt.
        errors: Whether errors are removed as well, one at each position.
    """
    nodes = nodes if errors else nodes.features
    if where == "last":
        nodes = nodes.take(nodes.position_N == length - 1)
    nodes = nodes.take(nodes.position_N.argsort(stable=True))
    if where != "all":
        return Removal(nodes, torch.arange(len(nodes), device=nodes.index_N.device), nodes.index_N, nodes.position_N)
    index_N, removal_M = nodes.index_N.unique(return_inverse=True)
    removal = Removal(nodes, removal_M, index_N, torch.full_like(index_N, -1))
    order = removal.first_position_N.argsort(stable=True)
    return Removal(nodes, order.argsort()[removal_M], index_N[order], removal.position_N)


class Ablation:
    """Removes features of one prompt and watches what changes.

    Args:
        clean: The unmodified pass (its gradients are not used).
        batch_size: Removals per forward pass.
    """

    def __init__(self, clean: CleanRun, *, batch_size: int = 64) -> None:
        self.clean = clean
        self.batch_size = batch_size
        self._watchers: dict[Site, _Watcher] = {}
        self._suffix = Suffix(clean.model, clean.tokens_S)

    def watched(self, site: Site) -> list[Site]:
        """The chosen sites after ``site``, up to and including the next residual one."""
        out: list[Site] = []
        for later in self.clean.sites:
            if later > site and not self._runs_beside(site, later):
                out.append(later)
                if later.is_residual:
                    break
        return out

    @torch.no_grad()
    def changes(self, removal: Removal, *, minimum: float = 0.0) -> Iterator[Changes]:
        """Changes of activation at every watched site, batch by batch of removals.

        Args:
            removal: What to remove.
            minimum: Changes of at most this size are left out.
        """
        sites = self.watched(removal.site)
        if not sites:
            return
        first_N = removal.first_position_N
        for part in self._parts(removal):
            begin = int(first_N[part.start])
            positions = torch.arange(begin, len(self.clean.tokens_S), device=first_N.device)
            can_change = positions >= first_N[part, None]
            start, stream = self._edited_stream(removal, part, begin)
            for site, value in self._suffix.walk(start, stream, begin, sites[-1]):
                if site in sites:
                    yield self._watcher(site).changes(value, begin, can_change, part.start, minimum)

    @torch.no_grad()
    def effects(self, removal: Removal) -> Tensor:
        """Exact effect of each removal on the metric, metric(without) − metric(with): [N]."""
        clean, out = self.clean, []
        end = clean.metric.site(clean.model.info)
        first_N = removal.first_position_N
        for part in self._parts(removal):
            begin, at = int(first_N[part.start]), clean.metric.position
            if begin > at or self._suffix.after(removal.site) > end:
                out.append(removal.nodes.effect_N.new_zeros(part.stop - part.start))
                continue
            start, stream = self._edited_stream(removal, part, begin)
            out.append(clean.metric.measure(clean.model, self._suffix.at(start, stream, begin, end, at)) - clean.value)
        return torch.cat(out) if out else removal.nodes.effect_N.new_zeros(0)

    @torch.no_grad()
    def direct(
        self, removal: Removal, sites: Collection[Site], *, metric: bool
    ) -> Iterator[tuple[slice, int, Site, Tensor]]:
        """What removals make of the value at each of ``sites`` directly, over no other chosen site.

        Args:
            removal: What to remove.
            sites: Chosen sites that are watched, none of them beyond the next residual one.
            metric: Whether the site that the metric reads is watched, too.

        Yields:
            Which removals, the first position computed, the site, and its value from there on: [n, S', d].
        """
        end = self.clean.metric.site(self.clean.model.info)
        start = self._suffix.after(removal.site)
        wanted = {site for site in sites if site >= start} | ({end} if metric and end >= start else set())
        if not wanted:
            return
        held = {site: self.clean.values[site] for site in self.clean.sites if not site.is_residual}
        first_N = removal.first_position_N
        for part in self._parts(removal):
            begin = int(first_N[part.start])
            _, stream = self._edited_stream(removal, part, begin)
            for site, value in self._suffix.walk(start, stream, begin, max(wanted), held):
                if site in wanted:
                    yield part, begin, site, value

    def activations(self, site: Site) -> Tensor:
        """Unmodified activations at a chosen site, dense [S, F]."""
        return self._watcher(site).acts_SF

    # --- what follows one site ----------------------------------------------------------------------------------------

    def _parts(self, removal: Removal) -> Iterator[slice]:
        for start in range(0, len(removal), self.batch_size):
            yield slice(start, min(start + self.batch_size, len(removal)))

    def _runs_beside(self, site: Site, later: Site) -> bool:
        """In a parallel block the MLP does not see the attention."""
        return self.clean.model.info.parallel and site.kind == "attn_out" and later.canonical.layer == site.layer

    def _edited_stream(self, removal: Removal, part: slice, begin: int) -> tuple[Site, Tensor]:
        """The residual stream right after the removals' site without what is removed, from ``begin`` on: [n, S', d]."""
        site = self._suffix.after(removal.site)
        stream_SD = self._suffix.stream(site)
        return site, (stream_SD - removal.vectors(part, len(stream_SD)))[:, begin:]

    def _watcher(self, site: Site) -> _Watcher:
        if site not in self._watchers:
            self._watchers[site] = _Watcher(site, self.clean.dictionaries[site], self.clean.values[site])
        return self._watchers[site]


class _Watcher:
    """Encodes changed inputs of one dictionary, but only the features that the change can touch.

    Args:
        site: Where the dictionary reads.
        dictionary: The dictionary.
        x_SD: Its unmodified input.
    """

    def __init__(self, site: Site, dictionary: Dictionary, x_SD: Tensor) -> None:
        self.site = site
        self.dictionary = dictionary
        self.input_SD = dictionary.prepare(x_SD)[0]
        self.pre_SF = dictionary.preactivations(x_SD)
        self.acts_SF = dictionary.activate(self.pre_SF)
        self.norm_F = dictionary.W_enc_DF.norm(dim=0)

    def changes(self, x: Tensor, begin: int, can_change: Tensor, first_removal: int, minimum: float) -> Changes:
        """Changes of activation for n changed inputs.

        Args:
            x: The inputs from position ``begin`` on: [n, S', d].
            begin: First position.
            can_change: bool [n, S'].
            first_removal: Number of the first input.
            minimum: Changes of at most this size are left out.
        """
        delta = self.dictionary.prepare(x)[0] - self.input_SD[begin:]
        size = delta.norm(dim=-1) * can_change
        found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for column in range(x.shape[1]):
            for rows in _of_similar_size(size[:, column]):
                index_C, diff_NC = self._difference(begin + column, delta[rows, column], size[rows, column].max())
                row, slot = (diff_NC.abs() > minimum).nonzero(as_tuple=True)
                position = torch.full_like(row, begin + column)
                found.append((rows[row] + first_removal, position, index_C[slot], diff_NC[row, slot]))
        if not found:
            none = torch.zeros(0, dtype=torch.int64, device=x.device)
            return Changes(self.site, none, none, none, x.new_zeros(0))
        removal_E, position_E, index_E, delta_E = (torch.cat(part) for part in zip(*found, strict=True))
        return Changes(self.site, removal_E, position_E, index_E, delta_E)

    def _difference(self, position: int, delta_ND: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        """Features [C] that can change at a position, and their change [n, C], when its input moves by ``delta_ND``."""
        pre_F, acts_F = self.pre_SF[position], self.acts_SF[position]
        rounding = 16 * torch.finfo(pre_F.dtype).eps  # of the products that the bound is compared with
        bound_F = size * self.norm_F * (1 + rounding) + rounding * pre_F.abs().max()
        mask_F = self.dictionary.may_be_active(pre_F[None], bound_F[None])[0] | (acts_F != 0)
        index_C = mask_F.nonzero()[:, 0]
        if len(index_C) * GATHER_COST > len(mask_F):
            index_C = torch.arange(len(mask_F), device=mask_F.device)
            after_NC = self.dictionary.activate(pre_F + delta_ND @ self.dictionary.W_enc_DF)
        else:
            columns_DC = self.dictionary.W_enc_DF.index_select(1, index_C)
            after_NC = self.dictionary.activate(pre_F[index_C] + delta_ND @ columns_DC, index_C)
        return index_C, after_NC - acts_F[index_C]


def _of_similar_size(size_N: Tensor) -> Iterator[Tensor]:
    """Rows with a non-zero change, grouped by size (factors of four), so that one bound fits a whole group."""
    rows = size_N.nonzero()[:, 0]
    scale = (size_N[rows].log2() / 2).floor()
    for value in scale.unique():
        yield rows[scale == value]
