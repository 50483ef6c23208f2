"""What a model keeps through the strongest edges between two sites, by their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from saecli.report.figure import SERIES, style
from saecli.report.palette import MUTED, mix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Line = Sequence[tuple[float, float, float]]


def edges_figure(
    counts: Sequence[int], panels: Sequence[tuple[str, Line, Line, Mapping[str, float]]], title: str
) -> Figure:
    """A panel per divergence, over the number of edges on an axis that is logarithmic from 1 and linear from 0 to 1.

    Args:
        counts: Numbers of edges.
        panels: Name of the vertical axis; (value, low, high) of the strongest edges and of random ones per count;
            levels drawn across, by name.
        title: Of the figure.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(4.0 * len(panels), 3.2), layout="constrained")
        for axes, (name, chosen, random, levels) in zip(figure.subplots(1, len(panels)), panels, strict=True):
            axes.set_xscale("symlog", linthresh=1, linscale=0.4)
            for level, line in zip(levels.items(), ((0, (4, 2)), (0, (1, 1.5))), strict=False):
                axes.axhline(level[1], color=MUTED, linewidth=0.9, linestyle=line, label=level[0])
            for values, colour, marker, label in (
                (random, SERIES[1], "s", "random order, smallest to largest"),
                (chosen, SERIES[0], "o", "strongest, 95 %"),
            ):
                low, high = [one[1] for one in values], [one[2] for one in values]
                axes.fill_between(counts, low, high, color=mix(colour, "#ffffff", 0.78), lw=0)
                middle = [one[0] for one in values]
                axes.plot(counts, middle, color=colour, marker=marker, markersize=2.5, lw=1.1, label=label)
            axes.set_xlabel("edges kept")
            axes.set_ylabel(name)
            axes.set_ylim(0, None)
            axes.minorticks_off()
        figure.suptitle(title, fontsize=8)
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=6.5)
    return figure
