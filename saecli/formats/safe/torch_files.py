"""Files of torch.save and plain pickles with tensors in them, read without running them.

torch.save writes a zip whose entries are stored: ``data.pkl`` and one entry of raw numbers per storage. Before torch
1.6 it wrote pickles one after the other and the storages behind them; ``pickle.dump`` of a tensor holds such a stream
within the pickle. Tensors are views of the mapped file wherever their numbers are aligned; the file is never changed.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

from saecli.core.errors import InputError
from saecli.formats.safe.mapped import map_file, numbers, stored_at, zip_entries
from saecli.formats.safe.pickles import Machine, Name, Refused, WantsCode, key
from saecli.formats.safe.torch_values import Storage, storage_dtype, table

HINT: Final = "Fetch it from a source you trust, or ask for a safetensors file."
INERT: Final = frozenset(
    f"{module}.LanguageModelSAERunnerConfig"
    for module in ("sae_training.config", "sae_lens.training.config", "sae_lens.config")
)
"""Classes of old checkpoints whose objects are read as their attributes."""

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001


def load_torch(path: Path, *, device: str | torch.device = "cpu") -> Any:
    """The values of a file of torch.save: dicts, lists, numbers, strings and tensors.

    Args:
        path: A ``.pt``, ``.pth`` or ``.bin`` file, of the zip format or the one before it.
        device: Where tensors go, wherever they were when they were saved.

    Raises:
        InputError: Missing, damaged, no torch file, or one that needs code; what it wanted to import is named.
    """
    data = map_file(path)
    with _refusals(path):
        if data[:4] == b"PK\x03\x04":
            return _load_zip(path, data, device)
        if data[257:262] == b"ustar":
            raise Refused("is a tar file of torch before 0.1.10, which is not read")
        return _load_stream(data, device)


def read_pickled_values(path: Path, *, device: str | torch.device = "cpu") -> Any:
    """The values of a plain pickle: dicts, lists, tuples, numbers, strings, tensors; numpy arrays become tensors.

    Tensors that were on another device when they were pickled are read to ``device``.

    Raises:
        InputError: Missing, damaged, or a pickle that needs code; what it wanted to import is named.
    """
    data = map_file(path)
    with _refusals(path):
        if data[:4] == b"PK\x03\x04":
            raise Refused("is a zip file, expected a plain pickle")
        names = {**table(device), "torch.storage._load_from_bytes": _storage_from_bytes}
        return Machine(names, INERT).read(data)  # pyright: ignore[reportArgumentType]


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except Refused as refusal:
        raise InputError(f"{path} {refusal}.", HINT) from refusal


# --- the two layouts of torch.save ----------------------------------------------------------------------------------


def _load_zip(path: Path, data: mmap.mmap, device: str | torch.device) -> Any:
    entries = zip_entries(path)
    pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise Refused("is a zip file without the data.pkl of torch.save")
    folder = pickles[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in entries:
        raise Refused("is a TorchScript program; a file of values needs no code")
    if (order := entries.get(f"{folder}byteorder")) is not None:
        start, size = stored_at(data, order)
        if data[start : start + min(size, 8)] != b"little":
            raise Refused("holds big-endian numbers, which are not read")
    storages: dict[str, Storage] = {}

    def persistent(pid: Any) -> Storage:
        dtype, name, count, view = _storage_id(pid)
        if name not in storages:
            if (entry := entries.get(f"{folder}data/{name}")) is None:
                raise Refused(f"names the storage {name[:80]!r}, which it does not have")
            start, size = stored_at(data, entry)
            if count * dtype.itemsize != size:
                raise Refused(f"claims {count:,} numbers of {dtype} for the storage {name[:80]!r} of {size:,} bytes")
            storages[name] = Storage(numbers(data, start, count, dtype))
        return _view(storages[name], dtype, view)

    start, size = stored_at(data, entries[pickles[0]])
    return Machine(table(device), INERT, persistent).read(io.BytesIO(data[start : start + size]))


def _storage_from_bytes(data: Any) -> Storage:
    if not isinstance(data, bytes):
        raise Refused("has a damaged tensor")
    value = _load_stream(io.BytesIO(data), "cpu")
    if not isinstance(value, Storage):
        raise Refused("has a tensor whose numbers are something else")
    return value


def _load_stream(data: Any, device: str | torch.device) -> Any:
    """The layout before torch 1.6, from the position of ``data`` on."""
    plain = Machine(table("meta"), INERT)
    try:
        magic = plain.read(data)
    except WantsCode:
        raise
    except Refused:
        magic = None
    if magic != _MAGIC:
        raise Refused("is not a file of torch.save")
    if plain.read(data) != _PROTOCOL:
        raise Refused("is of an unknown version of torch.save")
    system = plain.read(data)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("holds big-endian numbers, which are not read")
    here, total = data.tell(), _length(data)
    claimed: dict[str, tuple[torch.dtype, int]] = {}

    def claim(pid: Any) -> Storage:  # first pass: which storages there are, without a byte of them
        dtype, name, count, view = _storage_id(pid)
        if count * dtype.itemsize > total:
            raise Refused(f"claims a storage of {count * dtype.itemsize:,} bytes in a file of {total:,}")
        claimed.setdefault(name, (dtype, count))
        return _view(Storage(torch.empty(count, dtype=dtype, device="meta")), dtype, view)

    Machine(table("meta"), INERT, claim).read(data)
    names = plain.read(data)
    if not isinstance(names, list) or set(map(key, names)) != set(claimed) or len(names) != len(claimed):
        raise Refused("lists other storages than its tensors use")
    storages: dict[str, Storage] = {}
    at = data.tell()
    for name in names:
        dtype, count = claimed[name]
        stored = int.from_bytes(_bytes_at(data, at, 8), "little", signed=True)
        if stored != count or at + 8 + count * dtype.itemsize > total:
            raise Refused(f"claims {count:,} numbers of {dtype} for the storage {name[:80]!r} and does not have them")
        storages[name] = Storage(numbers(_buffer(data), at + 8, count, dtype))
        at += 8 + count * dtype.itemsize

    def persistent(pid: Any) -> Storage:
        dtype, name, _, view = _storage_id(pid)
        return _view(storages[name], dtype, view)

    data.seek(here)
    return Machine(table(device), INERT, persistent).read(data)


def _storage_id(pid: Any) -> tuple[torch.dtype, str, int, Any]:
    """Number type, key, count and view of a persistent id of torch.save."""
    if not (isinstance(pid, tuple) and len(pid) in (5, 6) and pid[0] == "storage"):
        raise Refused("refers to something that is no storage of numbers")
    kind, name, count = pid[1], pid[2], pid[4]
    dtype = storage_dtype(kind.name) if isinstance(kind, Name) else None
    if dtype is None or not isinstance(name, str) or type(count) is not int or count < 0:
        raise Refused("refers to something that is no storage of numbers")
    return dtype, name, count, pid[5] if len(pid) == 6 else None


def _view(storage: Storage, dtype: torch.dtype, view: Any) -> Storage:
    if storage.values.dtype != dtype:
        raise Refused("uses one storage with two number types")
    if view is None:
        return storage
    match view:
        case (_, int(start), int(count)) if 0 <= start <= start + count <= len(storage.values):
            return Storage(storage.values[start : start + count])
    raise Refused("has a storage that lies outside another")


def _length(data: Any) -> int:
    return len(_buffer(data))


def _buffer(data: Any) -> Any:
    return data.getbuffer() if isinstance(data, io.BytesIO) else data


def _bytes_at(data: Any, start: int, count: int) -> bytes:
    return bytes(_buffer(data)[start : start + count])
