"""How many circuits are computed together, so that validating a graph stays below a limit of memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from saecli.core.dictionary import Dictionary
from saecli.core.machine import in_gigabytes, require_memory
from saecli.core.model import HookedModel
from saecli.core.site import Site

_LIBRARIES: Final = 1 << 29
"""Bytes of a process before it has read anything, and of what its allocators keep."""
_CODES: Final = 6
"""Numbers per feature and position while a site is encoded."""
_ACTIVE: Final = 64
"""Active features of a position whose vectors are kept, about."""


def circuits_together(
    model: HookedModel,
    dictionaries: Mapping[Site, Dictionary],
    length: int,
    references: int,
    rows: int | None = None,
    limit: int | None = None,
) -> int | None:
    """Circuits per pass; None where neither a number nor a limit was asked for.

    Args:
        model: The model, loaded.
        dictionaries: Of the graph's sites, loaded.
        length: Positions of the longest prompt.
        references: How many prompts and means stand in for what is left out.
        rows: The number asked for.
        limit: Bytes to stay below.

    Raises:
        UsageError: These circuits, or a single one, do not fit.
    """
    if limit is None:
        return rows
    info = model.info
    size = next((parameter.element_size() for parameter in model.module.parameters()), 4)
    latents = max(one.n_latents for one in dictionaries.values())
    stream = 8 * info.d_model + 3 * info.d_mlp + 2 * info.n_heads * length
    each = size * (length * (_CODES * latents + stream) + info.d_vocab)
    weights = sum(tensor.nbytes for one in (model.module, *dictionaries.values()) for tensor in one.parameters())
    kept = len(dictionaries) * length * ((2 + _ACTIVE) * info.d_model + references * latents)
    fixed = _LIBRARIES + weights + size * kept
    if rows is None:
        rows = max(1, (limit - fixed) // each)
    require_memory(
        fixed + rows * each,
        f"{in_gigabytes(fixed)} kept, {in_gigabytes(rows * each)} for {rows} circuits at a time",
        "Take a smaller --batch-size, or validate a graph of fewer sites.",
        device=next((parameter.device.type for parameter in model.module.parameters()), "cpu"),
        limit=limit,
    )
    return rows
