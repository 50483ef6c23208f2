"""manifest.json: what a run directory says about itself (schema `saecli.run/1`)."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from saecli.core.errors import InputError
from saecli.core.inputs import RUNS

NAME = "manifest.json"
SCHEMA = "saecli.run/1"
VERSIONED = ("saecli", "torch", "numpy", "safetensors", "transformer_lens", "transformers")


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """Returns the manifest of a run directory, or None if there is none of this program.

    Raises:
        InputError: It was written by a newer version of this program.
    """
    try:
        document = json.loads((directory / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith("saecli.run/"):
        return None
    if schema != SCHEMA:
        raise InputError(f"{directory} was written by a newer saecli ({schema}).", "Upgrade saecli to read it.")
    return document


def require_complete(directory: Path, command: str | None = None) -> dict[str, Any]:
    """Returns the manifest of a complete run, for readers.

    Args:
        directory: A run directory.
        command: If given, the command that must have made it.

    Raises:
        InputError: No run, an unfinished or failed one, or one of another command.
    """
    manifest = read_manifest(directory)
    if manifest is None:
        raise InputError(f"{directory} holds no run of saecli.")
    if command is not None and manifest.get("command") != command:
        raise InputError(f"{directory} was made by `saecli {manifest.get('command')}`, expected `saecli {command}`.")
    if manifest.get("status") != "complete":
        raise InputError(
            f"The run in {directory} is not complete (status {manifest.get('status')}).",
            "Run its command again to finish it.",
        )
    return manifest


def latest(command: str, root: Path = Path(RUNS)) -> Path | None:
    """Returns the directory of the latest complete run of a command below `root`, or None."""
    pointer = root / latest_name(command)
    if not pointer.is_symlink():
        return None
    directory = pointer.resolve()
    manifest = read_manifest(directory)
    return directory if manifest is not None and manifest.get("status") == "complete" else None


def latest_name(command: str) -> str:
    """Returns the name of the pointer to the latest run of a command: `latest-train-lm`."""
    return "latest-" + command.replace(" ", "-")


def safe_name(name: str) -> PurePosixPath:
    """Returns a file name of a run as a relative path, refusing what could lie outside the run directory."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        raise InputError(f"{name!r} is no file name inside a run directory.")
    return path


def versions() -> dict[str, str]:
    """Returns the installed versions that decide a run's numbers."""
    from importlib import metadata  # slow to import

    found = {}
    for name in VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
