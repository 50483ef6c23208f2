"""The list of what can be downloaded by name."""

from __future__ import annotations

from saecli.core.cache import Cache
from saecli.core.lock import Lock
from saecli.core.resources import require_own_zoo
from saecli.download.result import ListRow

_KINDS = {"models": "model", "suites": "suite", "data": "data"}


def listed(search: str, cache: Cache) -> tuple[ListRow, ...]:
    """Returns the zoo's names, or those that have a text somewhere in their line."""
    require_own_zoo()
    from zoo.index import ASSET, listing

    lock = Lock.read(cache.lock)
    rows = []
    for entry in listing():
        name = f"data:{entry.name}" if entry.kind == "data" else entry.name
        if search.casefold() in f"{name} {entry.family} {entry.source} {entry.description}".casefold():
            known = lock.names.get(name)
            here = entry.source.startswith(ASSET) or (known is not None and known.complete(cache))
            rows.append(
                ListRow(
                    name=name,
                    kind=_KINDS[entry.kind],
                    family=entry.family,
                    source=entry.source,
                    description=entry.description,
                    here=here,
                )
            )
    return tuple(rows)
