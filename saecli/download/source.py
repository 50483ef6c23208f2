"""What a name on the command line means: a repository of the hub, a URL, a file of Google Drive, members of an archive.

hf:org/repo   hf:org/repo/folder@v1   hf:datasets/org/repo   hf:org/repo/layer_*/*.npz   org/repo
https://host/file.npz   https://host/archive.zip!/folder/*.pt   hf:org/repo/archive.zip!/folder/*.pt
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from saecli.core.errors import UsageError
from saecli.core.safe_path import fault

HUB_HOSTS: Final = ("huggingface.co", "www.huggingface.co", "hf.co")
DRIVE_HOSTS: Final = ("drive.google.com", "drive.usercontent.google.com", "docs.google.com")
_REPO = re.compile(r"\w[\w.-]{0,95}", re.ASCII)
_DRIVE_ID = re.compile(r"[\w-]{10,}", re.ASCII)
_GLOB = re.compile(r"[*?\[]")
_SECRET = re.compile(
    r"token|secret|passw|signature|credential|api[-_]?key|(^|[-_.])(key|sig|auth|authorization|session|policy)($|[-_.])"
    r"|^x-(amz|goog)-",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Source:
    """Where something is.

    Attributes:
        repo: `models/org/name` or `datasets/org/name`; empty if it is not on the hub.
        path: Folder or file below the repository; empty for all of it.
        revision: Branch, tag or commit as asked for; empty if none was.
        url: Address of a file that is not on the hub, credentials included: never to be shown or stored.
        drive: Id of a file of Google Drive.
        folder: Whether `drive` is a folder.
        members: Whether members of the zip archive are meant, not the archive.
        include: Patterns that the source itself names.
    """

    repo: str = ""
    path: str = ""
    revision: str = ""
    url: str = field(default="", repr=False)
    drive: str = ""
    folder: bool = False
    members: bool = False
    include: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The source in one spelling, without revision and credentials."""
        if self.repo:
            where = "hf:" + "/".join(part for part in (self.repo.removeprefix("models/"), self.path) if part)
        else:
            where = without_secrets(self.url)
        return where + ("!" if self.members else "")

    @property
    def name(self) -> str:
        """What it is called in a lock: the text, with the revision asked for."""
        if not self.revision:
            return self.text
        text = self.text.removesuffix("!")
        return f"{text}@{self.revision}" + ("!" if self.members else "")

    @property
    def is_archive(self) -> bool:
        """Whether its name says that it is a zip archive."""
        path = self.path if self.repo else urlsplit(self.url).path
        return path.lower().endswith(".zip")

    def asked(self, include: tuple[str, ...], revision: str) -> Source:
        """The source with what flags say about it; patterns on an archive mean its members."""
        source = self
        if revision:
            if not source.repo:
                raise UsageError(f"--revision {revision}: {source.text} has no revisions.")
            if source.revision not in ("", revision):
                raise UsageError(f"--revision {revision} contradicts {source.name}.")
            source = replace(source, revision=_revision(revision, source.text))
        if include:
            source = replace(source, include=include, members=source.members or source.is_archive)
        return source


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path is chosen: by a pattern (`*` also spans `/`) or by being below a folder named by one."""
    return (
        not patterns
        or path in patterns
        or any(fnmatchcase(path, p) or fnmatchcase(path, p.rstrip("/") + "/*") for p in patterns)
    )


def parse(text: str) -> Source | None:
    """Reads a source; None if it is none, so that it can only be a name of the zoo.

    Raises:
        UsageError: It begins like one and is malformed or not accepted.
    """
    if "!" in text and text.partition("!")[2][:1] in ("", "/"):
        archive, _, member = text.partition("!")
        source = parse(archive)
        if source is None:
            return None
        pattern = member.removeprefix("/")
        return replace(source, members=True, include=(pattern,) if pattern else ())
    if text.startswith("hf:"):
        return _hub(text.removeprefix("hf:").removeprefix("//"), text)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        return _address(text)
    return _hub(text, text) if re.fullmatch(r"\w[\w.-]*/\w[^\s:]*", text, re.ASCII) else None


def _hub(body: str, text: str) -> Source:
    kind, rest = "models", body
    if body.startswith(("datasets/", "models/")):
        kind, _, rest = body.partition("/")
    rest, _, revision = rest.partition("@")
    parts = rest.strip("/").split("/")
    if any(not _REPO.fullmatch(part) or ".." in part for part in parts[:2]):
        raise UsageError(
            f"{text!r} names no repository.", "Write hf:org/repo, hf:org/repo/path or hf:org/repo@revision."
        )
    path = "/".join(parts[2:])
    source = Source(repo="/".join([kind, *parts[:2]]), path=path, revision=_revision(revision, text))
    if path and fault(path):
        raise UsageError(f"{text!r} names a path with {fault(path)}.")
    return replace(source, path="", include=(path,)) if _GLOB.search(path) else source


def _revision(revision: str, text: str) -> str:
    if revision and (fault(revision) or not re.fullmatch(r"[\w./+-]+", revision)):
        raise UsageError(f"{text!r} names no revision {revision!r}.")
    return revision


def _address(text: str) -> Source:
    parts = urlsplit(text)
    host = (parts.hostname or "").lower()
    shown = without_secrets(text)
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(f"{shown} is no address that can be fetched.", "https, hf: and names of the zoo are.")
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError(f"{shown} would be fetched unencrypted.", "Use https.")
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    if host in HUB_HOSTS or (endpoint and text.startswith(f"{endpoint}/")):
        source = _hub_page(unquote(parts.path).strip("/"), shown)
        if source is not None:
            return source
    if host in DRIVE_HOSTS:
        return _drive(parts.path, parse_qs(parts.query), shown)
    return Source(url=urlunsplit(parts._replace(fragment="")))


def _hub_page(path: str, shown: str) -> Source | None:
    """A page or file of the hub's site: org/repo[/resolve|blob|tree/REVISION/path]."""
    kind = "datasets/" if path.startswith("datasets/") else ""
    rest = path.removeprefix(kind)
    parts = rest.split("/")
    if len(parts) > 3 and parts[2] in ("resolve", "blob", "tree", "raw"):
        below = "/".join(parts[4:])
        return replace(_hub(f"{kind}{parts[0]}/{parts[1]}", shown), path=below, revision=_revision(parts[3], shown))
    return _hub(f"{kind}{rest}", shown) if len(parts) == 2 else None


def _drive(path: str, query: dict[str, list[str]], shown: str) -> Source:
    named = re.search(r"/(?:file/d|folders|d)/([\w-]+)", path)
    identity = named[1] if named else (query.get("id") or [""])[0]
    if not _DRIVE_ID.fullmatch(identity):
        raise UsageError(f"{shown} names no file of Google Drive.", "Copy the link of the file itself.")
    folder = "/folders/" in path
    where = f"drive/folders/{identity}" if folder else f"file/d/{identity}"
    return Source(url=f"https://drive.google.com/{where}", drive=identity, folder=folder)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_secrets(url: str) -> str:
    """Returns a URL without user, password and every parameter that may be a credential."""
    parts = urlsplit(url)
    query = urlencode([(k, v) for k, v in parse_qsl(parts.query, True) if not _SECRET.search(k)], quote_via=quote)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query, fragment=""))
