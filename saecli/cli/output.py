"""Where words go: the result to stdout, everything else to stderr, bars to terminals only."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import IO, Any

from saecli.core.errors import SaecliError
from saecli.core.redact import redact

LOG_EVERY_S = 30.0
"""How often a long job says a line when stderr is no terminal."""


class Output:
    """The one sink of a command.

    Args:
        as_json: Data is one JSON document on stdout.
        quiet: Nothing but data and errors.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet

    def data(self, text: str) -> None:
        """Prints a line of the result on stdout."""
        _write(sys.stdout, plain_text(text))

    def document(self, document: dict[str, Any]) -> None:
        """Prints a JSON document on stdout."""
        _write(sys.stdout, json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False))

    def say(self, text: str) -> None:
        """Prints a line for people on stderr."""
        if not self.quiet:
            _write(sys.stderr, plain_text(text))

    def error(self, error: SaecliError) -> None:
        """Prints a known error: one sentence on stderr, and with `--json` the error document on stdout."""
        message, hint = redact(error.message), redact(error.hint)
        if self.as_json:
            with contextlib.suppress(OSError):  # stdout may be what failed; the sentence still comes
                self.document({"error": {"code": error.code, "message": message, "hint": hint}})
        self.warn(error)

    def warn(self, error: SaecliError) -> None:
        """Prints a known error on stderr only, beside a result."""
        message, hint = redact(error.message), redact(error.hint)
        if sys.stdout is not None:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
        _write(sys.stderr, plain_text(f"Error: {message}" + (f" {hint}" if hint else "")))

    @contextlib.contextmanager
    def progress(self) -> Iterator[Bars]:
        """Gives the progress callback of an engine; bars are cleared at the end."""
        bars = Bars(self)
        try:
            yield bars
        finally:
            bars.close()


class Bars:
    """A `saecli.core.progress.Progress`: bars on a terminal, a line now and then elsewhere."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._terminal = not output.quiet and sys.stderr is not None and sys.stderr.isatty()
        self._rich: Any = None
        self._tasks: dict[str, Any] = {}
        self._next_line = time.monotonic() + LOG_EVERY_S

    def __call__(
        self,
        label: str,
        done: float | None = None,
        total: float | None = None,
        detail: str = "",
        table: Sequence[Sequence[str]] = (),
    ) -> None:
        if self._output.quiet:
            return
        if done is None:
            self._line(plain_text(label))
        elif self._terminal:
            self._bar(label, done, total, detail)
            self._show(table)
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LOG_EVERY_S
            share = f"{done:g} of {total:g}" if total is not None else f"{done:g}"
            self._line(plain_text(f"{label}: {share}  {detail}".rstrip()))

    def _line(self, text: str) -> None:
        if self._rich is not None:
            self._rich.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            _write(sys.stderr, text)

    def _bar(self, label: str, done: float, total: float | None, detail: str) -> None:
        if self._rich is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

            from saecli.cli.bars import ProgressAndTable

            self._rich = ProgressAndTable(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[detail]}", markup=False),
                console=Console(stderr=True),
                transient=True,
                refresh_per_second=4,
            )
            self._rich.start()
        label, detail = plain_text(label), plain_text(detail)
        if label not in self._tasks:
            self._tasks[label] = self._rich.add_task(label, total=total, detail=detail)
        self._rich.update(self._tasks[label], completed=done, total=total, detail=detail)

    def _show(self, table: Sequence[Sequence[str]]) -> None:
        if table:
            self._rich.table = [[plain_text(word) for word in row] for row in table]

    def close(self) -> None:
        """Clears the bars."""
        if self._rich is not None:
            self._rich.stop()
            self._rich = None
            self._tasks = {}


def plain_text(text: str) -> str:
    """Returns foreign text fit for a terminal: control characters other than newline and tab are spelled out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def _write(stream: IO[str] | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text + "\n")
    except UnicodeEncodeError:
        stream.write(text.encode("ascii", "backslashreplace").decode() + "\n")
    if stream is sys.stderr:
        stream.flush()
