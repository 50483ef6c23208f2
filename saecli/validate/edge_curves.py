"""``saecli validate SUITE --edges FILE``: KL by the number of edges between two sites, beside random orders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from saecli.attribution.pair import check_pair, feature_pair
from saecli.core.connections import Connections
from saecli.core.errors import InputError
from saecli.core.fingerprint import fingerprint_module
from saecli.core.intervals import Interval
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.formats.connections import read_connections
from saecli.formats.tables import as_csv
from saecli.report.edges_plot import edges_figure
from saecli.report.figure import as_png, as_svg
from saecli.validate.config import ValidateConfig
from saecli.validate.data import data_for, device_for, samples_for
from saecli.validate.edge_measure import OWN, EdgeQuality, measure_edges
from saecli.validate.edges_result import EdgePoint, EdgesResult
from saecli.validate.result import Estimate
from saecli.validate.rows import estimate

_MEASURES: Final = ("ce", "ce_recovered", "kl", "kl_circuit", "random_kl", "random_kl_circuit")
_COLUMNS: Final = ("edges", *(f"{name}{end}" for name in _MEASURES for end in ("", "_low", "_high")))


def plan_edges(config: ValidateConfig, suite_name: str) -> list[str]:
    """What ``--plan`` prints."""
    from zoo.load import load_model, load_suite

    suite = load_suite(suite_name)
    connections, (up, down) = _read(config, suite)
    check_pair(suite, load_model(config.model or suite.info.model, suite.info.processing).info, (up, down))
    counts = _counts(config, connections)
    return [
        f"Keeps {', '.join(f'{one:,}' for one in (0, *counts))} of {connections.n_edges:,} edges from {up} to {down}",
        f"in the order of {connections.score} and {config.draws} random ones, on {config.sequences} held-out sequences",
    ]


def validate_edges(config: ValidateConfig, suite_name: str, run: Run, progress: Progress) -> EdgesResult:
    """Measure every number of edges on the same sequences.

    Raises:
        UsageError, InputError: What does not belong together, fewer edges than asked for, or no data.
    """
    from zoo.load import attach, load_model, load_suite

    device = device_for(config.device)
    suite = load_suite(suite_name, device)
    connections, (up, down) = _read(config, suite)
    model = load_model(config.model or suite.info.model, suite.info.processing, device)
    attach(suite, model)
    if connections.model_fingerprint not in ("", fingerprint_module(model.module)):
        raise InputError(f"{config.edges} belongs to another model than {model.info.name}.", "Connect it again.")
    pair, counts = feature_pair(model, suite, (up, down)), _counts(config, connections)
    data = data_for(config, suite.info.model, model.info, progress)
    samples = samples_for(config, data, {suite.info.name: suite}, suite.info.model, model.info, progress)
    ranks_UF = ranks_of(connections, (up, down), config.seed).to(device)
    orders = {OWN: ranks_UF} | {f"random {draw}": _drawn(ranks_UF, config.seed + draw) for draw in range(config.draws)}
    measured = sorted({0, *counts, ranks_UF.numel()})
    found = measure_edges(
        model,
        pair,
        (up, down),
        orders,
        measured,
        samples.held_out,
        left_out=suite.info.left_out,
        seed=config.seed,
        progress=progress,
    )
    points = [_point(found, count) for count in measured]
    run.write_text("edges.csv", as_csv([_flat(one) for one in points], _COLUMNS))
    figure = edges_figure(
        measured,
        [
            (
                "KL from the model, nats",
                [_three(one.kl) for one in points],
                [_three(one.random_kl) for one in points],
                {"target dictionary alone": found.kl_dictionary.value},
            ),
            (
                "KL from all edges, nats",
                [_three(one.kl_circuit) for one in points],
                [_three(one.random_kl_circuit) for one in points],
                {},
            ),
        ],
        f"Edges from {up} to {down}",
    )
    run.write_bytes("edges.png", as_png(figure))
    run.write_bytes("edges.svg", as_svg(figure))
    own, random_area = found.curves[OWN].area, _mean([found.curves[name].area for name in orders if name != OWN])
    return EdgesResult(
        model=model.info.name,
        suite=suite.info.name,
        data=data,
        pair=f"{up}:{down}",
        score=connections.score,
        possible=ranks_UF.numel(),
        sequences=found.sequences,
        tokens=found.tokens,
        draws=config.draws,
        ce_model=estimate(found.ce_model),
        ce_none=estimate(found.curves[OWN].ce[0]),
        ce_dictionary=estimate(found.ce_dictionary),
        kl_dictionary=estimate(found.kl_dictionary),
        points=points,
        area=estimate(own),
        random_area=estimate(random_area),
        better_than_random=estimate(random_area - own),
        files=["edges.csv", "edges.png", "edges.svg"],
    )


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


def _read(config: ValidateConfig, suite: Suite) -> tuple[Connections, tuple[Site, Site]]:
    from pathlib import Path

    assert config.edges is not None  # noqa: S101
    connections = read_connections(Path(config.edges))
    if len(connections.rows) != 1 or any(rows.scores is None for rows in connections.rows.values()):
        raise InputError(
            f"{config.edges} has no scored edges of one pair of sites.", "Make it: saecli connect --pair SITE:SITE"
        )
    if connections.suite_fingerprint not in ("", suite.fingerprint):
        raise InputError(f"{config.edges} belongs to other dictionaries than {suite.info.name}.", "Connect these.")
    ((down, up),) = connections.rows
    for module in connections.modules:
        if module.reads not in suite or suite.configs[module.reads].n_latents != module.n_latents:
            raise InputError(
                f"{config.edges} has {module.n_latents} features at {module.reads}, which {suite.info.name} has not."
            )
    return connections, (up, down)


def _counts(config: ValidateConfig, connections: Connections) -> list[int]:
    """The numbers asked for, or powers of √2 up to all pairs."""
    ((down, up),) = connections.rows
    widths = {module.reads: module.n_latents for module in connections.modules}
    possible = widths[up] * widths[down]
    usual = {round(2 ** (power / 2)) for power in range(2 * possible.bit_length())}
    counts = list(config.numbers) or sorted({one for one in usual if one < possible} | {possible})
    if max(counts) > connections.n_edges:
        raise InputError(
            f"{config.edges} was cut to {connections.n_edges:,} edges, and {max(counts):,} are to be kept.",
            f"Choose fewer by --counts, or keep more: saecli connect --pair {up}:{down} --keep all",
        )
    return counts


def _drawn(ranks_UF: Tensor, seed: int) -> Tensor:
    order_N = torch.randperm(ranks_UF.numel(), generator=torch.Generator().manual_seed((1 << 20) + seed))
    return order_N.view(ranks_UF.shape).to(ranks_UF.device)


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
    """Intervals as three columns."""
    row: dict[str, Any] = {"edges": point.edges}
    for name in _MEASURES:
        one = asdict(getattr(point, name))
        row |= {name: one["value"], f"{name}_low": one["low"], f"{name}_high": one["high"]}
    return row
