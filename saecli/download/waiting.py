"""One process at a time for one file, across programs: the locks that huggingface_hub takes too."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from saecli.download.client import Client

_OURS: Counter[Path] = Counter()
_GUARD = threading.Lock()
"""How many threads of this process want a lock: those of two files with one content, which wait for each other."""


@contextlib.contextmanager
def exclusive(client: Client, path: Path, what: str) -> Iterator[None]:
    """Holds the lock of a file while the block runs, after waiting for whoever has it.

    Args:
        client: Its patience says how often to look; a wish to stop ends the wait.
        path: The file that stands for the lock.
        what: What is locked, for the message.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    with _GUARD:
        first = not _OURS[path]
        _OURS[path] += 1
    try:
        told = False
        while not _taken(handle):
            if not told and first:
                client.tell(f"Waiting for another program that fetches {what}.")
                told = True
            client.pause(client.patience.poll_s)
        yield
    finally:
        os.close(handle)
        with _GUARD:
            _OURS[path] -= 1


def _taken(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # no such locks on this system; every part has one writer at most by its name
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
