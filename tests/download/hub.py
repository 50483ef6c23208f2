"""A hub on this machine: the routes that huggingface_hub and saecli use, a second server for large files, and faults.

with Hub() as hub:
    commit = hub.repository("org/repo", {"config.json": b"{}", "model.bin": b"..."}, large=("model.bin",))
    hub.faults["model.bin"] = [Cut(100)]     # one fault per request, in order; `Always(fault)` for each of them
    hub.files["table.npz"] = b"..."          # {hub.url}/files/table.npz, of no repository
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 3
"""Entries per page of a list of files: few, so that every list has pages."""


@dataclass(frozen=True)
class Cut:
    """The connection closes after so many bytes of the body."""

    after: int


@dataclass(frozen=True)
class Short:
    """The body ends early and its length says so."""

    length: int


@dataclass(frozen=True)
class Corrupt:
    """One byte of the file is wrong."""

    at: int


@dataclass(frozen=True)
class Status:
    """An error instead of an answer."""

    code: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Silent:
    """Nothing comes after so many bytes, and the connection stays open."""

    after: int = 0


@dataclass(frozen=True)
class Whole:
    """The request for a part is ignored."""


@dataclass(frozen=True)
class Commit:
    """The answer is of another revision."""

    sha: str


@dataclass(frozen=True)
class Always:
    """A fault of every request, not of one."""

    fault: Any


@dataclass
class Repository:
    """A repository: its files, which of them are large, and its revisions."""

    files: dict[str, bytes]
    large: tuple[str, ...]
    commit: str
    refs: dict[str, str]
    gated: bool = False
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Entries of the list that are not what the files are."""

    def entries(self) -> list[dict[str, Any]]:
        found = []
        for path, body in self.files.items():
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(body), "oid": git_blob(body)}
            if path in self.large:
                sha = hashlib.sha256(body).hexdigest()
                entry["lfs"] = {"oid": sha, "size": len(body), "pointerSize": 130}
                entry["oid"] = git_blob(f"version lfs {sha}".encode())
            found.append(entry | self.listed.get(path, {}))
        folders = {path.rpartition("/")[0] for path in self.files} - {""}
        folders |= {"/".join(f.split("/")[:n]) for f in folders for n in range(1, f.count("/") + 1)}
        return [{"type": "directory", "path": f, "oid": "0" * 40, "size": 0} for f in sorted(folders)] + found


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    method: str
    path: str
    range: str
    token: str
    server: str


def git_blob(body: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()  # noqa: S324


class Server(ThreadingHTTPServer):
    """A server that does not mind when a client hangs up."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Hub:
    """The servers; a context manager."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.pages: set[str] = set()
        self.faults: dict[str, list[Any]] = {}
        self.seen: list[Seen] = []
        self.token = ""
        self.closing = threading.Event()
        self._servers = [self._server("hub"), self._server("cdn")]
        self.url, self.cdn = (f"http://127.0.0.1:{one.server_address[1]}" for one in self._servers)

    def _server(self, name: str) -> ThreadingHTTPServer:
        handler = type("Handler", (Handler,), {"hub": self, "server_name": name})
        server = Server(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def repository(
        self, name: str, files: dict[str, bytes], *, large: tuple[str, ...] = (), refs: tuple[str, ...] = ("main",)
    ) -> str:
        """Adds or replaces a repository (`org/name` or `datasets/org/name`); returns its commit."""
        commit = hashlib.sha1(repr((name, sorted(files.items()))).encode()).hexdigest()  # noqa: S324
        key = name if name.startswith("datasets/") else f"models/{name}"
        self.repositories[key] = Repository(dict(files), large, commit, dict.fromkeys(refs, commit))
        return commit

    def page(self, name: str) -> None:
        """Says that a plain file is a page."""
        self.pages.add(name)

    def requests(self, part: str) -> list[Seen]:
        """The requests with a text in their path."""
        return [one for one in self.seen if part in one.path]

    def fault(self, name: str) -> Any:
        queue = self.faults.get(name)
        if not queue:
            return None
        return queue[0].fault if isinstance(queue[0], Always) else queue.pop(0)


class Handler(BaseHTTPRequestHandler):
    """Answers."""

    protocol_version = "HTTP/1.1"
    hub: Hub
    server_name: str

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path).lstrip("/")
        token = self.headers.get("authorization", "")
        self.hub.seen.append(Seen(self.command, self.path, self.headers.get("range", ""), token, self.server_name))
        first = path.split("/")[0]
        if first == "cdn":
            repository = self.hub.repositories["/".join(path.split("/")[1:-2])]
            name = parse_qs(parts.query)["path"][0]
            self.body(name, repository.files[name], '"not-the-sha256"', {}, self.hub.fault(name))
        elif first == "files":
            self.plain(path.removeprefix("files/"))  # whatever the query
        elif first == "api":
            self.api(path.removeprefix("api/"), parse_qs(parts.query))
        elif "/resolve/" in path:
            self.resolve(path)
        else:
            self.plain(self.path.lstrip("/"))

    def api(self, path: str, query: dict[str, list[str]]) -> None:
        kind, *rest = path.split("/")
        for words in (2, 1):
            key = "/".join([kind, *rest[:words]])
            if key in self.hub.repositories:
                break
        else:
            return self.refuse(401, "RepoNotFound")
        repository, what = self.hub.repositories[key], rest[words:]
        if fault := self.hub.fault("/".join(["api", *what[:1]])):
            if isinstance(fault, Commit):
                return self.json({"id": key, "sha": fault.sha})
            return self.status(fault)
        if self.refused(repository):
            return None
        if not what or what[0] == "revision":
            commit = self.commit(repository, "/".join(what[1:]) or "main")
            return self.json({"id": key, "sha": commit}) if commit else self.refuse(404, "RevisionNotFound")
        if what[0] == "refs":
            return self.json({"branches": [{"name": n, "targetCommit": c} for n, c in repository.refs.items()]})
        return self.tree(repository, what[1], "/".join(what[2:]), query)

    def tree(self, repository: Repository, revision: str, below: str, query: dict[str, list[str]]) -> None:
        if not self.commit(repository, revision):
            return self.refuse(404, "RevisionNotFound")
        prefix = f"{below}/" if below else ""
        entries = [e for e in repository.entries() if e["path"].startswith(prefix)]
        if query.get("recursive") != ["true"]:
            entries = [e for e in entries if "/" not in e["path"].removeprefix(prefix)]
        if below and not entries:
            return self.refuse(404, "EntryNotFound")
        start = int(query.get("cursor", ["0"])[0])
        headers = {}
        if start + PAGE < len(entries):
            here = urlsplit(self.path).path
            more = f"{self.hub.url}{here}?recursive={query['recursive'][0]}&expand=false&cursor={start + PAGE}"
            headers["Link"] = f'<{more}>; rel="next"'
        return self.json(entries[start : start + PAGE], headers)

    def resolve(self, path: str) -> None:
        name, _, rest = path.partition("/resolve/")
        key = name if name.startswith("datasets/") else f"models/{name}"
        repository = self.hub.repositories.get(key)
        if repository is None:
            return self.refuse(401, "RepoNotFound")
        revision, _, file = rest.partition("/")
        commit = self.commit(repository, revision)
        if self.refused(repository):
            return None
        if not commit:
            return self.refuse(404, "RevisionNotFound")
        if file not in repository.files:
            return self.refuse(404, "EntryNotFound")
        body = repository.files[file]
        headers = {"X-Repo-Commit": commit}
        if file in repository.large:
            headers |= {"X-Linked-Etag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Linked-Size": str(len(body))}
            headers["Location"] = f"{self.hub.cdn}/cdn/{key}/{commit}/{len(body)}?path={file}&X-Amz-Signature=s3cr3t"
            return self.send(302, b"", headers)
        fault = self.hub.fault(file)
        if isinstance(fault, Commit):
            headers["X-Repo-Commit"], fault = fault.sha, None
        return self.body(file, body, f'"{git_blob(body)}"', headers, fault)

    def plain(self, name: str) -> None:
        if name not in self.hub.files:
            return self.send(404, b"nothing here", {})
        etag = self.hub.etags.get(name, f'"{hashlib.md5(self.hub.files[name]).hexdigest()}"')  # noqa: S324
        headers = {"Content-Type": "text/html; charset=utf-8"} if name in self.hub.pages else self.hub.headers
        fault = Whole() if name in self.hub.pages else self.hub.fault(name)
        return self.body(name, self.hub.files[name], etag, headers, fault)

    def body(self, name: str, body: bytes, etag: str, headers: dict[str, str], fault: Any) -> None:
        if isinstance(fault, Status):
            return self.status(fault)
        headers = {"ETag": etag, "Accept-Ranges": "bytes"} | headers
        if isinstance(fault, Corrupt):
            body = body[: fault.at] + bytes([body[fault.at] ^ 1]) + body[fault.at + 1 :]
        wanted = self.headers.get("range", "")
        fresh = self.headers.get("if-range", etag) == etag
        if wanted and fresh and not isinstance(fault, Whole):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(body)) + 1, len(body))
            if start >= len(body):
                return self.send(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
            return self.send(206, body[start:end], headers, fault)
        return self.send(200, body, headers, fault)

    def send(self, status: int, body: bytes, headers: dict[str, str], fault: Any = None) -> None:
        if isinstance(fault, Short):
            body = body[: fault.length]
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if isinstance(fault, Cut | Silent):
            self.wfile.write(body[: fault.after])
            self.wfile.flush()
            if isinstance(fault, Silent):
                self.hub.closing.wait(60)
            self.close_connection = True
            return
        self.wfile.write(body)

    def json(self, document: Any, headers: dict[str, str] | None = None) -> None:
        self.send(200, json.dumps(document).encode(), {"Content-Type": "application/json", **(headers or {})})

    def refuse(self, status: int, code: str) -> None:
        self.send(status, b"{}", {"X-Error-Code": code, "Content-Type": "application/json"})

    def status(self, fault: Status) -> None:
        self.send(fault.code, b"no", fault.headers)

    def refused(self, repository: Repository) -> bool:
        token = self.headers.get("authorization", "")
        if self.hub.token and token and token != f"Bearer {self.hub.token}":
            self.send(401, b"{}", {"X-Error-Message": "Invalid credentials in Authorization header"})
            return True
        if repository.gated and token != f"Bearer {self.hub.token}":
            self.refuse(401 if not token else 403, "GatedRepo")
            return True
        return False

    @staticmethod
    def commit(repository: Repository, revision: str) -> str:
        return repository.refs.get(revision, revision if revision == repository.commit else "")
