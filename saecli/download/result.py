"""What ``saecli download`` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.result import Result, field_doc


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
    source: str = field_doc("Source", "Where it comes from, without credentials.")
    revision: str = field_doc("Revision", "The commit; empty where there are none.")
    path: str = field_doc("Path", "Where it is on this machine.")
    bytes: int = field_doc("Bytes", "Size of its files as far as known.")
    fetched: int = field_doc("Fetched", "Bytes of files that were not here before; in a plan, that are not here.")
    files: tuple[FileRow, ...] = field_doc("Files", "Its files.")


@dataclass(frozen=True, kw_only=True)
class ListRow:
    """One line of the list."""

    name: str = field_doc("Name", "What to ask for.")
    kind: str = field_doc("Kind", "model, suite or data.")
    family: str = field_doc("Family", "Family of models it belongs to.")
    source: str = field_doc("Source", "Where it comes from; asset: ships with the program.")
    description: str = field_doc("Description", "One line about it.")
    here: bool = field_doc("Here", "True if it is on this machine.")


@dataclass(frozen=True, kw_only=True)
class DownloadResult(Result):
    """Names and their files, or the list of the zoo."""

    schema: ClassVar[str] = "saecli.download/1"

    planned: bool = field_doc("Planned", "True if nothing was fetched because only the plan was asked for.")
    lock: str = field_doc("Lock", "The lock file that was read and written.")
    names: tuple[NameRow, ...] = field_doc("Names", "What was asked for.")
    listed: tuple[ListRow, ...] = field_doc("Listed", "The list of the zoo, if that was asked for.")

    def summary_lines(self) -> list[str]:
        """The list as columns, a plan file by file, a download name by name."""
        if self.listed:
            width = max(len(row.name) for row in self.listed)
            return [
                f"{row.name:<{width}}  {row.kind:<5}  {'here' if row.here else '':<4}  {row.description}"
                for row in self.listed
            ]
        lines = []
        for row in self.names:
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
        return lines or ["Nothing like that."]

    def next_command(self) -> str:
        """Look at what has come."""
        shown = [row.name for row in self.names if not row.name.startswith("data:")]
        return f"saecli zoo show '{shown[0]}'" if shown and not self.planned else ""


def size(count: int | None) -> str:
    """Returns bytes for people."""
    if count is None:
        return "size unknown"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"
