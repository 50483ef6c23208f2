"""What can be asked for by name, and what of it is here: ``saecli zoo list``, and ``saecli download`` without names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from saecli.core.cache import Cache
from saecli.core.config import OutputConfig, argument, option
from saecli.core.errors import UsageError, did_you_mean
from saecli.core.lock import Lock
from saecli.core.progress import Progress
from saecli.core.result import Result, field_doc
from zoo.index import ASSET, FILE, listing

KINDS = ("models", "suites", "data")


@dataclass(frozen=True, kw_only=True)
class ListConfig(OutputConfig):
    """What `saecli zoo list` is asked."""

    command: ClassVar[str] = "zoo list"

    kind: str | None = argument(
        None, help="models, suites or data; without it all three.", metavar="KIND", complete="sections", input=False
    )
    search: str | None = option(
        None, help="Only what has all of these words in its name, source or description.", metavar="WORDS"
    )


@dataclass(frozen=True, kw_only=True)
class ListedEntry:
    """One name of the zoo."""

    kind: str = field_doc("Kind", "models, suites or data.")
    name: str = field_doc("Name", "What to ask for.")
    family: str = field_doc("Family", "Family of models it belongs to.")
    source: str = field_doc("Source", "Where it comes from; asset: ships with the program.")
    description: str = field_doc("Description", "One line about it.")
    here: bool = field_doc("Here", "True if it is on this machine.")


@dataclass(frozen=True, kw_only=True)
class ListResult(Result):
    """Names of the zoo."""

    schema: ClassVar[str] = "saecli.zoo-list/1"

    entries: list[ListedEntry] = field_doc(
        "Entries", "One for each name: kind, family, source, and whether it is on this machine."
    )

    def summary_lines(self) -> list[str]:
        return lines(self.entries)


def lines(entries: Sequence[ListedEntry]) -> list[str]:
    """Returns names of the zoo for people, kind by kind."""
    if not entries:
        return ["Nothing of the zoo fits."]
    width = max(len(entry.name) for entry in entries)
    told: list[str] = []
    for kind in dict.fromkeys(entry.kind for entry in entries):
        told += [*([""] if told else []), f"{kind.capitalize()} (* is here):"]
        told += [
            f"{'*' if entry.here else ' '} {entry.name:{width}}  {entry.description}"
            for entry in entries
            if entry.kind == kind
        ]
    return told


def run(config: ListConfig, progress: Progress) -> ListResult:
    """The engine of the command.

    Raises:
        UsageError: No such kind.
    """
    if config.kind not in (None, *KINDS):
        hint = did_you_mean(config.kind, KINDS) or f"Known: {', '.join(KINDS)}. Words are searched with --search."
        raise UsageError(f"The zoo has no {config.kind!r}.", hint)
    return ListResult(entries=listed(Cache.at(), config.search or "", config.kind))


def listed(place: Cache, search: str = "", kind: str | None = None) -> list[ListedEntry]:
    """Returns the zoo's names, models first.

    Args:
        place: Where downloads are.
        search: Only what has all of these words in its name, source or description.
        kind: Only this kind.
    """
    lock = Lock.read(place.lock)
    words = search.casefold().split()
    entries = [
        ListedEntry(
            kind=row.kind,
            name=f"data:{row.name}" if row.kind == "data" else row.name,
            family=row.family,
            source=row.source,
            description=row.description,
            here=False,
        )
        for row in sorted(listing(), key=lambda row: KINDS.index(row.kind))
        if kind in (None, row.kind)
    ]
    return [
        replace(entry, here=_is_here(entry, lock, place))
        for entry in entries
        if all(word in f"{entry.name} {entry.family} {entry.source} {entry.description}".casefold() for word in words)
    ]


def _is_here(entry: ListedEntry, lock: Lock, place: Cache) -> bool:
    if entry.source.startswith((ASSET, FILE, "generate:")):
        return True
    known = lock.find(entry.name)
    return known is not None and known.complete(place)
