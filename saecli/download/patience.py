"""How long to wait for servers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long to wait for servers.

    Attributes:
        attempts: Tries in a row without progress.
        first_wait_s: Pause before the second try; doubled each time.
        longest_wait_s: Longest pause, also where a server asks for one.
        connect_s, read_s: Longest wait for a connection, for the next bytes.
        poll_s: How often to look for news of workers and locks.
        workers: Files fetched at the same time.
        sleep: What waits.
    """

    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 120.0
    connect_s: float = 15.0
    read_s: float = 30.0
    poll_s: float = 0.1
    workers: int = 4
    sleep: Callable[[float], None] = time.sleep
