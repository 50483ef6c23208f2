"""A file on a server as a file object that is read by parts."""

from __future__ import annotations

import io
import os
import zipfile
from typing import Final

from saecli.core.errors import InputError
from saecli.download.client import Client
from saecli.download.transfer import NoParts, Remote

TAIL: Final = 128 << 10
"""What is fetched of the end at once; small archives have their whole directory there."""
MAX_DIRECTORY: Final = 256 << 20


class RemoteFile(io.RawIOBase):
    """A file on a server, read by parts; its end is fetched once and kept."""

    def __init__(self, client: Client, remote: Remote, size: int) -> None:
        self._client, self._remote, self._size, self._at = client, remote, size, 0
        self._tail_at = max(0, size - TAIL)
        self._tail = self._part(self._tail_at, size)

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if at < 0:
            raise OSError("before the beginning of the archive")
        self._at = at
        return at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._size, self._at + size)
        start, self._at = self._at, max(self._at, end)
        if start >= end:
            return b""
        if start >= self._tail_at:
            return self._tail[start - self._tail_at : end - self._tail_at]
        if end - start > MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"its directory would have {end - start:,} bytes")
        return self._part(start, end)

    def _part(self, start: int, end: int) -> bytes:
        def step() -> bytes:
            remote, headers = self._remote, {"range": f"bytes={start}-{end - 1}"}
            if remote.validator:
                headers["if-range"] = remote.validator
            with self._client.open(remote.url, headers, what=remote.what, commit=remote.commit) as response:
                if response.status_code != 206 or not response.headers.get("content-range", "").startswith(
                    f"bytes {start}-{end - 1}/"
                ):
                    raise NoParts(
                        f"The server gives no parts of {remote.what}.",
                        "Leave out --include to fetch the whole archive, and unpack it.",
                    )
                body = bytearray()
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > end - start:
                        raise NoParts(f"The server sends more of {remote.what} than was asked for.")
            if len(body) < end - start:
                raise InputError(f"{remote.what} broke off.", "Run it again.")
            return bytes(body)

        return self._client.retried(step) if end > start else b""
