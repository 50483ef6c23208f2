"""What a call has to do, from metadata only: for every name its files, and how to bring each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from saecli.core.cache import Cache
from saecli.core.errors import InputError
from saecli.core.lock import Locked, LockedFile
from saecli.core.safe_path import require_safe
from saecli.download import hub, web, zipmember
from saecli.download.client import Client
from saecli.download.source import Source, matches
from saecli.download.transfer import PARTIAL, Remote, Report, size_of
from saecli.download.want import Want


@dataclass(frozen=True)
class Task:
    """One file to have.

    Attributes:
        path: Where it goes, below the root of its plan.
        bytes: Its size; None if the server does not tell.
        missing: Bytes that are to be fetched for it; None if the server does not tell.
        here: Whether it lies in the cache.
        bring: Fetches it, or checks the one that is here.
    """

    path: str
    bytes: int | None
    missing: int | None
    here: bool
    bring: Callable[[Report], LockedFile]


@dataclass(frozen=True)
class Plan:
    """What is to be done for one name.

    Attributes:
        want: The name.
        entry: Its entry in the lock, to be completed with the files of the tasks.
        tasks: Its files.
        settled: Whether the lock knows all of it and all of it is here.
        done: What to do when all tasks are.
    """

    want: Want
    entry: Locked
    tasks: tuple[Task, ...]
    settled: bool = False
    done: Callable[[], None] = lambda: None


def plan(client: Client, cache: Cache, want: Want) -> Plan:
    """Finds out what is to be done for a name, asking servers for metadata only.

    Raises:
        InputError: It cannot be had.
    """
    known, source = want.known, want.source
    if known is not None and _keeps(want, known) and _covers(known, want) and known.complete(cache):
        return _settled(want, known)
    if source.members:
        return _of_archive(client, cache, want)
    if source.repo:
        return _of_hub(client, cache, want)
    if source.folder:
        return _by_hand(client, cache, want)
    return _of_web(client, cache, want)


def _settled(want: Want, known: Locked) -> Plan:
    if not want.exactly and not any(_included(file.path, want.source) for file in known.files):
        raise _nothing_like(want.source, [file.path for file in known.files])
    tasks = tuple(Task(file.path, file.bytes, 0, True, lambda _, file=file: file) for file in known.files)
    return Plan(want, known, tasks, settled=True)


def _keeps(want: Want, known: Locked) -> bool:
    """Whether the locked revision is meant."""
    if hub.COMMIT.fullmatch(want.source.revision):
        return want.source.revision == known.revision
    return not want.fresh


def _covers(known: Locked, want: Want) -> bool:
    """Whether the locked files are all that is asked for."""
    return want.exactly or not known.include or (bool(want.include) and set(want.include) <= set(known.include))


def _known(want: Want, revision: str) -> dict[str, LockedFile]:
    """What the lock says of the files of a revision."""
    entry = want.known
    return {} if entry is None or entry.revision != revision else {file.path: file for file in entry.files}


def _commit(client: Client, want: Want) -> str:
    """The revision that is meant: asked for, else locked, else the newest."""
    if want.known is not None and _keeps(want, want.known):
        return want.known.revision
    return hub.resolve(client, want.source)


def _of_hub(client: Client, cache: Cache, want: Want) -> Plan:
    source, commit = want.source, _commit(client, want)
    newest = want.known is None or not _keeps(want, want.known)
    known = _known(want, commit)
    listed = {file.path: file for file in hub.files(client, source, commit)}
    if want.exactly:
        chosen = [listed[path] for path in known if path in listed]
    else:
        chosen = [file for path, file in listed.items() if path in known or _included(path, source)]
    if missing := [path for path in known if path not in listed]:
        raise InputError(f"{missing[0]} of {source.text} is in the lock and not in revision {commit[:12]} on the hub.")
    if not chosen:
        raise _nothing_like(source, list(listed))
    require_safe((file.path for file in chosen), f"The list of files of {source.text}")
    for file in chosen:
        if file.path in known and file.sha256 not in ("", known[file.path].sha256):
            raise hub.changed(file.path, source, known[file.path].sha256, file.sha256)
    entry = Locked(source.text, source.repo, source.path, commit, _include(want, commit), ())
    tasks = tuple(_hub_task(client, cache, source, commit, file, known.get(file.path)) for file in chosen)
    return Plan(want, entry, tasks, done=lambda: hub.note_reference(cache, source, commit, newest=newest))


def _nothing_like(source: Source, there: list[str]) -> InputError:
    if not there:
        return InputError(f"{source.text} has no files at all.", "Check the name.")
    hint = f"It has {len(there)}, such as {', '.join(there[:3])}."
    return InputError(f"{source.text} has no file like {', '.join(source.include)}.", hint)


def _include(want: Want, commit: str) -> tuple[str, ...]:
    """The patterns that choose what is locked and what is asked for."""
    known = want.known
    if known is None or known.revision != commit:
        return want.include
    if _covers(known, want):
        return known.include
    return tuple(dict.fromkeys((*known.include, *want.include))) if want.include else ()


def _included(path: str, source: Source) -> bool:
    below = path.removeprefix(f"{source.path}/") if source.path else path
    return matches(path, source.include) or matches(below, source.include)


def _hub_task(
    client: Client, cache: Cache, source: Source, commit: str, file: hub.HubFile, known: LockedFile | None
) -> Task:
    blob = cache.repository(source.repo) / "blobs" / file.etag
    here = (size_of(blob) == file.bytes and blob.is_file()) or (
        size_of(cache.snapshot(source.repo, commit) / file.path) == file.bytes > 0
    )
    left = 0 if here else max(0, file.bytes - size_of(blob.with_name(blob.name + PARTIAL)))
    return Task(
        file.path,
        file.bytes,
        left,
        here,
        lambda report: hub.bring(client, cache, source, commit, file, known, report),
    )


def _of_web(client: Client, cache: Cache, want: Want) -> Plan:
    source = want.source
    file = web.look(client, source)
    known = _known(want, "").get(file.name)
    folder, size = cache.files_of(source.text), file.remote.bytes
    here = (folder / file.name).is_file() and size in (None, size_of(folder / file.name))
    missing = 0 if here else None if size is None else max(0, size - size_of(folder / f".{file.name}{PARTIAL}"))
    task = Task(file.name, size, missing, here, lambda report: web.bring(client, cache, source, file, known, report))
    return Plan(want, Locked(source.text, "", "", "", (), ()), (task,))


def _by_hand(client: Client, cache: Cache, want: Want) -> Plan:
    found = web.adopt(client, cache, want.source)
    known = _known(want, "")
    for file in found:
        if file.path in known and known[file.path].sha256 != file.sha256:
            raise hub.changed(file.path, want.source, known[file.path].sha256, file.sha256)
    tasks = tuple(Task(file.path, file.bytes, 0, True, lambda _, file=file: file) for file in found)
    return Plan(want, Locked(want.source.text, "", "", "", (), ()), tasks)


def _of_archive(client: Client, cache: Cache, want: Want) -> Plan:
    source, commit = want.source, ""
    if source.repo:
        commit = _commit(client, want)
        remote = _archive_on_hub(client, source, commit)
    else:
        remote = web.look(client, source).remote
    known = _known(want, commit)
    patterns = tuple(known) if want.exactly else (*source.include, *known) if source.include else ()
    chosen = zipmember.choose(zipmember.members(client, remote), patterns, remote.what)
    if want.exactly:
        chosen = [member for member in chosen if member.path in known]
    entry = Locked(source.text, "", "", commit, _include(want, commit), ())
    archive = zipmember.Archive(source, remote, entry.root(cache))
    return Plan(want, entry, tuple(_member_task(client, archive, one, known.get(one.path)) for one in chosen))


def _archive_on_hub(client: Client, source: Source, commit: str) -> Remote:
    found = hub.files(client, source, commit)
    if len(found) != 1 or found[0].path != source.path:
        raise InputError(f"{source.text.removesuffix('!')} is no single file, so it has no members.")
    what = source.text.removesuffix("!")
    return Remote(hub.address(client, source, commit, source.path), what, found[0].bytes, commit=commit)


def _member_task(
    client: Client, archive: zipmember.Archive, member: zipmember.Member, known: LockedFile | None
) -> Task:
    here = (archive.folder / member.path).is_file() and size_of(archive.folder / member.path) == member.bytes
    missing = 0 if here else member.end - member.start
    return Task(
        member.path, member.bytes, missing, here, lambda report: zipmember.bring(client, archive, member, known, report)
    )
