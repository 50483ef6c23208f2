"""lock.json: what was downloaded, from where, at which revision, with which content (schema `saecli.lock/1`).

    {"schema": "saecli.lock/1",
     "names": {"gpt2-small": {"source": "hf:openai-community/gpt2", "repo": "models/openai-community/gpt2", "path": "",
               "revision": "607a30d7…", "include": ["*.json", "*.safetensors"],
               "files": [{"path": "config.json", "bytes": 665, "sha256": "…", "verified": "git blob"}]}}}

`verified` says what the content was checked against: `lfs sha256` and `git blob` are the hub's own digests, `zip crc32`
the archive's, `first use` nothing but itself: it was trusted once and is demanded since.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from saecli.core import atomic
from saecli.core.cache import Cache
from saecli.core.errors import InputError
from saecli.core.safe_path import fault, require_safe

SCHEMA = "saecli.lock/1"
VERIFIED = ("lfs sha256", "git blob", "zip crc32", "first use")
_COMMIT, _SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")
_REPO = re.compile(r"(models|datasets)(/\w[\w.-]*){1,2}", re.ASCII)


@dataclass(frozen=True)
class LockedFile:
    """One file.

    Attributes:
        path: Below the repository, or below the folder of its source; with `/`.
        bytes: Size.
        sha256: Of the content, in hex.
        verified: What it was checked against (see the module's text).
    """

    path: str
    bytes: int
    sha256: str
    verified: str


@dataclass(frozen=True)
class Locked:
    """What one name stands for.

    Attributes:
        source: Where it comes from, without credentials; ends in `!` for members of a zip archive.
        repo: Repository on the hub (`models/org/name`), empty for other sources and for archives.
        path: Folder or file below the repository that the name means.
        revision: The commit, empty where there are none.
        include: Patterns that chose the files.
        files: The files.
    """

    source: str
    repo: str
    path: str
    revision: str
    include: tuple[str, ...]
    files: tuple[LockedFile, ...]

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)

    def root(self, cache: Cache) -> Path:
        """The folder that the files' paths are relative to."""
        if self.repo:
            return cache.snapshot(self.repo, self.revision)
        return cache.files_of(f"{self.source}@{self.revision}" if self.revision else self.source)

    def place(self, cache: Cache) -> Path:
        """What the name stands for on this machine: a folder, or a file where the source names one."""
        root = self.root(cache)
        if self.repo:
            return root / self.path if self.path else root
        return root if self.source.endswith("!") or len(self.files) != 1 else root / self.files[0].path

    def complete(self, cache: Cache) -> bool:
        """Whether every file is there in its size."""
        root = self.root(cache)
        return all(_size(root / file.path) == file.bytes for file in self.files)


@dataclass(frozen=True)
class Lock:
    """The content of a lock file: names and what they stand for."""

    names: dict[str, Locked] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Lock:
        """Reads a lock; one that is not there is empty.

        Raises:
            InputError: It is damaged, or a newer version wrote it.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except NotADirectoryError as error:
            raise InputError(
                f"{path.parent} is no folder, so it holds no {path.name}.",
                "Let SAECLI_CACHE or --cache-dir name a folder.",
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no JSON"
            raise InputError(f"The lock {path} cannot be read: {reason}.", "Move it away to start anew.") from error
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise InputError(f"{path} has the schema {schema!r}, expected {SCHEMA!r}.", "Upgrade saecli, or move it.")
        try:
            return cls({str(name): _locked(entry) for name, entry in document["names"].items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"The lock {path} is damaged ({error}).", "Move it away to start anew.") from error

    def find(self, name: str) -> Locked | None:
        """The entry of a name, or of the source that is written like it."""
        for one in (name, f"hf:{name}"):
            if one in self.names:
                return self.names[one]
        return next((entry for entry in self.names.values() if entry.source == name), None)

    def write(self, path: Path) -> None:
        """Writes the lock."""
        names = {name: asdict(entry) for name, entry in sorted(self.names.items())}
        atomic.write_text(path, json.dumps({"schema": SCHEMA, "names": names}, indent=1) + "\n")


def update(path: Path, changes: dict[str, Locked | None]) -> None:
    """Changes entries of a lock file, or removes those that are None, safely beside other processes."""
    with held(path.with_name(f".{path.name}.lock")):
        names: dict[str, Locked | None] = {**Lock.read(path).names, **changes}
        Lock({name: entry for name, entry in names.items() if entry is not None}).write(path)


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds an advisory lock on a file for as long as the block runs, where the system has such locks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def locate(name: str, cache: Cache | None = None) -> Path | None:
    """Finds what was downloaded under a name: the folder (or file) of its locked revision, without the network.

    Args:
        name: A name of the zoo, or a source such as `hf:org/name`.
        cache: Where to look; by default where downloads go.

    Returns:
        Its place, or None if it was not downloaded or files are missing.

    Raises:
        InputError: The lock is damaged.
    """
    cache = cache or Cache.at()
    entry = Lock.read(cache.lock).find(name)
    return entry.place(cache) if entry is not None and entry.complete(cache) else None


def verified(path: Path, cache: Cache | None = None) -> dict[Path, str]:
    """sha256 of the files at or below a path that were downloaded and verified; empty for anything else.

    Raises:
        InputError: The lock is damaged.
    """
    cache = cache or Cache.at()
    return {
        root / file.path: file.sha256
        for entry in Lock.read(cache.lock).names.values()
        if (root := entry.root(cache)) == path or root in path.parents or path in root.parents
        for file in entry.files
        if _size(root / file.path) == file.bytes
    }


def _locked(entry: dict[str, Any]) -> Locked:
    result = Locked(
        source=_text(entry["source"]),
        repo=_text(entry["repo"]),
        path=_text(entry["path"]),
        revision=_text(entry["revision"]),
        include=tuple(_text(one) for one in entry["include"]),
        files=tuple(_file(one) for one in entry["files"]),
    )
    if result.repo and not _REPO.fullmatch(result.repo):
        raise ValueError(f"no repository: {result.repo!r}")
    if result.revision and not _COMMIT.fullmatch(result.revision):
        raise ValueError(f"no commit: {result.revision!r}")
    if result.repo and not result.revision:
        raise ValueError("a repository without a commit")
    if result.path and fault(result.path):
        raise ValueError(f"{result.path!r} has {fault(result.path)}")
    require_safe((file.path for file in result.files), "The lock")
    return result


def _file(entry: dict[str, Any]) -> LockedFile:
    size, sha256, verified = entry["bytes"], _text(entry["sha256"]), entry["verified"]
    if type(size) is not int or size < 0 or not _SHA256.fullmatch(sha256) or verified not in VERIFIED:
        raise ValueError(f"file {entry['path']!r}: {size!r} bytes, sha256 {sha256!r}, {verified!r}")
    return LockedFile(_text(entry["path"]), size, sha256, verified)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
