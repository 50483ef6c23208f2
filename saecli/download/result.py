"""What ``saecli download`` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.errors import PartialFailure
from saecli.core.result import Result, field_doc
from zoo.listing import ListedEntry
from zoo.listing import lines as listed_lines


@dataclass(frozen=True, kw_only=True)
class FileRow:
    """One file of a download."""

    path: str = field_doc("Path", "Below the repository, the archive or the source's folder.")
    bytes: int | None = field_doc("Bytes", "Size; null if the server does not tell before it is fetched.")
    here: bool = field_doc("Here", "True if it was in the cache before this call.")
    sha256: str | None = field_doc("SHA-256", "Of the content; null in a plan.")
    verified: str | None = field_doc(
        "Verified", "What the content was checked against: lfs sha256, git blob, zip crc32, first use; null in a plan."
    )


@dataclass(frozen=True, kw_only=True)
class NameRow:
    """What one name stands for."""

    name: str = field_doc("Name", "The name in the lock.")
    source: str = field_doc("Source", "Where it comes from, without credentials.", default="")
    revision: str = field_doc("Revision", "The commit; empty where there are none.", default="")
    path: str = field_doc("Path", "Where it is on this machine.", default="")
    bytes: int = field_doc("Bytes", "Size of its files as far as known.", default=0)
    fetched: int = field_doc(
        "Fetched", "Bytes of files that were not here before; in a plan, that are not here.", default=0
    )
    files: tuple[FileRow, ...] = field_doc(
        "Files", "Its files; none for what ships with a program or is made here.", default=()
    )
    error: str = field_doc("Error", "Why it could not be had; empty if it could.", default="")
    hint: str = field_doc("Hint", "What to do about the error.", default="")


@dataclass(frozen=True, kw_only=True)
class DownloadResult(Result):
    """Names and their files, or the list of the zoo."""

    schema: ClassVar[str] = "saecli.download/1"

    planned: bool = field_doc("Planned", "True if nothing was fetched because only the plan was asked for.")
    lock: str = field_doc("Lock", "The lock file that was read and written.")
    names: tuple[NameRow, ...] = field_doc("Names", "What was asked for.")
    listed: tuple[ListedEntry, ...] | None = field_doc("Listed", "The list of the zoo if it was asked for, else null.")

    def summary_lines(self) -> list[str]:
        """The list as columns, a plan file by file, a download name by name."""
        if self.listed is not None:
            return listed_lines(self.listed)
        lines = []
        for row in self.names:
            if row.error:
                lines.append(f"{row.name}  could not be {self.verb}")
                continue
            revision = f"@{row.revision[:12]}" if row.revision else ""
            if self.planned:
                lines += [f"{one.path}  {size(one.bytes)}{'  (here)' if one.here else ''}" for one in row.files]
            verb = "to fetch" if self.planned else "fetched"
            what = f"{size(row.fetched)} {verb}" if row.fetched else "all here"
            if not row.files:
                lines.append(f"{row.name}  {row.source}  {row.path}")
                continue
            count = f"{len(row.files)} file{'s' if len(row.files) != 1 else ''}"
            lines.append(f"{row.name}  {row.source.removesuffix('!')}{revision}  {count}, {size(row.bytes)}, {what}")
            if not self.planned:
                lines.append(f"  {row.path}")
        return lines

    @property
    def verb(self) -> str:
        """What is done with names."""
        return "planned" if self.planned else "fetched"

    def next_command(self) -> str:
        """Look at what has come."""
        shown = [row.name for row in self.names if not row.name.startswith("data:") and not row.error]
        return f"saecli zoo show '{shown[0]}'" if shown and not self.planned else ""

    def failure(self) -> PartialFailure | None:
        """What could not be had of several names."""
        failed = [row for row in self.names if row.error]
        if not failed:
            return None
        told = " ".join(f"{row.name}: {row.error}" for row in failed)
        return PartialFailure(
            f"{len(failed)} of {len(self.names)} names could not be {self.verb}. {told}", failed[0].hint
        )


def size(count: int | None) -> str:
    """Returns bytes for people."""
    if count is None:
        return "size unknown"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"
