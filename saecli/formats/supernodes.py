"""Groups of nodes in a file of their own, as the page of a graph saves them: schema ``saecli.supernodes/1``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from saecli.core.address import Address, parse_address
from saecli.core.errors import InputError, SaecliError
from saecli.core.graph import FeatureGraph
from saecli.formats.documents import read_document

SCHEMA: Final = "saecli.supernodes/1"
_MAX_BYTES: Final = 1 << 26


def read_supernodes(path: Path, graph: FeatureGraph) -> dict[str, tuple[Address, ...]]:
    """Groups of a file that belong to a graph.

    Raises:
        InputError: Missing, damaged, of another schema, or of another graph.
    """
    document = read_document(path, "groups of nodes", _MAX_BYTES)
    found = document.get("supernodes")
    if document.get("schema") != SCHEMA or not isinstance(found, dict):
        raise InputError(f"{path} is {document.get('schema')!r}, expected {SCHEMA}.", "Save groups in a graph's page.")
    here = {node.address for node in graph.nodes}
    groups: dict[str, tuple[Address, ...]] = {}
    for name, members in found.items():
        if not isinstance(members, list):
            raise InputError(f"{path}: the group {name!r} is no list of nodes.")
        try:
            groups[name] = tuple(parse_address(str(one), graph.residual) for one in members)
        except SaecliError as error:
            raise InputError(f"{path}: the group {name!r}: {error.message}") from error
        if lost := [graph.id_of(one) for one in groups[name] if one not in here]:
            raise InputError(f"{path}: the group {name!r} names {lost[0]}, which the graph does not have.")
    return groups
