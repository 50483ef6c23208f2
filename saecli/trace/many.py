"""One graph of many prompts: effects and direct edges of each, positions added up or not, mean over prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from saecli.asking.question import Question
from saecli.attribution import direct
from saecli.attribution.clean import CleanRun, SiteNodes
from saecli.attribution.direct import DirectRun
from saecli.attribution.gradient import direct_edges
from saecli.core.address import Address
from saecli.core.errors import UsageError
from saecli.core.graph import Edge, Node
from saecli.core.progress import Progress
from saecli.core.ranks import ONE, Ranks
from saecli.core.site import Site
from saecli.trace.config import TraceConfig
from saecli.trace.draft import Draft, addresses, nodes_of, totals_of
from saecli.trace.select import Pin, kept_nodes, select_nodes, strongest_edges

_Key = Site | None
"""A site, or None: the tokens as parents, the metric as a child."""


@dataclass(frozen=True)
class Sum:
    """How prompts are added up.

    Attributes:
        aggregate: ``none`` keeps positions, ``sum`` and ``mean`` are over those of a prompt.
        prompts: How many prompts there are; the mean is taken over them.
    """

    aggregate: str
    prompts: int

    def weight(self, length: int) -> float:
        """What one prompt's numbers count."""
        return 1 / (self.prompts * (length if self.aggregate == "mean" else 1))

    def keys(self, nodes: SiteNodes) -> Tensor:
        """int64 [N]: the same for nodes that are one node of the graph."""
        position_N = nodes.position_N if self.aggregate == "none" else torch.full_like(nodes.position_N, -1)
        return (position_N + 1 << 32) + nodes.index_N + 1


class _Table:
    """Nodes of one site, over prompts."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, key_N: Tensor, nodes: SiteNodes, weight: float) -> None:
        self._parts.append((key_N, nodes.effect_N * weight, nodes.activation_N * weight))

    def nodes(self, ranks: Ranks = ONE) -> SiteNodes:
        """Those of all processes, in the order of prompts."""
        parts = (torch.cat(part) for part in zip(*self._parts, strict=True))
        key_N, effect_N, activation_N = map(ranks.gather_rows, parts)
        key_U, row_N = key_N.unique(return_inverse=True)
        effect_U = effect_N.new_zeros(len(key_U)).index_add_(0, row_N, effect_N)
        activation_U = effect_N.new_zeros(len(key_U)).index_add_(0, row_N, activation_N)
        position_U, index_U = (key_U >> 32) - 1, (key_U & (1 << 32) - 1) - 1
        return SiteNodes(self.site, position_U, index_U, activation_U, effect_U.new_zeros(len(key_U), 0), effect_U)


def by_prompts(
    config: TraceConfig,
    questions: Sequence[Question],
    each: Callable[[Sequence[Question]], Iterable[CleanRun | DirectRun]],
    pin: Callable[[Mapping[Site, SiteNodes]], Sequence[Pin]],
    progress: Progress,
    ranks: Ranks = ONE,
) -> tuple[Draft, Address]:
    """Nodes by their effects over all prompts, and the edges among those that stay.

    Prompts are run twice, first for effects and then for edges, so that none has to be kept. Several processes share
    them out; all of them return the same.

    Args:
        config: The user's choices.
        questions: What is asked.
        each: The passes of questions, in their order, with the effects that count.
        pin: What is pinned among the nodes of all prompts.
        progress: Told how far it is.
        ranks: The processes; each is called with all questions.

    Returns:
        The draft, and the target's address.

    Raises:
        UsageError: There are more processes than questions.
    """
    if len(questions) < ranks.size:
        raise UsageError(f"{ranks.size} processes cannot share out {len(questions)} prompts.", "Start fewer.")
    mine = questions[ranks.part(len(questions))]
    how = Sum(config.aggregate, len(questions))
    tables: dict[Site, _Table] = {}
    words = _Table(Site(0, "resid_pre"))
    for done, clean in enumerate(each(mine)):
        progress("effects", done, len(mine))
        weight = how.weight(len(clean.tokens))
        for site, nodes in clean.nodes.items():
            tables.setdefault(site, _Table(site)).add(how.keys(nodes), nodes, weight)
        words.add(how.keys(clean.tokens), clean.tokens, weight)
    every = {site: table.nodes(ranks) for site, table in tables.items()}
    kept = select_nodes(config, every, pin(every))
    tokens = words.nodes(ranks)
    tokens = tokens.take(kept_nodes(config, tokens))
    draft = Draft({}, [], totals_of(every, kept))
    for found in kept.values():
        draft.nodes.update((node.address, node) for node in nodes_of(found))
    edges = _Edges(how, kept, tokens)
    for done, clean in enumerate(each(mine)):
        progress("edges", done, len(mine))
        edges.add(clean, how.weight(len(clean.tokens)))
    edges.share(ranks)
    target = Address("target", position=questions[0].metric.position if how.aggregate == "none" else None)
    edges.into(draft, config, target)
    texts = {position.token: position.text for question in questions for position in question.positions}
    for address, node in draft.nodes.items():
        if address.kind == "token" and address.position is None:
            text = texts[int(address.index or 0)]
            draft.nodes[address] = replace(node, label=text if text.strip() else f'"{text}"')
    return draft, target


class _Edges:
    """Edges among the kept nodes, over prompts."""

    def __init__(self, how: Sum, kept: Mapping[Site, SiteNodes], tokens: SiteNodes) -> None:
        self.how, self.kept, self.tokens = how, kept, tokens
        self._whole = Sum("none", how.prompts)
        self._keys: dict[_Key, Tensor] = {site: self._whole.keys(nodes) for site, nodes in kept.items()}
        self._keys[None] = self._whole.keys(tokens)
        self._weights: dict[_Key, dict[_Key, Tensor]] = {}

    def add(self, run: CleanRun | DirectRun, weight: float) -> None:
        """The edges of one prompt."""
        nodes = {site: self._own(site, found) for site, found in run.nodes.items()}
        tokens = self._own(None, run.tokens)
        if isinstance(run, DirectRun):  # edges are of activations, also where they make no difference to the metric
            felt = {site: found.take(found.effect_N != 0) for site, found in nodes.items()}
            edges = direct.direct_edges(run, felt, tokens=tokens)
        else:
            edges = direct_edges(run, nodes, tokens=tokens)
        for blocks in edges:
            for block in blocks:
                child: _Key = None if block.children is None else block.children.site
                parent: _Key = None if block.tokens else block.parents.site
                row_C = torch.zeros(1, dtype=torch.int64, device=block.weight_CP.device)
                if block.children is not None:
                    row_C = self._rows(child, block.children)
                size = (1 if child is None else len(self._keys[child]), len(self._keys[parent]))
                into = self._weights.setdefault(child, {})
                if parent not in into:
                    into[parent] = block.weight_CP.new_zeros(size)
                place = (row_C[:, None], self._rows(parent, block.parents)[None])
                into[parent].index_put_(place, block.weight_CP * weight, accumulate=True)

    def share(self, ranks: Ranks) -> None:
        """Add up what all processes found."""
        if ranks.size == 1:
            return
        shared: dict[_Key, dict[_Key, Tensor]] = {}
        for child in (*self.kept, None):
            for parent in self._keys:
                own = self._weights.get(child, {}).get(parent)
                size = (1 if child is None else len(self._keys[child]), len(self._keys[parent]))
                found = torch.tensor([own is not None], dtype=torch.int64, device=self.tokens.effect_N.device)
                ranks.sum_(found)
                if found:
                    weight_CP = self.tokens.effect_N.new_zeros(size) if own is None else own
                    ranks.sum_(weight_CP)
                    shared.setdefault(child, {})[parent] = weight_CP
        self._weights = shared

    def into(self, draft: Draft, config: TraceConfig, target: Address) -> None:
        """Add the strongest edges, and the tokens that have any."""
        words = [
            Address("token", None, i, None if p < 0 else p)
            for p, i in zip(self.tokens.position_N.tolist(), self.tokens.index_N.tolist(), strict=True)
        ]
        used: set[Address] = set()
        for child, parents in self._weights.items():
            names = [target] if child is None else addresses(self.kept[child])
            above = [a for parent in parents for a in (words if parent is None else addresses(self.kept[parent]))]
            weight_CP = torch.cat(list(parents.values()), dim=1)
            for c, p in strongest_edges(weight_CP, config).nonzero().tolist():
                draft.edges.append(Edge(above[p], names[c], float(weight_CP[c, p])))
                used.add(above[p])
        for address, effect in zip(words, self.tokens.effect_N.tolist(), strict=True):
            if address in used:
                draft.nodes[address] = Node(address, effect)

    def _own(self, key: _Key, nodes: SiteNodes) -> SiteNodes:
        return nodes.take(torch.isin(self.how.keys(nodes), self._keys[key]))

    def _rows(self, key: _Key, nodes: SiteNodes) -> Tensor:
        return torch.searchsorted(self._keys[key], self.how.keys(nodes))
