"""How much of what reaches the metric passes through each node of a prompt's local replacement model.

With A[t, s] = |w(s, t)| / Σ_u |w(u, t)|, the share that s has in what leads into t, and 1 at the metric,

    influence(s) = Σ_t A[t, s] · (influence(t), at the metric 1)

found site by site from the metric down, so that no edge is kept; what nothing passes through is not looked at.

Source: circuit-tracer (https://github.com/safety-research/circuit-tracer), ``prune_graph``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.attribution.clean import ERROR
from saecli.attribution.direct import DirectEdges, DirectRun
from saecli.attribution.gradient import EdgeBlock
from saecli.core.site import Site


@dataclass(frozen=True)
class Influence:
    """Influence of every node.

    Attributes:
        nodes: Site → of the nodes there [N].
        tokens: Of token nodes [S].
    """

    nodes: dict[Site, Tensor]
    tokens: Tensor

    def shares(self) -> Influence:
        """Cumulative shares: what each node and all that have as much or more hold together of the whole."""
        return self._ranked(right=False)

    def head(self, share: float) -> dict[Site, Tensor]:
        """Masks of the nodes in the shortest head of the ranking that holds a share of the whole."""
        above = self._ranked(right=True)
        return {site: (above.nodes[site] < share) & (one > 0) for site, one in self.nodes.items()}

    def _ranked(self, *, right: bool) -> Influence:
        """Share of the whole that nodes of as much influence or more have; ``right``: only those of more."""
        sorted_M = torch.cat([*self.nodes.values(), self.tokens]).double().sort().values
        below_M = torch.cat([sorted_M.new_zeros(1), sorted_M.cumsum(0)])
        whole = below_M[-1]

        def of(one_N: Tensor) -> Tensor:
            return 1 - below_M[torch.searchsorted(sorted_M, one_N.double(), right=right)] / whole

        return Influence({site: of(one) for site, one in self.nodes.items()}, of(self.tokens))


@torch.no_grad()
def influence_of(run: DirectRun) -> Influence:
    """Influence of every node of a prompt on the metric."""
    found = Influence(
        {site: torch.zeros_like(nodes.effect_N) for site, nodes in run.nodes.items()},
        torch.zeros_like(run.tokens.effect_N),
    )
    edges = DirectEdges(run, run.nodes, run.tokens)
    _pass_on(found, edges.into_metric(), found.tokens.new_ones(1))
    for site in sorted(run.nodes, reverse=True):
        nodes = run.nodes[site]
        reached_M = ((nodes.index_N != ERROR) & (found.nodes[site] > 0)).nonzero()[:, 0]
        passing_M, done = found.nodes[site][reached_M], 0
        for blocks in edges.into(nodes.take(reached_M)):
            count = len(blocks[0].weight_CP)
            _pass_on(found, blocks, passing_M[done : done + count])
            done += count
    return found


def _pass_on(found: Influence, blocks: list[EdgeBlock], passing_C: Tensor) -> None:
    whole_C = sum((block.weight_CP.abs().sum(1) for block in blocks), torch.zeros_like(passing_C))
    part_C = torch.where(whole_C > 0, passing_C / whole_C, 0.0)
    for block in blocks:
        into = found.tokens if block.tokens else found.nodes[block.parents.site]
        into += part_C @ block.weight_CP.abs()
