"""``saecli train sae``: load the model, train, measure what is stored, write the suites."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from saecli.core.cache import Cache
from saecli.core.errors import Terminated
from saecli.core.fidelity import SuiteFidelity, measure_suites
from saecli.core.interrupt import Stop, deferred_interrupt
from saecli.core.machine import DTYPES, torch_device
from saecli.core.model import HookedModel
from saecli.core.progress import Progress
from saecli.core.ranks import Ranks, ranks_here
from saecli.core.result import Result, field_doc
from saecli.core.run import Run
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.core.threads import default_threads
from saecli.formats.suite import rounded, suite_files, with_measurements
from saecli.learning.checkpoint import Mirror
from saecli.learning.reading import describe_data, open_data, open_held_out
from saecli.learning.tracking import tracked
from saecli.train.activation_cache import RememberingModel
from saecli.train.jacobian_held_out import measure_pairs
from saecli.train.jacobian_plan import check_paths
from saecli.train.left_out import left_out
from saecli.train.products import has_bf16
from saecli.train.recipes import TRAINED
from saecli.train.sae import train_on_vectors, train_sae
from saecli.train.sae_config import TrainSaeConfig
from saecli.train.sae_loop import METRICS, SaeResult
from saecli.train.sae_memory import as_read, memory_need, model_need, require_room
from saecli.train.sae_plan import plan_dictionaries, plan_on_vectors
from saecli.train.trainer import TrainerConfig
from saecli.train.vectors import VectorFiles, measure_vectors

Chunks = dict[str, dict[Site, list[float]]]
"""L0 per chunk by the suite's folder and the site read."""


@dataclass(frozen=True, kw_only=True)
class TrainedDictionary:
    """One line of the result."""

    suite: str = field_doc("Suite", "Folder of the suite in the run directory.")
    site: str = field_doc("Site", "Where it reads and writes; READS>WRITES for a transcoder.")
    arch: str = field_doc("Architecture", "What it is at inference; batchtopk becomes jumprelu.")
    latents: int = field_doc("Latents", "Number of features.")
    l0: float = field_doc("L0", "Active features per token, on average.")
    l0_per_chunk: list[float] | None = field_doc(
        "L0 per chunk", "Of a staircase: that of the features new at the first site, at the second, and so on."
    )
    variance_explained: float = field_doc("Variance explained", "Pooled over tokens and dimensions, at most 1.")
    dead_share: float = field_doc("Dead share", "Share of features that no held-out token activates.")
    jacobian: float | None = field_doc(
        "Jacobian",
        "Of a Jacobian-sparse pair, at the site written: mean size of the derivative of an active feature by one at "
        "the site read; without held-out data over the last steps of training.",
    )
    jacobian_coefficient: float | None = field_doc("Jacobian coefficient", "Of such a pair: what that weighed.")
    ce_recovered: float | None = field_doc("CE recovered", "Against mean ablation; null if not measured.")
    allowed_kept: float | None = field_doc("Legal kept", "Legal-move rate over the model's own; null if not measured.")


@dataclass(frozen=True, kw_only=True)
class TrainSaeResult(Result):
    """Trained suites in numbers."""

    schema: ClassVar[str] = "saecli.train-sae/1"

    model: str = field_doc("Model", "The model whose activations were learned; empty for vectors of one's own.")
    tokens: int = field_doc("Tokens", "Vectors each dictionary has seen, but for controls.")
    steps: int = field_doc("Steps", "Steps each dictionary took, but for controls.")
    suites: list[str] = field_doc("Suites", "Folders of the suites in the run directory.")
    dictionaries: list[TrainedDictionary] = field_doc("Dictionaries", "One entry per dictionary.")

    def summary_lines(self) -> list[str]:
        """One line per suite."""
        lines = []
        for suite in self.suites:
            rows = [row for row in self.dictionaries if row.suite == suite]
            explained = [row.variance_explained for row in rows]
            dead = max(row.dead_share for row in rows)
            slopes = [row.jacobian for row in rows if row.jacobian is not None]
            moved = f", Jacobian {min(slopes):.3g} to {max(slopes):.3g}" if slopes else ""
            lines.append(
                f"{suite}: {len(rows)} dictionaries of {self.model or 'vectors'}, variance explained "
                f"{min(explained):.3f} to {max(explained):.3f}, dead at most {dead:.1%}{moved}"
            )
        return lines

    def next_command(self) -> str:
        """Measure the suites side by side, if they are of a model."""
        suites = " ".join(f"{{run}}/{suite}" for suite in self.suites)
        return f"saecli validate {suites} --model {shlex.quote(self.model)}" if self.model else ""


def plan(config: TrainSaeConfig) -> list[str]:
    """What ``--plan`` prints.

    Raises:
        UsageError, InputError: Sites or data are not there, or the run does not fit into memory.
    """
    if config.activations:
        files = _files(config)
        plans = plan_on_vectors(config, files.width)
        read, room = f"{files.rows('train'):,} rows", _require_room(config, plans, ranks_here())
    else:
        from zoo.load import load_model

        model = load_model(config.model)
        plans = plan_dictionaries(config, model.info)
        check_paths(plans, model)
        read = describe_data(config, model.info)
        room = _require_room(config, plans, ranks_here(), model)
    ways = {p.name: f"lr {p.settings.lr:.2g}" if p.recipe in TRAINED else "untrained" for p in plans}
    lines = [f"{p.name}: {p.recipe} {p.dictionary.n_latents} latents, {ways[p.name]}{_together(p)}" for p in plans]
    return [*lines, f"{config.tokens:,} vectors each of {read}", room]


def _together(plan: TrainerConfig) -> str:
    """What a dictionary is trained together with."""
    if plan.sharing:
        return f", a staircase: {plan.sharing.kind}"
    return f", a Jacobian pair: coefficient {plan.pairing.coefficient:g}" if plan.pairing else ""


def _require_room(
    config: TrainSaeConfig,
    plans: Sequence[TrainerConfig],
    ranks: Ranks,
    model: HookedModel | None = None,
    positions: int | None = None,
) -> str:
    of_model = 0
    if model is not None:
        parameters = sum(parameter.numel() for parameter in model.module.parameters())
        positions = positions or config.context or model.info.n_ctx
        config = as_read(config, positions)
        of_model = model_need(config, model.info, parameters, positions, ranks.size)
    threads = config.threads or default_threads()
    return require_room(config, memory_need(config, plans, threads, ranks.size, of_model), ranks)


def run(config: TrainSaeConfig, run: Run, progress: Progress) -> TrainSaeResult | None:
    """Train, measure after rounding to ``save_dtype``, write; of several processes the first one does what follows."""
    run.ranks.join(config.device)
    if config.precision.startswith("bf16") and not has_bf16(config.device):
        progress(f"{config.device} here has no bf16 units: --precision {config.precision} is slower than fp32.")
    trained, suites, chunks = (_on_vectors if config.activations else _on_model)(config, run, progress)
    if not run.ranks.first:
        return None
    run.record(sites={name: [str(site) for site in suite.sites] for name, suite in suites.items()})
    for name, suite in suites.items():
        for path, content in suite_files(suite, DTYPES[config.save_dtype]).items():
            run.write_bytes(f"{name}/{path}", content)
    run.write_text(METRICS, "".join(json.dumps(record) + "\n" for record in trained.records))
    last = {(record["suite"], record["site"]): record for record in trained.records}
    return TrainSaeResult(
        model="" if config.activations else config.model,
        tokens=trained.tokens,
        steps=trained.steps,
        suites=list(suites),
        dictionaries=[
            row
            for (variant, name) in zip(trained.suites, suites, strict=True)
            for row in _rows(
                name, suites[name], {site: last[variant, str(site)] for site in suites[name]}, chunks.get(name, {})
            )
        ],
    )


def _on_vectors(config: TrainSaeConfig, run: Run, progress: Progress) -> tuple[SaeResult, dict[str, Suite], Chunks]:
    """Train on vectors of one's own and measure on those held out."""
    torch_device(config.device)
    files = _files(config)
    _require_room(config, plan_on_vectors(config, files.width), run.ranks)
    with _training(config, run) as (stop, mirror):
        trained = train_on_vectors(config, files, run.work, progress, stop, run.threads, run.ranks, mirror)
        _whole(trained, stop)
    suites = _stored(config, trained)
    if config.held_out and run.ranks.first:
        suites = {name: with_measurements(suite, measure_vectors(suite, files)) for name, suite in suites.items()}
    return trained, suites, {}


@contextmanager
def _training(config: TrainSaeConfig, run: Run) -> Iterator[tuple[Stop, Mirror | None]]:
    """What a run is told to stop by (Ctrl-C ends the step and keeps it), and where its metrics go as well."""
    with tracked(config.wandb, run, config) as mirror, deferred_interrupt() as stop:
        yield stop, mirror


def _whole(trained: SaeResult, stop: Stop) -> None:
    stop.deliver()
    if not trained.complete:  # another process was told to stop
        raise Terminated


def _files(config: TrainSaeConfig) -> VectorFiles:
    return VectorFiles([Path(one) for one in config.activations], hold_out=config.held_out > 0)


def _stored(config: TrainSaeConfig, trained: SaeResult) -> dict[str, Suite]:
    """The suites by their folders, as they read back."""
    return {_folder(variant): rounded(suite, DTYPES[config.save_dtype]) for variant, suite in trained.suites.items()}


def _on_model(config: TrainSaeConfig, run: Run, progress: Progress) -> tuple[SaeResult, dict[str, Suite], Chunks]:
    """Train on a model's activations and measure in the model."""
    from zoo.load import load_model

    device = torch_device(config.device)
    model = load_model(config.model, "folded" if config.processing == "folded" else "raw", device)
    source = open_data(config, model.info, progress)
    unwanted = left_out(config, model.info, source)
    data = open_held_out(config, model.info, source, unwanted) if config.held_out else None
    plans = plan_dictionaries(config, model.info)
    check_paths(plans, model)
    _require_room(config, plans, run.ranks, model, source.n_ctx)
    reading: HookedModel = model
    if config.cache_bytes is not None:
        reading = RememberingModel(model, Cache.at().activations, config.cache_bytes, progress)
    with _training(config, run) as (stop, mirror):
        trained = train_sae(config, reading, run.work, progress, stop, source, run.threads, run.ranks, mirror)
        _whole(trained, stop)
    model.module.to("cpu")  # what is measured is what a CPU reads back from the files
    suites, chunks = _stored(config, trained), {}
    if data is not None and run.ranks.first:
        fidelity: dict[str, SuiteFidelity] = measure_suites(
            model, suites, data.held_out, data.fitting, firing=data.firing, seed=config.seed, progress=progress
        )
        run.write_json("fidelity.json", {name: one.to_json() for name, one in fidelity.items()})
        jacobians = measure_pairs(model, suites, data.held_out)
        suites = {name: _measured(suite, fidelity[name], jacobians.get(name, {})) for name, suite in suites.items()}
        chunks = _l0_per_chunk(plans, fidelity)
    return trained, suites, chunks


def _l0_per_chunk(plans: Sequence[TrainerConfig], fidelity: Mapping[str, SuiteFidelity]) -> Chunks:
    found: Chunks = {}
    for plan in plans:
        if plan.sharing is not None:
            name, ends = _folder(plan.variant), plan.sharing.chunks
            (site,) = (one for one in fidelity[name].sites if one.site == plan.dictionary.writes)
            starts = (0, *ends[:-1])
            parts = [round(float(site.active_F[low:end].sum()), 5) for low, end in zip(starts, ends, strict=True)]
            found.setdefault(name, {})[plan.dictionary.reads] = parts
    return found


def _folder(variant: str) -> str:
    return f"suite-{variant}" if variant else "suite"


def _measured(suite: Suite, fidelity: SuiteFidelity, jacobians: Mapping[Site, float]) -> Suite:
    """The suite with its numbers, which are told by the site written, by the site read; with the Jacobians of pairs."""
    by_site = fidelity.measured()
    measured = {reads: dict(by_site[config.writes]) for reads, config in suite.configs.items()}
    for site, mean in jacobians.items():
        measured[site]["jacobian"] = mean
    return with_measurements(suite, measured)


def _rows(
    name: str, suite: Suite, last: dict[Any, dict[str, Any]], chunks: Mapping[Site, list[float]]
) -> list[TrainedDictionary]:
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
                l0_per_chunk=chunks.get(site) or last[site].get("l0_per_chunk"),
                variance_explained=numbers["variance_explained"],
                dead_share=numbers["dead_share"],
                jacobian=numbers.get("jacobian"),
                jacobian_coefficient=config.options["jacobian"]["coefficient"]
                if "jacobian" in config.options
                else None,
                ce_recovered=numbers.get("ce_recovered_mean"),
                allowed_kept=numbers.get("allowed_kept"),
            )
        )
    return rows
