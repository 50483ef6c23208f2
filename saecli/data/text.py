"""Documents out of files: text, JSON, CSV, Parquet, Arrow and token arrays, streamed and of bounded memory.

| files | a document is |
|---|---|
| ``.txt`` | the file, a line, or what stands between two separators |
| ``.jsonl``, ``.json``, ``.csv`` | one column of a row |
| ``.parquet``, ``.arrow`` | one column of a row: text, or a list of token ids |
| ``.npy`` | the array, or a row of a two-dimensional one: token ids |

Text files may be compressed (``.gz``). A folder stands for all such files in it, in the order of their names; so do the
folders that the library ``datasets`` saves, which are read without it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from saecli.core.errors import InputError
from saecli.data.shards import map_array

COLUMNS: Final = ("text", "tokens", "input_ids", "story", "content")
"""Columns that are looked for, in this order, where none is named."""

_PIECE = 1 << 20
_MAX_LINE = 1 << 26
_MAX_JSON = 1 << 28
_NOT_DATA = ("dataset_info.json", "dataset_dict.json", "dataset_infos.json", "state.json", "sae_lens.json")
_INTEGERS = ("|u1", "<u2", "<u4", "<u8", "|i1", "<i2", "<i4", "<i8")


@dataclass(frozen=True)
class Piece:
    """A document, or a part of one that is too long to be in memory as a whole.

    Attributes:
        content: text, or token ids.
        ends: whether the document ends here.
    """

    content: str | npt.NDArray[Any]
    ends: bool = True


def data_files(path: Path) -> list[Path]:
    """The files that a path stands for.

    Raises:
        InputError: it is not there, of no known kind, or a folder with no such file.
    """
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        known = [
            file for file in inside if kind(file) and not any(p.startswith(".") for p in file.relative_to(path).parts)
        ]
        if not known:
            raise InputError(f"{path} holds no file of text or tokens.", f"Known: {_known()}.")
        return known
    if not path.exists():
        raise InputError(f"{path} is not there.")
    if not kind(path):
        raise InputError(f"{path.name} is of no known kind of text or tokens.", f"Known: {_known()}.")
    return [path]


def kind(path: Path) -> str:
    """The kind of a file by its name (``.txt``), without ``.gz``; empty if unknown, or if it only describes others."""
    if path.name in _NOT_DATA:
        return ""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        return suffixes[-2] if suffixes[-2:-1] and suffixes[-2] in _TEXT else ""
    return suffixes[-1] if suffixes and suffixes[-1] in _READERS else ""


def read_documents(path: Path, column: str = "", documents: str = "file") -> Iterator[Piece]:
    """The documents of one file, in order; empty ones are left out.

    Args:
        path: a file of a known kind.
        column: of tables; the first of ``COLUMNS`` that there is if empty.
        documents: how ``.txt`` is cut: ``file``, ``lines``, or any other text as the separator between two documents.

    Raises:
        InputError: the file is damaged, not UTF-8, or has no such column.
    """
    try:
        if kind(path) == ".txt":
            with _text(path) as file:
                yield from _split(
                    iter(lambda: file.read(_PIECE), ""), {"file": "", "lines": "\n"}.get(documents, documents)
                )
        else:
            yield from (piece for piece in _READERS[kind(path)](path, column) if len(piece.content))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error.reason} (byte {error.object[error.start]:#x}).") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is damaged: {error}.", "Fetch it again.") from error
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error


def _split(chunks: Iterable[str], separator: str) -> Iterator[Piece]:
    """Documents of a text that comes in chunks; without a separator it is one document."""
    rest, inside = "", False
    for chunk in chunks:
        parts = (rest + chunk).split(separator) if separator else [rest + chunk]
        for part in parts[:-1]:
            document = part.rstrip("\r\n") if inside else part.strip("\r\n")
            if document or inside:
                yield Piece(document)
            inside = False
        rest = parts[-1]
        if len(rest) >= _PIECE:
            cut = _cut(rest, len(separator))
            yield Piece(rest[:cut], ends=False)
            rest, inside = rest[cut:], True
    last = (rest.rstrip("\r\n") if inside else rest.strip("\r\n")) if separator else rest
    if last or inside:
        yield Piece(last)


def _cut(text: str, keep: int) -> int:
    """Where to cut a text without its last ``keep`` characters: before the last blanks, where no token crosses."""
    head = text[: len(text) - keep] if keep else text
    before = head.rsplit(None, 1)
    return len(before[0]) if len(before) == 2 and before[0] else len(head)


@contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    with path.open("rb") as raw:
        binary = gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw
        yield io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")


def _json_lines(path: Path, column: str) -> Iterator[Piece]:
    with _text(path) as file:
        for number in _count():
            line = file.readline(_MAX_LINE)
            if not line:
                return
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}, line {number}, is not JSON: {error}.") from error
            yield _cell(row, column, f"{path}, line {number},")


def _json(path: Path, column: str) -> Iterator[Piece]:
    """A list of rows; anything else is read line by line, since many such files are named ``.json``."""
    with _text(path) as file:
        first = file.read(1)
        while first.isspace():
            first = file.read(1)
        if first == "[":
            rest = file.read(_MAX_JSON)
            if len(rest) == _MAX_JSON:
                raise InputError(f"{path} is a JSON list of more than {_MAX_JSON:,} characters.", "Write it as .jsonl.")
            try:
                rows = json.loads(first + rest)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path} is not JSON: {error}.") from error
            for number, row in enumerate(rows):
                yield _cell(row, column, f"{path}, row {number},")
            return
    yield from _json_lines(path, column)


def _cell(row: Any, column: str, where: str) -> Piece:
    if isinstance(row, dict):
        name = _column(column, row, where)
        row, where = row[name], f"{where} column {name!r}"
    if isinstance(row, str):
        return Piece(row)
    if isinstance(row, list) and all(type(one) is int for one in row):
        return Piece(np.array(row, np.int64))
    raise InputError(f"{where} holds {type(row).__name__}, expected text or token ids.")


def _csv(path: Path, column: str) -> Iterator[Piece]:
    before = csv.field_size_limit(_MAX_LINE)
    try:
        with _text(path) as file:
            rows = csv.reader(file)
            header = next(rows, [])
            place = header.index(_column(column, header, str(path)))
            for row in rows:
                if row:
                    if len(row) <= place:
                        raise InputError(
                            f"{path}, line {rows.line_num}, has {len(row)} fields, expected {len(header)}."
                        )
                    yield Piece(row[place])
    except csv.Error as error:
        raise InputError(f"{path} is not CSV: {error}.") from error
    finally:
        csv.field_size_limit(before)


def _parquet(path: Path, column: str) -> Iterator[Piece]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            name = _column(column, file.schema_arrow.names, str(path))
            for batch in file.iter_batches(1024, columns=[name]):
                yield from _arrow_column(batch.column(0), f"{path}, column {name!r},")
    except pa.ArrowException as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}.", "Fetch it again.") from error


def _arrow(path: Path, column: str) -> Iterator[Piece]:
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            if bytes(file.read(6)) == b"ARROW1":
                reader = pa.ipc.open_file(file)
                batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
            else:
                file.seek(0)
                reader = batches = pa.ipc.open_stream(file)
            name = _column(column, reader.schema.names, str(path))
            for batch in batches:
                yield from _arrow_column(batch.column(name), f"{path}, column {name!r},")
    except pa.ArrowException as error:
        raise InputError(f"{path} cannot be read as Arrow: {error}.", "Fetch it again.") from error


def _arrow_column(array: Any, where: str) -> Iterator[Piece]:
    import pyarrow as pa

    if array.null_count:
        array = array.drop_null()
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        yield from map(Piece, array.to_pylist())
    elif _is_list(array.type) and pa.types.is_integer(array.type.value_type):
        if pa.types.is_fixed_size_list(array.type):
            yield from map(Piece, array.flatten().to_numpy(zero_copy_only=False).reshape(-1, array.type.list_size))
            return
        offsets = array.offsets.to_numpy()
        values = array.values.to_numpy(zero_copy_only=False)
        for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            yield Piece(values[start:stop])
    else:
        raise InputError(f"{where} holds {array.type}, expected text or lists of token ids.")


def _is_list(dtype: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype)


def _array(path: Path, column: str) -> Iterator[Piece]:
    array = map_array(path, _INTEGERS, dimensions=2)
    if array.ndim == 2:
        yield from map(Piece, array)
        return
    for start in range(0, len(array), _PIECE):
        yield Piece(array[start : start + _PIECE], ends=start + _PIECE >= len(array))


def _column(asked: str, names: Iterable[str], where: str) -> str:
    names = list(names)
    found = next((name for name in ([asked] if asked else COLUMNS) if name in names), None)
    if found is None:
        what = f"no column {asked!r}" if asked else f"none of the columns {', '.join(COLUMNS)}"
        raise InputError(
            f"{where} has {what}; it has {', '.join(map(str, names)) or 'none'}.", "Name one with --column."
        )
    return found


def _count() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number


_TEXT: Final = (".txt", ".jsonl", ".json", ".csv")
_READERS: Final[dict[str, Callable[[Path, str], Iterator[Piece]]]] = {
    ".txt": lambda path, column: read_documents(path),
    ".jsonl": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".npy": _array,
}


def _known() -> str:
    return ", ".join([*_READERS, "and with .gz after the first four"])
