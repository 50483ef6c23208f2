"""circuit-tracer's config.yaml: read as plain data of a bounded size, written from plain data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from saecli.core.errors import InputError
from saecli.formats.documents import HINT

CONFIG: Final = "config.yaml"
_MAX_BYTES: Final = 1 << 20


def read_config(path: Path) -> dict[str, Any]:
    """The entries of a config.yaml; tags that would make objects are refused by the reader.

    Raises:
        InputError: Missing, too large, too deeply nested, no YAML, or no mapping of names.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path.parent} has no readable {path.name}: {error.strerror}.") from error
    if len(data) > _MAX_BYTES:
        raise InputError(f"{path} is larger than {_MAX_BYTES:,} bytes, too large for a set's configuration.")
    try:
        document = yaml.safe_load(data)
    except RecursionError as error:
        raise InputError(f"{path} is nested too deeply for a set's configuration.", HINT) from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not YAML of plain values: {reason[:200]}.", HINT) from error
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document):
        raise InputError(f"{path} is not a mapping of names, as a set's configuration is.", HINT)
    return document


def config_text(document: Mapping[str, Any]) -> str:
    """The text of a config.yaml."""
    return yaml.safe_dump(dict(document), sort_keys=False)
