"""What suites keep of a model, on the same held-out sequences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from saecli.core.errors import InputError, UsageError
from saecli.core.fidelity import SuiteFidelity, measure_suites
from saecli.core.fingerprint import fingerprint_module
from saecli.core.machine import torch_dtype
from saecli.core.model import HookedModel
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.suite import Suite
from saecli.data.samples import Samples
from saecli.formats.saebench import Measurement
from saecli.formats.suite import suite_files
from saecli.validate.config import ValidateConfig
from saecli.validate.data import data_for, device_for, samples_for
from saecli.validate.files import short_names, write_files
from saecli.validate.result import CHOSEN, ValidateResult
from saecli.validate.rows import EDGES, differences, estimate, group_rows, required, site_rows


def plan_suites(config: ValidateConfig, names: Sequence[str]) -> list[str]:
    """What ``--plan`` prints."""
    suites = _suites(config, names, "cpu", "auto")
    _check_choice(config, suites)
    lines = [f"{name}: {_places(suite)}" for name, suite in suites.items()]
    model = config.model or next(iter(suites.values())).info.model
    return [f"Measures on {config.sequences:,} held-out sequences what {model} keeps with one site replaced", *lines]


def validate_suites(config: ValidateConfig, names: Sequence[str], run: Run, progress: Progress) -> ValidateResult:
    """Measure, draw, compare.

    Raises:
        UsageError, InputError: No suite, no model, no data for them, or what cannot be measured.
    """
    opened = open_suites(config, names, str(device_for(config.device)), progress)
    model, suites, samples, data = opened.model, opened.suites, opened.samples, opened.data
    measured = opened.measured(config, progress)
    chosen = None if config.choose is None else _chosen(measured, config.choose)
    run.record(sites={name: [suite.label(site) for site in suite] for name, suite in suites.items()})
    progress("drawing")
    dtype = str(next(model.module.parameters()).dtype).removeprefix("torch.")
    measurement = Measurement(run.fingerprint, model.info.name, dtype, data, samples.n_ctx)
    files = write_files(run, suites, measured, measurement)
    if chosen is not None:
        files += _write_chosen(run, chosen, suites)
    any_one = next(iter(measured.values()))
    return ValidateResult(
        model=model.info.name,
        data=data,
        sequences=any_one.sequences,
        n_ctx=samples.n_ctx,
        tokens=any_one.tokens,
        firing_tokens=any_one.firing_tokens,
        ce=estimate(any_one.ce),
        allowed=None if any_one.allowed is None else estimate(any_one.allowed),
        suites=list(suites),
        density_edges=list(EDGES),
        sites=[row for name, suite in suites.items() for row in site_rows(name, suite, measured[name])],
        compound=[row for name, suite in suites.items() for row in group_rows(name, suite, measured[name])],
        differences=differences(suites, measured),
        required=required(config.bounds, suites, measured),
        chosen=chosen,
        files=files,
    )


@dataclass(frozen=True)
class Opened:
    """Suites on their model, and what it reads.

    Attributes:
        model: Of the number type asked for.
        suites: Their chosen sites, by the name given.
        data: Name of the data.
        samples: The sequences.
        fingerprints, model_fingerprint: Of suites and model as stored; looked for where edges have to belong to them.
    """

    model: HookedModel
    suites: dict[str, Suite]
    data: str
    samples: Samples
    fingerprints: dict[str, str]
    model_fingerprint: str

    def measured(self, config: ValidateConfig, progress: Progress) -> dict[str, SuiteFidelity]:
        """What every suite keeps of the model."""
        return measure_suites(
            self.model,
            self.suites,
            self.samples.held_out,
            self.samples.fitting,
            firing=self.samples.firing,
            seed=config.seed,
            rows=config.batch_items,
            max_bytes=config.max_memory_bytes,
            progress=progress,
        )


def open_suites(config: ValidateConfig, names: Sequence[str], device: str, progress: Progress) -> Opened:
    """Load suites of one model, the model, and held-out sequences for all.

    Raises:
        UsageError, InputError: No suite, no model, no data for them, or what does not belong together.
    """
    from zoo.load import attach, load_model

    suites = _suites(config, names, device, config.dtype)
    first = next(iter(suites.values()))
    if not (config.model or first.info.model):
        raise UsageError(f"{first.info.name} does not say for which model it was made.", "Name it with --model.")
    model = load_model(config.model or first.info.model, first.info.processing, torch.device(device))
    _check_choice(config, suites)
    for suite in suites.values():
        attach(suite, model)
    data = data_for(config, first.info.model, model.info, progress)
    samples = samples_for(config, data, suites, first.info.model, model.info, progress)
    fingerprints = {name: suite.fingerprint for name, suite in suites.items()} if config.edges else {}
    model_fingerprint = fingerprint_module(model.module) if config.edges else ""
    model.module.to(torch_dtype(config.dtype))  # after the suites have recognised the weights as they are stored
    suites = {name: _recognised(suite) for name, suite in suites.items()}
    count = sum(map(len, suites.values()))
    progress(
        f"{count} dictionaries of {model.info.name} on {config.sequences:,} sequences of {samples.n_ctx} positions"
    )
    return Opened(model, suites, data, samples, fingerprints, model_fingerprint)


def _check_choice(config: ValidateConfig, suites: Mapping[str, Suite]) -> None:
    """Replacing fewer sites costs less, which is no reason to choose a suite."""
    (first, one), *others = suites.items()
    for name, other in others if config.choose is not None else ():
        if {made.writes for made in one.configs.values()} != {made.writes for made in other.configs.values()}:
            raise UsageError(
                f"--choose is between suites of the same sites: {first} has {_places(one)}, {name} has "
                f"{_places(other)}.",
                "Choose the sites that all have with --layers or --kind.",
            )


def _places(suite: Suite) -> str:
    return " ".join(suite.label(site) for site in suite)


def _chosen(measured: Mapping[str, SuiteFidelity], nats: float) -> str:
    """The last suite whose CE increase is at most so many nats above the first one's."""
    increases = {name: one.together.value for name, one in measured.items()}
    first = next(iter(increases.values()))
    if not math.isfinite(first):
        raise InputError("The CE increase of the first suite is not finite, so nothing can be chosen by it.")
    return [name for name, value in increases.items() if value <= first + nats][-1]


def _write_chosen(run: Run, name: str, suites: Mapping[str, Suite]) -> list[str]:
    """The whole suite in the number type that it is read in, under the name that tells it from the others."""
    from zoo.load import load_suite

    whole = load_suite(name)
    called = dict(zip(suites, short_names(list(suites)), strict=True))[name]
    copied = Suite(replace(whole.info, name=called), list(whole.configs.values()), whole.__getitem__)
    for path, content in suite_files(copied).items():
        run.write_bytes(f"{CHOSEN}/{path}", content)
    return [f"{CHOSEN}/"]


def _suites(config: ValidateConfig, names: Sequence[str], device: str, dtype: str) -> dict[str, Suite]:
    """The chosen sites of every suite."""
    from zoo.load import load_suite

    suites = {}
    for name in names:
        suite = load_suite(name, device=device, dtype=torch_dtype(dtype))
        chosen = suite.resolve(None if config.layers == ":" else config.layers, config.kind)
        suites[name] = suite.only(chosen)
    return suites


def _recognised(suite: Suite) -> Suite:
    """The suite without the fingerprint of the stored weights, which those of another number type do not have."""
    return Suite(replace(suite.info, model_fingerprint=""), list(suite.configs.values()), suite.__getitem__)
