"""Names of files that others chose: what may be joined to a folder of ours, on any file system."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from saecli.core.errors import InputError

_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{name}{digit}" for name in ("com", "lpt") for digit in "123456789\u00b9\u00b2\u00b3"
}
"""Names that Windows reads as devices, with any extension."""

_MAX_PART, _MAX_PATH = 255, 4096


def fault(path: str) -> str:
    """Returns what makes a relative path with `/` unfit to be written below a folder, or an empty string."""
    if not path:
        return "an empty name"
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in path):
        return "a control character"
    if "\\" in path:
        return "a backslash"
    if path.startswith("/") or (len(path) > 1 and path[1] == ":"):
        return "an absolute path"
    parts = path.split("/")
    if ".." in parts:
        return "'..'"
    if any(part in ("", ".") for part in parts):
        return "an empty part"
    if any(part.split(".")[0].rstrip(" ").casefold() in _DEVICES for part in parts):
        return "the name of a device"
    if any(part.endswith((".", " ")) or ":" in part for part in parts):
        return "a name that not every file system can hold"
    if any(len(part.encode()) > _MAX_PART for part in parts) or len(path.encode()) > _MAX_PATH:
        return "too long a name"
    return ""


def require_safe(paths: Iterable[str], where: str) -> None:
    """Refuses lists of files of which one would land outside of its folder or on top of another.

    Args:
        paths: Relative paths with `/`.
        where: Who says so, for the message.

    Raises:
        InputError: Names the path and what is wrong with it.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        if reason := fault(path):
            raise InputError(f"{where} names a file {path!r} with {reason}, so nothing of it is written.")
        key = unicodedata.normalize("NFC", path).casefold()
        if key in files:
            raise InputError(f"{where} names {files[key]!r} and {path!r}, which are one file on some file systems.")
        files[key] = path
        while "/" in key:
            key = key.rpartition("/")[0]
            folders[key] = path
    for key in files.keys() & folders.keys():
        raise InputError(f"{where} names {files[key]!r} as a file and as a folder.")


def made_safe(name: str, otherwise: str = "file") -> str:
    """Returns a file name near to `name` that any file system holds."""
    name = "".join(c if c.isalnum() or c in "._-+=" else "_" for c in name).strip("._ ")[-120:]
    return otherwise if fault(name) else name
