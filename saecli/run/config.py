"""Configuration of `saecli run`. Imports nothing heavy: the command line is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.config import OutputConfig, ResumeMixin, argument, option
from saecli.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class RunConfig(ResumeMixin, OutputConfig):
    """Which steps to take. What counts for the fingerprint is the steps, so neither their file's place nor `--set`."""

    command: ClassVar[str] = "run"

    steps: str | None = argument(
        None,
        help="Name of a template, a TOML file with steps, or a run's manifest.json; without it, the list of templates.",
        metavar="TEMPLATE|FILE",
        complete="templates",
    )
    set: tuple[str, ...] = option(
        (),
        help="A value for a step, or for all that have this key, as in TOML: train-sae.k=[8, 16]. Repeatable.",
        metavar="[STEP.]KEY=VALUE",
        fingerprint=False,
        panel="Steps",
    )
    list: bool = option(False, help="List the templates.", flag="--list", session=True, panel="Steps")
    check: bool = option(
        False,
        help="Compute a finished run again, elsewhere, and compare its files: exit code 4 if one differs.",
        flag="--check",
        session=True,
        panel="Steps",
    )
    plan: bool = option(
        False, help="Say what would be done and stop: every step's command.", flag="--plan", session=True, panel="Run"
    )
    out: str | None = option(
        None,
        help="Directory of the results; otherwise saecli-runs/run-FINGERPRINT.",
        session=True,
        metavar="DIR",
        complete="dirs",
        panel="Run",
    )
    overwrite: bool = option(
        False, help="Take every step again, replacing what is there.", flag="--overwrite", session=True, panel="Run"
    )

    @property
    def lists(self) -> bool:
        """Whether the list of templates is asked for."""
        return self.list or self.steps is None

    def validate(self) -> None:
        """Refuses flags that contradict each other."""
        if self.list and self.steps is not None:
            raise UsageError("--list shows the templates and runs none.", f"Leave out --list or {self.steps}.")
        given = {"--set": self.set, "--plan": self.plan, "--out": self.out, "--overwrite": self.overwrite}
        given |= {"--resume": self.resume, "--check": self.check}
        if self.lists and (flags := [flag for flag, value in given.items() if value]):
            raise UsageError(f"{flags[0]} is about a run, and none is named.", "Name a template: saecli run --list.")
        if self.check and (flags := [flag for flag, value in given.items() if value and flag != "--check"]):
            raise UsageError(f"{flags[0]} has no place in --check, which repeats what was done.", "Leave it out.")
