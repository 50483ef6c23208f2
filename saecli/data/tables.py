"""Columns of tables, and token arrays, row by row: JSON, CSV, Parquet, Arrow and NumPy files."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator
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


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Opens a text file, compressed or not, with its line ends as they are."""
    with path.open("rb") as raw:
        binary = gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw
        yield io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")


def json_lines(path: Path, column: str) -> Iterator[Piece]:
    """One JSON value per line: an object with the column, or the document itself."""
    with open_text(path) as file:
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
            yield cell(row, column, f"{path}, line {number},")


def json_rows(path: Path, column: str) -> Iterator[Piece]:
    """A list of rows; anything else is read line by line, since many such files are named ``.json``."""
    with open_text(path) as file:
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
                yield cell(row, column, f"{path}, row {number},")
            return
    yield from json_lines(path, column)


def cell(row: Any, column: str, where: str) -> Piece:
    """The document of a row: its column, found if empty, or the row itself if it is text or token ids.

    Raises:
        InputError: There is no such column, or it holds something else.
    """
    if isinstance(row, dict):
        name = column_of(column, row, where)
        row, where = row[name], f"{where} column {name!r}"
    if isinstance(row, str):
        return Piece(row)
    if isinstance(row, list) and all(type(one) is int for one in row):
        return Piece(np.array(row, np.int64))
    raise InputError(f"{where} holds {type(row).__name__}, expected text or token ids.")


def csv_rows(path: Path, column: str) -> Iterator[Piece]:
    """One column of a CSV file whose first line names the columns."""
    before = csv.field_size_limit(_MAX_LINE)
    try:
        with open_text(path) as file:
            rows = csv.reader(file)
            header = next(rows, [])
            place = header.index(column_of(column, header, str(path)))
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


def parquet_rows(path: Path, column: str) -> Iterator[Piece]:
    """One column of a Parquet file, some rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            name = column_of(column, file.schema_arrow.names, str(path))
            for batch in file.iter_batches(1024, columns=[name]):
                yield from _arrow_column(batch.column(0), f"{path}, column {name!r},")
    except pa.ArrowException as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}.", "Fetch it again.") from error


def arrow_rows(path: Path, column: str) -> Iterator[Piece]:
    """One column of an Arrow file, or of the stream of one."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            if bytes(file.read(6)) == b"ARROW1":
                reader = pa.ipc.open_file(file)
                batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
            else:
                file.seek(0)
                reader = batches = pa.ipc.open_stream(file)
            name = column_of(column, reader.schema.names, str(path))
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


def array_rows(path: Path, column: str) -> Iterator[Piece]:
    """A token array as one document, or each row of a two-dimensional one."""
    array = map_array(path, _INTEGERS, dimensions=2)
    if array.ndim == 2:
        yield from map(Piece, array)
        return
    for start in range(0, len(array), _PIECE):
        yield Piece(array[start : start + _PIECE], ends=start + _PIECE >= len(array))


def column_of(asked: str, names: Iterable[str], where: str) -> str:
    """The column asked for, or else the first of :data:`COLUMNS`; raises InputError if there is none."""
    names = list(names)
    found = next((name for name in ([asked] if asked else COLUMNS) if name in names), None)
    if found is None:
        what = f"no column {asked!r}" if asked else f"none of the columns {', '.join(COLUMNS)}"
        raise InputError(
            f"{where} has {what}; it has {', '.join(map(str, names)) or 'none'}.",
            "Name one with --column, or with :COLUMN after a --data.",
        )
    return found


def _count() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number
