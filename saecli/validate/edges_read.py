"""Scored edges between sites of suites: of which suite, in which order, and how many are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from saecli.core.connections import Connections
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.formats.connections import read_connections
from saecli.validate.config import ValidateConfig

_EDGES: Final = "connections-*.safetensors"


@dataclass(frozen=True)
class Edges:
    """Scored edges between two sites of a suite.

    Attributes:
        suite: Name of the suite.
        sites: Source and target.
        connections: Where they stand.
        counts: How many to keep: 0, those asked for, all of them.
    """

    suite: str
    sites: tuple[Site, Site]
    connections: Connections
    counts: tuple[int, ...]

    @property
    def pair(self) -> str:
        """``3.mlp_in:3.mlp_out``."""
        return ":".join(map(str, self.sites))


def read_edges(config: ValidateConfig, suites: Mapping[str, Suite], fingerprints: Mapping[str, str]) -> list[Edges]:
    """The edges of every file, by pair of sites in the order of the suites.

    Raises:
        UsageError, InputError: A file without scored edges, of no or unlike dictionaries, named twice, or cut below the
            largest number asked for; or a suite without edges.
    """
    found: list[Edges] = []
    for path in map(_file, config.edges):
        connections = read_connections(path)
        if not connections.rows or any(rows.scores is None for rows in connections.rows.values()):
            raise InputError(f"{path} has no scored edges between sites.", "Make it: saecli connect --pair SITE:SITE")
        suite = _owner(path, connections, fingerprints, {(one.suite, *one.sites) for one in found})
        for module in connections.modules:
            configs = suites[suite].configs
            if module.reads not in configs or configs[module.reads].n_latents != module.n_latents:
                raise InputError(f"{path} has {module.n_latents} features at {module.reads}, which {suite} has not.")
        for down, up in connections.pairs:
            if any((one.suite, one.sites) == (suite, (up, down)) for one in found):
                raise UsageError(f"Two of --edges are from {up} to {down} of {suite}.", "Name one.")
            found.append(Edges(suite, (up, down), connections, _counts(config, path, connections, (up, down))))
    without = [name for name in suites if all(one.suite != name for one in found)]
    if without:
        raise UsageError(
            f"No --edges belong to {without[0]}.", f"Make some: saecli connect --suite {without[0]} --pair"
        )
    order = list(suites)
    return sorted(found, key=lambda one: (one.sites, order.index(one.suite)))


def ranks_of(connections: Connections, pair: tuple[Site, Site], seed: int) -> Tensor:
    """Place of every edge by its score, largest first, int64 [F_up, F_down]; chance decides among equals.

    Edges that the connections lack come last.
    """
    up, down = pair
    widths = {module.reads: module.n_latents for module in connections.modules}
    rows = connections.rows[down, up]
    assert rows.scores is not None  # noqa: S101
    scores_UF = torch.full((widths[up], widths[down]), -math.inf)
    row_E = torch.arange(widths[down]).repeat_interleave(rows.indptr.diff())
    scores_UF[rows.indices.long(), row_E] = rows.scores
    shuffled_N = torch.randperm(scores_UF.numel(), generator=torch.Generator().manual_seed(seed))
    order_N = shuffled_N[scores_UF.flatten()[shuffled_N].sort(descending=True, stable=True).indices]
    return torch.empty_like(order_N).scatter_(0, order_N, torch.arange(len(order_N))).view(scores_UF.shape)


def apart(connections: Connections, data: str, half: str) -> bool:
    """Whether no sequence that the scores are of can be among those of this half of the data."""
    scored = connections.details.get("half", "all")
    return connections.details.get("data", data) != data or {scored, half} == {"first", "second"}


def scored_on(connections: Connections) -> str:
    """The data that the scores are of, as far as the file tells."""
    data, half = connections.details.get("data", ""), connections.details.get("half", "all")
    return f"{data}, {half} half" if data and half != "all" else str(data)


# ----------------------------------------------------------------------------------------------------------------------


def _file(text: str) -> Path:
    """A file, or that of a run of `saecli connect` which has most edges."""
    path = Path(text)
    if not path.is_dir():
        return path
    files = sorted(path.glob(_EDGES), key=lambda one: one.stat().st_size)
    if not files:
        raise InputError(f"{text} has no {_EDGES}.", "Name a file, or a run of saecli connect --pair.")
    return files[-1]


def _owner(
    path: Path, connections: Connections, fingerprints: Mapping[str, str], served: set[tuple[str, Site, Site]]
) -> str:
    """The suite that a file belongs to; of equal ones the first that has no edges between these sites yet."""
    known = connections.suite_fingerprint
    fitting = [name for name, one in fingerprints.items() if one == known or (not known and len(fingerprints) == 1)]
    if not fitting:
        names = " and ".join(fingerprints)
        raise InputError(f"{path} belongs to other dictionaries than {names}.", "Connect these: saecli connect --pair")
    mine = {name: {(name, up, down) for down, up in connections.pairs} for name in fitting}
    return next((name for name in fitting if not mine[name] & served), fitting[0])


def _counts(config: ValidateConfig, path: Path, connections: Connections, pair: tuple[Site, Site]) -> tuple[int, ...]:
    """0, the numbers asked for or powers of √2, and all pairs."""
    up, down = pair
    widths = {module.reads: module.n_latents for module in connections.modules}
    possible, there = widths[up] * widths[down], len(connections.rows[down, up].indices)
    usual = {round(2 ** (power / 2)) for power in range(2 * possible.bit_length())}
    counts = {min(one, possible) for one in config.numbers} or {one for one in usual if one < possible} | {possible}
    if max(counts) > there:
        raise InputError(
            f"{path} was cut to {there:,} edges, and {max(counts):,} are to be kept.",
            f"Choose fewer by --counts, or keep more: saecli connect --pair {up}:{down} --keep all",
        )
    return tuple(sorted({0, *counts, possible}))
