"""The steps of a template, checked against the commands they call before anything starts."""

from __future__ import annotations

import hashlib
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from saecli.core.config import CommandConfig, Resolved, config_fields, fingerprint, layered, plain
from saecli.core.errors import UsageError, did_you_mean
from saecli.core.template import Step, Template, checked_steps, filled, references

_SETTING: Final = re.compile(r"(?:([^.=]*)\.)?([A-Za-z][\w-]*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """What is known of a step's command.

    Attributes:
        config: Its configuration class.
        keeps_run: Whether it has a run directory.
    """

    config: type[CommandConfig]
    keeps_run: bool


@dataclass(frozen=True)
class Task:
    """A checked step.

    Attributes:
        step: What the template says.
        command: What is known of its command.
        layers: Its values, as `saecli.core.config.layered` takes them, with references in them.
        folder: Its run directory, in that of the template; empty if it keeps none.
    """

    step: Step
    command: Command
    layers: tuple[tuple[str, Mapping[str, Any]], ...]
    folder: str

    @property
    def values(self) -> dict[str, Any]:
        """Its values as keys of the configuration, those of `--set` among them, with references."""
        return {key.replace("-", "_"): value for _, layer in self.layers for key, value in layer.items()}

    def resolved(self, places: Mapping[str, str] | None = None, **flags: Any) -> Resolved:
        """Returns the configuration; with `places`, run directories by step, references are replaced by them."""
        if places is None:
            return layered(self.command.config, self.layers, flags)
        return layered(self.command.config, [(source, filled(values, places)) for source, values in self.layers], flags)

    def line(self, places: Mapping[str, str]) -> str:
        """Returns the command line that does the same; tables, which have no flags, stand behind it as TOML keys."""
        resolved = self.resolved(places)
        words = ["saecli", *self.step.command.split()]
        tables = []
        for item in config_fields(self.command.config):
            value = getattr(resolved.config, item.name)
            if resolved.sources[item.name] == "default":
                continue
            if item.option.table is not None:
                tables.append(f"{item.name} = {plain(value)}")
                continue
            for one in value if item.many else (value,):
                if item.base is bool:
                    words.append(item.flag if one else f"--no-{item.flag.removeprefix('--')}")
                else:
                    words += [str(one)] if item.option.positional else [item.flag, str(one)]
        if self.folder:
            words += ["--out", places[self.step.name]]
        return "  ".join([shlex.join(words), *tables])


def tasks_of(template: Template, commands: Callable[[str], Command], settings: Sequence[str] = ()) -> list[Task]:
    """Checks a template against the commands of its steps.

    Args:
        template: The template.
        commands: What is known of a command by its name; raises a `UsageError` if it cannot be a step.
        settings: Values of `--set`.

    Raises:
        UsageError: An unknown command, key or step, a wrong value, a reference to what keeps no results.
    """
    known = {}
    for step in template.steps:
        try:
            known[step.name] = commands(step.command)
        except UsageError as error:
            raise UsageError(f"{template.source}, step {step.name}: {error.message}", error.hint) from error
    changed = _settings(template, known, settings)
    tables = [{"command": s.command, "name": s.name, **s.values, **changed[s.name]} for s in template.steps]
    checked_steps(tables, template.source)
    tasks = []
    for number, (step, table) in enumerate(zip(template.steps, tables, strict=True), 1):
        if useless := [name for name in references(table) if not known[name].keeps_run]:
            problem = f"{template.source}, step {step.name}: {{{useless[0]}}} is a step that keeps no results."
            raise UsageError(problem, "Refer to one that does.")
        layers = ((f"{template.source}, step {step.name}", step.values), ("--set", changed[step.name]))
        folder = f"{number:02d}-{step.name}" if known[step.name].keeps_run else ""
        task = Task(step, known[step.name], layers, folder)
        try:
            task.resolved()
        except UsageError as error:
            told = error.message.startswith((layers[0][0], "--set"))
            message = error.message if told else f"{layers[0][0]}: {error.message}"
            raise UsageError(message, error.hint) from error
        tasks.append(task)
    return tasks


def _settings(template: Template, known: Mapping[str, Command], settings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The values of `--set` by step."""
    changed: dict[str, dict[str, Any]] = {step.name: {} for step in template.steps}
    keys = {name: {f.name for f in config_fields(command.config)} for name, command in known.items()}
    for setting in settings:
        match = _SETTING.fullmatch(setting)
        if match is None:
            raise UsageError(f"--set {setting}: expected STEP.KEY=VALUE.", "Such as train-sae.tokens=100000.")
        step, key, text = match[1], match[2].replace("-", "_"), match[3]
        if step is not None and step not in changed:
            hint = did_you_mean(step, changed) or f"Its steps: {', '.join(changed)}."
            raise UsageError(f"--set {setting}: {template.source} has no step {step!r}.", hint)
        chosen = [name for name in changed if (name == step if step is not None else key in keys[name])]
        if not chosen or key not in keys[chosen[0]]:
            where = f"step {step}" if step is not None else "no step"
            hint = did_you_mean(key, keys[step] if step is not None else {k for some in keys.values() for k in some})
            raise UsageError(f"--set {setting}: {where} has {'no' if step is not None else 'a'} key {key!r}.", hint)
        for name in chosen:
            changed[name][key] = _value(text)
    return changed


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def identity(tasks: Sequence[Task]) -> str:
    """Returns what names the steps: a sha256 over their names and the values that decide their results."""
    lines = [f"{task.step.name} {fingerprint(task.resolved().config)}\n" for task in tasks]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def places_in(directory: str, tasks: Sequence[Task]) -> dict[str, str]:
    """Returns the run directories of the steps that have one, by name."""
    return {task.step.name: f"{directory}/{task.folder}" for task in tasks if task.folder}


def plan_lines(template: Template, tasks: Sequence[Task], directory: str) -> Iterator[str]:
    """What `--plan` prints: what the template is for, and every step as a command."""
    yield from template.description.splitlines()
    places = places_in(directory, tasks)
    for number, task in enumerate(tasks, 1):
        yield f"{number}. {task.line(places)}"
