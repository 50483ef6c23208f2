"""What a suite keeps through its connections: cross-entropy by their number, and what every module misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saecli.report.figure import SERIES, style
from saecli.report.palette import MUTED, NEUTRAL, mix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ConnectedPoint:
    """One set of connections; every measure is (value, low, high), NaN where it is not known.

    Attributes:
        name: How it is called.
        edges: Number of connections.
        ce: Cross-entropy through them; an interval over sequences.
        random: With as many random ones; the smallest and the largest of the draws.
    """

    name: str
    edges: int
    ce: tuple[float, float, float]
    random: tuple[float, float, float]


def connected_figure(
    points: Sequence[ConnectedPoint],
    levels: Mapping[str, float],
    modules: Mapping[str, Sequence[tuple[str, float]]],
    alone: Sequence[tuple[str, float]],
) -> Figure:
    """Left, if there is a set: cross-entropy. Right: unexplained variance of every module.

    Args:
        points: Sets of connections, in any order.
        levels: Name → cross-entropy drawn as a line across.
        modules: Set → (module, unexplained variance), in the order of computation.
        alone: The same on the model's own activations.
    """
    from matplotlib.figure import Figure

    columns = 2 if points else 1
    with style():
        figure = Figure(figsize=(4.0 * columns, 3.4), layout="constrained")
        grid = figure.subplots(1, columns, squeeze=False)[0]
        if points:
            _entropy(grid[0], sorted(points, key=lambda one: one.edges), levels)
        _modules(grid[-1], modules, alone)
    return figure


def _entropy(axes: Axes, points: Sequence[ConnectedPoint], levels: Mapping[str, float]) -> None:
    edges = [one.edges for one in points]
    axes.set_xscale("log")
    for (name, level), line in zip(levels.items(), ("-", (0, (4, 2)), (0, (1, 1.5))), strict=False):
        axes.axhline(level, color=MUTED, linewidth=0.9, linestyle=line, label=name)
    for values, colour, marker, name in (
        ([one.random for one in points], SERIES[1], "s", "random, smallest to largest"),
        ([one.ce for one in points], SERIES[0], "o", "chosen"),
    ):
        axes.fill_between(
            edges, [one[1] for one in values], [one[2] for one in values], color=mix(colour, "#ffffff", 0.78), lw=0
        )
        axes.plot(edges, [one[0] for one in values], color=colour, marker=marker, markersize=3.5, lw=1.1, label=name)
    axes.set_xticks(edges, [one.name.replace(" per feature", "") for one in points])
    axes.minorticks_off()
    each = all(one.name.endswith("per feature") for one in points)
    axes.set_xlabel("connections per feature" if each else "connections")
    axes.set_ylabel("cross-entropy, nats per token")
    axes.set_title("What the predictions keep")
    axes.legend(fontsize=6.5)
    axes.margins(x=0.1)


def _modules(
    axes: Axes, modules: Mapping[str, Sequence[tuple[str, float]]], alone: Sequence[tuple[str, float]]
) -> None:
    places = range(len(alone))
    axes.plot(places, [value for _, value in alone], color=NEUTRAL, marker="x", markersize=4, lw=1, label="by itself")
    for number, (name, values) in enumerate(modules.items()):
        share = number / max(1, len(modules) - 1)
        axes.plot(
            places,
            [value for _, value in values],
            color=mix(MUTED if name == "all" else mix("#ffffff", SERIES[0], 0.45), SERIES[0], share),
            marker="o",
            markersize=3,
            lw=1.1,
            label=f"{name} connections" if name == "all" else name,
        )
    axes.axhline(1, color=NEUTRAL, lw=0.8)
    axes.set_xticks(list(places), [site for site, _ in alone], rotation=90, fontsize=6.5)
    axes.set_ylim(0, None)
    axes.set_ylabel("variance unexplained")
    axes.set_title("What every module misses")
    axes.legend(fontsize=6.5)
