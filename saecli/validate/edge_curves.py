"""``saecli validate SUITE… --edges FILE…``: KL by the number of edges between two sites, beside random orders.

Suites of one model are measured on the same sequences in the same resamples, as wholes and between every pair of sites,
so that what they differ by has an interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from saecli.attribution.pair import check_pair, feature_pair
from saecli.core.connections import Connections
from saecli.core.errors import InputError, UsageError
from saecli.core.fidelity import SuiteFidelity
from saecli.core.intervals import Interval
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.site import Site
from saecli.core.staircase import chunks, parameters
from saecli.core.suite import Suite
from saecli.formats.connections import read_connections
from saecli.formats.tables import as_csv
from saecli.report.edges_page import edges_page
from saecli.report.edges_plot import Curve, edges_figure
from saecli.report.figure import as_png, as_svg
from saecli.validate.config import ValidateConfig
from saecli.validate.data import device_for
from saecli.validate.edge_measure import OWN, EdgeQuality, measure_edges
from saecli.validate.edges_ratio import edges_ratio
from saecli.validate.edges_result import (
    ComparedSite,
    ComparedSuite,
    EdgeCurveRow,
    EdgeDifference,
    EdgePoint,
    EdgesResult,
)
from saecli.validate.files import short_names
from saecli.validate.result import Estimate
from saecli.validate.rows import differences, estimate
from saecli.validate.suites import open_suites

_MEASURES: Final = ("ce", "ce_recovered", "kl", "kl_circuit", "random_kl", "random_kl_circuit")
_COLUMNS: Final = ("suite", "pair", "edges", *(f"{name}{end}" for name in _MEASURES for end in ("", "_low", "_high")))
_EDGES: Final = "connections-*.safetensors"


@dataclass(frozen=True)
class Edges:
    """Scored edges between two sites of a suite.

    Attributes:
        suite: Name of the suite.
        sites: Source and target.
        connections: Where they stand.
        counts: How many to keep: 0, those asked for, all of them.
    """

    suite: str
    sites: tuple[Site, Site]
    connections: Connections
    counts: tuple[int, ...]

    @property
    def pair(self) -> str:
        """``3.mlp_in:3.mlp_out``."""
        return ":".join(map(str, self.sites))


def plan_edges(config: ValidateConfig, names: Sequence[str]) -> list[str]:
    """What ``--plan`` prints."""
    from zoo.load import load_model, load_suite

    suites = {name: load_suite(name) for name in names}
    first = next(iter(suites.values())).info
    info = load_model(config.model or first.model, first.processing).info
    lines = [f"On {config.sequences} held-out sequences, in the order of scores and {config.draws} random ones:"]
    for one in _read(config, suites, {name: suite.fingerprint for name, suite in suites.items()}):
        check_pair(suites[one.suite], info, one.sites)
        lines.append(f"{one.suite}, {one.pair}: keeps {', '.join(f'{count:,}' for count in one.counts)} edges")
    return lines


def validate_edges(config: ValidateConfig, names: Sequence[str], run: Run, progress: Progress) -> EdgesResult:
    """Measure the suites, and every number of edges of each, on the same sequences.

    Raises:
        UsageError, InputError: What does not belong together, fewer edges than asked for, or no data.
    """
    opened = open_suites(config, names, str(device_for(config.device)), progress)
    model, suites, samples = opened.model, opened.suites, opened.samples
    every = _read(config, suites, opened.fingerprints)
    for one in every:
        if one.connections.model_fingerprint not in ("", opened.model_fingerprint):
            raise InputError(
                f"The edges of {one.suite} belong to another model than {model.info.name}.", "Connect it again."
            )
    pairs = [feature_pair(model, suites[one.suite], one.sites) for one in every]
    measured = opened.measured(config, progress)
    found = []
    for one, pair in zip(every, pairs, strict=True):
        progress(f"{one.suite}, {one.pair}")
        own_UF = ranks_of(one.connections, one.sites, config.seed).int().to(device_for(config.device))
        drawn = {f"random {draw}": _drawn(own_UF, config.seed + draw) for draw in range(config.draws)}
        quality = measure_edges(
            model,
            pair,
            one.sites,
            {OWN: own_UF, **drawn},
            one.counts,
            samples.held_out,
            left_out=suites[one.suite].info.left_out,
            seed=config.seed,
            progress=progress,
        )
        found.append(quality)
    short = dict(zip(suites, short_names(list(suites)), strict=True))
    result = EdgesResult(
        model=model.info.name,
        data=opened.data,
        half=config.half,
        sequences=found[0].sequences,
        tokens=found[0].tokens,
        draws=config.draws,
        ce_model=estimate(found[0].ce_model),
        suites=_suites(suites, measured, short),
        sites=[row for name in suites for row in _sites(short[name], suites[name], measured[name])],
        curves=[_row(one, short[one.suite], quality) for one, quality in zip(every, found, strict=True)],
        differences=_differences(every, found, short),
        files=["edges.csv", "suites.csv", "edges.png", "edges.svg", "report.html"],
    )
    _write(result, run)
    return result


def ranks_of(connections: Connections, pair: tuple[Site, Site], seed: int) -> Tensor:
    """Place of every edge by its score, largest first, int64 [F_up, F_down]; chance decides among equals.

    Edges that the connections lack come last.
    """
    up, down = pair
    widths = {module.reads: module.n_latents for module in connections.modules}
    rows = connections.rows[down, up]
    assert rows.scores is not None  # noqa: S101
    scores_UF = torch.full((widths[up], widths[down]), -math.inf)
    row_E = torch.arange(widths[down]).repeat_interleave(rows.indptr.diff())
    scores_UF[rows.indices.long(), row_E] = rows.scores
    shuffled_N = torch.randperm(scores_UF.numel(), generator=torch.Generator().manual_seed(seed))
    order_N = shuffled_N[scores_UF.flatten()[shuffled_N].sort(descending=True, stable=True).indices]
    return torch.empty_like(order_N).scatter_(0, order_N, torch.arange(len(order_N))).view(scores_UF.shape)


# ----------------------------------------------------------------------------------------------------------------------


def _read(config: ValidateConfig, suites: Mapping[str, Suite], fingerprints: Mapping[str, str]) -> list[Edges]:
    """The edges of every file, in the order of the suites."""
    found: list[Edges] = []
    for path in map(_file, config.edges):
        connections = read_connections(path)
        if not connections.rows or any(rows.scores is None for rows in connections.rows.values()):
            raise InputError(f"{path} has no scored edges between sites.", "Make it: saecli connect --pair SITE:SITE")
        suite = _owner(path, connections, fingerprints, {one.suite for one in found})
        for module in connections.modules:
            configs = suites[suite].configs
            if module.reads not in configs or configs[module.reads].n_latents != module.n_latents:
                raise InputError(f"{path} has {module.n_latents} features at {module.reads}, which {suite} has not.")
        for down, up in connections.pairs:
            if any((one.suite, one.sites) == (suite, (up, down)) for one in found):
                raise UsageError(f"Two of --edges are from {up} to {down} of {suite}.", "Name one.")
            found.append(Edges(suite, (up, down), connections, _counts(config, path, connections, (up, down))))
    without = [name for name in suites if all(one.suite != name for one in found)]
    if without:
        raise UsageError(
            f"No --edges belong to {without[0]}.", f"Make some: saecli connect --suite {without[0]} --pair"
        )
    order = list(suites)
    return sorted(found, key=lambda one: (one.sites, order.index(one.suite)))


def _file(text: str) -> Path:
    """A file, or that of a run of `saecli connect` which has most edges."""
    path = Path(text)
    if not path.is_dir():
        return path
    files = sorted(path.glob(_EDGES), key=lambda one: one.stat().st_size)
    if not files:
        raise InputError(f"{text} has no {_EDGES}.", "Name a file, or a run of saecli connect --pair.")
    return files[-1]


def _owner(path: Path, connections: Connections, fingerprints: Mapping[str, str], served: set[str]) -> str:
    """The suite that a file belongs to; of equal ones the first that has no edges yet."""
    known = connections.suite_fingerprint
    fitting = [name for name, one in fingerprints.items() if one == known or (not known and len(fingerprints) == 1)]
    if not fitting:
        names = " and ".join(fingerprints)
        raise InputError(f"{path} belongs to other dictionaries than {names}.", "Connect these: saecli connect --pair")
    return next((name for name in fitting if name not in served), fitting[0])


def _counts(config: ValidateConfig, path: Path, connections: Connections, pair: tuple[Site, Site]) -> tuple[int, ...]:
    """0, the numbers asked for or powers of √2, and all pairs."""
    up, down = pair
    widths = {module.reads: module.n_latents for module in connections.modules}
    possible, there = widths[up] * widths[down], len(connections.rows[down, up].indices)
    usual = {round(2 ** (power / 2)) for power in range(2 * possible.bit_length())}
    counts = list(config.numbers) or sorted({one for one in usual if one < possible} | {possible})
    if max(counts) > there:
        raise InputError(
            f"{path} was cut to {there:,} edges, and {max(counts):,} are to be kept.",
            f"Choose fewer by --counts, or keep more: saecli connect --pair {up}:{down} --keep all",
        )
    return tuple(sorted({0, *counts, possible}))


def _drawn(ranks_UF: Tensor, seed: int) -> Tensor:
    order_N = torch.randperm(ranks_UF.numel(), generator=torch.Generator().manual_seed((1 << 20) + seed))
    return order_N.view(ranks_UF.shape).to(ranks_UF)


def _suites(
    suites: Mapping[str, Suite], measured: Mapping[str, SuiteFidelity], short: Mapping[str, str]
) -> list[ComparedSuite]:
    """All sites replaced together: of a suite of one site, that one."""
    changes = {one.suite: one.metrics for one in differences(suites, measured) if one.site in ("all", _only(suites))}
    rows = []
    for name, suite in suites.items():
        change = changes.get(name, {})
        rows.append(
            ComparedSuite(
                suite=short[name],
                dictionaries=len(suite),
                parameters=parameters(suite),
                ce_increase=estimate(measured[name].together),
                single_increases=estimate(measured[name].single_increases),
                minus_first=change.get("compound_ce_increase") or change.get("ce_increase"),
            )
        )
    return rows


def _only(suites: Mapping[str, Suite]) -> str | None:
    """The label of the site that every suite has, if it is the only one."""
    labels = {tuple(map(suite.label, suite.sites)) for suite in suites.values()}
    only = labels.pop()
    return only[0] if not labels and len(only) == 1 else None


def _sites(name: str, suite: Suite, measured: SuiteFidelity) -> list[ComparedSite]:
    ends, rows = chunks(suite), []
    for (site, config), one in zip(suite.configs.items(), measured.sites, strict=True):
        steps = (0, *ends.get(site, ()))
        parts = [float(one.active_F[low:high].sum()) for low, high in pairwise(steps)]
        rows.append(
            ComparedSite(
                suite=name,
                site=suite.label(site),
                arch=config.arch,
                latents=config.n_latents,
                l0=estimate(one.l0),
                l0_per_chunk=parts or None,
                variance_explained=estimate(one.dictionary.variance_explained),
                ce_increase=estimate(one.dictionary.ce_increase),
                jacobian=suite.info.measured.get(site, {}).get("jacobian"),
            )
        )
    return rows


def _row(one: Edges, name: str, found: EdgeQuality) -> EdgeCurveRow:
    own = found.curves[OWN]
    random_area = _mean([curve.area for order, curve in found.curves.items() if order != OWN])
    return EdgeCurveRow(
        suite=name,
        pair=one.pair,
        score=one.connections.score,
        possible=one.counts[-1],
        ce_none=estimate(own.ce[0]),
        ce_dictionary=estimate(found.ce_dictionary),
        kl_dictionary=estimate(found.kl_dictionary),
        points=[_point(found, count) for count in one.counts],
        area=estimate(own.area),
        random_area=estimate(random_area),
        better_than_random=estimate(random_area - own.area),
    )


def _differences(
    every: Sequence[Edges], found: Sequence[EdgeQuality], short: Mapping[str, str]
) -> list[EdgeDifference]:
    """Every further suite against the first, where both have edges."""
    first = next(iter(short))
    base = {one.sites: quality for one, quality in zip(every, found, strict=True) if one.suite == first}
    rows = []
    for one, quality in zip(every, found, strict=True):
        if one.suite != first and one.sites in base:
            own, other = quality.curves[OWN], base[one.sites].curves[OWN]
            rows.append(
                EdgeDifference(
                    suite=short[one.suite],
                    against=short[first],
                    pair=one.pair,
                    area=estimate(own.area - other.area),
                    edges_ratio=estimate(edges_ratio(own.kl, other.kl)),
                )
            )
    return rows


def _write(result: EdgesResult, run: Run) -> None:
    points = [
        {"suite": curve.suite, "pair": curve.pair, **_flat(point)} for curve in result.curves for point in curve.points
    ]
    run.write_text("edges.csv", as_csv(points, _COLUMNS))
    run.write_text("suites.csv", suites_table(result))
    figure = edges_figure([_drawn_curve(one) for one in result.curves])
    run.write_bytes("edges.png", as_png(figure))
    svg = as_svg(figure)
    run.write_bytes("edges.svg", svg)
    run.write_text("report.html", edges_page(asdict(result), svg))


def suites_table(result: EdgesResult) -> str:
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


def _drawn_curve(one: EdgeCurveRow) -> Curve:
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


def _point(found: EdgeQuality, count: int) -> EdgePoint:
    own = found.curves[OWN]
    random = [curve for name, curve in found.curves.items() if name != OWN]

    def spread(values: Sequence[float]) -> Estimate:
        return Estimate(float(np.mean(values)), min(values), max(values))

    return EdgePoint(
        edges=count,
        ce=estimate(own.ce[count]),
        ce_recovered=estimate(own.ce_recovered[count]),
        kl=estimate(own.kl[count]),
        kl_circuit=estimate(own.kl_circuit[count]),
        random_kl=spread([one.kl[count].value for one in random]),
        random_kl_circuit=spread([one.kl_circuit[count].value for one in random]),
    )


def _mean(areas: Sequence[Interval]) -> Interval:
    return Interval.of(sum(one.value for one in areas) / len(areas), np.mean([one.draws_R for one in areas], axis=0))


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
