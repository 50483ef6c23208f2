"""``saecli finetune``: a suite learns through its connections, and is measured before and after."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from saecli.asking.connected import Connected, open_connected
from saecli.core.connections import Connections
from saecli.core.errors import Terminated, UsageError
from saecli.core.interrupt import deferred_interrupt
from saecli.core.intervals import Interval, ratio
from saecli.core.machine import DTYPES, torch_device
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.suite import Suite
from saecli.data.samples import Samples
from saecli.finetune.config import FinetuneConfig
from saecli.finetune.loop import METRICS, Finetuning
from saecli.finetune.result import Finetuned, FinetuneResult
from saecli.finetune.trained import TrainedSuite
from saecli.formats.connections import NAME, write_connections
from saecli.formats.suite import rounded, suite_files
from saecli.learning.rate import peak_rate
from saecli.learning.reading import data_fingerprint, open_data, open_held_out
from saecli.learning.tracking import tracked
from saecli.pruned.quality import PrunedQuality, measure_pruned
from saecli.pruned.suite import PrunedSuite

MODULES = "modules.csv"


def plan(config: FinetuneConfig) -> list[str]:
    """What ``--plan`` prints."""
    begun = _begin(config)
    lines = [
        f"{name or 'suite'}: {one.n_edges:,} connections ({one.rule}, limit {one.limit})"
        for name, one in begun.connections.items()
    ]
    widths = sorted({one.n_latents for one in begun.suite.configs.values()})
    rates = ", ".join(f"{width} latents lr {peak_rate(width, config.lr):.2g}" for width in widths)
    return [
        f"Finetunes {len(begun.suite)} dictionaries of {begun.suite.info.name} on {begun.model.info.name} with the "
        f"loss {config.loss}, {config.steps:,} steps of {config.sequences} sequences, {rates}",
        *lines,
    ]


def _begin(config: FinetuneConfig) -> Connected:
    return open_connected(
        config.suite,
        config.connections,
        model=config.model,
        limits=config.limits,
        device=torch_device(config.device),
        compat=config.compat == "scae",
    )


def run(config: FinetuneConfig, run: Run, progress: Progress) -> FinetuneResult | None:
    """Train, round to ``save_dtype``, measure, write; of several processes the first one does what follows training."""
    run.ranks.join(config.device)
    if config.sequences < run.ranks.size:
        raise UsageError(f"--sequences {config.sequences} is less than one for each of {run.ranks.size} processes.")
    if config.compat == "scae" and run.ranks.size > 1:
        raise UsageError("--compat scae takes variances over a whole batch, so it runs in one process.")
    begun = _begin(config)
    model, info = begun.model, begun.suite.info
    reads = replace(config, model=config.model or info.model, context=config.context or info.context)
    source = open_data(reads, model.info, progress)
    samples = open_held_out(reads, model.info, source, info.left_out)
    progress(f"{len(begun.suite)} dictionaries of {model.info.name}, {source.n_ctx} positions per sequence")
    suites = {name: TrainedSuite(config, model, begun.suite, one, run.ranks) for name, one in begun.connections.items()}
    identity = {
        "data": data_fingerprint(source),
        "suite": begun.suite.fingerprint,
        "connections": repr({name: (one.rule, one.limit, one.n_edges) for name, one in begun.connections.items()}),
    }
    with tracked(config.wandb, run, config) as mirror, deferred_interrupt() as stop:
        training = Finetuning(config, suites, source, identity, run.work, progress, run.threads, run.ranks, mirror)
        complete = training.run(stop)
        stop.deliver()
        if not complete:  # another process was told to stop
            raise Terminated
    if not run.ranks.first:
        return None
    finished = _write(config, begun, suites, run)
    numbers = _measure(config, begun, finished, samples, progress)
    run.write_text(MODULES, _modules_csv(begun, finished, numbers))
    run.write_bytes(METRICS, (run.work / METRICS).read_bytes())
    first = numbers["all"]
    return FinetuneResult(
        model=model.info.name,
        suite=info.name,
        loss=config.loss,
        steps=config.steps,
        tokens=config.steps * config.sequences * source.n_ctx,
        ce_model=first.ce_model.value,
        ce_all=first.ce.value,
        suites=[_row(name, one, numbers) for name, (_, one) in finished.items()],
    )


def _folder(name: str) -> str:
    return f"suite-{name}" if name else "suite"


def _write(
    config: FinetuneConfig, begun: Connected, suites: Mapping[str, TrainedSuite], run: Run
) -> dict[str, tuple[Suite, Connections]]:
    """The suites as they read back, with connections that know them."""
    dtype, found = DTYPES[config.save_dtype], {}
    for name, trained in suites.items():
        info = replace(begun.suite.info, name=f"{begun.suite.info.name}-{_folder(name)}", measured={})
        for dictionary in trained.suite.values():
            dictionary.requires_grad_(False)
        suite = rounded(Suite.of(info, list(trained.suite.values())), dtype)
        connections = replace(trained.finished(), suite_fingerprint=suite.fingerprint)
        for path, content in suite_files(suite, dtype).items():
            run.write_bytes(f"{_folder(name)}/{path}", content)
        with run.writing(f"{_folder(name)}/{NAME}") as path:
            write_connections(connections, path)
        found[name] = suite, connections
    return found


def _measure(
    config: FinetuneConfig,
    begun: Connected,
    finished: Mapping[str, tuple[Suite, Connections]],
    samples: Samples,
    progress: Progress,
) -> dict[str, PrunedQuality]:
    """With all connections, and every suite before and after, on the same sequences."""
    compat = config.compat == "scae"
    device = torch_device(config.device)
    pruned = {"all": PrunedSuite(begun.model, begun.suite, begun.every, compat=compat)}
    for name, connections in begun.connections.items():
        pruned[f"before {name}"] = PrunedSuite(begun.model, begun.suite, connections, compat=compat)
        suite, theirs = finished[name]
        there = Suite.of(suite.info, [dictionary.to(device) for dictionary in suite.values()])
        pruned[f"after {name}"] = PrunedSuite(begun.model, there, theirs, compat=compat)
    return measure_pruned(pruned, samples.held_out, seed=config.seed, progress=progress)


def _row(name: str, connections: Connections, numbers: Mapping[str, PrunedQuality]) -> Finetuned:
    every, before, after = numbers["all"], numbers[f"before {name}"], numbers[f"after {name}"]
    change = after.ce - before.ce
    lost = before.ce - every.ce
    closed = Interval.of(
        float(ratio(np.array(-change.value), np.array(lost.value))), ratio(-change.draws_R, lost.draws_R)
    )
    known = lost.value > 0
    modules = after.modules.values()
    return Finetuned(
        suite=_folder(name),
        rule=connections.rule,
        limit=connections.limit,
        edges=connections.n_edges,
        ce_before=before.ce.value,
        ce_after=after.ce.value,
        ce_change=change.value,
        ce_change_low=change.low,
        ce_change_high=change.high,
        gap_closed=closed.value if known else None,
        gap_closed_low=closed.low if known else None,
        gap_closed_high=closed.high if known else None,
        recovered_before=before.ce_recovered.value,
        recovered_after=after.ce_recovered.value,
        kl_before=before.kl.value,
        kl_after=after.kl.value,
        fvu_before=float(np.mean([one.fvu.value for one in before.modules.values()])),
        fvu_after=float(np.mean([one.fvu.value for one in modules])),
        l0=float(np.mean([one.l0.value for one in modules])),
        dead_share=float(np.mean([one.dead_share for one in modules])),
    )


def _modules_csv(
    begun: Connected, finished: Mapping[str, tuple[Suite, Connections]], numbers: Mapping[str, PrunedQuality]
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("suite", "site", "latents", "fvu_alone", "fvu_all", "fvu_before", "fvu_after", "l0", "dead_share", "edges")
    )
    for name in finished:
        for site, after in numbers[f"after {name}"].modules.items():
            before, every = numbers[f"before {name}"].modules[site], numbers["all"].modules[site]
            values = [before.fvu_alone, every.fvu, before.fvu, after.fvu, after.l0]
            cells = [f"{one.value:.6g}" for one in values]
            edges = "" if np.isnan(after.edges.value) else f"{after.edges.value:.6g}"
            latents = begun.suite.configs[site].n_latents
            writer.writerow((_folder(name), site, latents, *cells, f"{after.dead_share:.6g}", edges))
    return text.getvalue()
