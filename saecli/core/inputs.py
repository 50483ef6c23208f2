"""What a run read, by content: sha256 of files and folders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saecli.core.errors import InputError

RUNS = "saecli-runs"
"""The folder of results in the current folder, which may itself be an input."""


@dataclass(frozen=True)
class Input:
    """One input of a run."""

    path: str
    sha256: str
    bytes: int

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "sha256": self.sha256, "bytes": self.bytes}


def hash_input(path: Path, known: Mapping[Path, str] | None = None) -> Input:
    """Hashes a file, or a folder as the list of its files' names and hashes (without hidden files and results).

    Args:
        path: The file or folder.
        known: sha256 of files that need no hashing, because they were verified when they were fetched.

    Raises:
        InputError: It is not there or cannot be read.
    """
    known = known or {}
    try:
        if not path.is_dir():
            return Input(str(path), known.get(path) or hash_file(path), path.stat().st_size)
        names = [file.relative_to(path) for file in sorted(path.rglob("*")) if file.is_file()]
        names = [name for name in names if not any(part.startswith(".") or part == RUNS for part in name.parts)]
        files = [path / name for name in names]
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # hashing does not hold the interpreter's lock
            hashes = pool.map(lambda file: known.get(file) or hash_file(file), files)
            lines = [f"{digest}  {name.as_posix()}\n" for digest, name in zip(hashes, names, strict=True)]
        size = sum(file.stat().st_size for file in files)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    return Input(str(path), hashlib.sha256("".join(lines).encode()).hexdigest(), size)


def hash_file(path: Path) -> str:
    """Returns the sha256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
