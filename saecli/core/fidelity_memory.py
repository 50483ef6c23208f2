"""How many sequences are measured together, so that a measurement stays below a limit of memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from saecli.core.machine import available_memory, in_gigabytes, require_memory
from saecli.core.model import HookedModel, ModelInfo
from saecli.core.suite import Suite

_POSITIONS: Final = {"cpu": 1 << 10, "cuda": 1 << 14}
"""Positions that are computed together if memory does not forbid it: what stays in the caches, what fills a GPU."""
_LIBRARIES: Final = 1 << 29
"""Bytes of a process before it has read anything, and of what its allocators keep."""


def sequences_together(
    model: HookedModel,
    suites: Mapping[str, Suite],
    length: int,
    sequences: int,
    rows: int | None = None,
    max_bytes: int | None = None,
) -> int:
    """Sequences per batch.

    Args:
        model: The model, loaded.
        suites: What is measured.
        length: Positions per sequence.
        sequences: How many are measured in all; sums of each are kept.
        rows: The number asked for; None for one that suits the device and the memory.
        max_bytes: Memory to stay below, of the process or of its GPU; None for what there is.

    Raises:
        UsageError: These rows, or a single one, do not fit.
    """
    device = next((parameter.device.type for parameter in model.module.parameters()), "cpu")
    each = length * _bytes_per_position(model.info, suites)
    fixed = _kept(model, suites) + (_sums(model.info, suites, sequences) if device == "cpu" else 0)
    room = max_bytes if max_bytes is not None else available_memory(device)
    if rows is None:
        rows = max(1, _POSITIONS.get(device, _POSITIONS["cuda"]) // length)
        if room is not None:
            rows = min(rows, max(1, (room - fixed) // each))
    require_memory(
        fixed + rows * each,
        f"{in_gigabytes(fixed)} kept, {in_gigabytes(rows * each)} for {rows} of {sequences:,} sequences at a time",
        "Take a smaller --batch-size, or choose fewer sites with --layers and --kind.",
        device=device,
        limit=max_bytes,
    )
    return rows


def _bytes_per_position(info: ModelInfo, suites: Mapping[str, Suite]) -> int:
    """Of the largest moment of a batch: clean sites, logits of two passes, one block, one dictionary's codes."""
    configs = [config for suite in suites.values() for config in suite.configs.values()]
    sites = {site for config in configs for site in (config.reads, config.writes)}
    widest = max(max(config.d_in, config.d_out) for config in configs)
    latents = max(config.n_latents for config in configs)
    floats = sum(map(info.width, sites)) + 8 * info.d_vocab + 4 * latents + 8 * info.d_model + 2 * info.d_mlp
    return 4 * floats + 8 * 8 * widest


def _kept(model: HookedModel, suites: Mapping[str, Suite]) -> int:
    """What is kept through all batches: libraries, weights, controls."""
    configs = [config for suite in suites.values() for config in suite.configs.values()]
    parameters = sum(parameter.nbytes for parameter in model.module.parameters())
    weights = sum(4 * config.n_latents * (config.d_in + config.d_out) for config in configs)
    directions = sum({4 * config.n_latents * config.d_out for config in configs})
    controls = sum(24 * model.info.width(site) ** 2 for site in {config.writes for config in configs})
    return _LIBRARIES + parameters + weights + directions + controls


def _sums(info: ModelInfo, suites: Mapping[str, Suite], sequences: int) -> int:
    """The sums of every sequence, of which those of vectors are the large ones."""
    configs = [config for suite in suites.values() for config in suite.configs.values()]
    widths = [info.width(site) for site in {config.writes for config in configs}] + [one.d_out for one in configs]
    return 8 * sequences * sum(widths)
