"""Fidelity as a chart: per site what replacing it keeps, with intervals, beside the controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from saecli.core.fidelity import Interval, Replaced, SiteFidelity, SuiteFidelity
from saecli.core.suite import Suite
from saecli.report.figure import series, style
from saecli.report.palette import MUTED, NEUTRAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CONTROLS: Final = (("pca", "L0 principal components", "x"), ("random", "L0 random directions", "+"))
_TITLES: Final = {
    "resid_pre": "residual stream",
    "resid_post": "residual stream",
    "resid_mid": "residual stream, mid-block",
    "attn_in": "attention inputs",
    "attn_out": "attention outputs",
    "attn_z": "heads before W_O",
    "mlp_in": "MLP inputs",
    "mlp_post": "MLP neurons",
    "mlp_out": "MLP outputs",
}
_ALONE: Final = "dictionary"
_LEGEND: Final = {2: 4.6, 3: 6.0}
"""Inches that a legend of so many columns takes."""
_TOP: Final = 1.05
_LEAST: Final = -0.05

Number = Callable[[Replaced], Interval]
ROWS: Final[tuple[tuple[str, Number], ...]] = (
    ("CE recovered", lambda one: one.recovered_mean),
    ("variance explained", lambda one: one.variance_explained),
)


def panel_title(kind: str) -> str:
    """What a panel of one kind of site is called."""
    return _TITLES.get(kind, kind)


def by_kind(
    suites: Mapping[str, Suite], measured: Mapping[str, SuiteFidelity]
) -> dict[str, dict[str, list[tuple[int, SiteFidelity]]]]:
    """Kind → suite → (layer label, what was measured), in the order of depth."""
    kinds: dict[str, dict[str, list[tuple[int, SiteFidelity]]]] = {}
    for name, suite in suites.items():
        for one in measured[name].sites:
            kind = one.site.canonical.kind
            label = suite.label(one.site).partition(".")[0]
            kinds.setdefault(kind, {}).setdefault(name, []).append((int(label), one))
    return kinds


def fidelity_figure(suites: Mapping[str, Suite], measured: Mapping[str, SuiteFidelity]) -> Figure:
    """One column per kind of site, CE recovered above variance explained; a panel's axis begins where its data do.

    A triangle at the edge stands for a control that is below the axis.
    """
    from matplotlib.figure import Figure

    kinds = by_kind(suites, measured)
    widths = [max(4.5, len({layer for rows in found.values() for layer, _ in rows})) for found in kinds.values()]
    with style():
        width = max(_LEGEND[2], 0.9 + 0.36 * sum(widths))
        figure = Figure(figsize=(width, 4.6), layout="constrained")
        grid = figure.subplots(len(ROWS), len(kinds), squeeze=False, sharey="row", width_ratios=widths)
        for row, (title, number) in enumerate(ROWS):
            low = _lowest(measured, number)
            for column, (kind, found) in enumerate(kinds.items()):
                axes = grid[row, column]
                _panel(axes, found, number, list(suites), low)
                layers = sorted({layer for rows in found.values() for layer, _ in rows})
                axes.set_xticks(layers)
                axes.set_xlim(layers[0] - 0.6, layers[-1] + 0.6)
                if row == 0:
                    axes.set_title(panel_title(kind))
                if row == len(ROWS) - 1:
                    axes.set_xlabel("layer")
            grid[row, 0].set_ylabel(title)
            grid[row, 0].set_ylim(low, _TOP)
        figure.align_ylabels()
        drawn = {}
        for axes in grid.flat:
            handles, labels = axes.get_legend_handles_labels()
            drawn |= dict(zip(labels, handles, strict=True))
        order = sorted(drawn, key=lambda label: label not in (*suites, _ALONE))
        columns = 3 if len(order) == 3 and width >= _LEGEND[3] else 2
        figure.legend([drawn[label] for label in order], order, loc="outside lower center", ncols=columns)
    return figure


def _lowest(measured: Mapping[str, SuiteFidelity], number: Number) -> float:
    """Where the axis begins: below what was measured, but not far below zero."""
    values = [
        number(getattr(one, name)).value
        for fidelity in measured.values()
        for one in fidelity.sites
        for name in ("dictionary", "pca", "random")
    ]
    return max(_LEAST, min([value for value in values if value == value], default=0) - 0.05)


def _panel(
    axes: Axes,
    found: Mapping[str, list[tuple[int, SiteFidelity]]],
    number: Number,
    suites: Sequence[str],
    low: float,
) -> None:
    axes.axhline(1, color=NEUTRAL, linewidth=0.8)
    for position, name in enumerate(suites):
        rows = found.get(name, [])
        colour, marker = series(position)
        shift = (position - (len(suites) - 1) / 2) * 0.14
        x = [layer + shift for layer, _ in rows]
        values = [number(one.dictionary) for _, one in rows]
        axes.plot(x, [one.value for one in values], color=colour, linewidth=0.8, alpha=0.5)
        below = [max(0.0, one.value - one.low) for one in values]
        above = [max(0.0, one.high - one.value) for one in values]
        axes.errorbar(
            x,
            [one.value for one in values],
            yerr=[below, above],
            fmt=marker,
            color=colour,
            markersize=4,
            elinewidth=1,
            zorder=3,
            label=name if len(suites) > 1 else _ALONE,
        )
    first = found.get(suites[0], next(iter(found.values())))
    for control, title, marker in _CONTROLS:
        values = [(layer, number(getattr(one, control)).value) for layer, one in first]
        inside = [(layer, value) for layer, value in values if low <= value <= _TOP]
        axes.plot(
            [layer for layer, _ in inside],
            [value for _, value in inside],
            marker,
            color=MUTED,
            markersize=5,
            label=title,
        )
        outside = [layer for layer, value in values if value < low]
        if outside:
            mark = {"color": NEUTRAL, "markersize": 4, "clip_on": False, "label": "a control below the axis"}
            axes.plot(outside, [low] * len(outside), "v", **mark)
