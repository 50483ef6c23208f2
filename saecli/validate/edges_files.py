"""What a measurement of edges leaves in its run directory: tables, the figure, the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from saecli.core.run import Run
from saecli.formats.tables import as_csv
from saecli.report.edges_page import edges_page
from saecli.report.edges_plot import Curve, edges_figure
from saecli.report.figure import as_png, as_svg
from saecli.validate.edges_result import EdgeCurveRow, EdgePoint, EdgesResult
from saecli.validate.result import Estimate

FILES: Final = ("edges.csv", "suites.csv", "edges.png", "edges.svg", "report.html")
_MEASURES: Final = ("ce", "ce_recovered", "kl", "kl_circuit", "random_kl", "random_kl_circuit")
_COLUMNS: Final = ("suite", "pair", "edges", *(f"{name}{end}" for name in _MEASURES for end in ("", "_low", "_high")))


def write_edges(result: EdgesResult, run: Run) -> None:
    """Write :data:`FILES`."""
    points = [
        {"suite": curve.suite, "pair": curve.pair, **_flat(point)} for curve in result.curves for point in curve.points
    ]
    run.write_text("edges.csv", as_csv(points, _COLUMNS))
    run.write_text("suites.csv", _suites_table(result))
    figure = edges_figure([_curve(one) for one in result.curves])
    run.write_bytes("edges.png", as_png(figure))
    svg = as_svg(figure)
    run.write_bytes("edges.svg", svg)
    run.write_text("report.html", edges_page(asdict(result), svg))


def _suites_table(result: EdgesResult) -> str:
    """``suites.csv``: a line per dictionary, and one per suite for all sites together."""
    rows: list[dict[str, Any]] = []
    for suite in result.suites:
        for site in (one for one in result.sites if one.suite == suite.suite):
            chunk = " ".join(f"{part:.4f}" for part in site.l0_per_chunk or ())
            rows.append(
                {"suite": suite.suite, "site": site.site, "arch": site.arch, "latents": site.latents}
                | {"l0_per_chunk": chunk, "jacobian": site.jacobian}
                | _columns(site, ("l0", "variance_explained", "ce_increase"))
            )
        rows.append(
            {"suite": suite.suite, "site": "all", "parameters": suite.parameters} | _columns(suite, ("ce_increase",))
        )
    measures = [f"{name}{end}" for name in ("l0", "variance_explained", "ce_increase") for end in ("", "_low", "_high")]
    columns = ("suite", "site", "arch", "latents", "parameters", "l0_per_chunk", "jacobian", *measures)
    return as_csv([dict.fromkeys(columns) | row for row in rows], columns)


def _curve(one: EdgeCurveRow) -> Curve:
    return Curve(
        suite=one.suite,
        pair=one.pair,
        counts=[point.edges for point in one.points],
        kl=[_three(point.kl) for point in one.points],
        random=[_three(point.random_kl) for point in one.points],
        kl_circuit=[_three(point.kl_circuit) for point in one.points],
        random_circuit=[_three(point.random_kl_circuit) for point in one.points],
        dictionary=_three(one.kl_dictionary)[0],
    )


def _three(one: Estimate) -> tuple[float, float, float]:
    value, low, high = (math.nan if number is None else number for number in (one.value, one.low, one.high))
    return value, low, high


def _flat(point: EdgePoint) -> dict[str, Any]:
    return {"edges": point.edges} | _columns(point, _MEASURES)


def _columns(row: Any, names: Sequence[str]) -> dict[str, Any]:
    """Intervals as three columns."""
    columns = {}
    for name in names:
        one = asdict(getattr(row, name))
        columns |= {name: one["value"], f"{name}_low": one["low"], f"{name}_high": one["high"]}
    return columns
