"""Token shards on disk: ``train_000000.npy``, ``val_000000.npy``, ... and ``shards.json`` (schema ``saecli.shards/1``).

Each shard is what ``numpy.save`` writes for a one-dimensional uint16 array (uint32 where the vocabulary needs it), so
the loaders of gpt-circuits read our folders and we read theirs (https://github.com/peterlai/gpt-circuits). Where the
documents of a shard start stands in ``documents/NAME`` (int64), out of sight of loaders that pick files by a word in
their names. ``shards.json`` says which vocabulary, what the tokens were made from and by which rules, and the sha256 of
every file; without it the vocabulary is inferred from the range of the tokens.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import re
import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from saecli.core.errors import InputError
from saecli.core.inputs import hash_file
from saecli.core.progress import Progress, silent

HEADER: Final = "shards.json"
SCHEMA: Final = "saecli.shards"
MAJOR: Final = 1
DOCUMENTS: Final = "documents"
"""Folder of the offsets of documents."""

TOKENIZER_FILES: Final = ("tokenizer.json", "tokenizer_config.json")
"""Files of a vocabulary that has no name that everyone knows; they lie beside the shards."""

Split = Literal["train", "val"]
SPLITS: Final[tuple[Split, ...]] = ("train", "val")

_NAME = re.compile(r"(train|val)_\d{6}\.npy")
_MAX_HEADER_BYTES = 16 << 20
_AGAIN = "Make or fetch the shards again."
_GUESSES = (("ascii", 128), ("gpt2", 50257))


@dataclass(frozen=True)
class Shard:
    """One file of tokens.

    Attributes:
        path: the file.
        tokens: how many tokens it says it holds.
        sha256: of the file, empty if unknown.
        documents: offsets of its documents, None if unknown.
        documents_sha256: of that file.
        continues: whether it begins within the document that the shard before it ends with.
    """

    path: Path
    tokens: int
    sha256: str = ""
    documents: Path | None = None
    documents_sha256: str = ""
    continues: bool = False

    @cached_property
    def tokens_T(self) -> npt.NDArray[np.unsignedinteger]:
        """The tokens, memory-mapped. Raises InputError if the file is not such an array of that length."""
        array = map_array(self.path, ("<u2", "<u4"))
        if len(array) != self.tokens:
            raise InputError(f"{self.path} holds {len(array):,} tokens, {HEADER} says {self.tokens:,}.", _AGAIN)
        return array

    @cached_property
    def starts_D(self) -> npt.NDArray[np.int64]:
        """int64 [D]: where its documents start; one document where nothing is known. Raises InputError if damaged."""
        if self.documents is None:
            return np.zeros(min(1, self.tokens), np.int64)
        starts_D = map_array(self.documents, ("<i8",))
        rising = len(starts_D) > 0 and starts_D[0] == 0 and starts_D[-1] < self.tokens and (np.diff(starts_D) > 0).all()
        if not rising:
            raise InputError(f"{self.documents} holds no rising offsets into {self.tokens:,} tokens.", _AGAIN)
        return starts_D


@dataclass(frozen=True)
class Shards:
    """A folder of shards.

    Attributes:
        folder: where it is.
        vocabulary: name of the token vocabulary.
        vocab_size: number of its tokens.
        files: the shards of each split, in order.
        header: the content of ``shards.json``; empty for a folder without it.
    """

    folder: Path
    vocabulary: str
    vocab_size: int
    files: dict[Split, tuple[Shard, ...]]
    header: dict[str, Any] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """What had to be assumed, as a line for the user; empty if the folder says everything."""
        if self.header:
            return ""
        return f"{self.folder} has no {HEADER}: its tokens are taken to be of the vocabulary {self.vocabulary}"

    def tokens(self, split: Split) -> int:
        """Number of tokens of a split."""
        return sum(shard.tokens for shard in self.files[split])

    def verify(self, progress: Progress = silent) -> None:
        """Reads everything: sha256 of every file and the range of every token.

        Raises:
            InputError: a file is not what ``shards.json`` says, or a token is beyond the vocabulary.
        """
        shards = [shard for split in SPLITS for shard in self.files[split]]
        for number, shard in enumerate(shards, 1):
            for path, expected in ((shard.path, shard.sha256), (shard.documents, shard.documents_sha256)):
                if path is not None and expected and hash_file(path) != expected:
                    raise InputError(f"{path} is damaged: its sha256 is not the one in {HEADER}.", _AGAIN)
            if shard.tokens and (highest := int(shard.tokens_T.max())) >= self.vocab_size:
                raise InputError(_beyond(shard.path, highest, self.vocabulary, self.vocab_size), _AGAIN)
            progress("checking shards", number, len(shards))


def is_shards(folder: Path) -> bool:
    """Whether a folder holds shards, ours or gpt-circuits'; looks at names only."""
    if not folder.is_dir():
        return False
    return (folder / HEADER).is_file() or any(_NAME.fullmatch(path.name) for path in folder.iterdir())


def open_shards(folder: Path) -> Shards:
    """Opens a folder of shards; tokens are mapped when they are first read.

    Raises:
        InputError: no shards, shards of a newer version, an unfinished folder, or a file that is missing or damaged.
    """
    if (folder / HEADER).is_file():
        return _ours(folder, read_header(folder / HEADER))
    if (folder / "manifest.json").exists():
        raise InputError(f"{folder} has no {HEADER}: making it was not finished.", "Run the same command again.")
    return _foreign(folder)


def read_header(path: Path) -> dict[str, Any]:
    """Reads ``shards.json``; raises InputError if it is none that this version reads."""
    try:
        if path.stat().st_size > _MAX_HEADER_BYTES:
            raise InputError(f"{path} is larger than {_MAX_HEADER_BYTES:,} bytes, too large for a list of shards.")
        header = json.loads(path.read_bytes())
        schema, _, major = str(header["schema"]).partition("/")
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is not a list of shards: {error!r}.", _AGAIN) from error
    if schema != SCHEMA or not major.isdecimal():
        raise InputError(f"{path} is {header['schema']!r}, expected {SCHEMA}/{MAJOR}.")
    if int(major) > MAJOR:
        raise InputError(f"{path} is {schema}/{major}; this version reads {SCHEMA}/{MAJOR}.", "Update saecli.")
    return header


def _ours(folder: Path, header: dict[str, Any]) -> Shards:
    files: dict[Split, list[Shard]] = {"train": [], "val": []}
    try:
        name, size = str(header["vocabulary"]["name"]), int(header["vocabulary"]["size"])
        for entry in header["files"]:
            match = _NAME.fullmatch(entry["name"])
            if match is None:
                raise InputError(f"{folder / HEADER} names the file {entry['name']!r}, which is no name of a shard.")
            shard = Shard(
                folder / entry["name"],
                int(entry["tokens"]),
                str(entry["sha256"]),
                folder / DOCUMENTS / entry["name"],
                str(entry["documents_sha256"]),
                bool(entry["continues"]),
            )
            if not shard.path.is_file():
                raise InputError(f"{folder} has no {entry['name']}, which its {HEADER} names.", _AGAIN)
            files["train" if match[1] == "train" else "val"].append(shard)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder / HEADER} is damaged: {error!r}.", _AGAIN) from error
    return Shards(folder, name, size, {split: tuple(files[split]) for split in SPLITS}, header)


def _foreign(folder: Path) -> Shards:
    """gpt-circuits' own folder: the vocabulary is the smallest known one that holds the first shards' tokens."""
    files: dict[Split, tuple[Shard, ...]] = {"train": (), "val": ()}
    try:
        names = sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except OSError as error:
        raise InputError(f"Cannot read {folder}: {error.strerror}.") from error
    if not names:
        raise InputError(f"{folder} holds no shards such as train_000000.npy.", "Make some: saecli convert --help.")
    for split in SPLITS:
        paths = [folder / name for name in names if name.startswith(split)]
        files[split] = tuple(Shard(path, len(map_array(path, ("<u2", "<u4")))) for path in paths)
    first = [files[split][0] for split in SPLITS if files[split] and files[split][0].tokens]
    highest = max((int(shard.tokens_T.max()) for shard in first), default=0)
    for name, size in _GUESSES:
        if highest < size:
            return Shards(folder, name, size, files)
    raise InputError(f"{folder} has no {HEADER} and tokens up to {highest}: of which vocabulary is not known.")


def check_range(tokens: npt.NDArray[Any], shards: Shards) -> None:
    """Raises InputError if a token is beyond the vocabulary of its shards."""
    if tokens.size and (highest := int(tokens.max())) >= shards.vocab_size:
        raise InputError(_beyond(shards.folder, highest, shards.vocabulary, shards.vocab_size), _AGAIN)


def _beyond(path: Path, highest: int, vocabulary: str, size: int) -> str:
    return f"{path} holds the token {highest}; the vocabulary {vocabulary} ends at {size - 1}."


def map_array(path: Path, dtypes: tuple[str, ...], dimensions: int = 1) -> npt.NDArray[Any]:
    """Maps a ``.npy`` file into memory, read-only.

    Args:
        path: the file.
        dtypes: the number types allowed, as NumPy writes them: ``<u2``.
        dimensions: the most dimensions allowed, from 1.

    Raises:
        InputError: the header is not of such an array, or the file is not as long as the header says.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            head = file.read(12)
            if head[:6] != b"\x93NUMPY" or head[6:8] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00"):
                raise InputError(f"{path} is not a .npy file.", _AGAIN)
            fixed = 10 if head[6] == 1 else 12
            (length,) = struct.unpack("<H" if fixed == 10 else "<I", head[8:fixed])
            if length > 4096:
                raise InputError(f"{path} has a header of {length} bytes, too long for an array of tokens.")
            file.seek(fixed)
            header = ast.literal_eval(file.read(length).decode("latin-1"))
            dtype, shape = header["descr"], header["shape"]
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError, struct.error) as error:
        raise InputError(f"{path} has a damaged header.", _AGAIN) from error
    if not isinstance(dtype, str) or dtype not in dtypes:
        raise InputError(f"{path} holds {dtype!r}, expected one of {', '.join(dtypes)}.")
    sizes = shape if isinstance(shape, tuple) else ()
    if not 1 <= len(sizes) <= dimensions or any(type(one) is not int or one < 0 for one in sizes):
        raise InputError(f"{path} holds an array of shape {shape}, expected {dimensions} dimension(s).")
    if header.get("fortran_order"):
        raise InputError(f"{path} holds an array in Fortran's order, expected rows one after the other.")
    expected = fixed + length + math.prod(sizes) * np.dtype(dtype).itemsize
    if size != expected:
        raise InputError(f"{path} has {size:,} bytes, its header describes {expected:,}.", _AGAIN)
    if math.prod(sizes) == 0:
        return np.zeros(sizes, dtype)
    return np.memmap(path, np.dtype(dtype), "r", fixed + length, sizes)


def fingerprint(shards: Shards) -> str:
    """sha256 of what the shards hold: of ``shards.json``'s hashes, or of the files where there is none.

    Of a streamed data set it is the data set's, however much of it was read.
    """
    if "stream" in shards.header:
        return str(shards.header["stream"]["identity"])
    lines = []
    for split in SPLITS:
        for shard in shards.files[split]:
            lines.append(f"{shard.sha256 or hash_file(shard.path)}  {shard.path.name}\n")
            lines.append(f"{shard.documents_sha256}\n")
    return hashlib.sha256("".join([shards.vocabulary, *lines]).encode()).hexdigest()
