"""``saecli train sae``: load the model, train, measure what is stored, write the suites."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from saecli.core.cache import Cache
from saecli.core.fidelity import SuiteFidelity, measure_suites
from saecli.core.interrupt import deferred_interrupt
from saecli.core.machine import DTYPES, torch_device
from saecli.core.model import HookedModel
from saecli.core.progress import Progress
from saecli.core.result import Result, field_doc
from saecli.core.run import Run
from saecli.core.suite import Suite
from saecli.formats.suite import rounded, suite_files, with_measurements
from saecli.train.activation_cache import RememberingModel
from saecli.train.sae import train_on_vectors, train_sae
from saecli.train.sae_config import TrainSaeConfig
from saecli.train.sae_data import describe_data, open_data, open_held_out
from saecli.train.sae_loop import METRICS, SaeResult
from saecli.train.sae_plan import plan_dictionaries, plan_on_vectors
from saecli.train.vectors import VectorFiles, measure_vectors


@dataclass(frozen=True, kw_only=True)
class TrainedDictionary:
    """One line of the result."""

    suite: str = field_doc("Suite", "Folder of the suite in the run directory.")
    site: str = field_doc("Site", "Where it reads and writes; READS>WRITES for a transcoder.")
    arch: str = field_doc("Architecture", "What it is at inference; batchtopk becomes jumprelu.")
    latents: int = field_doc("Latents", "Number of features.")
    l0: float = field_doc("L0", "Active features per token, on average.")
    variance_explained: float = field_doc("Variance explained", "Pooled over tokens and dimensions, at most 1.")
    dead_share: float = field_doc("Dead share", "Share of features that no held-out token activates.")
    ce_recovered: float | None = field_doc("CE recovered", "Against mean ablation; null if not measured.")
    allowed_kept: float | None = field_doc("Legal kept", "Legal-move rate over the model's own; null if not measured.")


@dataclass(frozen=True, kw_only=True)
class TrainSaeResult(Result):
    """Trained suites in numbers."""

    schema: ClassVar[str] = "saecli.train-sae/1"

    model: str = field_doc("Model", "The model whose activations were learned; empty for vectors of one's own.")
    tokens: int = field_doc("Tokens", "Vectors each dictionary has seen.")
    steps: int = field_doc("Steps", "Steps each dictionary took.")
    suites: list[str] = field_doc("Suites", "Folders of the suites in the run directory.")
    dictionaries: list[TrainedDictionary] = field_doc("Dictionaries", "One entry per dictionary.")

    def summary_lines(self) -> list[str]:
        """One line per suite."""
        lines = []
        for suite in self.suites:
            rows = [row for row in self.dictionaries if row.suite == suite]
            explained = [row.variance_explained for row in rows]
            dead = max(row.dead_share for row in rows)
            lines.append(
                f"{suite}: {len(rows)} dictionaries of {self.model or 'vectors'}, variance explained "
                f"{min(explained):.3f} to {max(explained):.3f}, dead at most {dead:.1%}"
            )
        return lines

    def next_command(self) -> str:
        """Trace with the first suite, if it is of a model."""
        return f"saecli trace {self.model} --suite {{run}}/{self.suites[0]}" if self.model else ""


def plan(config: TrainSaeConfig) -> list[str]:
    """What ``--plan`` prints."""
    if config.activations:
        files = _files(config)
        plans = plan_on_vectors(config, files.width)
        read, widths = f"{files.rows('train'):,} rows", {plans[0].dictionary.reads: files.width}
    else:
        from zoo.load import load_model

        info = load_model(config.model).info
        plans = plan_dictionaries(config, info)
        read = describe_data(config, info)
        widths = {site: info.width(site) for p in plans for site in (p.dictionary.reads, p.dictionary.writes)}
    weights = sum(p.dictionary.n_latents * (p.dictionary.d_in + p.dictionary.d_out + 1) for p in plans)
    megabytes = (12 * weights + 2 * 4 * config.buffer * sum(widths.values())) / 1e6
    lines = [f"{p.name}: {p.recipe} {p.dictionary.n_latents} latents, lr {p.settings.lr:.2g}" for p in plans]
    return [
        *lines,
        f"{config.tokens:,} vectors each of {read}, about {megabytes:,.0f} MB of buffers and weights",
    ]


def run(config: TrainSaeConfig, run: Run, progress: Progress) -> TrainSaeResult | None:
    """Train, measure after rounding to ``save_dtype``, write; of several processes the first one does what follows."""
    run.ranks.join(config.device)
    trained, suites = (_on_vectors if config.activations else _on_model)(config, run, progress)
    if not run.ranks.first:
        return None
    run.record(sites={name: [str(site) for site in suite.sites] for name, suite in suites.items()})
    for name, suite in suites.items():
        for path, content in suite_files(suite, DTYPES[config.save_dtype]).items():
            run.write_bytes(f"{name}/{path}", content)
    run.write_text(METRICS, "".join(json.dumps(record) + "\n" for record in trained.records))
    last = {(record["suite"], record["site"]): record for record in trained.records if record["step"] == trained.steps}
    return TrainSaeResult(
        model="" if config.activations else config.model,
        tokens=trained.tokens,
        steps=trained.steps,
        suites=list(suites),
        dictionaries=[
            row
            for (variant, name) in zip(trained.suites, suites, strict=True)
            for row in _rows(name, suites[name], {site: last[variant, str(site)] for site in suites[name]})
        ],
    )


def _on_vectors(config: TrainSaeConfig, run: Run, progress: Progress) -> tuple[SaeResult, dict[str, Suite]]:
    """Train on vectors of one's own and measure on those held out."""
    torch_device(config.device)
    files = _files(config)
    with deferred_interrupt() as stop:  # Ctrl-C ends the step and keeps it
        trained = train_on_vectors(config, files, run.work, progress, stop, run.threads, run.ranks)
        stop.deliver()
    suites = _stored(config, trained)
    if config.held_out and run.ranks.first:
        suites = {name: with_measurements(suite, measure_vectors(suite, files)) for name, suite in suites.items()}
    return trained, suites


def _files(config: TrainSaeConfig) -> VectorFiles:
    return VectorFiles([Path(one) for one in config.activations], hold_out=config.held_out > 0)


def _stored(config: TrainSaeConfig, trained: SaeResult) -> dict[str, Suite]:
    """The suites by their folders, as they read back."""
    return {_folder(variant): rounded(suite, DTYPES[config.save_dtype]) for variant, suite in trained.suites.items()}


def _on_model(config: TrainSaeConfig, run: Run, progress: Progress) -> tuple[SaeResult, dict[str, Suite]]:
    """Train on a model's activations and measure in the model."""
    from zoo.load import load_model

    device = torch_device(config.device)
    model = load_model(config.model, "folded" if config.processing == "folded" else "raw", device)
    source = open_data(config, model.info, progress)
    data = open_held_out(config, model.info, source) if config.held_out else None
    reading: HookedModel = model
    if config.cache_bytes is not None:
        reading = RememberingModel(model, Cache.at().activations, config.cache_bytes, progress)
    with deferred_interrupt() as stop:  # Ctrl-C ends the step and keeps it
        trained = train_sae(config, reading, run.work, progress, stop, source, run.threads, run.ranks)
        stop.deliver()
    model.module.to("cpu")  # what is measured is what a CPU reads back from the files
    suites = _stored(config, trained)
    if data is not None and run.ranks.first:
        fidelity: dict[str, SuiteFidelity] = measure_suites(
            model, suites, data.held_out, data.fitting, firing=data.firing, seed=config.seed, progress=progress
        )
        run.write_json("fidelity.json", {name: one.to_json() for name, one in fidelity.items()})
        suites = {name: _measured(suite, fidelity[name]) for name, suite in suites.items()}
    return trained, suites


def _folder(variant: str) -> str:
    return f"suite-{variant}" if variant else "suite"


def _measured(suite: Suite, fidelity: SuiteFidelity) -> Suite:
    """The suite with its numbers, which are told by the site written, by the site read."""
    by_site = fidelity.measured()
    return with_measurements(suite, {reads: by_site[config.writes] for reads, config in suite.configs.items()})


def _rows(name: str, suite: Suite, last: dict[Any, dict[str, Any]]) -> list[TrainedDictionary]:
    """The result's lines: measured on held-out data if it was, otherwise the last of training."""
    rows = []
    for site, config in suite.configs.items():
        numbers = suite.info.measured.get(site) or last[site]
        rows.append(
            TrainedDictionary(
                suite=name,
                site=str(site) if site == config.writes else f"{site}>{config.writes}",
                arch=config.arch,
                latents=config.n_latents,
                l0=numbers["l0"],
                variance_explained=numbers["variance_explained"],
                dead_share=numbers["dead_share"],
                ce_recovered=numbers.get("ce_recovered_mean"),
                allowed_kept=numbers.get("allowed_kept"),
            )
        )
    return rows
