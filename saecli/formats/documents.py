"""JSON documents that describe a model, a dictionary or a suite: read whole, of a bounded size, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from saecli.core.errors import InputError

HINT = "Fetch or write it again."


def read_bounded(path: Path, what: str, max_bytes: int = 1 << 20) -> bytes:
    """The bytes of a file of a bounded size; arguments as of :func:`read_document`.

    Raises:
        InputError: Missing, unreadable or too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise InputError(f"{path.parent} has no readable {path.name}: {error.strerror}.") from error
    if len(data) > max_bytes:
        raise InputError(f"{path} is larger than {max_bytes:,} bytes, too large for {what}.")
    return data


def read_document(path: Path, what: str, max_bytes: int = 1 << 20) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: The file.
        what: What it should be, for messages: ``a model's configuration``.
        max_bytes: The largest size that is read.

    Raises:
        InputError: Missing, unreadable, too large, too deeply nested, or no JSON object.
    """
    data = read_bounded(path, what, max_bytes)
    try:
        document = json.loads(data)
    except RecursionError as error:
        raise InputError(f"{path} is nested too deeply for {what}.", HINT) from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON, as {what} is: {error}.", HINT) from error
    if not isinstance(document, dict):
        raise InputError(f"{path} is not a JSON object, as {what} is.", HINT)
    return document
