"""``saecli validate SUITE… --edges FILE…``: KL by the number of edges between two sites, beside random orders.

Suites of one model are measured on the same sequences in the same resamples, as wholes and between every pair of sites,
so that what they differ by has an interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from saecli.attribution.pair import check_pair, feature_pair
from saecli.core.errors import InputError
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.validate.config import ValidateConfig
from saecli.validate.data import device_for
from saecli.validate.edge_measure import OWN, measure_edges
from saecli.validate.edges_files import FILES, write_edges
from saecli.validate.edges_read import apart, ranks_of, read_edges
from saecli.validate.edges_result import EdgesResult
from saecli.validate.edges_rows import compared_sites, compared_suites, curve_row, edge_differences
from saecli.validate.files import short_names
from saecli.validate.rows import estimate
from saecli.validate.suites import open_suites


def plan_edges(config: ValidateConfig, names: Sequence[str]) -> list[str]:
    """What ``--plan`` prints."""
    from zoo.load import load_model, load_suite

    suites = {name: load_suite(name) for name in names}
    first = next(iter(suites.values())).info
    info = load_model(config.model or first.model, first.processing).info
    lines = [f"On {config.sequences} held-out sequences, in the order of scores and {config.draws} random ones:"]
    for one in read_edges(config, suites, {name: suite.fingerprint for name, suite in suites.items()}):
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
    every = read_edges(config, suites, opened.fingerprints)
    for one in every:
        if one.connections.model_fingerprint not in ("", opened.model_fingerprint):
            raise InputError(
                f"The edges of {one.suite} belong to another model than {model.info.name}.", "Connect it again."
            )
    pairs = [feature_pair(model, suites[one.suite], one.sites) for one in every]
    near = dict.fromkeys(one.suite for one in every if not apart(one.connections, opened.data, config.half))
    if near:
        progress(
            f"Edges of {' and '.join(near)} may have been scored on sequences that are measured here; connect with "
            "--half first and validate with --half second keep them apart."
        )
    measured = replace(opened, samples=replace(samples, firing=())).measured(config, progress)
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
        suites=compared_suites(suites, measured, short),
        sites=[row for name in suites for row in compared_sites(short[name], suites[name], measured[name])],
        curves=[curve_row(one, short[one.suite], quality) for one, quality in zip(every, found, strict=True)],
        differences=edge_differences(every, found, short),
        files=list(FILES),
    )
    write_edges(result, run)
    return result


def _drawn(ranks_UF: Tensor, seed: int) -> Tensor:
    order_N = torch.randperm(ranks_UF.numel(), generator=torch.Generator().manual_seed((1 << 20) + seed))
    return order_N.view(ranks_UF.shape).to(ranks_UF)
