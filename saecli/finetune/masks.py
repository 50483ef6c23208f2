r"""Learned masks: which of the connections given a suite keeps, by hard-concrete gates.

Of every connection e a number a_e is learned, at temperature β (falling from 2 to .1), with u uniform in (0, 1)::

    s_e    = σ((log u − log(1 − u) + a_e) / β)
    gate_e = 1[s̄_e > ½],  s̄_e = min(1, max(0, s_e (ζ − γ) + γ)),  γ = −.1, ζ = 1.1;  the gradient is that of s̄_e
    loss   = (Σ_e P(s̄_e > 0) / (F · target) − 1)²,  P(s̄_e > 0) = σ(a_e − β log(−γ/ζ)),  over F features that have any

What is kept in the end are the connections with a_e > 0, whose gate is open without noise.

Sources: Louizos, Welling and Kingma 2018 (arXiv:1712.01312); the hard gates and the temperature: branch ``binary`` of
https://github.com/jacobcd52/dictionary_learning.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.connections import Connections, Rows, indptr_of
from saecli.core.site import Site
from saecli.pruned.suite import PrunedSuite

_LOW: Final = -0.1
_HIGH: Final = 1.1
_START: Final = 1.0
_RATE: Final = 0.05
_HOTTEST: Final = 2.0
_COLDEST: Final = 0.1


class Masks:
    """The gates of a suite's connections.

    Args:
        pruned: Whose ``gates`` are set by :meth:`sample`.
        target: Connections of a feature that stay, on average.
        steps: Of the run.
        seed: Of the noise.
    """

    def __init__(self, pruned: PrunedSuite, target: int, steps: int, seed: int) -> None:
        self._pruned, self._target, self._steps, self._seed = pruned, target, steps, seed
        like = next(pruned.parameters())
        self.logits = {
            site: torch.full((pattern.n_edges,), _START, dtype=like.dtype, device=like.device, requires_grad=True)
            for site, pattern in pruned.patterns.items()
            if pattern.n_edges
        }
        self._features = sum(int((pruned.patterns[site].indptr_F1.diff() > 0).sum()) for site in self.logits)
        self.adam = torch.optim.Adam(list(self.logits.values()), _RATE)

    def temperature(self, step: int) -> float:
        """β before a step."""
        return max(_COLDEST, _HOTTEST * (1 - step / self._steps))

    def sample(self, step: int) -> Tensor:
        """Draw the gates of a step, the same in every process, and return the loss of their number."""
        generator = torch.Generator().manual_seed((self._seed << 24) + step)
        beta, expected = self.temperature(step), torch.zeros(())
        for site, logits_E in self.logits.items():
            uniform_E = torch.rand(len(logits_E), generator=generator, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
            noise_E = (uniform_E.log() - (1 - uniform_E).log()).to(logits_E)
            stretched_E = ((noise_E + logits_E) / beta).sigmoid() * (_HIGH - _LOW) + _LOW
            soft_E = stretched_E.clamp(0, 1)
            hard_E = (soft_E > 0.5).to(soft_E)
            self._pruned.gates[site] = soft_E + (hard_E - soft_E).detach()
            expected = expected.to(logits_E) + (logits_E - beta * math.log(-_LOW / _HIGH)).sigmoid().sum()
        return (expected / (self._features * self._target) - 1).square()

    def apply(self, rate: float) -> None:
        """Move by the gradients, with a factor on the learning rate."""
        for group in self.adam.param_groups:
            group["lr"] = _RATE * rate
        self.adam.step()
        self.adam.zero_grad()

    def kept(self, connections: Connections) -> Connections:
        """The connections whose gates are open, scored by σ(a)."""
        rows: dict[tuple[Site, Site], Rows] = {}
        for site, logits_E in self.logits.items():
            pattern, open_E = self._pruned.patterns[site], logits_E.detach().cpu() > 0
            row_E, column_E = pattern.rows_E().cpu().long(), pattern.columns_E.cpu().long()
            first = 0
            for up, width in zip(pattern.sources, pattern.widths, strict=True):
                here_E = open_E & (column_E >= first) & (column_E < first + width)
                scores_E = logits_E.detach().cpu().float().sigmoid()[here_E]
                by_score = scores_E.argsort(descending=True, stable=True)
                order = by_score[row_E[here_E][by_score].argsort(stable=True)]
                counts_F = row_E[here_E].bincount(minlength=pattern.n_down)
                indices_E = (column_E[here_E][order] - first).int()
                rows[site, up] = Rows(indptr_of(counts_F), indices_E, scores_E[order])
                first += width
        return replace(connections, rule="overall", limit=None, rows=rows, score="learned masks")

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes."""
        return {
            "logits": {str(site): one.detach() for site, one in self.logits.items()},
            "adam": self.adam.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        for site, one in self.logits.items():
            one.data.copy_(state["logits"][str(site)])
        self.adam.load_state_dict(state["adam"])
