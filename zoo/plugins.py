"""Families of other packages: entry points of the group ``saecli.zoo`` that name a :class:`zoo.family.Family`.

    [project.entry-points."saecli.zoo"]
    mine = "my_package.zoo:FAMILY"

A plugin is code, so it is imported only when something of it is used. What it holds is kept in the user's cache,
by distribution, version and entry point: lists import a plugin once in a lifetime of its version, completion never.
A plugin that cannot be used is named once on standard error and left out.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from saecli.core.atomic import write_text
from saecli.core.cache import Cache
from zoo.family import DataEntry, Family, ModelEntry, ReleaseEntry

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "saecli.zoo"
FILE: Final = "zoo-plugins.json"
SCHEMA: Final = "saecli.zoo-plugins/1"

Kind = Literal["models", "suites", "data"]


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


def rows(family: Family) -> list[Listed]:
    """Everything of one family that can be asked for by name."""
    tables: dict[Kind, dict[str, ModelEntry] | dict[str, ReleaseEntry] | dict[str, DataEntry]] = {
        "models": family.models,
        "suites": family.releases,
        "data": family.data,
    }
    return [
        Listed(kind, name, family.name, entry.source, entry.description)
        for kind, table in tables.items()
        for name, entry in table.items()
    ]


@cache
def installed() -> dict[str, EntryPoint]:
    """Plugins by the key under which they are remembered: distribution, version, entry point."""
    if not any(_has_group(Path(folder or ".")) for folder in sys.path):
        return {}
    from importlib.metadata import entry_points  # with the parser of e-mails it takes 30 ms

    found = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    return {f"{_origin(point)} {point.name} = {point.value}": point for point in found}


def _has_group(folder: Path) -> bool:
    """Whether a folder of packages, or an archive of them, may have a plugin; names and a few bytes are looked at."""
    if folder.is_file():
        return True
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.endswith((".dist-info", ".egg-info")):
                with contextlib.suppress(OSError), open(f"{entry.path}/entry_points.txt", "rb") as file:
                    if f"[{GROUP}]".encode() in file.read():
                        return True
    return False


def remembered() -> dict[str, list[Listed]]:
    """What is known of installed plugins without importing any, by key."""
    return {key: value for key, value in _remembered().items() if key in installed()}


def listed(taken: dict[str, Family]) -> list[Listed]:
    """What all plugins hold; those not seen before are imported.

    Args:
        taken: Families that ship with the program; a plugin that uses one of their names is left out.
    """
    known, new = remembered(), {}
    for key in installed():
        if key not in known and (family := family_of(key, taken)):
            new[key] = rows(family)
    if new:
        _remember(known | new)
    return [row for key in installed() for row in (known | new).get(key, [])]


def holding(name: str, kind: Kind, taken: dict[str, Family]) -> Family | None:
    """The family of a plugin that has something of this name; the others are not imported if it is remembered."""
    known = remembered()
    likely = [key for key in installed() if any((row.kind, row.name) == (kind, name) for row in known.get(key, []))]
    for key in [*likely, *(key for key in installed() if key not in likely)]:
        family = family_of(key, taken)
        if family is not None and any((row.kind, row.name) == (kind, name) for row in rows(family)):
            return family
    return None


def families(taken: dict[str, Family]) -> dict[str, Family]:
    """The families of all plugins that can be used, all imported."""
    found = [family_of(key, taken) for key in installed()]
    return {family.name: family for family in found if family is not None}


_loaded: dict[str, Family | None] = {}


def family_of(key: str, taken: dict[str, Family]) -> Family | None:
    """The family of a plugin, imported once; None if it cannot be used."""
    if key not in _loaded:
        _loaded[key] = None  # before the import, which may come back here
        _loaded[key] = _load(installed()[key], taken)
    return _loaded[key]


def _load(point: EntryPoint, taken: dict[str, Family]) -> Family | None:
    try:
        family = point.load()
    except Exception as error:  # a plugin's own code: it can fail in any way
        return _leave_out(point, f"it cannot be imported ({type(error).__name__}: {error})")
    if not isinstance(family, Family):
        return _leave_out(point, f"{point.value} is {type(family).__name__}, expected zoo.family.Family")
    others = [*taken.values(), *(one for one in _loaded.values() if one is not None)]
    if any(family.name == other.name for other in others):
        return _leave_out(point, f"there is a family {family.name!r} already")
    used = {(row.kind, row.name) for other in others for row in rows(other)}
    if clash := next((row for row in rows(family) if (row.kind, row.name) in used), None):
        return _leave_out(point, f"there is {clash.name!r} among the {clash.kind} already")
    return family


def _leave_out(point: EntryPoint, reason: str) -> None:
    text = f"The zoo plugin {point.name!r} of {_origin(point)} is left out: {reason}."
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    with contextlib.suppress(OSError, AttributeError):
        sys.stderr.write(plain + "\n")


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unnamed package"


def _path() -> Path:
    return Cache.at().lock.with_name(FILE)


def _remembered() -> dict[str, list[Listed]]:
    try:
        document: Any = json.loads(_path().read_bytes())
        if document["schema"] != SCHEMA:
            return {}
        return {
            str(key): [Listed(*(str(value) for value in row)) for row in table]  # pyright: ignore[reportArgumentType]
            for key, table in document["plugins"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # a cache: what cannot be read is made anew


def _remember(table: dict[str, list[Listed]]) -> None:
    with contextlib.suppress(OSError):  # a cache: without it the next list takes longer
        _path().parent.mkdir(parents=True, exist_ok=True)
        write_text(_path(), json.dumps({"schema": SCHEMA, "plugins": table}, indent=1) + "\n")
