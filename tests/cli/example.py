"""A command made the way all commands are made, that computes next to nothing: `python -m tests.cli.example work …`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from saecli.cli import app
from saecli.cli.door import Door
from saecli.core.config import (
    CommandConfig,
    ModelConfigMixin,
    ResumeMixin,
    SharedConfig,
    SitesMixin,
    argument,
    option,
)
from saecli.core.errors import CheckFailed, Failure, InputError, PartialFailure, SaecliError, UsageError
from saecli.core.progress import Progress
from saecli.core.result import Result, field_doc
from saecli.core.run import Run

ERRORS = {"failure": Failure, "usage": UsageError, "input": InputError, "check": CheckFailed, "partial": PartialFailure}


@dataclass(frozen=True, kw_only=True)
class Part(CommandConfig):
    """One `[[part]]` table."""

    size: int = option(1, help="Size.", minimum=1)
    name: str = option("a", help="Name.")


@dataclass(frozen=True, kw_only=True)
class WorkConfig(ResumeMixin, SitesMixin, ModelConfigMixin, SharedConfig):
    """The example's configuration, with one field of every type."""

    command: ClassVar[str] = "work"

    model: str = argument("othello-mini", help="Model [to work on].", complete="models")
    text: str | None = option(None, help="A text.", input=True, panel="Work")
    steps: int = option(3, help="Steps.", minimum=1, maximum=1000, short="-n", panel="Work")
    rate: float = option(0.5, help="Rate.", panel="Work")
    shuffle: bool = option(True, help="Shuffle.", panel="Work")
    color: str = option("red", help="Colour.", choices=("red", "green", "blue"), panel="Work")
    tags: tuple[str, ...] = option((), help="Tags. Repeatable.", panel="Work")
    widths: tuple[int, ...] = option((1, 2), help="Widths. Repeatable.", minimum=1, panel="Work")
    part: tuple[Part, ...] = option((), help="Parts.", table=Part)
    fail: str | None = option(None, help="How to fail.", panel="Work")
    pause: bool = option(False, help="Wait for a signal in the middle.", flag="--pause", session=True, panel="Work")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the result."""

    name: str = field_doc("Name", "Its name.")
    value: float = field_doc("Value", "Its value.")


@dataclass(frozen=True, kw_only=True)
class WorkResult(Result):
    """The example's result."""

    schema: ClassVar[str] = "saecli.work/1"

    total: int = field_doc("Total", "Steps done.")
    rows: tuple[Row, ...] = field_doc("Rows", "One per step.")
    note: str | None = field_doc("Note", "A text with [brackets] and a control character.")

    def summary_lines(self) -> list[str]:
        return [f"{self.total} steps", f"note: {self.note}"]

    def next_command(self) -> str:
        return "saecli schema {run}"

    def failure(self) -> SaecliError | None:
        return PartialFailure("1 of 2 is wrong.", "Look at it.") if self.note == "partly" else None


def run(config: WorkConfig, run: Run, progress: Progress) -> WorkResult:
    """Counts to `steps`, with a checkpoint per step if it may resume."""
    checkpoint = run.work / "checkpoint"
    start = int(checkpoint.read_text()) if run.resuming else 0
    progress(f"starts at {start}")
    if config.fail == "bug":
        raise RuntimeError("boom [/red]")
    if config.fail == "disk":
        raise OSError(28, "No space left on device")
    if config.fail == "early":
        raise InputError("Bad input.", "Give other input.")
    for step in range(start, config.steps):
        progress("working", step + 1, config.steps)
        run.write_text(f"parts/{step}.txt", f"{step}\n")
        if not config.tags:
            checkpoint.write_text(str(step + 1))
        if config.pause and step == 1:
            progress("paused")
            while True:
                time.sleep(0.02)
    if config.fail in ERRORS:
        raise ERRORS[config.fail]("Something is wrong.", "Do something else.")
    run.record(sites=["6.resid_pre"])
    rows = tuple(Row(name=str(i), value=float("nan") if i == 1 else i / 2) for i in range(config.steps))
    return WorkResult(total=config.steps, rows=rows, note="partly" if config.fail == "partly" else "[bold]\x1b[31m")


def plan(config: WorkConfig) -> list[str]:
    """What would be done."""
    return [f"Counts to {config.steps}."]


DOOR = Door(
    config="tests.cli.example:WorkConfig",
    engine="tests.cli.example:run",
    result="tests.cli.example:WorkResult",
    summary="Work a little.",
    examples=[("saecli work --steps 3", "counts to [three]")],
)
TABLE = {
    "work": app.Lazy("Work a little.", "tests.cli.example"),
    "deep": app.Lazy("A group.", below={"work": app.Lazy("Work deeper.", "tests.cli.example")}),
    "schema": app.COMMANDS["schema"],
}


def write_scripts(folder: Path) -> None:
    """Writes the completion scripts of the example's table."""
    from saecli.cli.completion_scripts import SHELLS, script

    for shell in SHELLS:
        (folder / f"saecli.{shell}").write_text(script(shell, TABLE))


if __name__ == "__main__":
    app.COMMANDS = TABLE
    sys.argv[0] = "saecli"
    app.main()
