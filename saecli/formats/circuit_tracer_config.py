"""circuit-tracer's config.yaml: read as plain data of a bounded size, written from plain data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from saecli.core.errors import InputError
from saecli.formats.documents import HINT, read_bounded

CONFIG: Final = "config.yaml"
_MAX_BYTES: Final = 1 << 20
_LISTS: Final = ("transcoders",)
_READ: Final = (
    *("model_name", "model_kind", "feature_input_hook", "feature_output_hook", "activation", "k"),
    *_LISTS,
)


def mentions_a_set(path: Path) -> bool:
    """Whether there is a config.yaml that has the entry of its kind; what else it has is told when it is opened."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return b"model_kind" in file.read(_MAX_BYTES)


def read_config(path: Path) -> dict[str, Any]:
    """The entries of a config.yaml that are text, numbers or lists of text; tags that would make objects are refused.

    Entries of other forms, which may be of any size once their references are followed, are left out.

    Raises:
        InputError: Missing, too large, too deeply nested, no YAML, no mapping of names, or an entry that matters is of
            another form.
    """
    data = read_bounded(path, "a set's configuration", _MAX_BYTES)
    try:
        document = yaml.safe_load(data)
    except RecursionError as error:
        raise InputError(f"{path} is nested too deeply for a set's configuration.", HINT) from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not YAML of plain values: {reason[:200]}.", HINT) from error
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document):
        raise InputError(f"{path} is not a mapping of names, as a set's configuration is.", HINT)
    if wrong := [name for name in _READ if name in document and not _plain(name, document[name])]:
        raise InputError(f"{path} has {wrong[0]} of a form that no set has: {type(document[wrong[0]]).__name__}.")
    return {name: value for name, value in document.items() if _plain(name, value)}


def _plain(name: str, value: Any) -> bool:
    if name in _LISTS and isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    return value is None or isinstance(value, str | int | float)


def config_text(document: Mapping[str, Any]) -> str:
    """The text of a config.yaml."""
    return yaml.safe_dump(dict(document), sort_keys=False)
