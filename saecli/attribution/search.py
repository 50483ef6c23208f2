"""Which features of a site suffice for a prediction: a greedy search by removal.

Of all candidates those are dropped whose single removal leaves the smallest divergence, a share at a time, until none
is left; the order backwards is their rank. Then the candidates are put back, the first rank first, each divergence
being measured, until it falls below the threshold or, if a ``window`` is given, exceeds the mean of the last so many.
Of what was tried without reaching the threshold the set with the smallest divergence is taken.

At the first site the tokens are chosen before: to the target's own that token is added which lowers the divergence the
most, all its features kept, until it is below three quarters of the threshold.

Source: gpt-circuits (https://github.com/peterlai/gpt-circuits). It notes for a dropped feature the divergence of the
set at the beginning of its round; here each is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from saecli.core.progress import Progress, silent

Evaluate = Callable[[Tensor], Tensor]
"""Sets of kept nodes, bool [G, N] → divergence [G]."""

DROPPED: Final = 0.08
"""Share of the candidates dropped in one round."""
COARSE: Final = 0.75
"""Share of the threshold that the choice of tokens has to reach."""
_AHEAD: Final = 16
"""Sets measured together while features are put back."""


@dataclass(frozen=True)
class Found:
    """What suffices at one site, C nodes of N, the first rank first.

    Attributes:
        node_C: Numbers of the nodes.
        entered_C: Divergence once each and all before it are kept.
        effect_C: Divergence without each of the C nodes, less that with all.
        divergence: With all C nodes.
        empty: With none.
        reached: Whether the threshold was.
    """

    node_C: Tensor
    entered_C: Tensor
    effect_C: Tensor
    divergence: float
    empty: float
    reached: bool


def rank_nodes(evaluate: Evaluate, count: int, progress: Progress = silent) -> Tensor:
    """Numbers of N nodes, the most important first: int64 [N].

    Args:
        evaluate: Measures sets.
        count: N.
        progress: Told how many are ranked.
    """
    keep_N = torch.ones(count, dtype=torch.bool)
    dropped: list[int] = []
    while len(dropped) < count:
        progress("ranking features", len(dropped), count)
        left = keep_N.nonzero()[:, 0]
        if len(left) == 1:
            dropped += left.tolist()
            break
        divergence = evaluate(torch.cat([keep_N[None], without_each(keep_N)]))[1:]
        gone = left[divergence.argsort(stable=True)[: math.ceil(DROPPED * len(left))]]
        keep_N[gone] = False
        dropped += gone.tolist()
    return torch.tensor(dropped[::-1], dtype=torch.int64)


def without_each(keep_N: Tensor) -> Tensor:
    """The set without one of its nodes, for each of them: bool [C, N]."""
    left = keep_N.nonzero()[:, 0]
    out = keep_N.repeat(len(left), 1)
    out[torch.arange(len(left)), left] = False
    return out


def put_back(evaluate: Evaluate, rank_N: Tensor, threshold: float, window: int) -> Found:
    """Keep nodes in their order until the divergence is low enough, or stops falling.

    Args:
        evaluate: Measures sets.
        rank_N: From :func:`rank_nodes`.
        threshold: Divergence to fall below.
        window: Divergences whose mean the next must not exceed; 0 for no such limit.
    """
    count = len(rank_N)
    seen: list[float] = []  # seen[c]: with the first c nodes
    end: int | None = None
    while end is None and len(seen) <= count:
        sizes = torch.arange(len(seen), min(len(seen) + _AHEAD, count + 1))
        keep = torch.zeros(len(sizes), count, dtype=torch.bool)
        keep[:, rank_N] = torch.arange(count) < sizes[:, None]
        for divergence in evaluate(keep).tolist():
            seen.append(divergence)
            last = seen[-window - 1 : -1]
            stalled = window and len(last) == window and divergence > math.fsum(last) / window
            if divergence < threshold or stalled:
                end = len(seen) - 1
                break
    reached = seen[-1] < threshold
    best = len(seen) - 1 if reached else min(range(len(seen)), key=lambda c: (seen[c], c))
    node_C = rank_N[:best]
    kept_N = torch.zeros(count, dtype=torch.bool)
    kept_N[node_C] = True
    divergence = evaluate(torch.cat([kept_N[None], without_each(kept_N)]))
    effect_N = torch.zeros(count, dtype=divergence.dtype)
    effect_N[kept_N] = (divergence[1:] - divergence[0]).cpu()
    entered_C = torch.tensor(seen[1 : best + 1], dtype=torch.float64)
    return Found(node_C, entered_C, effect_N[node_C], seen[best], seen[0], reached)


def choose_tokens(evaluate: Evaluate, position_N: Tensor, target: int, threshold: float, most: int) -> list[int]:
    """Tokens whose features are candidates, in the order of their choice.

    Args:
        evaluate: Measures sets.
        position_N: Positions of all nodes.
        target: The token that is always chosen.
        threshold: Of the search.
        most: Tokens at most.
    """
    chosen = [target]
    others = [p for p in position_N.unique().tolist() if p != target]
    divergence = float(evaluate((position_N == target)[None])[0])
    while divergence >= COARSE * threshold and others and len(chosen) < most:
        here_N = torch.isin(position_N, torch.tensor(chosen, device=position_N.device))
        keep = torch.stack([here_N | (position_N == p) for p in others])
        found = evaluate(keep)
        best = int(found.argmin())
        divergence = float(found[best])
        chosen.append(others.pop(best))
    return chosen
