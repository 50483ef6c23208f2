"""What suites keep of a model, on the same held-out sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from saecli.core.errors import UsageError
from saecli.core.fidelity import measure_suites
from saecli.core.machine import torch_dtype
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.suite import Suite
from saecli.formats.saebench import Measurement
from saecli.validate.config import ValidateConfig
from saecli.validate.data import data_for, device_for, samples_for
from saecli.validate.files import write_files
from saecli.validate.result import ValidateResult
from saecli.validate.rows import EDGES, differences, estimate, group_rows, required, site_rows


def plan_suites(config: ValidateConfig, names: Sequence[str]) -> list[str]:
    """What ``--plan`` prints."""
    suites = _suites(config, names, "cpu", "auto")
    lines = [f"{name}: {' '.join(suite.label(site) for site in suite)}" for name, suite in suites.items()]
    model = config.model or next(iter(suites.values())).info.model
    return [f"Measures on {config.sequences:,} held-out sequences what {model} keeps with one site replaced", *lines]


def validate_suites(config: ValidateConfig, names: Sequence[str], run: Run, progress: Progress) -> ValidateResult:
    """Measure, draw, compare.

    Raises:
        UsageError, InputError: No suite, no model, no data for them, or what cannot be measured.
    """
    from zoo.load import attach, load_model

    device = device_for(config.device)
    suites = _suites(config, names, str(device), config.dtype)
    first = next(iter(suites.values()))
    if not (config.model or first.info.model):
        raise UsageError(f"{first.info.name} does not say for which model it was made.", "Name it with --model.")
    model = load_model(config.model or first.info.model, first.info.processing, device)
    for suite in suites.values():
        attach(suite, model)
    data = data_for(config, first.info.model, model.info, progress)
    samples = samples_for(config, data, suites, first.info.model, model.info, progress)
    model.module.to(torch_dtype(config.dtype))  # after the suites have recognised the weights as they are stored
    suites = {name: _recognised(suite) for name, suite in suites.items()}
    count = sum(map(len, suites.values()))
    progress(
        f"{count} dictionaries of {model.info.name} on {config.sequences:,} sequences of {samples.n_ctx} positions"
    )
    measured = measure_suites(
        model,
        suites,
        samples.held_out,
        samples.fitting,
        firing=samples.firing,
        seed=config.seed,
        rows=config.batch_items,
        max_bytes=config.max_memory_bytes,
        progress=progress,
    )
    run.record(sites={name: [suite.label(site) for site in suite] for name, suite in suites.items()})
    progress("drawing")
    dtype = str(next(model.module.parameters()).dtype).removeprefix("torch.")
    measurement = Measurement(run.fingerprint, model.info.name, dtype, data, samples.n_ctx)
    files = write_files(run, suites, measured, measurement)
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
        files=files,
    )


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
