"""What the zoo holds: its families, and look-up of models, releases of dictionaries and data sets by name.

Families are plain data, so everything here is cheap: no torch, no numpy, no hub.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Final, Literal, NamedTuple

from zoo.family import DataEntry, Family, ModelEntry, ReleaseEntry

Kind = Literal["models", "suites", "data"]
BUILT_IN: Final = ("gpt2", "pythia", "gemma", "chessgpt", "othellogpt", "toy", "other")
"""Modules of this package that hold a ``FAMILY``."""

ASSET: Final = "asset:"
"""Source of what ships with the program: ``zoo/assets/NAME/model`` and ``zoo/assets/NAME/suite``."""


@cache
def built_in() -> dict[str, Family]:
    """The families that ship with the program, by name."""
    return {name: import_module(f"zoo.{name}").FAMILY for name in BUILT_IN}


def families() -> dict[str, Family]:
    """Every family by name."""
    return built_in()


def find_model(name: str) -> tuple[Family, ModelEntry] | None:
    """The model of that name and its family, or None."""
    return next(((family, family.models[name]) for family in families().values() if name in family.models), None)


def find_release(name: str) -> tuple[Family, ReleaseEntry] | None:
    """The release of dictionaries of that name and its family, or None."""
    return next(((family, family.releases[name]) for family in families().values() if name in family.releases), None)


def find_data(name: str) -> tuple[Family, DataEntry] | None:
    """The data set of that name (without ``data:``) and its family, or None."""
    return next(((family, family.data[name]) for family in families().values() if name in family.data), None)


class Listed(NamedTuple):
    """One line of a list of the zoo.

    Attributes:
        kind: ``models``, ``suites`` or ``data``.
        name: What it is asked for by.
        family: Name of its family.
        source: Where it comes from.
        description: One line.
    """

    kind: Kind
    name: str
    family: str
    source: str
    description: str


def listing() -> Iterator[Listed]:
    """Everything that can be asked for by name, family by family."""
    for family in families().values():
        yield from rows(family)


def rows(family: Family) -> Iterator[Listed]:
    """Everything of one family that can be asked for by name."""
    tables: dict[Kind, dict[str, ModelEntry] | dict[str, ReleaseEntry] | dict[str, DataEntry]] = {
        "models": family.models,
        "suites": family.releases,
        "data": family.data,
    }
    for kind, table in tables.items():
        for name, entry in table.items():
            yield Listed(kind, name, family.name, entry.source, entry.description)


def names(kind: Kind) -> dict[str, str]:
    """Names of a kind with their descriptions."""
    return {row.name: row.description for row in listing() if row.kind == kind}


def asset(name: str) -> str | None:
    """The folder below ``zoo/assets`` of an embedded model or suite, or None."""
    found = find_model(name) or find_release(name)
    if found is None or not found[1].source.startswith(ASSET):
        return None
    return found[1].source.removeprefix(ASSET)
