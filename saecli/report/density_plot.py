"""Feature densities as a chart: per site how often its features are active, and how many never are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from saecli.core.fidelity import SuiteFidelity
from saecli.core.suite import Suite
from saecli.report.fidelity_plot import by_kind, panel_title
from saecli.report.figure import no_grid, series, style
from saecli.report.palette import MUTED, NEUTRAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

_HEIGHT: Final = 0.85
"""Of the tallest ridge, in rows."""


def density_figure(
    suites: Mapping[str, Suite], measured: Mapping[str, SuiteFidelity], edges: Sequence[float]
) -> Figure:
    """One column per kind of site, one row per layer: a histogram of log10 density with the share of dead features.

    Args:
        suites: Suites by name.
        measured: What was measured of each.
        edges: Bins of log10 density; the outermost hold what lies beyond.
    """
    from matplotlib.figure import Figure

    kinds = by_kind(suites, measured)
    layers = sorted({layer for found in kinds.values() for rows in found.values() for layer, _ in rows})
    row_of = {layer: row for row, layer in enumerate(layers)}
    with style():
        figure = Figure(figsize=(0.6 + 2.4 * len(kinds), 1.5 + 0.42 * len(layers)), layout="constrained")
        (panels,) = figure.subplots(1, len(kinds), squeeze=False, sharey=True)
        shown = _shown(measured, edges)
        edges = [edge for edge in edges if edge >= shown[0]]
        for axes, (kind, found) in zip(panels, kinds.items(), strict=True):
            no_grid(axes)
            axes.set_title(panel_title(kind))
            axes.set_xlabel("active at this share of tokens")
            for number, name in enumerate(suites):
                colour, _ = series(number)
                for layer, one in found.get(name, []):
                    base = row_of[layer]
                    live_F = np.log10(one.density_F[one.density_F > 0]).clip(edges[0], edges[-1])
                    counts = np.histogram(live_F, edges)[0]
                    tops = base + _HEIGHT * counts / max(1, counts.max())
                    axes.axhline(base, color=NEUTRAL, linewidth=0.5, zorder=1)
                    axes.stairs(tops, edges, baseline=base, fill=True, color=colour, alpha=0.25, zorder=2)
                    axes.stairs(tops, edges, baseline=base, color=colour, linewidth=0.9, zorder=3)
                    _dead(axes, base, number, len(suites), one.dead_share, colour if len(suites) > 1 else MUTED)
            axes.set_xlim(1.32 * shown[0], 0.0)  # room for the words
            ticks = range(int(np.ceil(shown[0])), 1)
            axes.set_xticks(list(ticks), ["1" if tick == 0 else f"$10^{{{tick}}}$" for tick in ticks])
            axes.set_yticks(range(len(layers)), [str(layer) for layer in layers])
            axes.set_ylim(-0.1, len(layers))
        panels[0].set_ylabel("layer")
        if len(suites) > 1:
            handles = [_swatch(series(number)[0], name) for number, name in enumerate(suites)]
            figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
    return figure


def _shown(measured: Mapping[str, SuiteFidelity], edges: Sequence[float]) -> tuple[float, float]:
    """The range of log10 density that has any feature, in steps of a bin."""
    least = min(
        (
            float(np.log10(one.density_F[one.density_F > 0].min()))
            for fidelity in measured.values()
            for one in fidelity.sites
            if (one.density_F > 0).any()
        ),
        default=-1.0,
    )
    return max(edges[0], min(-1.0, float(np.floor(4 * least) / 4))), 0.0


def _dead(axes: Axes, base: int, number: int, suites: int, share: float, colour: str) -> None:
    """The share of dead features at the left of a ridge."""
    axes.annotate(
        f"{share:.1%} dead",
        (0.01, base + 0.12 + number * 0.75 / suites),
        xycoords=("axes fraction", "data"),
        color=colour,
        fontsize=6.5,
        zorder=4,
    )


def _swatch(colour: str, label: str) -> Patch:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, alpha=0.5, edgecolor=colour, label=label)
