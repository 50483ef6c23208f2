"""``saecli convert``: the function that makes what ``--to`` names."""

from __future__ import annotations

import contextlib
import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from saecli.convert.config import TARGETS, ConvertConfig
from saecli.convert.result import ConvertResult
from saecli.core.atomic import writing_folder
from saecli.core.errors import InputError, UsageError
from saecli.core.progress import Progress


def run(config: ConvertConfig, progress: Progress) -> ConvertResult:
    """Converts, or with ``--plan`` says what would be done.

    Raises:
        UsageError, InputError: what the target's own function raises; the destination is there already.
    """
    module, _, function = TARGETS[config.to or ""].partition(":")
    return getattr(importlib.import_module(module), function)(config, progress)


@contextlib.contextmanager
def destination(config: ConvertConfig, mark: str) -> Iterator[Path]:
    """Gives a folder to fill that becomes ``config.destination`` when the block ends without an error.

    Args:
        config: the call.
        mark: name of a file that every folder of this kind has; ``--overwrite`` replaces no folder without it.

    Raises:
        InputError: see :func:`refuse_if_there`.
    """
    refuse_if_there(config, mark)
    path = Path(config.destination)
    with writing_folder(path) as folder:
        yield folder
        if path.exists():  # the old folder goes when the new one is whole
            shutil.rmtree(path)


def only_source(config: ConvertConfig) -> Path:
    """The one source of a target that takes one; raises UsageError for several, InputError if it is not there."""
    if len(config.sources) != 1:
        raise UsageError(f"convert --to {config.to} takes one source, not {len(config.sources)}.")
    if not (source := Path(config.sources[0])).is_file():
        raise InputError(f"There is no file {source}.")
    return source


def refuse_file(config: ConvertConfig) -> None:
    """Raises InputError if the destination, a file, must not be replaced."""
    path = Path(config.destination)
    if path.is_dir() or (path.exists() and path.samefile(config.sources[0])):
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'the source'}.", "Name the file to make.")
    if path.exists() and not config.overwrite:
        raise InputError(f"{path} is there already.", "Name another file, or add --overwrite.")


def refuse_if_there(config: ConvertConfig, mark: str) -> None:
    """Raises InputError if the destination is something that must not be replaced."""
    path = Path(config.destination)
    if path.is_dir() and any(Path(source).resolve().is_relative_to(path.resolve()) for source in config.sources):
        raise InputError(f"{path} holds what is to be converted.", "Name another folder.")
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() and not (path / mark).is_file():
        raise InputError(
            f"{path} is there already and was not made by convert --to {config.to}.", "Name another folder."
        )
    if path.exists() and not config.overwrite:
        raise InputError(f"{path} is there already.", "Name another folder, or add --overwrite.")
