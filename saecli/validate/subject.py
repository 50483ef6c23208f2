"""What the positional arguments of ``saecli validate`` are: suites, circuit graphs, or features to remove together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from saecli.core.errors import UsageError
from saecli.formats import connections
from saecli.formats.graph_file import NAME
from saecli.formats.neuronpedia_graph import sniff_graph

_FEATURES: Final = re.compile(r"\d+(\.\w+)?:\d+(,\d+)*")
Kind = Literal["suites", "graphs", "features"]


@dataclass(frozen=True)
class Subject:
    """What is validated.

    Attributes:
        kind: ``suites``, ``graphs`` or ``features``.
        names: Suites, or files and run directories of graphs; one suite for features.
        features: Addresses of the features to remove together.
    """

    kind: Kind
    names: tuple[str, ...]
    features: tuple[str, ...] = ()


def subject_of(given: Sequence[str], features: Sequence[str], default: str = "othello-mini") -> Subject:
    """Tell by sniffing what is meant; addresses among the arguments belong to ``--features``.

    Raises:
        UsageError: Graphs and suites together, features of several suites, or of a graph.
        InputError: Something else than a suite or a graph.
    """
    addresses = tuple(one for one in given if _FEATURES.fullmatch(one) and not Path(one).exists())
    names = tuple(one for one in given if one not in addresses)
    if addresses and not features:
        raise UsageError(f"{addresses[0]} is a feature, not a suite.", f"Write --features {' '.join(addresses)}.")
    graphs = [name for name in names if _is_graph(name)]
    if features:
        if graphs or len(names) > 1:
            raise UsageError("--features removes features of one suite.", "Name that suite, and no graph.")
        return Subject("features", names or (default,), (*features, *addresses))
    if graphs and len(graphs) < len(names):
        other = next(name for name in names if name not in graphs)
        raise UsageError(f"{graphs[0]} is a circuit graph and {other} is none.", "Validate them one by one.")
    return Subject("graphs" if graphs else "suites", names or (default,))


def _is_graph(name: str) -> bool:
    """Whether a file or folder is a circuit graph; connections are neither graph nor suite."""
    path = Path(name)
    if (path / "suite.json").is_file():
        return False
    for one in (path / NAME, path / "connections.safetensors") if path.is_dir() else (path,):
        if one.is_file() and connections.sniff(one):
            raise UsageError(
                f"{name} holds connections.", f"Name their suite: saecli validate SUITE --connections {name}"
            )
        if one.is_file() and sniff_graph(one):
            return True
    return False
