"""Dose and response: what becomes of numbers as one activation is scaled, a panel each for different units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from saecli.report.figure import MARKERS, SERIES, style
from saecli.report.palette import NEUTRAL

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def dose_figure(doses: Sequence[float], panels: Mapping[str, Mapping[str, Sequence[float]]], label: str) -> Figure:
    """One panel per unit, side by side.

    Args:
        doses: What the activation was multiplied by, ascending.
        panels: Title → name → a number per dose; at most five names each.
        label: Of the horizontal axis.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(0.6 + 3.4 * len(panels), 3.1), layout="constrained")
        grid = figure.subplots(1, len(panels), squeeze=False)
        for axes, (title, curves) in zip(grid[0], panels.items(), strict=True):
            if doses[0] <= 1 <= doses[-1]:
                axes.axvline(1, color=NEUTRAL, linewidth=0.8, linestyle=(0, (1, 1.5)))
            for (name, values), colour, marker in zip(curves.items(), SERIES, MARKERS, strict=False):
                axes.plot(doses, values, color=colour, linewidth=1.1, marker=marker, markersize=2.5, label=name)
            axes.set_title(title)
            axes.set_xlabel(label)
            if len(curves) > 1:
                axes.legend(fontsize=6, frameon=False)
    return figure
