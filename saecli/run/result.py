"""What `saecli run` prints and keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from saecli.core.errors import CheckFailed, SaecliError, named
from saecli.core.result import Result, field_doc


@dataclass(frozen=True, kw_only=True)
class Told:
    """A failure that a step's result speaks of."""

    code: str = field_doc("Code", "check or partial.")
    message: str = field_doc("Message", "One sentence.")
    hint: str = field_doc("Hint", "The next step, or nothing.")


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """One step."""

    name: str = field_doc("Name", "Its name in the template.")
    command: str = field_doc("Command", "What it called.")
    folder: str = field_doc("Folder", "Its run directory, in that of the template; empty if it keeps none.", default="")
    summary: tuple[str, ...] = field_doc("Summary", "What it says of its result.", default=())
    result: dict[str, Any] | None = field_doc(
        "Result",
        "What its command prints with --json (saecli schema COMMAND); null if it keeps no result.",
        default=None,
    )
    failure: Told | None = field_doc(
        "Failure", "What is wrong although there is a result; null if nothing is.", default=None
    )
    differs: tuple[str, ...] | None = field_doc(
        "Differs",
        "Files that are not as they were when the step was computed again; null without --check.",
        default=None,
    )


@dataclass(frozen=True, kw_only=True)
class RunResult(Result):
    """The steps in numbers."""

    schema: ClassVar[str] = "saecli.run-steps/1"

    steps: tuple[StepResult, ...] = field_doc("Steps", "In the order in which they were taken.")
    next: str = field_doc("Next", "The next sensible command, with {run} for the run directory; or nothing.")

    def summary_lines(self) -> list[str]:
        """What each step says, below its name; of a check which files differ."""
        lines = []
        for step in self.steps:
            if step.differs is not None:
                lines.append(f"{step.name}: {'differs' if step.differs else 'as it was'}")
                lines += [f"  {name}" for name in step.differs]
            elif step.summary:
                lines += [f"{step.folder}:", *(f"  {line}" for line in step.summary)]
        return lines

    def next_command(self) -> str:
        """That of the last step."""
        return self.next

    def failure(self) -> SaecliError | None:
        """The first step that has one, named."""
        for step in self.steps:
            if step.differs:
                first, *others = step.differs
                more = f" and {len(others)} more" if others else ""
                return CheckFailed(f"{step.name} does not repeat: {first}{more}.")
            if step.failure is not None:
                told = step.failure
                return named(told.code, f"Step {step.name}: {told.message}", told.hint)
        return None
