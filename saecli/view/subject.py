"""What the arguments of ``saecli view`` are: features of a suite, or a page that is there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saecli.core import manifest
from saecli.core.errors import InputError, UsageError

_FEATURES: Final = re.compile(r"[^\s:@/\\]+:\d+(,\d+)*")
_PAGES: Final = ("index.html", "report.html", "graph.html", "rules.html", "diff.html")


@dataclass(frozen=True)
class Subject:
    """What is looked at.

    Attributes:
        suite: Of features: their suite.
        features: Addresses as they were written, of one feature or several each.
        page: A run directory or page; None for features.
    """

    suite: str = ""
    features: tuple[str, ...] = ()
    page: Path | None = None


def subject_of(words: Sequence[str], usual: str) -> Subject:
    """What the arguments mean.

    Args:
        words: As they were given.
        usual: The suite of features without one.

    Raises:
        UsageError: No feature, or more than one suite or page.
    """
    features = [word for word in words if _FEATURES.fullmatch(word)]
    others = [word for word in words if word not in features]
    if len(others) == 1 and not features and _is_page(Path(others[0])):
        return Subject(page=Path(others[0]))
    if len(others) > 1:
        raise UsageError(
            f"{' and '.join(map(repr, others[:2]))} are not features, and features are those of one suite.",
            "Write saecli view SUITE 7:331, or the path of one run.",
        )
    if not features:
        what = f"{others[0]} is neither a feature nor a run" if others else "No feature is named"
        raise UsageError(f"{what}.", f"Write saecli view {others[0] if others else usual} 7:331, or the path of a run.")
    return Subject(others[0] if others else usual, tuple(features))


def page_of(path: Path) -> Path:
    """The page of a run directory, or the page itself.

    Raises:
        InputError: No page, or an unfinished run.
    """
    if path.is_file():
        return path
    told = manifest.require_complete(path)
    pages = [name for name in told.get("files", {}) if name.endswith(".html") and (path / name).is_file()]
    for name in (*_PAGES, *sorted(pages)):
        if name in pages:
            return path / name
    raise InputError(f"The run in {path} has no page; it is one of `saecli {told.get('command')}`.")


def _is_page(path: Path) -> bool:
    return (path.is_file() and path.suffix in (".html", ".htm")) or (path / manifest.NAME).is_file()
