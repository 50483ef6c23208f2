"""The names a shell completes, from static tables only: no adapter, no torch, no hub is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saecli.core.errors import SaecliError
from saecli.core.resources import require_own_zoo, resource, template_names
from saecli.core.site import KINDS
from saecli.dictionaries import ARCHITECTURES

if TYPE_CHECKING:
    from zoo.index import Entry

PATHS = ("files", "dirs")


def names(what: str) -> dict[str, str]:
    """Returns the names of a kind (`models`, `suites`, `kinds`, `archs`, `templates`) with a word about each model.

    For `files` and `dirs` there are none: the shell knows them.
    """
    if what == "kinds":
        return dict.fromkeys(KINDS, "")
    if what == "archs":
        return dict.fromkeys(ARCHITECTURES, "")
    if what == "templates":
        return dict.fromkeys(template_names(), "")
    if what in ("models", "suites"):
        # a model with embedded dictionaries is also the name of its suite
        return {
            name: entry.description
            for name, entry in _zoo_index().items()
            if entry.kind == what.removesuffix("s") or entry.asset
        }
    if what in PATHS:
        return {}
    raise ValueError(f"names({what!r}): no such kind of name")


def zoo_asset(name: str) -> Path | None:
    """Returns the folder of an embedded model or suite, or None."""
    entry = _zoo_index().get(name)
    if entry is None or not entry.asset:
        return None
    try:
        return resource("assets", entry.asset)
    except SaecliError:
        return None


def _zoo_index() -> dict[str, Entry]:
    require_own_zoo()
    from zoo.index import INDEX

    return INDEX
