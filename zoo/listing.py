"""``saecli zoo list``: what can be asked for by name, and what of it is here already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.cache import Cache
from saecli.core.config import OutputConfig, argument, option
from saecli.core.errors import UsageError, did_you_mean
from saecli.core.lock import Lock
from saecli.core.progress import Progress
from saecli.core.result import Result, field_doc
from zoo.index import ASSET, FILE, Listed, listing

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

    kind: str
    name: str
    family: str
    source: str
    description: str
    here: bool


@dataclass(frozen=True, kw_only=True)
class ListResult(Result):
    """Names of the zoo."""

    schema: ClassVar[str] = "saecli.zoo-list/1"

    entries: list[ListedEntry] = field_doc(
        "Entries", "One for each name: kind, family, source, and whether it is on this machine."
    )

    def summary_lines(self) -> list[str]:
        if not self.entries:
            return ["Nothing of the zoo fits."]
        width = max(len(entry.name) for entry in self.entries)
        lines: list[str] = []
        for kind in dict.fromkeys(entry.kind for entry in self.entries):
            lines += [*([""] if lines else []), f"{kind.capitalize()} (* is here):"]
            lines += [
                f"{'*' if entry.here else ' '} {entry.name:{width}}  {entry.description}"
                for entry in self.entries
                if entry.kind == kind
            ]
        return lines


def run(config: ListConfig, progress: Progress) -> ListResult:
    """The engine of the command.

    Raises:
        UsageError: No such kind.
    """
    if config.kind not in (None, *KINDS):
        hint = did_you_mean(config.kind, KINDS) or f"Known: {', '.join(KINDS)}. Words are searched with --search."
        raise UsageError(f"The zoo has no {config.kind!r}.", hint)
    place = Cache.at()
    lock = Lock.read(place.lock)
    words = (config.search or "").lower().split()
    chosen = [
        row
        for row in sorted(listing(), key=lambda row: KINDS.index(row.kind))
        if config.kind in (None, row.kind)
        and all(word in f"{row.name} {row.source} {row.description}".lower() for word in words)
    ]
    entries = [
        ListedEntry(
            kind=row.kind,
            name=row.name,
            family=row.family,
            source=row.source,
            description=row.description,
            here=row.source.startswith((ASSET, FILE, "generate:")) or _has(lock, place, row),
        )
        for row in chosen
    ]
    return ListResult(entries=entries)


def _has(lock: Lock, place: Cache, row: Listed) -> bool:
    entry = lock.find(f"data:{row.name}" if row.kind == "data" else row.name)
    return entry is not None and entry.complete(place)
