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

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from saecli.core.errors import InputError
from saecli.core.inputs import RUNS
from saecli.data import tables
from saecli.data.tables import Piece, open_text

_PIECE = 1 << 20
_NOT_DATA = ("dataset_info.json", "dataset_dict.json", "dataset_infos.json", "state.json", "sae_lens.json")


def data_files(path: Path) -> list[Path]:
    """The files that a path stands for; of a folder without hidden ones and results.

    Raises:
        InputError: it is not there, of no known kind, or a folder with no such file.
    """
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        known = [file for file in inside if kind(file) and not _hidden(file.relative_to(path))]
        if not known:
            raise InputError(f"{path} holds no file of text or tokens.", f"Known: {_known()}.")
        return known
    if not path.exists():
        raise InputError(f"{path} is not there.")
    if not kind(path):
        raise InputError(f"{path.name} is of no known kind of text or tokens.", f"Known: {_known()}.")
    return [path]


def _hidden(name: Path) -> bool:
    return any(part.startswith(".") or part == RUNS for part in name.parts)


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
        column: of tables; the first of ``tables.COLUMNS`` that there is if empty.
        documents: how ``.txt`` is cut: ``file``, ``lines``, or any other text as the separator between two documents.

    Raises:
        InputError: the file is damaged, not UTF-8, or has no such column.
    """
    try:
        if kind(path) == ".txt":
            with open_text(path) as file:
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


_TEXT: Final = (".txt", ".jsonl", ".json", ".csv")
_READERS: Final[dict[str, Callable[[Path, str], Iterator[Piece]]]] = {
    ".txt": lambda path, column: read_documents(path),
    ".jsonl": tables.json_lines,
    ".json": tables.json_rows,
    ".csv": tables.csv_rows,
    ".parquet": tables.parquet_rows,
    ".arrow": tables.arrow_rows,
    ".npy": tables.array_rows,
}


def _known() -> str:
    return ", ".join([*_READERS, "and with .gz after the first four"])
