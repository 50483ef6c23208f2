"""The names a shell completes, from static tables only: no adapter, no torch, no hub is imported."""

from __future__ import annotations

from pathlib import Path

from saecli.core.errors import SaecliError
from saecli.core.resources import require_own_zoo, resource, template_names
from saecli.core.site import KINDS
from saecli.dictionaries import ARCHITECTURES

PATHS = ("files", "dirs")


def names(what: str) -> dict[str, str]:
    """Returns the names of a kind (`models`, `suites`, `data`, `kinds`, `archs`, `templates`), the zoo's described.

    `downloads` is all of the zoo. For `files` and `dirs` there are none: the shell knows them.
    """
    if what == "kinds":
        return dict.fromkeys(KINDS, "")
    if what == "archs":
        return dict.fromkeys(ARCHITECTURES, "")
    if what == "templates":
        return dict.fromkeys(template_names(), "")
    if what == "models" or what == "suites" or what == "data":
        require_own_zoo()
        from zoo.index import names as zoo_names

        return zoo_names(what)
    if what == "downloads":
        return {**names("models"), **names("suites"), **{f"data:{name}": text for name, text in names("data").items()}}
    if what in PATHS:
        return {}
    raise ValueError(f"names({what!r}): no such kind of name")


def zoo_asset(name: str) -> Path | None:
    """Returns the folder of an embedded model or suite, or None."""
    require_own_zoo()
    from zoo.index import asset

    embedded = asset(name)
    if not embedded:
        return None
    try:
        return resource("assets", embedded)
    except SaecliError:
        return None
