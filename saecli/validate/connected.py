"""``saecli validate SUITE --connections``: what is kept of the model through few connections, beside random ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from functools import reduce
from operator import add
from typing import Any, Final

import numpy as np

from saecli.asking.connected import Connected, open_connected
from saecli.asking.flags import parse_limits
from saecli.core.connections import Connections
from saecli.core.intervals import Interval
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.formats.tables import as_csv
from saecli.pruned.quality import PrunedQuality, measure_pruned
from saecli.pruned.suite import PrunedSuite
from saecli.report.connected_plot import ConnectedPoint, connected_figure
from saecli.report.figure import as_png, as_svg
from saecli.validate.config import ValidateConfig
from saecli.validate.connected_result import ConnectedModule, ConnectedResult, ConnectedSet
from saecli.validate.data import data_for, device_for, samples_for
from saecli.validate.result import Estimate
from saecli.validate.rows import estimate

ALL: Final = "all"
NONE: Final = "none"
_SETS: Final = (
    *("name", "rule", "limit", "edges"),
    *(f"{name}{end}" for name in ("ce", "ce_increase", "ce_recovered", "kl") for end in ("", "_low", "_high")),
    *("fvu", "l0", "dead_share"),
    *(f"{name}{end}" for name in ("edges_used", "random_ce", "better_than_random") for end in ("", "_low", "_high")),
)
_MODULES: Final = (
    *("name", "site", "latents"),
    *(f"{name}{end}" for name in ("fvu", "fvu_alone") for end in ("", "_low", "_high")),
    *("l0", "dead_share", "edges_used"),
)


def plan_connected(config: ValidateConfig, suite: str) -> list[str]:
    """What ``--plan`` prints."""
    connected = _open(config, suite, "cpu")
    return [
        f"Measures on {config.sequences} held-out sequences what {connected.model.info.name} keeps through {suite}",
        *(f"{_name(name, one)}: {one.n_edges:,} connections" for name, one in connected.connections.items()),
        f"and {config.draws} random sets of each",
    ]


def validate_connected(config: ValidateConfig, suite: str, run: Run, progress: Progress) -> ConnectedResult:
    """Measure every set on the same sequences.

    Raises:
        UsageError, InputError: What does not belong together, or no data.
    """
    device = device_for(config.device)
    connected = _open(config, suite, str(device))
    info = connected.suite.info
    data = data_for(config, info.model, connected.model.info, progress)
    samples = samples_for(config, data, {info.name: connected.suite}, info.model, connected.model.info, progress)
    chosen = {_name(name, one): one for name, one in connected.connections.items() if one.rule != ALL}
    sets = {ALL: connected.every, **chosen, NONE: _none(connected)}
    drawn = {
        f"{name} random {draw}": one.randomised(config.seed + draw)
        for name, one in chosen.items()
        for draw in range(config.draws)
    }
    pruned = {
        name: PrunedSuite(
            connected.model,
            connected.suite,
            one,
            compat=config.compat == "scae",
            errors=config.errors == "kept",
        )
        for name, one in {**sets, **drawn}.items()
    }
    found = measure_pruned(pruned, samples.held_out, seed=config.seed, progress=progress)
    first = found[ALL]
    rows = [_set(name, one, found, config.draws if name in chosen else 0) for name, one in sets.items()]
    modules = [
        _module(name, connected, site, found[name].modules[site]) for name in sets for site in found[name].modules
    ]
    run.write_text("connections.csv", as_csv([_flat(one) for one in rows], _SETS))
    run.write_text("modules.csv", as_csv([_flat(one) for one in modules], _MODULES))
    figure = connected_figure(
        [_point(one) for one in rows if one.name in chosen],
        {"the model": first.ce_model.value, "all connections": first.ce.value, "no connections": found[NONE].ce.value},
        {
            name: [(module.site, module.fvu.value or math.nan) for module in modules if module.name == name]
            for name in (ALL, *chosen)
        },
        [(module.site, module.fvu_alone.value or math.nan) for module in modules if module.name == ALL],
    )
    run.write_bytes("connected.png", as_png(figure))
    run.write_bytes("connected.svg", as_svg(figure))
    return ConnectedResult(
        model=connected.model.info.name,
        suite=info.name,
        data=data,
        sequences=first.sequences,
        tokens=first.tokens,
        score=next(iter(connected.connections.values())).score,
        draws=config.draws if chosen else 0,
        ce_model=estimate(first.ce_model),
        ce_embedding=estimate(first.ce_embedding),
        sets=rows,
        modules=modules,
        files=["connections.csv", "modules.csv", "connected.png", "connected.svg"],
    )


def _open(config: ValidateConfig, suite: str, device: str) -> Connected:
    return open_connected(
        suite,
        config.connections,
        model=config.model or "",
        limits=parse_limits(config.c),
        device=device,
        compat=config.compat == "scae",
    )


def _name(name: str, connections: Connections) -> str:
    """How a set is called: ``30 per feature``."""
    if connections.rule == ALL:
        return ALL
    return f"{connections.limit} {connections.rule.replace('-', ' ')}" if connections.limit else name or "as given"


def _none(connected: Connected) -> Connections:
    every = connected.every
    return Connections(every.modules, "overall", 0, parallel=every.parallel)


def _set(name: str, connections: Connections, found: Mapping[str, PrunedQuality], draws: int) -> ConnectedSet:
    one = found[name]
    modules = one.modules.values()
    random_ce = better = None
    if draws:
        values = [found[f"{name} random {draw}"].ce for draw in range(draws)]
        numbers = [value.value for value in values]
        random_ce = Estimate(float(np.mean(numbers)), min(numbers), max(numbers))
        total = reduce(add, values)
        better = estimate(Interval.of(total.value / draws, total.draws_R / draws) - one.ce)
    used = reduce(add, (module.edges for module in modules))
    return ConnectedSet(
        name=name,
        rule=connections.rule,
        limit=connections.limit,
        edges=connections.n_edges,
        ce=estimate(one.ce),
        ce_increase=estimate(one.ce_increase),
        ce_recovered=estimate(one.ce_recovered),
        kl=estimate(one.kl),
        fvu=float(np.mean([module.fvu.value for module in modules])),
        l0=float(np.mean([module.l0.value for module in modules])),
        dead_share=float(np.mean([module.dead_share for module in modules])),
        edges_used=Estimate(None, None, None) if math.isnan(used.value) else estimate(used),
        random_ce=random_ce,
        better_than_random=better,
    )


def _module(name: str, connected: Connected, site: Any, one: Any) -> ConnectedModule:
    return ConnectedModule(
        name=name,
        site=str(site),
        latents=connected.suite.configs[site].n_latents,
        fvu=estimate(one.fvu),
        fvu_alone=estimate(one.fvu_alone),
        l0=one.l0.value,
        dead_share=one.dead_share,
        edges_used=None if math.isnan(one.edges.value) else one.edges.value,
    )


def _point(one: ConnectedSet) -> ConnectedPoint:
    return ConnectedPoint(one.name, one.edges, _three(one.ce), _three(one.random_ce))


def _three(one: Estimate | None) -> tuple[float, float, float]:
    if one is None:
        return math.nan, math.nan, math.nan
    value, low, high = (math.nan if number is None else number for number in (one.value, one.low, one.high))
    return value, low, high


def _flat(row: ConnectedSet | ConnectedModule) -> dict[str, Any]:
    """Intervals as three columns."""
    found: dict[str, Any] = {}
    for name, value in asdict(row).items():
        if isinstance(value, dict):
            found |= {name: value["value"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
        else:
            found[name] = value
    return found
