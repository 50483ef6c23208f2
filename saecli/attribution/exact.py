"""Exact effects: nodes removed one by one, errors too, and edges measured one by one.

The effect of a node u is metric(without u) − metric(with u), what follows computed again. The edge u → c is the same
for one path: u is removed, every other chosen site on the way to c is held at its unmodified value, and of what then
changes at c's site only c's own part is put into an otherwise unmodified pass:

    edge(u → c)  =  m(x_c + Δ_c) − m        Δ_c = (f_c(x') d_c(x') − f_c(x) d_c(x)),  x' the site's value without u

with f_c the activation and d_c the direction that c writes; the error of a position has what all features there leave.
Edges out of a node need not sum to its effect: what they do together is more, or less, than what each does alone.

Sources: Marks et al. 2024 ("Sparse feature circuits": exact effects as the oracle of first-order ones); Goldowsky-Dill
et al. 2023 ("Localizing model behavior with path patching").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from saecli.attribution.ablation import Ablation, Removal, removals
from saecli.attribution.clean import ERROR, CleanRun, SiteNodes
from saecli.core.dictionary import Dictionary
from saecli.core.site import Site


@dataclass(frozen=True)
class ExactEdges:
    """Measured edges between the nodes of two sites, E of them.

    Attributes:
        parents: Nodes the edges come from.
        children: Nodes they go to; None for the metric itself.
        parent_E, child_E: Rows of ``parents`` and ``children``.
        weight_E: The metric's change over the path.
    """

    parents: SiteNodes
    children: SiteNodes | None
    parent_E: Tensor
    child_E: Tensor
    weight_E: Tensor


def exact_nodes(ablation: Ablation, nodes: SiteNodes) -> SiteNodes:
    """The nodes of one site with their exact effects, by position; what may be rounding is 0."""
    removal = removals(nodes, "each", len(ablation.clean.tokens_S), errors=True)
    return replace(removal.nodes, effect_N=_measured(ablation, removal))


class DirectEffects:
    """What the removal of some nodes of a site does, directly, to the sites that come next.

    Args:
        ablation: Removes nodes of one prompt.
        parents: Nodes of one site.
        embedding: Whether they are what the embedding writes, so that ``resid_pre`` of layer 0 comes after them.
    """

    def __init__(self, ablation: Ablation, parents: SiteNodes, *, embedding: bool = False) -> None:
        self.ablation, self.clean = ablation, ablation.clean
        self._removal = removals(parents, "each", len(self.clean.tokens_S), errors=True)
        first = [parents.site] if embedding and parents.site in self.clean.dictionaries else []
        self.children = first or ablation.watched(parents.site)
        """Chosen sites that the nodes act on directly."""
        self.reaches_metric = not any(site.is_residual for site in self.children)
        """Whether they act on the metric directly."""

    def woken(self) -> dict[Site, dict[tuple[int, int], float]]:
        """Silent features that some removal wakes: by site, position and index the longest vector they then write."""
        found: dict[Site, dict[tuple[int, int], float]] = {}
        for _, begin, site, x in self.ablation.direct(self._removal, self.children, metric=False):
            silent_SF = self.ablation.activations(site) == 0
            norm_F = self.clean.dictionaries[site].decoder_norms()
            for position in range(begin, len(self.clean.tokens_S)):
                moved = x[:, position - begin]
                gain_NF = _gains(self.clean.dictionaries[site], moved)
                size_F = (gain_NF.abs().amax(0) * norm_F).masked_fill(~silent_SF[position], 0)
                size_F[size_F <= _noise(self.clean, site)] = 0
                here = found.setdefault(site, {})
                for index in size_F.nonzero()[:, 0].tolist():
                    here[position, index] = max(here.get((position, index), 0.0), float(size_F[index]))
        return found

    def edges(self, nodes: Mapping[Site, SiteNodes]) -> Iterator[ExactEdges]:
        """Edges into nodes of the sites that come next, and into the metric where there is a direct path.

        Args:
            nodes: Wanted children, by site.
        """
        clean, wanted = self.clean, [site for site in self.children if len(nodes.get(site, ()))]
        end = clean.metric.site(clean.model.info)
        at = clean.metric.position
        for part, begin, site, x in self.ablation.direct(self._removal, wanted, metric=self.reaches_metric):
            rows = torch.arange(part.start, part.stop, device=x.device)
            if self.reaches_metric and site == end and begin <= at:
                weight_E = clean.metric.measure(clean.model, x[:, at - begin]) - clean.value
                weight_E[(self._removal.nodes.position_N[rows] > at) | (weight_E.abs() <= _rounding(clean))] = 0
                yield ExactEdges(self._removal.nodes, None, rows, torch.zeros_like(rows), weight_E)
            if site in wanted:
                yield self._into(rows, begin, site, x, nodes[site])

    def _into(self, rows: Tensor, begin: int, site: Site, x: Tensor, children: SiteNodes) -> ExactEdges:
        """Edges from the removals ``rows`` into the children of one site."""
        clean, dictionary = self.clean, self.clean.dictionaries[site]
        value_SD, noise = clean.values[site], _noise(clean, site)
        first_N = self._removal.nodes.position_N[rows]
        parents: list[Tensor] = []
        kids: list[Tensor] = []
        vectors: list[Tensor] = []
        for position in children.position_N[children.position_N >= begin].unique().tolist():
            here_C = (children.position_N == position).nonzero()[:, 0]
            index_C = children.index_N[here_C]
            moved_ND = x[:, position - begin]
            gain_NF = _gains(dictionary, moved_ND) - _gains(dictionary, value_SD[position, None])
            vector_NCD = gain_NF[:, index_C.clamp_min(0), None] * dictionary.W_dec_FD[index_C.clamp_min(0)]
            if bool((index_C == ERROR).any()):
                rest_ND = moved_ND - value_SD[position] - gain_NF @ dictionary.W_dec_FD
                vector_NCD = torch.where((index_C == ERROR)[:, None], rest_ND[:, None], vector_NCD)
            changed_NC = (vector_NCD.norm(dim=-1) > noise) & (first_N <= position)[:, None]
            row_E, column_E = changed_NC.nonzero(as_tuple=True)
            parents.append(rows[row_E])
            kids.append(here_C[column_E])
            vectors.append(vector_NCD[row_E, column_E])
        if not parents:
            none = rows[:0]
            return ExactEdges(self._removal.nodes, children, none, none, value_SD.new_zeros(0))
        parent_E, child_E = torch.cat(parents), torch.cat(kids)
        part = replace(children.take(child_E), vector_ND=-torch.cat(vectors))
        every = torch.arange(len(part), device=rows.device)
        alone = Removal(part, every, part.index_N, part.position_N)
        return ExactEdges(self._removal.nodes, children, parent_E, child_E, _measured(self.ablation, alone))


def _measured(ablation: Ablation, removal: Removal) -> Tensor:
    effect_N = ablation.effects(removal)
    return effect_N.masked_fill(effect_N.abs() <= _rounding(ablation.clean), 0)


def _rounding(clean: CleanRun) -> float:
    """Differences of the metric below this are rounding: batches multiply in another order than the single pass."""
    return 16 * torch.finfo(clean.tokens.vector_ND.dtype).eps * max(1.0, abs(clean.value))


def _gains(dictionary: Dictionary, x_ND: Tensor) -> Tensor:
    """How much of its decoder row every feature writes: [N, F]."""
    acts_NF = dictionary.encode(x_ND)
    norm = dictionary.input_norm(x_ND)
    return acts_NF if norm is None else acts_NF * norm.factor


def _noise(clean: CleanRun, site: Site) -> float:
    """Changes of a site below this are rounding."""
    value_SD = clean.values[site]
    return float(value_SD.norm(dim=-1).max()) * 64 * torch.finfo(value_SD.dtype).eps
