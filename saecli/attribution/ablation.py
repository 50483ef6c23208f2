"""Ablation: remove a feature, run what follows, see which downstream features change.

The edit is additive, x − v_u, so the dictionary's error and bias stay in place. Only the blocks between the feature
and the farthest watched site are run, many removals at a time. Newly woken features are watched too: at each site the
change of the input bounds the change of every pre-activation, |Δ(w·x)| <= |w|·|Δx|, and only the features whose
pre-activation can reach their threshold are encoded again. The bound is exact, so is the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saecli.attribution.clean import CleanRun, SiteNodes
from saecli.core.dictionary import Dictionary
from saecli.core.model import Block
from saecli.core.site import Site

Where = Literal["each", "all", "last"]


@dataclass(frozen=True)
class Removal:
    """What is removed from one site: N removals, each of one feature at one position or at all of them.

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
        """What the removals of a slice subtract from the site: [n, S, d]."""
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


def removals(nodes: SiteNodes, where: Where, length: int) -> Removal:
    """The removals that the features of a site make (errors are left out).

    Args:
        nodes: Active features of one site.
        where: ``each``: every feature at every position on its own; ``last``: those at the last position only;
            ``all``: every feature at all positions at once.
        length: Number of positions of the prompt.
    """
    nodes = nodes.features
    if where == "all":
        index_N, removal_M = nodes.index_N.unique(return_inverse=True)
        return Removal(nodes, removal_M, index_N, torch.full_like(index_N, -1))
    if where == "last":
        nodes = nodes.take(nodes.position_N == length - 1)
    return Removal(nodes, torch.arange(len(nodes), device=nodes.index_N.device), nodes.index_N, nodes.position_N)


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
        self._blocks: dict[int, Block] = {}
        self._streams: dict[Site, Tensor] = {}

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
        length = len(self.clean.tokens_S)
        positions_S = torch.arange(length, device=removal.index_N.device)
        first_N = removal.first_position_N
        for part in self._parts(removal):
            can_change_NS = positions_S >= first_N[part, None]
            start, stream_NSD = self._edited_stream(removal, part)
            for site, value_NSD in self._walk(start, stream_NSD, sites[-1]):
                if site in sites:
                    yield self._watcher(site).changes(value_NSD, can_change_NS, part.start, minimum)

    @torch.no_grad()
    def effects(self, removal: Removal) -> Tensor:
        """Exact effect of each removal on the metric, metric(without) − metric(with): [N]."""
        clean, out = self.clean, []
        end = clean.metric.site(clean.model.info)
        for part in self._parts(removal):
            start, stream_NSD = self._edited_stream(removal, part)
            values = (value for site, value in self._walk(start, stream_NSD, end) if site == end)
            out.append(clean.metric.measure(clean.model, next(values)[:, clean.metric.position]) - clean.value)
        return torch.cat(out) if out else removal.nodes.effect_N.new_zeros(0)

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

    def _edited_stream(self, removal: Removal, part: slice) -> tuple[Site, Tensor]:
        """The residual stream right after the removals' site, without what is removed: [n, S, d]."""
        site = removal.site.canonical
        if site.kind == "attn_out" and not self.clean.model.info.parallel:
            site = Site(site.layer, "resid_mid")
        elif not site.is_residual:
            site = Site(site.layer + 1, "resid_pre")
        stream_SD = self._stream(site)
        return site, stream_SD - removal.vectors(part, len(stream_SD))

    def _stream(self, site: Site) -> Tensor:
        """The unmodified residual stream at a site [S, d]."""
        if site not in self._streams:
            run = self.clean.model.run(self.clean.tokens_S[None], read=[site], stop_after=site)
            self._streams[site] = run.sites[site][0]
        return self._streams[site]

    def _walk(self, start: Site, x: Tensor, last: Site) -> Iterator[tuple[Site, Tensor]]:
        """Run the blocks after a residual site, yielding the value at every site on the way up to ``last``."""
        if start == last:
            yield start, x
        for layer in range(start.layer, self.clean.model.info.n_layers):
            block = self._block(layer)
            mlp_input = x
            if start.kind == "resid_pre" or layer > start.layer:
                attn = block.attention(block.ln1(x))
                yield Site(layer, "attn_out"), attn
                if last == Site(layer, "attn_out"):
                    return
                x = x + attn
            if not block.parallel:
                mlp_input = x
                yield Site(layer, "resid_mid"), x
                if last == Site(layer, "resid_mid"):
                    return
            mlp = block.mlp(block.ln2(mlp_input))
            yield Site(layer, "mlp_out"), mlp
            if last == Site(layer, "mlp_out"):
                return
            x = x + mlp
            yield Site(layer + 1, "resid_pre"), x
            if last == Site(layer + 1, "resid_pre"):
                return

    def _block(self, layer: int) -> Block:
        if layer not in self._blocks:
            self._blocks[layer] = self.clean.model.block(layer)
        return self._blocks[layer]

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
        self.rows_FD = dictionary.W_enc_DF.T.contiguous()
        self.norm_F = self.rows_FD.norm(dim=-1)

    def changes(self, x_NSD: Tensor, can_change_NS: Tensor, first_removal: int, minimum: float) -> Changes:
        """Changes of activation for N changed inputs, at the positions that can have changed."""
        delta_NSD = self.dictionary.prepare(x_NSD)[0] - self.input_SD
        size_NS = delta_NSD.norm(dim=-1) * can_change_NS
        found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for position in range(x_NSD.shape[1]):
            for rows in _of_similar_size(size_NS[:, position]):
                index_C = self._touched(position, size_NS[rows, position].max())
                diff_NC = self._difference(delta_NSD[rows, position], position, index_C)
                row, column = (diff_NC.abs() > minimum).nonzero(as_tuple=True)
                found.append(
                    (rows[row] + first_removal, torch.full_like(row, position), index_C[column], diff_NC[row, column])
                )
        if not found:
            none = torch.zeros(0, dtype=torch.int64, device=x_NSD.device)
            return Changes(self.site, none, none, none, x_NSD.new_zeros(0))
        removal_E, position_E, index_E, delta_E = (torch.cat(column) for column in zip(*found, strict=True))
        return Changes(self.site, removal_E, position_E, index_E, delta_E)

    def _touched(self, position: int, size: Tensor) -> Tensor:
        """Features that are active at a position, or can be after its input moved by at most ``size``."""
        pre_1F = self.pre_SF[position, None]
        slack = 1e-6 * pre_1F.abs().max()  # rounding of the products that the bound is compared with
        mask_F = self.dictionary.may_be_active(pre_1F, (size * self.norm_F)[None] * (1 + 1e-5) + slack)[0]
        return (mask_F | (self.acts_SF[position] != 0)).nonzero()[:, 0]

    def _difference(self, delta_ND: Tensor, position: int, index_C: Tensor) -> Tensor:
        pre_NC = self.pre_SF[position, index_C] + delta_ND @ self.rows_FD[index_C].T
        return self.dictionary.activate(pre_NC, index_C) - self.acts_SF[position, index_C]


def _of_similar_size(size_N: Tensor) -> Iterator[Tensor]:
    """Rows with a non-zero change, grouped by size (factors of four), so that one bound fits a whole group."""
    rows = size_N.nonzero()[:, 0]
    scale = (size_N[rows].log2() / 2).floor()
    for value in scale.unique():
        yield rows[scale == value]
