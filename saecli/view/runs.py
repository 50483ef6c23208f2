"""The complete runs in folders of runs, by their manifests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from saecli.core import manifest
from saecli.core.errors import InputError

_SEARCHED: Final = ("trace", "graph merge", "graph prune", "cooc")


def manifests(folders: Iterable[str]) -> list[Path]:
    """The manifests of runs that may show features: circuits and co-occurrence, those of several steps too."""
    found: list[Path] = []
    for folder in map(Path, folders):
        paths = sorted([*folder.glob(f"*/{manifest.NAME}"), *folder.glob(f"*/*/{manifest.NAME}")])
        real = [path for path in paths if not any(part.is_symlink() for part in (path.parent, path.parent.parent))]
        found += [path for path in real if (told := complete(path)) and told.get("command") in _SEARCHED]
    return found


def complete(path: Path) -> dict[str, Any] | None:
    """A manifest if its run is complete and can be read, else None."""
    try:
        found = manifest.read_manifest(path.parent)
    except InputError:  # of a newer version
        return None
    return found if found is not None and found.get("status") == "complete" else None
