"""Stopping at a good moment: Ctrl-C and SIGTERM as a question that a loop asks between its steps."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

from saecli.core.errors import Terminated


class Stop:
    """Whether the user asked to stop. Call it between steps: `while not stop(): step()`."""

    def __init__(self) -> None:
        self._signal: int | None = None

    def __call__(self) -> bool:
        return self._signal is not None

    def note(self, number: int) -> None:
        """Notes a signal; the second one interrupts at once."""
        if self._signal is not None:
            self.deliver()
        self._signal = number

    def deliver(self) -> None:
        """Raises the interrupt that was asked for, if any: `KeyboardInterrupt`, or `Terminated` for SIGTERM."""
        if self._signal is not None:
            raise Terminated if self._signal == signal.SIGTERM else KeyboardInterrupt


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Stop]:
    """Defers Ctrl-C and SIGTERM within a block, so that a step ends whole and can be saved.

    Yields:
        The `Stop` to ask; after saving, its `deliver` raises what was asked for. Outside of the main thread, where
        Python takes no signals, it never stops.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handler(number: int, frame: Any) -> None:
        stop.note(number)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)
