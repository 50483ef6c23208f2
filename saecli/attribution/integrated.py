"""Integrated gradients: node effects averaged along the way from the prompt to what stands in for it.

At each chosen site by itself, every feature and error goes the straight way from its activation to that of the
stand-in (zero, or a counterfactual's), all of the site at once, while the rest of the model is computed again:

    x(α) = x − α Σ_u v_u        effect(u) = −(∫₀¹ ∂m/∂x(α) dα) · v_u        Σ_u effect(u) = m(x(1)) − m(x)

Source: Sundararajan et al. 2017; per site and joint as ``_pe_ig`` of Marks et al. 2024 (https://arxiv.org/abs/2403.19647,
left rule with 10 steps). The midpoint rule errs by O(1/n²) where the metric is smooth, O(1/n) where a neuron switches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from saecli.attribution.clean import CleanRun, SiteNodes
from saecli.attribution.paths import DirectPaths
from saecli.attribution.suffix import Suffix
from saecli.core.progress import Progress, silent
from saecli.core.site import Site

Rule = Literal["midpoint", "left"]

ROWS = 4096
"""Positions of all steps that are computed together."""

PATTERN = 1 << 20
"""Entries of one head's attention patterns that are kept for the way back, at most."""


@dataclass(frozen=True)
class Integrated:
    """Node effects along the path.

    Attributes:
        clean: The unmodified pass with these gradients and effects.
        differences: Site → metric with all of the site's nodes removed − metric.
    """

    clean: CleanRun
    differences: dict[Site, float]

    def gaps(self) -> dict[Site, float]:
        """Site → how far the sum of its effects is from the measured difference, relative to the larger of the two."""
        out = {}
        for site, difference in self.differences.items():
            effect_N = self.clean.nodes[site].effect_N
            total, size = float(effect_N.sum()), float(effect_N.abs().sum())
            rounding = 64 * torch.finfo(effect_N.dtype).eps * size
            scale = max(abs(total), abs(difference))
            out[site] = abs(total - difference) / scale if scale > rounding else 0.0
        return out


def integrate(clean: CleanRun, *, steps: int = 10, rule: Rule = "midpoint", progress: Progress = silent) -> Integrated:
    """Integrated gradients at every chosen site and at the embedding.

    Args:
        clean: The unmodified pass, with what stands in for what is removed.
        steps: Points on the path.
        rule: Where they lie: in the middle of equal parts, or at their beginning.
        progress: Told which site is done.
    """
    dtype, device = clean.tokens.vector_ND.dtype, clean.tokens.vector_ND.device
    alphas_N = (torch.arange(steps, dtype=dtype, device=device) + (0.5 if rule == "midpoint" else 0.0)) / steps
    suffix = Suffix(clean.model, clean.tokens_S)
    first = clean.tokens.site
    gradients, differences, nodes = dict(clean.gradients), {}, {}
    for done, (site, found) in enumerate(clean.nodes.items()):
        progress("integrating", done, len(clean.nodes), str(site))
        gradients[site], differences[site] = _along(clean, suffix, found, alphas_N)
        nodes[site] = _with_effects(found, gradients[site])
    token_gradient_SD, _ = _along(clean, suffix, clean.tokens, alphas_N)
    if first not in clean.dictionaries:
        gradients[first] = token_gradient_SD
    tokens = _with_effects(clean.tokens, token_gradient_SD)
    made = replace(clean, gradients=gradients, nodes=nodes, tokens=tokens)
    return Integrated(replace(made, direct=_direct(made, alphas_N)), differences)


def _with_effects(nodes: SiteNodes, gradient_SD: Tensor) -> SiteNodes:
    return replace(nodes, effect_N=-(gradient_SD[nodes.position_N] * nodes.vector_ND).sum(-1))


def _whole(nodes: SiteNodes, length: int) -> Tensor:
    """What all nodes of a site take from it together: [S, d]."""
    out_SD = nodes.vector_ND.new_zeros(length, nodes.vector_ND.shape[1])
    return out_SD.index_add_(0, nodes.position_N, nodes.vector_ND)


def _along(clean: CleanRun, suffix: Suffix, nodes: SiteNodes, alphas_N: Tensor) -> tuple[Tensor, float]:
    """Mean gradient [S, d] at one site along the path of all its nodes, and the difference at the path's end."""
    metric, start = clean.metric, suffix.after(nodes.site)
    end = metric.site(clean.model.info)
    whole_SD = _whole(nodes, len(clean.tokens_S))
    mean_SD = torch.zeros_like(whole_SD)
    changed = whole_SD[: metric.position + 1].any(-1).nonzero()[:, 0]
    if not len(changed) or start > end:
        return mean_SD, 0.0
    # the gradient is wanted where something changes only: what comes before is attended to, what comes after unseen
    own = slice(int(changed[0]), metric.position + 1)
    stream_SD, taken_SD = suffix.stream(start)[own], whole_SD[own]

    def measure(x_NSD: Tensor) -> Tensor:
        return metric.measure(clean.model, suffix.at(start, x_NSD, own.start, end, metric.position))

    mean_SD[own] = _mean_gradient(measure, stream_SD, taken_SD, alphas_N, own.stop)
    with torch.no_grad():
        return mean_SD, float(measure((stream_SD - taken_SD)[None])[0]) - clean.value


def _mean_gradient(
    measure: Callable[[Tensor], Tensor], from_SD: Tensor, taken_SD: Tensor, alphas_N: Tensor, length: int
) -> Tensor:
    sum_SD = torch.zeros_like(taken_SD)
    for part_N in alphas_N.split(max(1, min(ROWS // length, PATTERN // length**2))):
        with torch.enable_grad():
            x_NSD = (from_SD - part_N[:, None, None] * taken_SD).requires_grad_()
            sum_SD += torch.autograd.grad(measure(x_NSD).sum(), x_NSD)[0].sum(0)
    return sum_SD / len(alphas_N)


def _direct(clean: CleanRun, alphas_N: Tensor) -> dict[Site, Tensor]:
    """The same along the metric's direct path from each of its parents; all there is where it has but one parent."""
    paths = DirectPaths(clean)
    parents = paths.route(None).parents
    if len(parents) == 1:
        return {parents[0]: clean.gradients[parents[0]]}
    out = {}
    for parent in parents:
        taken_SD = _whole(clean.nodes.get(parent, clean.tokens), len(clean.tokens_S))
        sum_SD = torch.zeros_like(taken_SD)
        length = len(taken_SD)
        for part_N in alphas_N.split(max(1, min(ROWS // length, PATTERN // length**2))):
            x_NSD = clean.values[parent] - part_N[:, None, None] * taken_SD
            sum_SD += paths.metric_gradient(parent, x_NSD).sum(0)
        out[parent] = sum_SD / len(alphas_N)
    return out
