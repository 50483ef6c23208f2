"""Finished runs as steps: what a manifest says was done, to do it again and to compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saecli.core import manifest
from saecli.core.config import CommandConfig, Resolved, config_fields, layered
from saecli.core.errors import InputError, SaecliError, UsageError
from saecli.core.inputs import Input
from saecli.core.template import Step, Template, checked_steps

COMMAND = "run"
STEPS = "steps"
"""The fact of a template's manifest that holds its steps as a template says them."""


@dataclass(frozen=True)
class Recorded:
    """A run directory and what its manifest says."""

    directory: Path
    manifest: Mapping[str, Any]

    @classmethod
    def find(cls, text: str) -> Recorded | None:
        """Returns the run that a path means, a run directory or its manifest.json; None if it is neither.

        Raises:
            InputError: A manifest that is not there, foreign, of a newer version, or of a run that is not complete.
        """
        path = Path(text)
        if path.name != manifest.NAME and not (path / manifest.NAME).is_file():
            return None
        directory = path.parent if path.name == manifest.NAME else path
        if not (directory / manifest.NAME).is_file():
            raise InputError(f"{path} is not there.", "Name the manifest.json of a run directory.")
        document = manifest.require_complete(directory)
        shapes = {"command": str, "config": dict, "files": dict, "inputs": dict}
        if broken := [key for key, shape in shapes.items() if not isinstance(document.get(key), shape)]:
            raise InputError(f"{directory / manifest.NAME} is damaged: {broken[0]} is missing.")
        return cls(directory, document)

    @property
    def command(self) -> str:
        """The command that made it."""
        return self.manifest["command"]

    @property
    def source(self) -> str:
        """How messages call it."""
        return str(self.directory / manifest.NAME)

    @property
    def members(self) -> list[Recorded]:
        """The runs of its steps, or only itself if it is of one command.

        Raises:
            InputError: A step's run is missing or not complete.
        """
        if self.command != COMMAND:
            return [self]
        found = []
        for table in self._tables():
            if folder := table.get("folder"):
                member = Recorded.find(str(self.directory / folder / manifest.NAME))
                assert member is not None  # noqa: S101 (it was named as a manifest)
                found.append(member)
        return found

    def template(self, config_class: type[CommandConfig] | None) -> Template:
        """Returns what was done as a template: its steps, or the one command with all values.

        Args:
            config_class: Of the one command; None for a run of a template.
        """
        if config_class is None:
            tables = [{**table.get("values", {}), **_head(table)} for table in self._tables()]
            return Template(self.source, "", self._checked(tables))
        values = {key: value for key, value in self.values(config_class).items() if value is not None}
        return Template(self.source, "", self._checked([{"command": self.command, **values}]))

    def _checked(self, tables: list[dict[str, Any]]) -> tuple[Step, ...]:
        try:
            return checked_steps(tables, self.source)
        except SaecliError as error:
            raise InputError(error.message, error.hint) from error

    def _tables(self) -> list[dict[str, Any]]:
        tables = self.manifest.get("facts", {}).get(STEPS)
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise InputError(f"{self.source} is damaged: it lists no steps.")
        return tables

    def values(self, config_class: type[CommandConfig]) -> dict[str, Any]:
        """Returns the recorded values that say what was computed."""
        session = {item.name for item in config_fields(config_class) if item.option.session}
        return {key: value for key, value in self.manifest["config"].items() if key not in session}

    def resolved(self, config_class: type[CommandConfig], **flags: Any) -> Resolved:
        """Returns the recorded configuration, with the thread count that was used.

        Raises:
            InputError: A key or value that this version does not know.
        """
        values = self.values(config_class)
        if "threads" in values:
            values["threads"] = self.manifest.get("threads", values["threads"])
        try:
            return layered(config_class, [(self.source, values)], flags)
        except UsageError as error:
            made = self.manifest.get("versions", {}).get("saecli", "another version")
            raise InputError(error.message, f"It was made by saecli {made}.") from error

    def require_inputs(self, now: Mapping[str, Input]) -> None:
        """Raises an `InputError` if an input is not here or no longer what it was."""
        for name, then in self.manifest["inputs"].items():
            path = then.get("path", "")
            if name not in now:
                raise InputError(
                    f"{path}, which the run in {self.directory} read, is not here.",
                    "Start from the folder in which it was made.",
                )
            if now[name].sha256 != then.get("sha256"):
                raise InputError(f"{path} is not what the run in {self.directory} read: its content has changed.")
        if new := [name for name in now if name not in self.manifest["inputs"]]:
            raise InputError(f"{now[new[0]].path} was not there when the run in {self.directory} was made.")

    def differences(self, files: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns how files (of another manifest) differ from those that this run wrote, one line each."""
        then = self.manifest["files"]
        lines = []
        for name in sorted({*then, *files}):
            if name not in files:
                lines.append(f"{name}: no longer written")
            elif name not in then:
                lines.append(f"{name}: was not written before")
            elif files[name]["sha256"] != then[name]["sha256"]:
                lines.append(f"{name}: {files[name]['bytes']:,} bytes, {then[name]['bytes']:,} before")
        return tuple(lines)


def _head(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: table[key] for key in ("name", "command") if key in table}
