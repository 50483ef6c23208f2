"""A template: values of one command, or steps that `saecli run` takes one after the other, in TOML.

    description = "A GPT on Othello games, then dictionaries."

    [[step]]
    command = "train lm"
    steps = 200

    [[step]]
    command = "train sae"
    model = "{train-lm}/model"

The first line of a description stands in lists. A step is called as its command, with dashes, or by its `name`. A text
with `{NAME}` in it means the run directory of an earlier step.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from saecli.core.errors import InputError, UsageError, did_you_mean

STEP: Final = "step"
_OWN: Final = ("command", "description", "name")
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_REFERENCE: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Step:
    """One step: its name, its command, and the values the file gives it."""

    name: str
    command: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Template:
    """What a template says.

    Attributes:
        source: How messages call it.
        description: What it is for; the first line is for lists.
        steps: At least one; names are unique, and what a step refers to is an earlier one.
    """

    source: str
    description: str
    steps: tuple[Step, ...]

    @classmethod
    def read(cls, path: Path, source: str) -> Template:
        """Reads a file.

        Raises:
            InputError: It cannot be read or is no TOML.
            UsageError: No step, a step without a command, two of one name, a reference to what is not before it.
        """
        table = read_toml(path)
        tables = table.get(STEP, [table])
        if STEP in table and (extra := [key for key in table if key not in (STEP, "description")]):
            raise UsageError(f"{source}: {extra[0]!r} stands beside the steps.", "Put it into one of them.")
        if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
            raise UsageError(f"{source}: step is {table[STEP]!r}, expected tables: [[step]].")
        if not table or not any(tables):
            raise UsageError(f"{source} is empty.", 'Give it steps: [[step]], command = "train lm".')
        description = table.get("description", "")
        if not isinstance(description, str):
            raise UsageError(f"{source}: description is {description!r}, expected text.")
        return cls(source, description.strip(), checked_steps(tables, source))

    @property
    def title(self) -> str:
        """The first line of the description."""
        return self.description.partition("\n")[0]


def checked_steps(tables: Iterable[Mapping[str, Any]], source: str) -> tuple[Step, ...]:
    """Returns tables as steps; raises a `UsageError` as `Template.read` does."""
    steps: list[Step] = []
    for number, table in enumerate(tables, 1):
        command = table.get("command")
        if not isinstance(command, str) or not command:
            hint = did_you_mean(STEP, table) and 'Steps are written [[step]], each with command = "train lm".'
            raise UsageError(f"{source}: step {number} names no command.", hint or 'Such as: command = "train lm".')
        name = table.get("name", command.replace(" ", "-"))
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError(f"{source}: step {number} is named {name!r}, expected small letters, digits and dashes.")
        before = [step.name for step in steps]
        if name in before:
            raise UsageError(f"{source}: two steps are named {name}.", 'Give one another: name = "…".')
        values = {key: value for key, value in table.items() if key not in _OWN}
        for reference in references(values):
            if reference not in before:
                known = f"Before it: {', '.join(before)}." if before else "It is the first."
                hint = did_you_mean(reference, before) or known
                raise UsageError(f"{source}, step {name}: {{{reference}}} names no step before it.", hint)
        steps.append(Step(name, command, values))
    return tuple(steps)


def references(value: Any) -> list[str]:
    """Returns the names of the steps that a value, or what is inside of it, refers to."""
    if isinstance(value, str):
        return _REFERENCE.findall(value)
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [name for one in inside for name in references(one)]


def filled(value: Any, places: Mapping[str, str]) -> Any:
    """Returns a value with each reference replaced by the run directory of that step."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: places[match[1]], value)
    if isinstance(value, Mapping):
        return {key: filled(one, places) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [filled(one, places) for one in value]
    return value


def values_for(path: Path, command: str, source: str) -> dict[str, Any]:
    """Reads the values for one command: those of the file, or of its one step of this command.

    Raises:
        InputError: It cannot be read or is no TOML.
        UsageError: It is for another command, or has no or several steps of it.
    """
    table = read_toml(path)
    if STEP in table:
        steps = [step for step in table[STEP] if isinstance(step, dict) and step.get("command") == command]
        if len(steps) != 1:
            count = "no step" if not steps else f"{len(steps)} steps"
            raise UsageError(f"{source} has {count} for `{command}`, expected one.")
        table = steps[0]
    if table.get("command", command) != command:
        raise UsageError(f"{source} is for `{table['command']}`, not for `{command}`.")
    return {key: value for key, value in table.items() if key not in _OWN}


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file; raises an `InputError` if it cannot be read or is none."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no valid TOML: {error}.") from error
