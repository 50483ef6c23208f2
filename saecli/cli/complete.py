"""The names a shell completes, from static tables only: no adapter, no torch, no hub is imported."""

from __future__ import annotations

from pathlib import Path

from saecli.core.resources import require_own_zoo, template_names
from saecli.core.site import KINDS
from saecli.train.recipes import ARCHS

PATHS = ("files", "dirs")


def names(what: str) -> dict[str, str]:
    """Returns the names of a kind, those of the zoo described: `models`, `suites`, `data`, `sections` (of the zoo),
    `kinds`, `archs`, `templates`, `properties` and `indexings` (of boards), `controls` (of `saecli f1`).

    `downloads` is all of the zoo. For `files` and `dirs` there are none: the shell knows them.
    """
    if what == "kinds":
        return dict.fromkeys(KINDS, "")
    if what == "archs":
        return dict.fromkeys(ARCHS, "")
    if what == "templates":
        return dict.fromkeys(template_names(), "")
    if what == "properties":
        from saecli.f1.properties import registered

        return {one.name: one.definition for one in registered()} | {"all": "All of the game."}
    if what == "indexings":
        from saecli.f1.indexing import INDEXINGS

        return {one.name: one.definition for one in INDEXINGS}
    if what == "controls":
        from saecli.f1.config import CONTROLS

        return dict.fromkeys(CONTROLS, "")
    if what == "sections":
        return dict.fromkeys(("models", "suites", "data"), "")
    if what == "models" or what == "suites" or what == "data":
        require_own_zoo()
        from zoo.index import names as zoo_names

        return zoo_names(what, import_plugins=False)
    if what == "downloads":
        return {**names("models"), **names("suites"), **{f"data:{name}": text for name, text in names("data").items()}}
    if what in PATHS:
        return {}
    raise ValueError(f"names({what!r}): no such kind of name")


def zoo_asset(name: str) -> Path | None:
    """Returns the folder or file of a model or suite that is here: embedded, downloaded, or None."""
    require_own_zoo()
    from zoo.resolve import place_of

    return place_of(name)
