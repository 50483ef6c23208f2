"""Bringing one file from a server to the disk, in as many calls as it takes.

What has arrived lies in a file of its own (`….incomplete`) until it is whole and its content is checked. The next call
asks for the rest; it starts again if the server gives no parts of files or the file there is another one by now.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from saecli.core import atomic
from saecli.core.errors import InputError
from saecli.download.client import Client
from saecli.download.meaning import Refused, Transient

PARTIAL = ".incomplete"
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")

Report = Callable[[int], None]
"""Is told how many bytes have arrived; fewer than none when a file starts again."""


@dataclass(frozen=True)
class Remote:
    """A file on a server, or a part of one.

    Attributes:
        url: Its address, credentials included.
        what: What it is called in messages.
        bytes: Size of the part that is wanted; None if the server does not tell.
        offset: Where that part begins.
        part: Whether it is less than the whole file.
        validator: ETag or date by which the server knows the file; empty if its content decides.
        commit: Revision the hub must answer with.
    """

    url: str
    what: str
    bytes: int | None
    offset: int = 0
    part: bool = False
    validator: str = ""
    commit: str = ""


def fetch(client: Client, remote: Remote, partial: Path, report: Report) -> None:
    """Brings what is missing of a file into `partial`, which then is whole, but not yet checked.

    Raises:
        InputError: It cannot be had, or the disk is full; what has arrived stays.
    """
    partial.parent.mkdir(parents=True, exist_ok=True)
    if remote.bytes is not None and size_of(partial) > remote.bytes:
        partial.unlink()
    if remote.bytes == 0 or remote.bytes is None:
        partial.touch()
    client.retried(lambda: _continue(client, remote, partial, report), lambda: size_of(partial))


def _continue(client: Client, remote: Remote, partial: Path, report: Report) -> None:
    have = size_of(partial)
    if have == remote.bytes:
        return
    headers = {}
    if have or remote.part:
        last = "" if remote.bytes is None else remote.offset + remote.bytes - 1
        headers["range"] = f"bytes={remote.offset + have}-{last}"
        if remote.validator:
            headers["if-range"] = remote.validator
    with client.open(remote.url, headers, what=remote.what, commit=remote.commit) as response:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise InputError(f"{remote.what} comes packed ({response.headers['content-encoding']}), unasked.")
        if response.status_code == 416:
            _start_again(partial, have, report)
            raise Transient(InputError(f"The server has no bytes from {have:,} of {remote.what}.", "Try again later."))
        if response.status_code == 206:
            _check_range(response.headers.get("content-range", ""), remote, have)
        elif remote.part:
            raise NoParts(
                f"The server gives no parts of {remote.what}.", "Leave out the members to fetch the whole archive."
            )
        elif have:
            have = _start_again(partial, have, report)
        expected = remote.bytes
        length = response.headers.get("content-length", "")
        if response.status_code == 200 and length.isdecimal():
            expected = int(length) if expected is None else expected
            if int(length) > expected:
                raise InputError(
                    f"The server has {int(length):,} bytes of {remote.what}, its list says {expected:,}.",
                    "Try again later.",
                )
        _write(client, response, remote, partial, expected, report)
    if expected is not None and size_of(partial) < expected:
        raise Transient(
            InputError(
                f"{remote.what} broke off after {size_of(partial):,} of {expected:,} bytes.",
                "Run it again to continue.",
            )
        )


class NoParts(InputError):
    """The server gives whole files only."""


def _check_range(told: str, remote: Remote, have: int) -> None:
    match = _RANGE.fullmatch(told.strip())
    if match is None or int(match[1]) != remote.offset + have:
        raise InputError(f"The server gives another part of {remote.what} than asked ({told or 'unnamed'}).")
    if not remote.part and remote.bytes is not None and match[3] not in ("*", str(remote.bytes)):
        raise InputError(f"{remote.what} has {match[3]} bytes on the server, expected {remote.bytes}.")


def _start_again(partial: Path, have: int, report: Report) -> int:
    partial.write_bytes(b"")
    report(-have)
    return 0


def _write(client: Client, response, remote: Remote, partial: Path, expected: int | None, report: Report) -> None:
    have = size_of(partial)
    with disk(partial.parent), partial.open("ab") as file:
        for chunk in response.iter_raw():  # a given size would hold back, and lose, what arrived before a cut
            client.check()
            have += len(chunk)
            if expected is not None and have > expected:
                raise InputError(f"The server sends more than the {expected:,} bytes of {remote.what}.")
            file.write(chunk)
            file.flush()  # a killed process keeps all that arrived
            report(len(chunk))


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Turns a full or read-only disk into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Refused(f"The disk of {folder} is full.", "Make room and run it again to continue.") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise Refused(f"Cannot write to {folder}: {error.strerror}.", "Choose another --cache-dir.") from error
        raise


def require_room(folder: Path, needed: int) -> None:
    """Refuses what does not fit on the disk.

    Raises:
        InputError: Names both numbers.
    """
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        from saecli.download.result import size

        raise InputError(
            f"{size(needed)} are needed and {size(free)} are free at {folder}.",
            "Make room, choose less with --include, or another --cache-dir.",
        )


@dataclass(frozen=True)
class Digests:
    """What the content of a file is, in hex: its sha256 and its git blob id."""

    sha256: str
    blob: str


def digests(path: Path, check: Callable[[], None] = lambda: None) -> Digests:
    """Reads a file and returns its digests; `check` may raise between blocks."""
    sha256 = hashlib.sha256()
    blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    small = path.stat().st_size < 64 << 20  # git holds no larger ones on the hub
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            check()
            sha256.update(block)
            if small:
                blob.update(block)
    return Digests(sha256.hexdigest(), blob.hexdigest() if small else "")


def finish(partial: Path, final: Path) -> None:
    """Gives a checked file its name, for good."""
    with disk(final.parent):
        atomic.sync(partial)
        final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(partial, final)
        atomic.sync(final.parent)


def size_of(path: Path) -> int:
    """Size of a file, 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
