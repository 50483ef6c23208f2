"""Fidelity against L0 as a chart: what suites of a sweep keep at every site, beside principal components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from saecli.core.fidelity import SiteFidelity, SuiteFidelity
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.report.fidelity_plot import ROWS, Number, panel_title
from saecli.report.figure import style
from saecli.report.palette import HELPS, MUTED, NEUTRAL, mix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TOP: Final = 1.05
_LEAST: Final = -0.05
_SHALLOW: Final = 0.7
"""How much of the first layer's colour is grey; the last has none."""
_LINE: Final = 0.048
"""Height of a label, of the axis."""


def curves(
    suites: Mapping[str, Suite], measured: Mapping[str, SuiteFidelity]
) -> dict[str, dict[Site, list[tuple[str, SiteFidelity]]]]:
    """Kind → site → (suite, what was measured) in the order of L0, for the sites of two suites or more."""
    kinds: dict[str, dict[Site, list[tuple[str, SiteFidelity]]]] = {}
    for name in suites:
        for one in measured[name].sites:
            kinds.setdefault(one.site.canonical.kind, {}).setdefault(one.site, []).append((name, one))
    found = {
        kind: {
            site: sorted(points, key=lambda point: point[1].l0.value)
            for site, points in sorted(sites.items())
            if len(points) > 1
        }
        for kind, sites in kinds.items()
    }
    return {kind: sites for kind, sites in found.items() if sites}


def curve_figure(suites: Mapping[str, Suite], measured: Mapping[str, SuiteFidelity]) -> Figure | None:
    """One column per kind of site, CE recovered above variance explained; None where no site is in two suites.

    A line joins the suites at one site, light for early layers and dark for late ones, with its label at the right;
    bars are 95 % intervals. Dashed in the same order: as many principal components.
    """
    from matplotlib.figure import Figure

    kinds = curves(suites, measured)
    if not kinds:
        return None
    labels = {
        site: suite.label(site) for suite in suites.values() for site in (one.writes for one in suite.configs.values())
    }
    with style():
        figure = Figure(figsize=(max(4.6, 0.9 + 2.5 * len(kinds)), 4.8), layout="constrained")
        grid = figure.subplots(len(ROWS), len(kinds), squeeze=False, sharex="col", sharey="row")
        for row, (title, number) in enumerate(ROWS):
            low = _lowest(kinds, number)
            for column, (kind, sites) in enumerate(kinds.items()):
                axes = grid[row, column]
                _panel(axes, sites, number, labels, low)
                if row == 0:
                    axes.set_title(panel_title(kind))
                if row == len(ROWS) - 1:
                    axes.set_xlabel("active features per token (L0)")
            grid[row, 0].set_ylabel(title)
            grid[row, 0].set_ylim(low, _TOP)
        figure.align_ylabels()
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=2)
    return figure


def _lowest(kinds: Mapping[str, Mapping[Site, list[tuple[str, SiteFidelity]]]], number: Number) -> float:
    """Where the axis begins: below every dictionary, but not far below zero."""
    values = [
        number(one.dictionary).value for sites in kinds.values() for points in sites.values() for _, one in points
    ]
    finite = [value for value in values if np.isfinite(value)]
    return max(_LEAST, min(finite, default=0.0) - 0.1)


def _panel(
    axes: Axes,
    sites: Mapping[Site, list[tuple[str, SiteFidelity]]],
    number: Number,
    labels: Mapping[Site, str],
    low: float,
) -> None:
    from matplotlib.ticker import NullLocator, ScalarFormatter

    axes.axhline(1, color=NEUTRAL, linewidth=0.8)
    axes.set_xscale("log", base=2)
    everywhere = sorted({round(one.l0.value, 1) for points in sites.values() for _, one in points})
    if len(everywhere) <= 8:
        axes.set_xticks(everywhere)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    ends: list[tuple[float, float, str, str]] = []
    for place, (site, points) in enumerate(sites.items()):
        depth = place / max(1, len(sites) - 1)
        colour, grey = mix(HELPS, NEUTRAL, _SHALLOW * (1 - depth)), mix(MUTED, NEUTRAL, _SHALLOW * (1 - depth))
        l0 = [one.l0.value for _, one in points]
        values = [number(one.dictionary) for _, one in points]
        controls = [number(one.pca).value for _, one in points]
        shown = place == len(sites) - 1  # the legend shows the darkest
        axes.plot(
            l0,
            controls,
            "--",
            color=grey,
            linewidth=0.8,
            marker="x",
            markersize=3.5,
            zorder=2,
            label="L0 principal components" if shown else None,
        )
        axes.errorbar(
            l0,
            [one.value for one in values],
            yerr=[
                [max(0.0, one.value - one.low) if np.isfinite(one.low) else 0.0 for one in values],
                [max(0.0, one.high - one.value) if np.isfinite(one.high) else 0.0 for one in values],
            ],
            fmt="o-",
            color=colour,
            markersize=3.5,
            linewidth=1.1,
            elinewidth=0.8,
            zorder=3,
            label="dictionary" if shown else None,
        )
        ends.append((values[-1].value, l0[-1], labels[site].partition(".")[0], colour))
    ends = sorted((end for end in ends if end[0] >= low), reverse=True)
    heights = apart([end[0] for end in ends], _LINE * (_TOP - low), _TOP)
    for height, (_, x, label, colour) in zip(heights, ends, strict=True):
        place = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "fontsize": 6.5}
        axes.annotate(label, (x, height), color=colour, annotation_clip=False, **place)
    axes.margins(x=0.12)


def apart(wanted: Sequence[float], room: float, high: float) -> list[float]:
    """Falling heights at least ``room`` apart and not above ``high``, as near to those wanted (falling too) as can be.

    But for ``high`` the least squares are an isotonic regression of ``wanted[i] + i * room``: neighbours that would
    collide are pooled at their mean.
    """
    pools: list[list[float]] = []
    for place, height in enumerate(wanted):
        pools.append([height + place * room])
        while len(pools) > 1 and np.mean(pools[-1]) > np.mean(pools[-2]):
            pools[-2:] = [pools[-2] + pools[-1]]
    level = np.repeat([np.mean(pool) for pool in pools], [len(pool) for pool in pools])
    return [float(one) - place * room for place, one in enumerate(np.minimum(level, high))] if pools else []
