"""Secrets never reach manifests, locks or logs."""

from __future__ import annotations

import re
from typing import Any

_NAMES = "token|secret|password|api[_-]?key|signature|credential"
_PATTERNS = [
    (re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]*://)[^/\s@]+@", re.IGNORECASE), r"\g<keep>***@"),
    (re.compile(rf"(?P<keep>\b[\w-]*(?:{_NAMES})[\w-]*=)[^&\s]+", re.IGNORECASE), r"\g<keep>***"),
    (re.compile(r"\bhf_[A-Za-z0-9]{16,}"), "***"),
]


def redact(value: Any) -> Any:
    """Returns the value with credentials in URLs, `token=…` parameters and hub tokens replaced by `***`.

    Works through strings, lists, tuples and dictionaries; other values are returned as they are.
    """
    if isinstance(value, str):
        for pattern, replacement in _PATTERNS:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, dict):
        return {key: redact(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [redact(one) for one in value]
    return value
