"""Pictures of connections: degrees, blocks skipped, importance kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from saecli.core.site import Site
from saecli.report.curve_plot import apart
from saecli.report.figure import plain_ticks, series, style
from saecli.report.palette import HELPS, HURTS, INK, MUTED, NEUTRAL, mix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = Sequence[Mapping[str, Any]]
_SHALLOW: Final = 0.7
"""How much of the first layer's colour is grey; the last has none."""
_DIRECTIONS: Final = {"in": "Features that a feature depends on", "out": "Features that depend on a feature"}
_LINES: Final = ("-", "--")
_POSSIBLE: Final = "all that are possible"
_LINE: Final = 0.045
"""Height of a label, of the axis."""
_KEY: Final = 1.4
"""Inches of an entry of a key."""


def connect_figures(tables: Mapping[str, Table], names: Mapping[str, str]) -> dict[str, Figure]:
    """``degrees``, ``skips`` and ``importance``: those that the tables have rows for.

    Args:
        tables: ``degrees`` (``file``, ``direction``, ``degree``, ``features``), ``skips`` (``file``, ``blocks``,
            ``share``, ``possible_share``) and ``importance`` (``site``, ``c``, ``kept``, ``features``).
        names: What each file is called in keys, in order.
    """
    drawn = {"degrees": _degrees, "skips": _skips, "importance": _importance}
    made = {name: draw(tables[name], names) for name, draw in drawn.items() if tables.get(name)}
    return {name: figure for name, figure in made.items() if figure is not None}


def _degrees(rows: Table, names: Mapping[str, str]) -> Figure:
    """Share of features with a degree of so many or more."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(6.4, 2.9), layout="constrained")
        grid = figure.subplots(1, 2, sharey=True)
        for axes, (direction, title) in zip(grid, _DIRECTIONS.items(), strict=True):
            most = 1
            for number, (file, name) in enumerate(names.items()):
                degree_N, share_N = _at_least(
                    [
                        (row["degree"], row["features"])
                        for row in rows
                        if (row["file"], row["direction"]) == (file, direction)
                    ]
                )
                most = max(most, int(degree_N.max()))
                axes.step(degree_N, share_N, where="post", color=series(number)[0], linewidth=1.3, label=name,
                          linestyle=_LINES[number // 5 % 2])  # fmt: skip
            axes.set_xscale("log")
            axes.set_xlim(1, max(2, 1.15 * most))
            axes.set_ylim(0, 1.04)
            axes.set_title(title)
            axes.set_xlabel("so many, or more")
            plain_ticks(axes.xaxis)
        grid[0].set_ylabel("share of features")
        _key(figure, grid[0])
    return figure


def _at_least(counts: Iterable[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Degrees from 1 to one more than there is, and the share of features with at least that."""
    pairs = list(counts)
    features_N = np.zeros(max(degree for degree, _ in pairs) + 2)
    for degree, features in pairs:
        features_N[degree] = features
    share_N = features_N[::-1].cumsum()[::-1] / features_N.sum()
    return np.arange(1, len(share_N)), share_N[1:]


def _skips(rows: Table, names: Mapping[str, str]) -> Figure | None:
    """Share of connections by the number of blocks between their ends, beside all that are possible."""
    from matplotlib.figure import Figure

    files = [file for file in names if any(row["file"] == file and row["share"] is not None for row in rows)]
    if not files:
        return None
    blocks = sorted({row["blocks"] for row in rows})
    possible = {row["blocks"]: row["possible_share"] for row in rows}
    width = 0.8 / len(files)
    with style():
        figure = Figure(
            figsize=(max(4.4, 1.6 + 0.42 * len(blocks) * max(2, len(files) ** 0.5)), 2.9), layout="constrained"
        )
        axes = figure.subplots()
        for number, file in enumerate(files):
            own = {row["blocks"]: row["share"] for row in rows if row["file"] == file}
            places = [block + (number - (len(files) - 1) / 2) * width for block in blocks]
            axes.bar(places, [own[block] for block in blocks], 0.9 * width, color=series(number)[0],
                     alpha=1.0 if number < 5 else 0.55, label=names[file])  # fmt: skip
        for block in blocks:
            axes.plot([block - 0.46, block + 0.46], [possible[block]] * 2, color=INK, linewidth=1.0, linestyle=":",
                      label=_POSSIBLE if block == blocks[0] else None)  # fmt: skip
        axes.set_xticks(blocks)
        axes.set_xlabel("blocks from one feature to the other")
        axes.set_ylabel("share of connections")
        axes.set_title("How far connections reach")
        _key(figure, axes)
    return figure


def _importance(rows: Table, names: Mapping[str, str]) -> Figure:
    """Share of the importance that so many connections of a feature have, per module, labelled with its block, and over
    all."""
    from matplotlib.figure import Figure

    sites = sorted({Site.parse(row["site"]) for row in rows})
    kinds = {"attn_out": HELPS, "mlp_in": HURTS, "resid_pre": MUTED}
    said = {"attn_out": "attention", "mlp_in": "MLP", "resid_pre": "logits"}
    whole: dict[int, list[tuple[float, int]]] = {}
    ends: list[tuple[float, int, str, str]] = []
    with style():
        figure = Figure(figsize=(5.6, 3.2), layout="constrained")
        axes = figure.subplots()
        for site in sites:
            own = [row for row in rows if row["site"] == str(site)]
            same = [one for one in sites if one.kind == site.kind]
            depth = (same.index(site) + 1) / len(same)
            axes.plot([row["c"] for row in own], [row["kept"] for row in own], linewidth=0.9,
                      color=mix(kinds[site.kind], NEUTRAL, _SHALLOW * (1 - depth)),
                      label=said[site.kind] if site == same[-1] else None)  # fmt: skip
            if site.kind != "resid_pre":
                ends.append((own[-1]["kept"], own[-1]["c"], str(site.layer), kinds[site.kind]))
            for row in own:
                whole.setdefault(row["c"], []).append((row["kept"], row["features"]))
        every = {c: parts for c, parts in sorted(whole.items()) if len(parts) == len(sites)}
        means = [sum(value * n for value, n in parts) / sum(n for _, n in parts) for parts in every.values()]
        axes.plot(list(every), means, color=INK, linewidth=1.6, marker="o", markersize=3, label="mean of all")
        axes.set_xscale("log")
        axes.set_xlim(1, max(2, *(row["c"] for row in rows)))
        plain_ticks(axes.xaxis)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("connections of a feature")
        axes.set_ylabel("share of the sizes of its scores")
        axes.set_title("Importance kept")
        ends.sort(reverse=True)
        for height, (_, c, label, colour) in zip(apart([end[0] for end in ends], _LINE, 1.02), ends, strict=True):
            place = {"xytext": (5, 0), "textcoords": "offset points", "va": "center", "fontsize": 6.5}
            axes.annotate(label, (c, height), color=colour, annotation_clip=False, **place)
        _key(figure, axes)
    return figure


def _key(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda place: labels[place] == _POSSIBLE)
    handles, labels = [handles[place] for place in order], [labels[place] for place in order]
    columns = min(len(handles), int(figure.get_figwidth() // _KEY))
    legend = figure.legend(handles, labels, loc="outside lower left", ncols=columns, fontsize=7)
    for text in legend.get_texts():
        text.set_parse_math(False)
