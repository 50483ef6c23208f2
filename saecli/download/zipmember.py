"""Members of a zip archive on a server: its directory is read by parts, and only the chosen members are fetched."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import IO, Final

from saecli.core.errors import InputError
from saecli.core.lock import LockedFile
from saecli.core.safe_path import require_safe
from saecli.download.client import Client
from saecli.download.hub import changed
from saecli.download.remote_file import RemoteFile
from saecli.download.source import Source, matches
from saecli.download.transfer import PARTIAL, Remote, Report, digests, disk, fetch, finish
from saecli.download.waiting import exclusive

PARTS: Final = ".parts"
"""Folder of what has arrived of members that are not whole yet."""
MAX_RATIO: Final = 250
"""Deflate packs zeros 1,000-fold and data of models or games hardly 50-fold."""
_LOCAL = struct.Struct("<4s5H3L2H")
_METHODS: Final = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        path: Its name.
        bytes: Unpacked size.
        packed: Packed size.
        crc: CRC-32 of the content.
        method: 0 stored, 8 deflated.
        refused: Why it is never unpacked, empty for files.
        start: Where its local header begins in the archive.
        end: Where the next entry or the directory begins.
    """

    path: str
    bytes: int
    packed: int
    crc: int
    method: int
    refused: str
    start: int
    end: int


def members(client: Client, remote: Remote) -> list[Member]:
    """Reads the directory of an archive.

    Args:
        client: Speaks to the server.
        remote: The whole archive.

    Raises:
        InputError: It is no zip archive, or the server gives no parts of it.
    """
    if not remote.bytes:
        raise InputError(f"The server does not tell the size of {remote.what}, so no part of it can be fetched.")
    try:
        with zipfile.ZipFile(RemoteFile(client, remote, remote.bytes)) as archive:
            infos, directory = archive.infolist(), archive.start_dir
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{remote.what} is no zip archive that can be read: {error}.") from error
    starts = sorted({info.header_offset for info in infos} | {directory})
    following = dict(pairwise(starts))
    return [
        Member(
            path=info.orig_filename,
            bytes=info.file_size,
            packed=info.compress_size,
            crc=info.CRC,
            method=info.compress_type,
            refused="is encrypted" if info.flag_bits & 0x1 else "is a link or a device" if _is_link(info) else "",
            start=info.header_offset,
            end=following.get(info.header_offset, info.header_offset),
        )
        for info in infos
        if not info.is_dir()
    ]


def _is_link(info: zipfile.ZipInfo) -> bool:
    mode = info.external_attr >> 16
    return bool(mode) and stat.S_IFMT(mode) not in (0, stat.S_IFREG)


def choose(found: list[Member], patterns: tuple[str, ...], what: str) -> list[Member]:
    """Chooses members by patterns, and refuses an archive whose choice is not safe to unpack.

    Raises:
        InputError: Nothing matches, or a chosen member is encrypted, a link, a bomb, badly named or overlaps another.
    """
    chosen = [member for member in found if matches(member.path, patterns)]
    if not chosen:
        some = ", ".join(member.path for member in found[:3])
        raise InputError(f"{what} has no member like {', '.join(patterns)}.", f"It has {len(found)}, such as {some}.")
    require_safe((member.path for member in chosen), what)
    for member in chosen:
        if fault := _fault(member):
            raise InputError(f"{member.path} in {what} {fault}, so it is not unpacked.", "Leave it out by --include.")
    return chosen


def _fault(member: Member) -> str:
    if member.refused:
        return member.refused
    if member.method not in _METHODS:
        return f"is packed by method {member.method} (stored and deflated are read)"
    if member.method == zipfile.ZIP_STORED and member.packed != member.bytes:
        return "has two sizes"
    if member.bytes > (1 << 20) and member.bytes > MAX_RATIO * member.packed:
        return f"would grow {member.bytes // max(member.packed, 1):,}-fold when unpacked"
    if member.start + _LOCAL.size + member.packed > member.end:
        return "overlaps another member"
    return ""


@dataclass(frozen=True)
class Archive:
    """An archive on a server, and the folder its members go to."""

    source: Source
    remote: Remote
    folder: Path


def bring(client: Client, archive: Archive, member: Member, known: LockedFile | None, report: Report) -> LockedFile:
    """Brings one member into a folder, unpacked and checked against size and CRC-32, or checks the one that is there.

    Raises:
        InputError: It cannot be had, or its content is not what the archive or the lock says.
    """
    folder, remote = archive.folder, archive.remote
    final = folder / member.path
    partial = folder / PARTS / f"{member.start:x}-{member.crc:08x}{PARTIAL}"
    with disk(folder.parent), exclusive(client, partial.with_suffix(".lock"), member.path):
        if final.is_file() and final.stat().st_size == member.bytes:
            if known is not None and known.bytes == member.bytes:
                return known
            if _crc(final, client.check) == member.crc:
                return _as_known(final, member, known, archive, client)
        if not final.parent.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{final.parent} leads out of {folder}, so nothing is written there.")
        what = f"{member.path} of {remote.what}"
        part = replace(remote, what=what, offset=member.start, bytes=member.end - member.start, part=True)
        fetch(client, part, partial, report)
        unpacked = partial.with_suffix(".unpacked")
        try:
            _unpack(partial, unpacked, member, what, client.check)
            locked = _as_known(unpacked, member, known, archive, client)
            finish(unpacked, final)
        except InputError:
            partial.unlink()
            raise
        finally:
            unpacked.unlink(missing_ok=True)
        partial.unlink()
    return locked


def _as_known(path: Path, member: Member, known: LockedFile | None, archive: Archive, client: Client) -> LockedFile:
    locked = LockedFile(member.path, member.bytes, digests(path, client.check).sha256, "zip crc32")
    if known is not None and known.sha256 != locked.sha256:
        raise changed(member.path, archive.source, known.sha256, locked.sha256)
    return locked


def _unpack(partial: Path, target: Path, member: Member, what: str, check: Callable[[], None]) -> None:
    """Unpacks the bytes of one entry (local header, data, maybe a descriptor); never more than its declared size."""
    again = "Run it again to fetch it anew."
    with partial.open("rb") as packed, target.open("wb") as out:
        start = _data_start(packed.read(_LOCAL.size), member)
        if start is None:
            raise InputError(f"{what} is not where its archive's directory says.", again)
        if start + member.packed > member.end - member.start:
            raise InputError(f"{what} overlaps another member, so it is not unpacked.")
        packed.seek(start)
        written, crc = 0, 0
        try:
            for data in _contents(packed, member):
                check()
                written += len(data)
                if written > member.bytes:
                    raise InputError(f"{what} unpacks to more than the {member.bytes:,} bytes it declares.")
                crc = zlib.crc32(data, crc)
                out.write(data)
        except zlib.error as error:
            raise InputError(f"{what} arrived damaged ({error}).", again) from error
    if written != member.bytes or crc != member.crc:
        raise InputError(
            f"{what} arrived damaged: {written:,} bytes with CRC {crc:08x}, its archive says {member.bytes:,} with "
            f"{member.crc:08x}.",
            again,
        )


def _data_start(header: bytes, member: Member) -> int | None:
    """Where the data begin after a local header; None if it is not the header of this member."""
    if len(header) != _LOCAL.size:
        return None
    magic, _, flags, method, *_, name, extra = _LOCAL.unpack(header)
    good = magic == b"PK\x03\x04" and method == member.method and not flags & 0x1
    return _LOCAL.size + name + extra if good else None


def _contents(packed: IO[bytes], member: Member) -> Iterator[bytes]:
    """Gives the content in blocks of bounded size."""
    left = member.packed
    inflate = zlib.decompressobj(-15)
    while left > 0 and (block := packed.read(min(left, 1 << 20))):
        left -= len(block)
        if member.method == zipfile.ZIP_STORED:
            yield block
            continue
        while block and not inflate.eof:
            yield inflate.decompress(block, 4 << 20)
            block = inflate.unconsumed_tail
    if member.method != zipfile.ZIP_STORED:
        yield inflate.flush()


def _crc(path: Path, check: Callable[[], None]) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            check()
            crc = zlib.crc32(block, crc)
    return crc
