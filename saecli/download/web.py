"""Files of any https server, and of Google Drive: trusted the first time, and demanded to be the same since."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urljoin, urlsplit

from saecli.core import atomic
from saecli.core.cache import Cache
from saecli.core.errors import InputError
from saecli.core.lock import LockedFile
from saecli.core.safe_path import made_safe
from saecli.download.client import Client, whole
from saecli.download.hub import changed
from saecli.download.source import Source
from saecli.download.transfer import PARTIAL, Remote, Report, digests, disk, fetch, finish, size_of
from saecli.download.waiting import exclusive

DRIVE = "https://drive.google.com"


@dataclass(frozen=True)
class WebFile:
    """A file of a server.

    Attributes:
        remote: How to fetch it.
        name: A safe name for it.
    """

    remote: Remote
    name: str


def look(client: Client, source: Source) -> WebFile:
    """Asks a server for the size and the name of a file, without its content.

    Raises:
        InputError: It cannot be had.
    """
    url = f"{DRIVE}/uc?export=download&id={source.drive}" if source.drive else source.url
    found = client.retried(lambda: _look(client, source, url))
    if isinstance(found, str):  # Google Drive asks whether a large file is really wanted
        confirmed = found
        found = client.retried(lambda: _look(client, source, confirmed))
    if isinstance(found, str):
        raise by_hand(source)
    return found


def by_hand(source: Source, folder: Path | None = None) -> InputError:
    """The sentence for what only a person with a browser can fetch."""
    where = f"put its files into {folder} and run this again" if folder else "name its path instead"
    kind = "a folder" if source.folder else "a file that is not given to programs"
    return InputError(f"{source.text} is {kind} of Google Drive.", f"Fetch it in a browser, then {where}.")


def _look(client: Client, source: Source, url: str) -> WebFile | str:
    with client.open(url, {"range": "bytes=0-0"}, what=source.text) as response:
        headers = response.headers
        if source.drive and headers.get("content-type", "").startswith("text/html"):
            page = _Form()
            page.feed(whole(response, source.text).decode("utf-8", "replace"))
            if not page.action:
                raise by_hand(source)
            return f"{urljoin(str(response.request.url), page.action)}?{urlencode(page.fields)}"
        told = headers.get("content-range", "").rpartition("/")[2]
        if response.status_code == 200:
            told = headers.get("content-length", "")
        size = int(told) if told.isdecimal() else None
        name = _file_name(headers) or unquote(urlsplit(source.url).path.rpartition("/")[2])
        remote = Remote(url=url, what=source.text, bytes=size, validator=_validator(headers))
        return WebFile(remote, made_safe(name))


class _Form(HTMLParser):
    """The form of Google Drive's page `can't scan this file for viruses`."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form" and found.get("id") == "download-form":
            self.action = found.get("action") or ""
        if tag == "input" and self.action and found.get("type") == "hidden" and found.get("name"):
            self.fields[found["name"] or ""] = found.get("value") or ""


def _file_name(headers: Mapping[str, str]) -> str:
    told = headers.get("content-disposition", "")
    if match := re.search(r"filename\*=UTF-8''([^;]+)", told, re.IGNORECASE):
        return unquote(match[1]).rpartition("/")[2]
    match = re.search(r'filename="?([^";]+)"?', told, re.IGNORECASE)
    return match[1].rpartition("/")[2] if match else ""


def _validator(headers: Mapping[str, str]) -> str:
    """The strong ETag, or the date of the last change."""
    etag = headers.get("etag", "")
    return etag if etag.startswith('"') else headers.get("last-modified", "")


def bring(
    client: Client, cache: Cache, source: Source, file: WebFile, known: LockedFile | None, report: Report
) -> LockedFile:
    """Brings a file into the cache, or checks the one that is there (see `hub.bring`)."""
    folder = cache.files_of(source.text)
    final, partial = folder / file.name, folder / f".{file.name}{PARTIAL}"
    state = folder / f".{file.name}.state"
    with disk(cache.files), exclusive(client, folder / ".lock", source.text):
        if final.is_file() and file.remote.bytes in (None, size_of(final)):
            if known is not None and known.bytes == size_of(final):
                return known
            return _trusted(client, final, file.name, source, known)
        if size_of(partial) and not _same(state, file.remote):
            partial.unlink()
        atomic.write_text(state, json.dumps(_identity(file.remote)))
        fetch(client, file.remote, partial, report)
        try:
            locked = _trusted(client, partial, file.name, source, known)
        except InputError:
            partial.unlink()
            raise
        finish(partial, final)
        state.unlink()
    return locked


def _trusted(client: Client, path: Path, name: str, source: Source, known: LockedFile | None) -> LockedFile:
    locked = LockedFile(name, size_of(path), digests(path, client.check).sha256, "first use")
    if known is None:
        return locked
    if known.sha256 != locked.sha256:
        raise changed(name, source, known.sha256, locked.sha256)
    return replace(locked, verified=known.verified)


def _identity(remote: Remote) -> dict[str, Any]:
    return {"bytes": remote.bytes, "validator": remote.validator}


def _same(state: Path, remote: Remote) -> bool:
    """Whether the server has the file that a part was fetched of."""
    try:
        return bool(remote.validator) and json.loads(state.read_text()) == _identity(remote)
    except (OSError, ValueError):
        return False


def adopt(client: Client, cache: Cache, source: Source) -> list[LockedFile]:
    """Takes in what a person put into the folder of a source that programs cannot fetch.

    Raises:
        InputError: There is nothing yet; says where to put it.
    """
    folder = cache.files_of(source.text)
    found = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink() and not p.name.startswith("."))
    if not found:
        folder.mkdir(parents=True, exist_ok=True)
        raise by_hand(source, folder)
    return [
        LockedFile(p.relative_to(folder).as_posix(), size_of(p), digests(p, client.check).sha256, "first use")
        for p in found
    ]
