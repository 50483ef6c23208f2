"""The sequences that a model is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch

from saecli.core.errors import InputError, UsageError
from saecli.core.machine import torch_device
from saecli.core.model import ModelInfo
from saecli.core.progress import Progress
from saecli.core.suite import Suite
from saecli.data.names import OTHELLO
from saecli.data.samples import Samples, open_samples
from saecli.validate.config import ValidateConfig

_FITTING: Final = 400
_TEXT_CONTEXT: Final = 128


def device_for(name: str) -> torch.device:
    """The device of a name, without mps, which has no fp64 to sum in."""
    device = torch_device(name)
    return torch.device("cpu") if device.type == "mps" else device


def data_for(config: ValidateConfig, made_for: str, info: ModelInfo, progress: Progress) -> str:
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


def samples_for(
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
        half=config.half,
        vocabulary=lambda: load_vocabulary(config.model or made_for, info.vocabulary),
        progress=progress,
    )
    if info.vocabulary and samples.vocabulary and info.vocabulary != samples.vocabulary:
        raise InputError(f"{data} is written in {samples.vocabulary!r}, and {info.name} reads {info.vocabulary!r}.")
    highest = max(int(sample.tokens_BS.max()) for sample in samples.held_out)
    if highest >= info.d_vocab:
        raise InputError(f"{data} has token {highest}, and {info.name} knows tokens 0..{info.d_vocab - 1}.")
    return samples
