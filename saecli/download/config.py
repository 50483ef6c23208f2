"""The configuration of ``saecli download`` and of ``saecli zoo cache``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.config import CallConfig, CommandConfig, OutputConfig, argument, option
from saecli.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class CacheMixin(CommandConfig):
    """Where the cache is."""

    cache_dir: str | None = option(
        None,
        help="Folder of the cache, instead of the usual ones; SAECLI_CACHE sets it for all commands.",
        metavar="DIR",
        complete="dirs",
        panel="Cache",
    )


@dataclass(frozen=True, kw_only=True)
class DownloadConfig(CacheMixin, CallConfig):
    """What to fetch."""

    command: ClassVar[str] = "download"

    names: tuple[str, ...] = argument(
        (),
        help="Names of the zoo, hf:org/repo[/path][@revision], https URLs, archive.zip!/member; without any, the list.",
        metavar="NAME",
        complete="downloads",
        input=False,
    )
    include: tuple[str, ...] = option(
        (), help="Fetch only files (or members of a zip archive) like this. Repeatable.", metavar="GLOB", panel="What"
    )
    revision: str | None = option(
        None,
        help="Branch, tag or commit on the hub; otherwise the one in the lock, or the newest.",
        metavar="REV",
        panel="What",
    )
    lock: str | None = option(
        None,
        help="Lock file of a project: what it names is fetched exactly as it says, what is new is added.",
        metavar="FILE",
        complete="files",
        panel="What",
    )
    list: bool = option(False, help="List what can be fetched by name.", flag="--list", session=True, panel="What")
    search: str | None = option(
        None,
        help="List only what has all of these words in its name, source or description.",
        metavar="WORDS",
        session=True,
        panel="What",
    )

    @property
    def lists(self) -> bool:
        """Whether the list is asked for, not a download."""
        return self.list or self.search is not None or not (self.names or self.lock)

    def validate(self) -> None:
        """Refuses flags that contradict each other."""
        if self.names and (self.list or self.search is not None):
            raise UsageError("--list and --search show the zoo and fetch no NAME.", "Leave out one or the other.")
        if self.lists and (self.include or self.revision or self.lock):
            flag = "--include" if self.include else "--revision" if self.revision else "--lock"
            raise UsageError(f"{flag} says nothing about a list.", "Give a NAME, or leave it out.")
        if not self.names and (self.include or self.revision):
            raise UsageError("--include and --revision are about one NAME, which is missing.")


@dataclass(frozen=True, kw_only=True)
class CacheListConfig(CacheMixin, OutputConfig):
    """What is in the cache."""

    command: ClassVar[str] = "zoo cache ls"


@dataclass(frozen=True, kw_only=True)
class CachePruneConfig(CacheMixin, CallConfig):
    """What to remove from the cache."""

    command: ClassVar[str] = "zoo cache prune"

    names: tuple[str, ...] = argument(
        (),
        help="Names as `saecli zoo cache ls` lists them, or hf:org/repo; without any, unfinished downloads.",
        metavar="NAME",
        complete="downloads",
        input=False,
    )
    older_than: float | None = option(
        None, help="Also what was not used for this many days.", minimum=0.0, metavar="DAYS", panel="What"
    )
