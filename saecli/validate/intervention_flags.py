"""What ``--set`` says: ``7:331=0``, ``7.attn_out:12@42=2x``, ``7:331,14=+5``, ``7:331=0..2x``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from saecli.core.errors import UsageError

_NUMBER: Final = r"(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"
_CHANGE: Final = re.compile(rf"(?P<sign>[+-]?)(?P<value>{_NUMBER})(?P<times>x?)")
_SWEEP: Final = re.compile(rf"(?P<first>{_NUMBER})\.\.(?P<last>{_NUMBER})x")
_LARGEST: Final = 20
_HINT: Final = "Write 7:331=0, 7:331@42=2x or 7:331=+5."


@dataclass(frozen=True)
class Setting:
    """One ``--set``.

    Attributes:
        text: As it was written.
        address: Of one feature or several of one dictionary.
        how: ``set``, ``scale``, ``add``, or ``sweep``: scaled by more than one factor.
        value: The value, or the first factor.
        last: The last factor.
    """

    text: str
    address: str
    how: str
    value: float
    last: float = 0.0


def parse_setting(text: str) -> Setting:
    """Read one ``--set``; whether there is such a feature is not asked here.

    Raises:
        UsageError: It is none.
    """
    address, _, change = text.strip().rpartition("=")
    if address and (sweep := _SWEEP.fullmatch(change.lower())):
        first, last = float(sweep["first"]), float(sweep["last"])
        if not first < last <= _LARGEST:
            raise UsageError(f"--set {text} runs from {first:g} to {last:g}.", f"Go up, to {_LARGEST} at most.")
        return Setting(text.strip(), address, "sweep", first, last)
    match = _CHANGE.fullmatch(change.lower())
    if not address or match is None or (match["sign"] == "+" and match["times"]):
        raise UsageError(f"--set {text} says of no feature what becomes of it.", _HINT)
    value = float(match["value"]) * (-1 if match["sign"] == "-" else 1)
    if not math.isfinite(value):
        raise UsageError(f"--set {text}: the value is too large.", _HINT)
    how = "scale" if match["times"] else "add" if match["sign"] else "set"
    return Setting(text.strip(), address, how, value)
