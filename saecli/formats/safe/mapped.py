"""Files as memory: read where they are needed, copied on write, never changed on disk."""

from __future__ import annotations

import mmap
import zipfile
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.errors import InputError
from saecli.formats.safe.pickles import Refused

_LOCAL_HEADER: Final = 30
_ENCRYPTED: Final = 0x1


def map_file(path: Path) -> mmap.mmap:
    """The bytes of a file, private to this process.

    Raises:
        InputError: Missing, unreadable or empty.
    """
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except ValueError as error:
        raise InputError(f"{path} is empty.", "Fetch it again.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def numbers(data: Any, start: int, count: int, dtype: torch.dtype) -> Tensor:
    """``count`` numbers of a buffer as a tensor [count], without a copy if they are aligned.

    The caller has checked that they lie within the buffer.
    """
    if not count:
        return torch.empty(0, dtype=dtype)
    if start % dtype.itemsize == 0:
        return torch.frombuffer(data, dtype=dtype, count=count, offset=start)
    raw = torch.frombuffer(data, dtype=torch.uint8, count=count * dtype.itemsize, offset=start)
    return raw.clone().view(dtype)


def zip_entries(path: Path) -> dict[str, zipfile.ZipInfo]:
    """The entries of a zip file by name.

    Raises:
        Refused: No zip file, an entry twice, encrypted, or entries that share bytes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            listed = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError) as error:
        raise Refused("is no zip file, or a damaged one") from error
    entries = {info.filename: info for info in listed}
    if len(entries) != len(listed):
        raise Refused("has two entries of one name")
    if sum(info.compress_size for info in listed) > path.stat().st_size:
        raise Refused("has entries that are larger than the file")
    if any(info.flag_bits & _ENCRYPTED for info in listed):
        raise Refused("is encrypted")
    return entries


def stored_at(data: mmap.mmap, entry: zipfile.ZipInfo) -> tuple[int, int]:
    """Where the bytes of an entry that is stored uncompressed begin, and how many there are.

    Raises:
        Refused: The entry is compressed or lies outside the file.
    """
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise Refused(f"has the compressed entry {entry.filename[:80]!r}, which torch.save does not write")
    start = entry.header_offset
    header = data[start : start + _LOCAL_HEADER] if start >= 0 else b""
    if len(header) != _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
        raise Refused(f"has a damaged entry {entry.filename[:80]!r}")
    start += _LOCAL_HEADER + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    if start + entry.file_size > len(data):
        raise Refused(f"has the entry {entry.filename[:80]!r}, which claims more bytes than the file has")
    return start, entry.file_size
