"""A real pseudo-terminal with a program in it: type, and wait for what it shows."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import termios
import time
from fcntl import ioctl
from pathlib import Path
from types import TracebackType

_CONTROL = re.compile(r"\x1b\[[0-9;?>=]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>()][0-9AB]?|[\x00\x07\x08\r]")


class Terminal:
    """Runs a program on a pseudo-terminal of 120 columns.

    Args:
        argv: The program and its arguments.
        cwd: Where it starts.
        env: Variables to set beside the present ones.
    """

    def __init__(self, argv: list[str], *, cwd: Path, env: dict[str, str] | None = None) -> None:
        self.shown = ""
        self.status: int | None = None
        self.pid, self._handle = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a terminal's programs heed Ctrl-C, whoever started the tests
            os.chdir(cwd)
            os.execvpe(argv[0], argv, {**os.environ, "TERM": "xterm", "COLUMNS": "120", **(env or {})})
        ioctl(self._handle, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        os.close(self._handle)

    def type(self, keys: str) -> None:
        """Sends keys as they are; Ctrl-C is `\\x03`, Tab `\\t`."""
        os.write(self._handle, keys.encode())

    def expect(self, pattern: str, *, seconds: float = 60) -> str:
        """Waits until a regular expression shows after what was expected before; returns the text up to its end."""
        deadline = time.monotonic() + seconds
        while True:
            text = _CONTROL.sub("", self.shown)
            found = re.search(pattern, text)
            if found:
                self.shown = text[found.end() :]
                return text[: found.end()]
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{pattern!r} did not show; the terminal has: {text!r}")

    def wait(self) -> int:
        """Waits for the program's end; returns its exit code, negative for a signal."""
        while self._read(60):
            pass
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def _read(self, seconds: float) -> bool:
        if not select.select([self._handle], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._handle, 65536)
        except OSError:  # the other side is closed
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)
