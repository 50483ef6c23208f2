"""``saecli validate``: what suites keep of a model, on the same held-out sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from saecli.core.errors import InputError, UsageError
from saecli.core.fidelity import measure_suites
from saecli.core.machine import torch_device, torch_dtype
from saecli.core.model import ModelInfo
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.suite import Suite
from saecli.data.names import OTHELLO
from saecli.data.samples import Samples, open_samples
from saecli.formats import connections
from saecli.formats.neuronpedia_graph import sniff_graph
from saecli.formats.saebench import Measurement
from saecli.validate.config import ValidateConfig
from saecli.validate.files import write_files
from saecli.validate.result import ValidateResult
from saecli.validate.rows import EDGES, differences, estimate, group_rows, required, site_rows

_FITTING: Final = 400
_TEXT_CONTEXT: Final = 128


def plan(config: ValidateConfig) -> list[str]:
    """What ``--plan`` prints."""
    suites = _suites(config, "cpu", "auto")
    lines = [f"{name}: {' '.join(suite.label(site) for site in suite)}" for name, suite in suites.items()]
    model = config.model or next(iter(suites.values())).info.model
    return [f"Measures on {config.sequences:,} held-out sequences what {model} keeps with one site replaced", *lines]


def run(config: ValidateConfig, run: Run, progress: Progress) -> ValidateResult:
    """Measure, draw, compare.

    Raises:
        UsageError, InputError: No suite, no model, no data for them, or what cannot be measured.
    """
    from zoo.load import attach, load_model

    device = torch_device(config.device)
    if device.type == "mps":  # sums are in fp64, which it has not
        device = torch_device("cpu")
    suites = _suites(config, str(device), config.dtype)
    first = next(iter(suites.values()))
    if not (config.model or first.info.model):
        raise UsageError(f"{first.info.name} does not say for which model it was made.", "Name it with --model.")
    model = load_model(config.model or first.info.model, first.info.processing, device)
    for suite in suites.values():
        attach(suite, model)
    data = _data(config, first.info.model, model.info, progress)
    samples = _samples(config, data, suites, first.info.model, model.info, progress)
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


def _suites(config: ValidateConfig, device: str, dtype: str) -> dict[str, Suite]:
    """The chosen sites of every suite."""
    from zoo.load import load_suite

    suites = {}
    for name in config.suite:
        _refuse_others(name)
        suite = load_suite(name, device=device, dtype=torch_dtype(dtype))
        chosen = suite.resolve(None if config.layers == ":" else config.layers, config.kind)
        suites[name] = Suite(suite.info, [suite.configs[site] for site in chosen], suite.__getitem__)
    return suites


def _recognised(suite: Suite) -> Suite:
    """The suite without the fingerprint of the stored weights, which those of another number type do not have."""
    return Suite(replace(suite.info, model_fingerprint=""), list(suite.configs.values()), suite.__getitem__)


def _refuse_others(name: str) -> None:
    """Say what a file or folder is that is no suite; raises InputError."""
    path = Path(name)
    inside = path / "graph.json", path / "connections.safetensors"
    for one in (path, *inside) if path.is_dir() else (path,):
        if not one.is_file():
            continue
        what = "a circuit graph" if sniff_graph(one) else "connections" if connections.sniff(one) else ""
        if what and not (path / "suite.json").is_file():
            raise InputError(
                f"{name} holds {what}, and saecli validate measures suites of dictionaries so far.", "Name a suite."
            )


def _data(config: ValidateConfig, made_for: str, info: ModelInfo, progress: Progress) -> str:
    """``--data``, or what the zoo names for the model, which is made if that takes seconds."""
    from zoo.reading import data_of, make_data, other_data

    name = config.model or made_for
    data = config.data or data_of(name, info.vocabulary)
    if not data:
        raise UsageError(
            f"{info.name} reads {info.vocabulary or 'an unknown vocabulary'}, and no data are named.",
            "Add --data: data:NAME, token shards, text, or hf:ORG/NAME.",
        )
    make_data(data, progress)
    if notice := other_data(name, data):
        progress(notice)
    return data


def _samples(
    config: ValidateConfig,
    data: str,
    suites: Mapping[str, Suite],
    made_for: str,
    info: ModelInfo,
    progress: Progress,
) -> Samples:
    """The sequences, which the model must be able to read."""
    from zoo.load import load_vocabulary

    starts = {suite.info.bos for suite in suites.values()}
    if len(starts) > 1:
        raise UsageError(
            f"{' and '.join(suites)} were trained on sequences that begin differently, so no tokens suit all.",
            "Measure them one by one.",
        )
    n_ctx = config.n_ctx
    if data != OTHELLO and not n_ctx:
        n_ctx = min([suite.info.context or _TEXT_CONTEXT for suite in suites.values()] + [info.n_ctx])
    if n_ctx > info.n_ctx:
        raise UsageError(f"--n-ctx {n_ctx}: {info.name} reads at most {info.n_ctx} positions.")
    (bos,) = starts
    samples = open_samples(
        data,
        config.sequences,
        fitting=_FITTING,
        firing=config.firing,
        n_ctx=n_ctx,
        bos=bos,
        pack=config.pack,
        vocabulary=lambda: load_vocabulary(config.model or made_for, info.vocabulary),
        progress=progress,
    )
    if info.vocabulary and samples.vocabulary and info.vocabulary != samples.vocabulary:
        raise InputError(f"{data} is written in {samples.vocabulary!r}, and {info.name} reads {info.vocabulary!r}.")
    highest = max(int(sample.tokens_BS.max()) for sample in samples.held_out)
    if highest >= info.d_vocab:
        raise InputError(f"{data} has token {highest}, and {info.name} knows tokens 0..{info.d_vocab - 1}.")
    return samples
