"""Repositories of the Hugging Face hub: which files they have, and bringing one into the hub's own cache.

    models--org--name/blobs/ETAG              the content; ETAG is the sha256 of large files, the git blob of others
    models--org--name/snapshots/COMMIT/PATH   a link to it
    models--org--name/refs/BRANCH             the commit a branch or tag was at

`hf_hub_download` and `hf cache` of huggingface_hub find what is written here, and its locks are taken.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from saecli.core import atomic
from saecli.core.cache import Cache
from saecli.core.errors import InputError
from saecli.core.lock import LockedFile
from saecli.core.safe_path import fault
from saecli.download.client import Client
from saecli.download.meaning import MissingRepository, MissingRevision
from saecli.download.source import Source
from saecli.download.transfer import PARTIAL, Remote, Report, digests, disk, fetch, finish
from saecli.download.waiting import exclusive

COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_PAGES: Final = 1000


@dataclass(frozen=True)
class HubFile:
    """A file of a repository, as the hub lists it.

    Attributes:
        path: Below the repository.
        bytes: Size.
        sha256: Of the content, for large files; empty for others.
        blob: Git blob id, of the content for files that are not large.
    """

    path: str
    bytes: int
    sha256: str
    blob: str

    @property
    def etag(self) -> str:
        """Name of the content in the cache."""
        return self.sha256 or self.blob


def resolve(client: Client, source: Source) -> str:
    """Returns the commit of the revision a source asks for.

    Raises:
        InputError: No such repository or revision, no access, no connection.
    """
    revision = source.revision or "main"
    what = f"hf:{source.repo.removeprefix('models/')}" + (f"@{source.revision}" if source.revision else "")
    try:
        info, _ = client.json(f"{client.endpoint}/api/{source.repo}/revision/{quote(revision, safe='')}", what=what)
    except MissingRepository as error:
        known = [text for text in _zoo_sources() if text.startswith("hf:")]
        near = get_close_matches(what.partition("@")[0], known, n=1, cutoff=0.8)
        raise MissingRepository(error.message, f"Did you mean {near[0]}?" if near else error.hint) from error
    except MissingRevision as error:
        near = get_close_matches(revision, _references(client, source.repo), n=3, cutoff=0.4)
        hint = f"There is {', '.join(near)}." if near else error.hint
        raise MissingRevision(f"{source.text} has no revision {revision!r}.", hint) from error
    commit = info.get("sha") if isinstance(info, dict) else None
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise InputError(f"{urlsplit(client.endpoint).hostname} names no commit for {what}.")
    if COMMIT.fullmatch(revision) and commit != revision:
        raise InputError(
            f"{urlsplit(client.endpoint).hostname} answers with revision {commit} of {what}, asked was {revision}."
        )
    return commit


def _zoo_sources() -> list[str]:
    from zoo.index import listing

    return [row.source for row in listing(import_plugins=False)]


def _references(client: Client, repo: str) -> list[str]:
    try:
        refs, _ = client.json(f"{client.endpoint}/api/{repo}/refs", what=f"the branches of {repo}")
        return [str(one["name"]) for kind in ("branches", "tags") for one in refs.get(kind) or ()]
    except (InputError, AttributeError, KeyError, TypeError):
        return []


def files(client: Client, source: Source, commit: str) -> list[HubFile]:
    """Lists the files of a repository at or below the source's path.

    Raises:
        InputError: There is no such path; the nearest ones are named.
    """
    if not source.path:
        return list(_tree(client, source, commit, "", deep=True))
    parent = source.path.rpartition("/")[0]
    entries = list(_entries(client, source, commit, parent, deep=False))
    found = next((entry for entry in entries if entry.get("path") == source.path), None)
    if found is None:
        names = [str(entry.get("path")) for entry in entries]
        near = get_close_matches(source.path, names, n=3, cutoff=0.4) or names[:3]
        hint = f"There is {', '.join(near)}." if near else "Check the path."
        raise InputError(f"hf:{source.repo.removeprefix('models/')} has no {source.path!r}.", hint)
    if found.get("type") == "directory":
        return list(_tree(client, source, commit, source.path, deep=True))
    return [_file(found, source)]


def _tree(client: Client, source: Source, commit: str, path: str, *, deep: bool) -> Iterator[HubFile]:
    for entry in _entries(client, source, commit, path, deep=deep):
        if entry.get("type") == "file":
            yield _file(entry, source)


def _entries(client: Client, source: Source, commit: str, path: str, *, deep: bool) -> Iterator[dict[str, Any]]:
    where = f"/{quote(path)}" if path else ""
    url = f"{client.endpoint}/api/{source.repo}/tree/{commit}{where}?recursive={str(deep).lower()}&expand=false"
    for _ in range(MAX_PAGES):
        page, url = client.json(url, what=f"the list of files of {source.text}")
        if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
            raise InputError(f"{urlsplit(client.endpoint).hostname} gives no list of files of {source.text}.")
        yield from page
        if not url:
            return
    raise InputError(f"The list of files of {source.text} has no end.")


def _file(entry: dict[str, Any], source: Source) -> HubFile:
    path, size, blob, lfs = entry.get("path"), entry.get("size"), entry.get("oid"), entry.get("lfs")
    sha256 = lfs.get("oid") if isinstance(lfs, dict) else ""
    if (
        not isinstance(path, str)
        or type(size) is not int
        or size < 0
        or not (isinstance(blob, str) and COMMIT.fullmatch(blob))
        or not (sha256 == "" or (isinstance(sha256, str) and _SHA256.fullmatch(sha256)))
    ):
        raise InputError(f"The list of files of {source.text} has an entry that cannot be read: {str(entry)[:200]}.")
    return HubFile(path, size, sha256, blob)


def address(client: Client, source: Source, commit: str, path: str) -> str:
    """The URL of a file at a commit."""
    return f"{client.endpoint}/{source.repo.removeprefix('models/')}/resolve/{commit}/{quote(path)}"


def bring(
    client: Client, cache: Cache, source: Source, commit: str, file: HubFile, known: LockedFile | None, report: Report
) -> LockedFile:
    """Brings one file into the cache, or checks the one that is there.

    Args:
        client: Speaks to the hub.
        cache: Where to.
        source: The repository.
        commit: The revision.
        file: The file; its path is safe.
        known: What the lock says of it: content that was checked before is not read again.
        report: Is told of bytes that arrive.

    Raises:
        InputError: It cannot be had, or its content is not what the hub or the lock says.
    """
    folder = cache.repository(source.repo)
    blob, link = folder / "blobs" / file.etag, cache.snapshot(source.repo, commit) / file.path
    partial = blob.with_name(blob.name + PARTIAL)
    with disk(cache.hub), exclusive(client, cache.hub / ".locks" / folder.name / f"{file.etag}.lock", file.path):
        there = next((path for path in (blob, link) if path.is_file()), None)
        if there is not None and there.stat().st_size == file.bytes:
            if known is not None and known.bytes == file.bytes and file.sha256 in ("", known.sha256):
                locked = known
            else:
                locked = checked(client, there, file)
            if locked is not None:
                _link(blob, link, folder)
                return _as_known(locked, known, source)
            client.tell(f"{file.path} of {source.text} is damaged in the cache and is fetched again.")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)  # damaged or of another size: whoever reads it must not find it
        remote = Remote(
            url=address(client, source, commit, file.path),
            what=f"{file.path} of hf:{source.repo.removeprefix('models/')}",
            bytes=file.bytes,
            commit=commit,
        )
        locked = _fetched(client, remote, partial, file, report)
        _as_known(locked, known, source)
        finish(partial, blob)
        _link(blob, link, folder)
    return locked


def _fetched(client: Client, remote: Remote, partial: Path, file: HubFile, report: Report) -> LockedFile:
    continued = partial.is_file() and partial.stat().st_size > 0
    fetch(client, remote, partial, report)
    locked = checked(client, partial, file)
    if locked is None and continued:  # the part from before may be the bad one
        report(-partial.stat().st_size)
        partial.unlink()
        fetch(client, remote, partial, report)
        locked = checked(client, partial, file)
    if locked is not None:
        return locked
    found = digests(partial)
    partial.unlink()
    kind, got, want = ("sha256", found.sha256, file.sha256) if file.sha256 else ("git blob", found.blob, file.blob)
    raise InputError(
        f"{remote.what} arrived damaged: its {kind} is {got}, the hub says {want}.", "Run it again to fetch it anew."
    )


def checked(client: Client, path: Path, file: HubFile) -> LockedFile | None:
    """Returns the entry of a file whose content is what the hub says, None if it is not."""
    found = digests(path, client.check)
    good = found.sha256 == file.sha256 if file.sha256 else found.blob == file.blob
    verified = "lfs sha256" if file.sha256 else "git blob"
    return LockedFile(file.path, file.bytes, found.sha256, verified) if good else None


def _as_known(locked: LockedFile, known: LockedFile | None, source: Source) -> LockedFile:
    if known is not None and known.sha256 != locked.sha256:
        raise changed(locked.path, source, known.sha256, locked.sha256)
    return locked


def changed(path: str, source: Source, known: str, now: str) -> InputError:
    """The error of a file that is not what the lock says."""
    return InputError(
        f"{path} of {source.text} is not what it was: the lock says sha256 {known}, the server has {now}.",
        "If that is right, remove the name from the lock and download it again.",
    )


def note_reference(cache: Cache, source: Source, commit: str, *, newest: bool) -> None:
    """Notes which commit a branch or tag is at, as huggingface_hub does.

    Args:
        cache: The cache.
        source: The repository; its revision is the branch or tag.
        commit: The commit.
        newest: Whether the hub was asked just now; otherwise a note that is there stays.
    """
    revision = source.revision or "main"
    path = cache.repository(source.repo) / "refs" / revision
    if revision != commit and not fault(revision) and (newest or not path.is_file()):
        atomic.write_text(path, commit)


def _link(blob: Path, link: Path, folder: Path) -> None:
    if link.is_file():
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.parent.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{link.parent} leads out of {folder}, so nothing is written there.")
    link.unlink(missing_ok=True)
    try:
        link.symlink_to(os.path.relpath(blob, link.parent))
    except (OSError, NotImplementedError):  # a file system without links
        with atomic.writing(link) as temporary:
            shutil.copyfile(blob, temporary)
