"""What a model keeps through the strongest edges between two sites, by their number and suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from saecli.report.figure import series, style
from saecli.report.palette import MUTED, mix

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Line = Sequence[tuple[float, float, float]]
_WIDTH, _HEIGHT = 3.9, 2.6
_RANDOM: Final = (0, (1, 1.5))
_SHADE: Final = 0.22
_ONE_ROW: Final = 36
"""Letters that the names of suites may have together beside the other entries of the legend."""


@dataclass(frozen=True)
class Curve:
    """One suite's edges between two sites.

    Attributes:
        suite, pair: Whose, and where.
        counts: Numbers of edges, 0 first.
        kl, kl_circuit: (value, low, high) of the KL from the model and from all edges, per number.
        random, random_circuit: The same in random order: mean, smallest, largest.
        dictionary: KL of the target dictionary alone.
    """

    suite: str
    pair: str
    counts: Sequence[int]
    kl: Line
    random: Line
    kl_circuit: Line
    random_circuit: Line
    dictionary: float


def edges_figure(curves: Sequence[Curve]) -> Figure:
    """A row of two panels per pair of sites, over the number of edges: logarithmic from 1, linear from 0 to 1."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    pairs = list(dict.fromkeys(one.pair for one in curves))
    suites = list(dict.fromkeys(one.suite for one in curves))
    with style():
        figure = Figure(figsize=(2 * _WIDTH, _HEIGHT * len(pairs) + 0.4), layout="constrained")
        for row, pair in zip(figure.subplots(len(pairs), 2, squeeze=False), pairs, strict=True):
            for axes, name in zip(row, ("KL from the model, nats", "KL from all edges, nats"), strict=True):
                axes.set_xscale("symlog", linthresh=1, linscale=0.4)
                axes.xaxis.set_major_formatter(lambda count, _: _short(count))
                axes.set_xlabel("edges kept")
                axes.set_ylabel(name)
                axes.minorticks_off()
            row[0].set_title(pair.replace(":", " to "))
            for one in (curve for curve in curves if curve.pair == pair):
                colour, marker = series(suites.index(one.suite))
                row[0].axhline(one.dictionary, color=mix(colour, "#ffffff", 0.35), linewidth=0.9, linestyle=(0, (4, 2)))
                _draw(row[0], one.counts, one.kl, one.random, colour, marker)
                _draw(row[1], one.counts, one.kl_circuit, one.random_circuit, colour, marker)
            for axes in row:
                axes.set_ylim(0, None)
        marks: list[Artist] = [
            Line2D([], [], color=series(number)[0], marker=series(number)[1], markersize=3, lw=1.1, label=name)
            for number, name in enumerate(suites)
        ]
        marks.append(Patch(color=MUTED, alpha=_SHADE, lw=0, label="95 % over sequences"))
        marks.append(Line2D([], [], color=MUTED, lw=1.1, linestyle=_RANDOM, label="random order, smallest to largest"))
        marks.append(Line2D([], [], color=MUTED, lw=0.9, linestyle=(0, (4, 2)), label="target dictionary alone"))
        short = sum(map(len, suites)) <= _ONE_ROW
        figure.legend(handles=marks, loc="outside lower center", ncols=len(marks) if short else 2, fontsize=6.5)
    return figure


def _draw(axes: Axes, counts: Sequence[int], own: Line, random: Line, colour: str, marker: str) -> None:
    for values, shade, line, mark in ((random, _SHADE / 2, _RANDOM, ""), (own, _SHADE, "-", marker)):
        low, high = [one[1] for one in values], [one[2] for one in values]
        axes.fill_between(counts, low, high, color=colour, alpha=shade, lw=0)
        axes.plot(counts, [one[0] for one in values], color=colour, marker=mark, markersize=2.5, lw=1.1, linestyle=line)


def _short(count: float) -> str:
    """1, 10, 100, 1k, …"""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:g}{letter}"
    return f"{count:g}"
