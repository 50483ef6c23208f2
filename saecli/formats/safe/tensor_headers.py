"""safetensors files: the header read by itself and checked against the file before any tensor is."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from safetensors import SafetensorError, safe_open
from torch import Tensor

from saecli.core.errors import InputError

HINT: Final = "Fetch or write it again."
MAX_HEADER_BYTES: Final = 100_000_000
"""The format's own bound."""

_BITS: Final = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


class TensorHeader(NamedTuple):
    """Number type (the format's name: ``F32``, ``BF16``) and shape of a stored tensor."""

    dtype: str
    shape: tuple[int, ...]


def safetensors_header(path: Path) -> dict[str, TensorHeader]:
    """Number types and shapes of a safetensors file, by name; no tensor is read.

    Raises:
        InputError: Missing, or the header is damaged or claims what the file does not have.
    """
    return _read(path)[0]


def safetensors_metadata(path: Path) -> dict[str, str]:
    """The free text that a safetensors file carries, by name; empty if there is none.

    Raises:
        InputError: See :func:`safetensors_header`.
    """
    return _read(path)[1]


def load_safetensors(path: Path, names: Collection[str] | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file on the CPU.

    Args:
        path: The file.
        names: Which; all if not given.

    Raises:
        InputError: See :func:`safetensors_header`; or a tensor of ``names`` is not there.
    """
    header = safetensors_header(path)
    wanted = list(header) if names is None else list(names)
    if missing := sorted(set(wanted) - set(header)):
        raise InputError(f"{path} has no tensor {', '.join(missing)}.")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in wanted}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged: {error}.", HINT) from error


def _read(path: Path) -> tuple[dict[str, TensorHeader], dict[str, str]]:
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if total < 8 or length > min(total - 8, MAX_HEADER_BYTES):
                raise InputError(f"{path} claims a header of {length:,} bytes in a file of {total:,}.", HINT)
            text = file.read(length)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return _checked(json.loads(text, object_pairs_hook=_without_repeats), total - 8 - length)
    except (ValueError, RecursionError) as error:
        reason = "is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{path} has a damaged safetensors header: {reason}.", HINT) from error


def _checked(header: Any, size: int) -> tuple[dict[str, TensorHeader], dict[str, str]]:
    if not isinstance(header, dict):
        raise ValueError("it is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata is not text")
    spans = sorted((*_span(name, entry), name) for name, entry in header.items())
    at = 0
    for start, end, name in spans:
        if start != at:
            raise ValueError(f"{name} begins at byte {start:,}, expected {at:,}")
        at = end
    if at != size:
        raise ValueError(f"its tensors take {at:,} bytes and the file has {size:,} for them")
    return {name: TensorHeader(entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()}, metadata


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Where a tensor begins and ends; its size must be that of its shape."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(end)]} if dtype in _BITS:
            if all(type(n) is int and n >= 0 for n in shape) and 0 <= start <= end:
                if (end - start) * 8 == math.prod(shape) * _BITS[dtype]:
                    return start, end
                raise ValueError(f"{name} of shape {shape} and type {dtype} is said to take {end - start:,} bytes")
    raise ValueError(f"{name} has no known type, shape or place")


def _without_repeats(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    if len(entries := dict(pairs)) != len(pairs):
        raise ValueError("it names a tensor twice")
    return entries
