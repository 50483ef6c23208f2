"""How much of planted circuits each method finds: precision and recall of nodes and edges, beside random circuits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from saecli.report.figure import SERIES, series, style
from saecli.report.palette import MUTED, NEUTRAL, PAPER, mix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURES: Final = ("nodes: precision", "nodes: recall", "edges: precision", "edges: recall")
_LANE: Final = 0.13
"""Inches between two methods."""
_GAP: Final = 1.6
"""Lanes left free between two cases."""


@dataclass(frozen=True)
class Recovered:
    """One method on one case.

    Attributes:
        case, method: Which.
        measures: Value and that of random circuits, for each of :data:`MEASURES`; None where there is none.
    """

    case: str
    method: str
    measures: tuple[tuple[float | None, float | None], ...]


def benchmark_figure(rows: Sequence[Recovered]) -> Figure:
    """One panel per measure, one block of lanes per case, one lane per method."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    cases = list(dict.fromkeys(one.case for one in rows))
    methods = list(dict.fromkeys(one.method for one in rows))
    block = len(methods) - 1 + _GAP
    lane = {
        (case, method): -(number * block + place)
        for number, case in enumerate(cases)
        for place, method in enumerate(methods)
    }
    middle = [-(number * block + (len(methods) - 1) / 2) for number in range(len(cases))]
    with style():
        figure = Figure(figsize=(8.2, 1.0 + _LANE * block * len(cases)), layout="constrained")
        panels = figure.subplots(1, len(MEASURES), sharey=True)
        for place, (axes, title) in enumerate(zip(panels, MEASURES, strict=True)):
            axes.grid(visible=True, axis="x")
            axes.grid(visible=False, axis="y")
            axes.spines["left"].set_visible(False)
            for number, name in enumerate(methods):
                own = [one for one in rows if one.method == name]
                heights = [lane[one.case, name] for one in own]
                values, randoms = zip(*(one.measures[place] for one in own), strict=True)
                colour, marker = series(number)
                axes.hlines(
                    heights,
                    [_number(value) for value in randoms],
                    [_number(value) for value in values],
                    color=mix(colour, PAPER, 0.6),
                    linewidth=1.0,
                )
                axes.plot([_number(v) for v in randoms], heights, "|", color=MUTED, markersize=5, zorder=3)
                axes.plot(
                    [_number(v) for v in values],
                    heights,
                    marker,
                    color=colour,
                    markerfacecolor=colour if number < len(SERIES) else PAPER,
                    markersize=4.2,
                    label=name,
                    zorder=4,
                    clip_on=False,
                )
            for number in range(1, len(cases)):
                axes.axhline(-(number * block) + _GAP / 2, color=mix(PAPER, NEUTRAL, 0.35), linewidth=0.6)
            axes.set_title(title)
            axes.set_xlim(0, 1.02)
            axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
        panels[0].set_yticks(middle, cases)
        panels[0].set_ylim(-(len(cases) * block) + _GAP / 2, _GAP / 2)
        handles, names = panels[0].get_legend_handles_labels()
        handles.append(Line2D([], [], linestyle="", marker="|", color=MUTED, markersize=5))
        figure.legend(
            handles, [*names, "random circuits of equal size"], loc="outside lower center", ncols=len(handles)
        )
    return figure


def _number(value: float | None) -> float:
    return math.nan if value is None else value
