"""What is said of a run of ``saecli train sae`` on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def in_words(lines: Sequence[dict[str, Any]]) -> str:
    """Records of the same step, as one line."""
    explained = [line["variance_explained"] for line in lines]
    detail = f"variance explained {min(explained):.3f} to {max(explained):.3f}"
    if "kl" in lines[0]:
        divergences = [line["kl"] for line in lines]
        detail = f"KL {min(divergences):.3f} to {max(divergences):.3f}, {detail}"
    return f"{detail}, dead at most {max(line['dead_share'] for line in lines):.1%}"


def in_rows(names: Sequence[str], lines: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The same as a table with a row of titles.

    Args:
        names: Of the dictionaries.
        lines: Their records.
    """
    shown = {"variance explained": ("variance_explained", ".4f"), "L0": ("l0", ".1f"), "dead": ("dead_share", ".1%")}
    if "kl" in lines[0]:
        shown = {"KL": ("kl", ".4f"), **shown}
    rows = [tuple(f"{line[key]:{form}}" for key, form in shown.values()) for line in lines]
    return [("", *shown), *((name, *row) for name, row in zip(names, rows, strict=True))]
