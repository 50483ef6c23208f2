"""What commands keep in the cache for later runs: token shards of text and of streams, activations of models.

All of it can be made again. It is named by its folder: ``text/KEY``, ``streams/KEY``, ``activations/KEY``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saecli.core.cache import Cache

_KINDS: Final = ("text", "streams", "activations")
_NO_ENTRY: Final = "revisions"
"""Notes on what names of streams stood for, a line each."""

_FIRST: Final = "shards.json"
"""Goes before what it lists, so that what is left of a folder is not taken for shards."""


@dataclass(frozen=True)
class Made:
    """One folder of the cache.

    Attributes:
        name: Its kind and key.
        folder: Where it is.
    """

    name: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        """What it holds, in the order in which it can be removed."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and path.name != ".lock")
        return sorted(files, key=lambda path: (path.name != _FIRST, path))

    @property
    def bytes(self) -> int:
        """The size of its files."""
        return sum(one.st_size for one in self._stats())

    @property
    def used(self) -> float:
        """When one of its files was last read or written, in seconds since 1970; 0 if there is none."""
        return max((max(one.st_atime, one.st_mtime) for one in self._stats()), default=0.0)

    @property
    def lock(self) -> Path:
        """What a process holds while it writes here."""
        kind = self.name.partition("/")[0]
        if kind == "text":
            return self.folder.with_suffix(".lock")
        return (self.folder if kind == "streams" else self.folder.parent) / ".lock"

    def remove(self) -> None:
        """Removes it."""
        for path in self.files:
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stats(self) -> Iterator[os.stat_result]:
        for path in self.files:
            with contextlib.suppress(OSError):
                yield path.stat()


def made(cache: Cache) -> dict[str, Made]:
    """What is there, by name."""
    root = cache.files.parent
    folders = (folder for kind in _KINDS for folder in sorted((root / kind).glob("*")) if folder.is_dir())
    found = (Made(f"{folder.parent.name}/{folder.name}", folder) for folder in folders if folder.name != _NO_ENTRY)
    return {one.name: one for one in found}
