"""``saecli zoo cache ls`` and ``prune``: what the cache has, and making room in it.

The hub's cache is shared with other programs. What is removed is what the lock names: its links, and the contents that
no other link needs. A repository that the lock does not know goes only if it is named. What commands made and kept is
listed and removed by its folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from saecli.core import lock as locks
from saecli.core.cache import Cache
from saecli.core.errors import InputError, did_you_mean
from saecli.core.lock import Lock, Locked
from saecli.core.progress import Progress
from saecli.core.result import Result, field_doc
from saecli.download.config import CacheListConfig, CachePruneConfig
from saecli.download.made import Made, made
from saecli.download.result import size
from saecli.download.source import parse
from saecli.download.transfer import PARTIAL

DAY_S = 86400.0


@dataclass(frozen=True, kw_only=True)
class CacheRow:
    """One name in the cache."""

    name: str = field_doc("Name", "The name in the lock, or the folder of what was made.")
    source: str = field_doc("Source", "Where it comes from; empty if it was made here.")
    revision: str = field_doc("Revision", "The commit; empty where there are none.")
    path: str = field_doc("Path", "Where it is.")
    bytes: int = field_doc("Bytes", "Size of its files.")
    used: str | None = field_doc("Used", "Day on which a file of it was last read; null if none is there.")
    complete: bool = field_doc("Complete", "True if every file is there in its size.")


@dataclass(frozen=True, kw_only=True)
class CacheListResult(Result):
    """What the cache has."""

    schema: ClassVar[str] = "saecli.cache-ls/1"

    names: tuple[CacheRow, ...] = field_doc("Names", "What the lock names, then what was made.")
    unfinished: int = field_doc("Unfinished", "Downloads that were not finished.")
    unfinished_bytes: int = field_doc("Unfinished bytes", "Size of what has arrived of them.")

    def summary_lines(self) -> list[str]:
        """One line per name, and one about unfinished downloads."""
        width = max((len(row.name) for row in self.names), default=0)
        lines = [
            f"{row.name:<{width}}  {row.revision[:12]:<12}  {size(row.bytes):>10}  {row.used or 'never':<10}"
            + ("" if row.complete else "  incomplete")
            for row in self.names
        ]
        if self.unfinished:
            lines.append(f"{self.unfinished} unfinished downloads, {size(self.unfinished_bytes)}")
        return lines or ["Nothing was downloaded or made yet."]


@dataclass(frozen=True, kw_only=True)
class CachePruneResult(Result):
    """What was removed."""

    schema: ClassVar[str] = "saecli.cache-prune/1"

    planned: bool = field_doc("Planned", "True if nothing was removed because only the plan was asked for.")
    names: tuple[str, ...] = field_doc("Names", "Names that went.")
    files: tuple[str, ...] = field_doc("Files", "Files that went, links not counted.")
    bytes: int = field_doc("Bytes", "Their size.")

    def summary_lines(self) -> list[str]:
        """What went."""
        verb = "Would remove" if self.planned else "Removed"
        names = f" of {', '.join(self.names)}" if self.names else ""
        return [f"{verb} {len(self.files)} files{names}, {size(self.bytes)}."]


def ls(config: CacheListConfig, progress: Progress) -> CacheListResult:
    """Lists what the lock names and what commands made."""
    cache = Cache.at(config.cache_dir)
    rows = []
    for name, entry in sorted(Lock.read(cache.lock).names.items()):
        used = _last_used(cache, entry)
        rows.append(
            CacheRow(
                name=name,
                source=entry.source,
                revision=entry.revision,
                path=str(entry.place(cache)),
                bytes=entry.bytes,
                used=_day(used),
                complete=entry.complete(cache),
            )
        )
    for name, one in made(cache).items():
        row = CacheRow(
            name=name, source="", revision="", path=str(one.folder), bytes=one.bytes, used=_day(one.used), complete=True
        )
        rows.append(row)
    parts = list(_unfinished(cache))
    return CacheListResult(names=tuple(rows), unfinished=len(parts), unfinished_bytes=sum(map(_bytes, parts)))


def prune(config: CachePruneConfig, progress: Progress) -> CachePruneResult:
    """Removes names, what was not used for long, and unfinished downloads that nobody is at.

    Raises:
        InputError: A name is neither in the lock nor a folder of the cache, or another process writes there.
    """
    cache = Cache.at(config.cache_dir)
    known = Lock.read(cache.lock).names
    chosen = {name: known[name] for name in config.names if name in known}
    made_here = made(cache)
    going = {name: made_here[name] for name in config.names if name in made_here}
    for name, one in going.items():
        if not _free(one.lock):
            raise InputError(f"{name} is being written by another process.", "Try again when that has ended.")
    others = [name for name in config.names if name not in known and name not in going]
    whole = [_repository(cache, name, known, made_here) for name in others]
    if config.older_than is not None:
        limit = time.time() - config.older_than * DAY_S
        chosen |= {name: entry for name, entry in known.items() if _last_used(cache, entry) < limit}
        going |= {name: one for name, one in made_here.items() if one.used < limit and _free(one.lock)}
    goes = [path for folder in whole for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    kept = {name: entry for name, entry in known.items() if name not in chosen}
    links = _links(cache, chosen, kept)
    goes += _contents(links) + [path for one in going.values() for path in one.files]
    if not config.names:
        goes += _unfinished(cache)
    goes = sorted(set(goes))
    count = sum(map(_bytes, goes))
    if not config.plan:
        for one in going.values():
            one.remove()
        for path in (*links, *goes):
            path.unlink(missing_ok=True)
        for folder in whole:
            shutil.rmtree(folder)
        for folder in {path.parent for path in (*links, *goes)}:
            _tidy(folder, cache)
        if chosen:
            locks.update(cache.lock, dict.fromkeys(chosen))
    names = (*chosen, *going, *others)
    return CachePruneResult(planned=config.plan, names=names, files=tuple(map(str, goes)), bytes=count)


def _repository(cache: Cache, name: str, known: dict[str, Locked], made_here: dict[str, Made]) -> Path:
    """The folder of a repository that the lock does not know."""
    source = parse(name)
    folder = cache.repository(source.repo) if source is not None and source.repo and not source.path else None
    if folder is None or not folder.is_dir():
        hint = did_you_mean(name, [*known, *made_here]) or "`saecli zoo cache ls` shows what is there."
        raise InputError(f"{name} is not in the cache.", hint)
    users = [one for one, entry in known.items() if source is not None and entry.repo == source.repo]
    if users:
        raise InputError(f"Files of {name} belong to {', '.join(users)}.", f"Name that: prune {' '.join(users)}.")
    return folder


def _links(cache: Cache, chosen: dict[str, Locked], kept: dict[str, Locked]) -> list[Path]:
    """The paths of the chosen names' files that no kept name has."""
    needed = {entry.root(cache) / file.path for entry in kept.values() for file in entry.files}
    paths = {entry.root(cache) / file.path for entry in chosen.values() for file in entry.files}
    return sorted(path for path in paths - needed if os.path.lexists(path))


def _contents(links: list[Path]) -> list[Path]:
    """The files behind links, but for those that another link of the same repository leads to."""
    going = set(links)
    found = {link for link in links if not link.is_symlink()}
    repositories = {link: _repository_of(link) for link in links if link.is_symlink()}
    for repository in set(repositories.values()):
        snapshots = repository / "snapshots"
        others = {one.resolve() for one in snapshots.rglob("*") if one.is_symlink() and one not in going}
        blobs = repository / "blobs"
        for link, owner in repositories.items():
            content = Path(os.path.normpath(link.parent / os.readlink(link)))
            if owner == repository and content.parent == blobs and content.resolve() not in others and content.exists():
                found.add(content)
    return sorted(found)


def _repository_of(link: Path) -> Path:
    return next(parent.parent for parent in link.parents if parent.name == "snapshots")


def _unfinished(cache: Cache) -> Iterator[Path]:
    """Parts of downloads that no process is working on."""
    for path in cache.hub.glob(f"*/blobs/*{PARTIAL}"):
        etag = path.name.removesuffix(PARTIAL).partition(".")[0]
        if _free(cache.hub / ".locks" / path.parent.parent.name / f"{etag}.lock"):
            yield path
    for path in cache.files.rglob(f"*{PARTIAL}"):
        own = path.with_suffix(".lock") if path.parent.name == ".parts" else path.parent / ".lock"
        if _free(own):
            yield path


def _free(lock: Path) -> bool:
    """Whether nobody holds a lock."""
    try:
        import fcntl

        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True
    return True


def _tidy(folder: Path, cache: Cache) -> None:
    """Removes what has no use any more in a folder from which files went."""
    if folder.is_relative_to(cache.hub):
        _tidy_repository(cache.hub / folder.relative_to(cache.hub).parts[0])
    elif folder.is_relative_to(cache.files):
        own = cache.files / folder.relative_to(cache.files).parts[0]
        if all(path.is_dir() or path.name.endswith((".lock", ".state")) for path in own.rglob("*")):
            shutil.rmtree(own, ignore_errors=True)


def _tidy_repository(repository: Path) -> None:
    """Removes empty snapshots and notes about them; the whole of it if nothing is left."""
    snapshots = repository / "snapshots"
    for folder in sorted((path for path in snapshots.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()
    commits = {path.name for path in snapshots.glob("*")}
    for note in (repository / "refs").rglob("*"):
        if note.is_file() and note.read_text(encoding="utf-8").strip() not in commits:
            note.unlink()
    if not commits and not any((repository / "blobs").glob("*")):
        shutil.rmtree(repository, ignore_errors=True)


def _day(used: float) -> str | None:
    return datetime.fromtimestamp(used, UTC).date().isoformat() if used else None


def _last_used(cache: Cache, entry: Locked) -> float:
    root, latest = entry.root(cache), 0.0
    for file in entry.files:
        with contextlib.suppress(OSError):
            found = (root / file.path).stat()
            latest = max(latest, found.st_atime, found.st_mtime)
    return latest


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
