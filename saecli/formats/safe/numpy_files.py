"""``.npy`` and ``.npz`` files: numbers only, headers compared with the real size before anything is allocated."""

from __future__ import annotations

import ast
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.errors import InputError
from saecli.formats.safe.mapped import map_file, numbers, stored_at, zip_entries
from saecli.formats.safe.numpy_values import dtype_of, shaped
from saecli.formats.safe.pickles import Refused

HINT: Final = "Fetch or write it again."
MAX_RATIO: Final = 20
"""A compressed ``.npz`` may unpack to so many times its size (and to 64 MiB in any case): weights hardly compress."""

_ALWAYS: Final = 64 << 20
_MAX_HEADER: Final = 1 << 16
_HEADER_KEYS: Final = {"descr", "fortran_order", "shape"}


def load_npy(path: Path, mmap: bool = True) -> Tensor:
    """The numbers of a ``.npy`` file.

    Args:
        path: The file.
        mmap: Whether they are read where they are needed; otherwise all now.

    Raises:
        InputError: Missing, damaged, or no numbers.
    """
    data = map_file(path)
    try:
        values = _array(data, 0, len(data))
    except Refused as refusal:
        raise InputError(f"{path} {refusal}.", HINT) from refusal
    return values if mmap else values.clone()


def load_npz(path: Path) -> dict[str, Tensor]:
    """The arrays of a ``.npz`` file by name.

    Raises:
        InputError: Missing, damaged, an array of objects, or one that unpacks to more than it could plausibly be.
    """
    data = map_file(path)
    try:
        entries = zip_entries(path)
        total = sum(entry.file_size for entry in entries.values())
        if total > max(_ALWAYS, MAX_RATIO * len(data)):
            raise Refused(f"unpacks to {total:,} bytes from {len(data):,}, which weights do not")
        return {name.removesuffix(".npy"): _member(path, data, entry) for name, entry in entries.items()}
    except Refused as refusal:
        raise InputError(f"{path} {refusal}.", HINT) from refusal


def npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays of a ``.npz`` file by name; no number is read.

    Raises:
        InputError: See :func:`load_npz`.
    """
    data = map_file(path)
    try:
        return {name.removesuffix(".npy"): _member_shape(path, data, one) for name, one in zip_entries(path).items()}
    except Refused as refusal:
        raise InputError(f"{path} {refusal}.", HINT) from refusal


def _member_shape(path: Path, data: Any, entry: zipfile.ZipInfo) -> tuple[int, ...]:
    try:
        if entry.compress_type == zipfile.ZIP_STORED:
            start, size = stored_at(data, entry)
            head = bytes(data[start : start + min(size, _MAX_HEADER)])
        else:
            with zipfile.ZipFile(path) as archive, archive.open(entry) as member:
                head = member.read(_MAX_HEADER)
        dtype, shape, _, skip = _header(head)
    except Refused as refusal:
        raise Refused(f"has the entry {entry.filename[:80]!r}, which {refusal}") from refusal
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise Refused(f"has a damaged entry {entry.filename[:80]!r}") from error
    if math.prod(shape) * dtype.itemsize != entry.file_size - skip:
        raise Refused(f"has the entry {entry.filename[:80]!r}, which claims shape {shape} of {dtype} in too few bytes")
    return shape


def _member(path: Path, data: Any, entry: zipfile.ZipInfo) -> Tensor:
    if not entry.filename.endswith(".npy"):
        raise Refused(f"has the entry {entry.filename[:80]!r}, which is no array")
    try:
        if entry.compress_type == zipfile.ZIP_STORED:
            return _array(data, *stored_at(data, entry))
        with zipfile.ZipFile(path) as archive, archive.open(entry) as member:
            unpacked = bytearray(member.read())  # at most file_size bytes, which is bounded
        return _array(unpacked, 0, len(unpacked))
    except Refused as refusal:
        raise Refused(f"has the entry {entry.filename[:80]!r}, which {refusal}") from refusal
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise Refused(f"has a damaged entry {entry.filename[:80]!r}") from error


def _array(data: Any, start: int, size: int) -> Tensor:
    """The array whose ``.npy`` bytes are ``data[start : start + size]``."""
    dtype, shape, fortran, skip = _header(bytes(data[start : start + min(size, _MAX_HEADER)]))
    count = math.prod(shape)
    if count * dtype.itemsize != size - skip:
        raise Refused(f"claims shape {shape} of {dtype} in {size - skip:,} bytes")
    return shaped(numbers(data, start + skip, count, dtype), shape, fortran=fortran)


def _header(data: bytes) -> tuple[torch.dtype, tuple[int, ...], bool, int]:
    """Number type, shape, whether column by column, and where the numbers begin."""
    if data[:6] != b"\x93NUMPY" or len(data) < 10 or data[6] not in (1, 2, 3):
        raise Refused("is no .npy array")
    width = 2 if data[6] == 1 else 4
    length = int.from_bytes(data[8 : 8 + width], "little")
    skip = 8 + width + length
    if skip > len(data):
        raise Refused(f"has a header that claims {length:,} bytes")
    try:
        header = ast.literal_eval(data[8 + width : skip].decode("utf-8" if data[6] == 3 else "latin-1"))
        descr, fortran, shape = (header[name] for name in ("descr", "fortran_order", "shape"))
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise Refused("has a damaged header") from error
    if set(header) != _HEADER_KEYS or type(fortran) is not bool or not isinstance(shape, tuple) or len(shape) > 64:
        raise Refused("has a damaged header")
    if not all(type(n) is int and n >= 0 for n in shape):
        raise Refused("has a damaged header")
    return dtype_of(descr), shape, fortran, skip
