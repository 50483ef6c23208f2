"""What the zoo holds: its families, and look-up of models, releases of dictionaries and data sets by name.

Families are plain data, so everything here is cheap: no torch, no numpy, no hub. Families of other packages
(:mod:`zoo.plugins`) are asked after those that ship with the program.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Final

from zoo import plugins
from zoo.family import DataEntry, Family, ModelEntry, ReleaseEntry
from zoo.plugins import Kind, Listed, rows

BUILT_IN: Final = ("gpt2", "pythia", "gemma", "chessgpt", "othellogpt", "toy", "other")
"""Modules of this package that hold a ``FAMILY``."""

_ALIASES: Final = {"gpt2-small": "gpt2"}
"""What TransformerLens calls a model → the zoo's name."""

ASSET: Final = "asset:"
"""Source of what ships with the program: ``zoo/assets/NAME/model`` and ``zoo/assets/NAME/suite``."""

FILE: Final = "file:"
"""Source of what ships with another package: the path of a folder or file."""


@cache
def built_in() -> dict[str, Family]:
    """The families that ship with the program, by name."""
    return {name: import_module(f"zoo.{name}").FAMILY for name in BUILT_IN}


def families() -> dict[str, Family]:
    """Every family by name; imports every plugin."""
    return built_in() | plugins.families(built_in())


def find_model(name: str) -> tuple[Family, ModelEntry] | None:
    """The model of that name and its family, or None."""
    family = _holding(name, "models")
    return (family, family.models[name]) if family else None


def find_release(name: str) -> tuple[Family, ReleaseEntry] | None:
    """The release of dictionaries of that name and its family, or None."""
    family = _holding(name, "suites")
    return (family, family.releases[name]) if family else None


def find_data(name: str) -> tuple[Family, DataEntry] | None:
    """The data set of that name (without ``data:``) and its family, or None."""
    family = _holding(name, "data")
    return (family, family.data[name]) if family else None


def _holding(name: str, kind: Kind) -> Family | None:
    for family in built_in().values():
        if name in {"models": family.models, "suites": family.releases, "data": family.data}[kind]:
            return family
    return plugins.holding(name, kind, built_in())


def listing(*, import_plugins: bool = True) -> list[Listed]:
    """Everything that can be asked for by name, family by family.

    Args:
        import_plugins: Import plugins that were not seen before; otherwise they are not in the list.
    """
    more = (
        plugins.listed(built_in())
        if import_plugins
        else [row for table in plugins.remembered().values() for row in table]
    )
    return [*(row for family in built_in().values() for row in rows(family)), *more]


def names(kind: Kind, *, import_plugins: bool = True) -> dict[str, str]:
    """Names of a kind with their descriptions; see :func:`listing`."""
    return {row.name: row.description for row in listing(import_plugins=import_plugins) if row.kind == kind}


def zoo_name(model: str) -> str:
    """The zoo's name of a model as others call it (``google/gemma-2-2b``, ``gpt2-small``); empty if it has none."""
    model = _ALIASES.get(model, model).removeprefix("hf:").partition("@")[0]
    if find_model(model):
        return model
    sources = ((name, entry.source) for family in families().values() for name, entry in family.models.items())
    return next((name for name, source in sources if source.partition("@")[0] == f"hf:{model}"), "")


def asset(name: str) -> str | None:
    """The folder below ``zoo/assets`` of an embedded model or suite, or None."""
    for family in built_in().values():
        entry = family.models.get(name) or family.releases.get(name)
        if entry is not None and entry.source.startswith(ASSET):
            return entry.source.removeprefix(ASSET)
    return None
