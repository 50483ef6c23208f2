"""What names on the command line mean: sources, which files of them, and what a lock says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from saecli.core.errors import InputError, UsageError, did_you_mean
from saecli.core.lock import Lock, Locked
from saecli.download.source import Source, parse

DATA: Final = "data:"
Kind = Literal["model", "suite", "data", "source"]


@dataclass(frozen=True)
class Want:
    """One name that was asked for.

    Attributes:
        name: What it is called in the lock.
        kind: What the zoo says it is; `source` for what is not of the zoo.
        source: Where it comes from.
        include: Patterns that choose files.
        known: What a lock says of it.
        fresh: Whether a revision was asked for by flag, so that the locked one does not count.
        exactly: Whether precisely the locked files are wanted.
    """

    name: str
    kind: Kind
    source: Source
    include: tuple[str, ...] = ()
    known: Locked | None = None
    fresh: bool = False
    exactly: bool = False


def wanted(
    names: Sequence[str], include: tuple[str, ...], revision: str, locks: Sequence[Lock], tell: Callable[[str], None]
) -> list[Want]:
    """Finds out what names mean.

    Args:
        names: As typed; without any, everything in the first lock, exactly as it says.
        include: Patterns given by flag.
        revision: Revision given by flag.
        locks: The project's lock, if any, then the cache's.
        tell: Gets lines for people.

    Raises:
        UsageError: A name is neither of the zoo nor a source.
    """
    if not names:
        return [_as_locked(name, entry) for name, entry in locks[0].names.items()]
    wants = [_want(name, include, revision, tell) for name in names]
    found = []
    for want in {want.name: want for want in wants}.values():
        known = next((lock.names[want.name] for lock in locks if want.name in lock.names), None)
        if known is not None and known.source != want.source.text:
            known = None
        found.append(replace(want, known=known))
    return found


def _as_locked(name: str, entry: Locked) -> Want:
    source = parse(entry.source)
    if source is None:
        raise InputError(f"The lock says {name} comes from {entry.source!r}, which is no source.")
    kind: Kind = "data" if name.startswith(DATA) else "source"
    revision = entry.revision if source.repo else ""
    return Want(name, kind, replace(source, revision=revision), entry.include, entry, exactly=True)


def _want(name: str, include: tuple[str, ...], revision: str, tell: Callable[[str], None]) -> Want:
    kind, text, default = _of_zoo(name) or ("source", name, ())
    source = parse(text)
    if source is None:
        from zoo.index import listing

        known = [f"{DATA if row.kind == 'data' else ''}{row.name}" for row in listing()]
        hint = did_you_mean(name, known) or "`saecli download --list` shows the zoo; others are hf:org/repo or a URL."
        raise UsageError(f"{name!r} is neither a name of the zoo nor a source.", hint)
    name = source.name if kind == "source" else name
    source = source.asked(include, revision)
    if kind == "source" and ":" not in text:
        tell(f"{text} is read as {source.text}.")
    if kind != "source" and default and not include:
        source = replace(source, include=default, members=source.members or source.is_archive)
    if source.members and not name.endswith("!") and kind == "source":
        name += "!"
    return Want(name, kind, source, source.include, fresh=bool(revision))


def _of_zoo(name: str) -> tuple[Kind, str, tuple[str, ...]] | None:
    """Kind, source and default patterns of a name of the zoo."""
    from zoo.index import find_data, find_model, find_release

    if name.startswith(DATA):
        found = find_data(name.removeprefix(DATA))
        return ("data", found[1].source, found[1].include) if found else None
    if model := find_model(name):
        return "model", model[1].source, model[1].include
    if release := find_release(name):
        return "suite", release[1].source, release[1].default
    return None
