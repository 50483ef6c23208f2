"""How much of a planted circuit a method finds, beside what circuits drawn at random would find."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import torch

from saecli.attribution.circuit import Circuits, Pool, run_circuits
from saecli.attribution.circuit_reference import zero_reference
from saecli.attribution.clean import ERROR, CleanRun
from saecli.attribution.paths import DirectPaths
from saecli.core.address import Address
from saecli.core.site import Site
from saecli.trace.draft import addresses
from saecli.trace.planted.mechanism import Truth

_ROUNDING: Final = 1e-9
_RANDOM_CIRCUITS: Final = 20


@dataclass(frozen=True)
class Counts:
    """Counts of nodes, or of edges.

    Of ``found`` out of ``pool`` drawn at random, ``found · true / pool`` are expected to be true.

    Attributes:
        true: In the true graph.
        found: In the graph that is judged.
        hits: In both.
        pool: All there are to choose from.
    """

    true: int
    found: int
    hits: int
    pool: int

    @property
    def expected_hits(self) -> float:
        """Hits of as many drawn at random."""
        return self.found * self.true / self.pool


def count_nodes(found: Collection[Address], truth: Truth, clean: CleanRun) -> Counts:
    """Counts of nodes; the pool is what is active on the input, the errors that are not 0, and the true ones."""
    return Counts(len(truth.nodes), len(found), len(truth.nodes & set(found)), len(candidates(clean) | truth.nodes))


def count_edges(found: Collection[tuple[Address, Address]], truth: Truth, clean: CleanRun) -> Counts:
    """Counts of edges; the pool is every pair of nodes of :func:`count_nodes` that a direct path could connect."""
    paths = DirectPaths(clean)
    here: dict[Site, list[int]] = {}
    for node in candidates(clean) | truth.nodes:
        assert node.site is not None  # noqa: S101 (features and errors have sites)
        here.setdefault(node.site, []).append(node.position or 0)
    at = clean.metric.position
    pool = 0
    for child, positions in [*((site, here.get(site, [])) for site in clean.sites), (None, [at])]:
        route = paths.route(child)
        alone = route.is_identity or route.is_position_wise
        for parent in route.parents:
            if parent != child:
                starts = here.get(parent, [])
                pool += sum(p == c if alone else p <= c for p in starts for c in positions)
    return Counts(len(truth.edges), len(found), len(truth.edges & set(found)), pool)


def candidates(clean: CleanRun) -> set[Address]:
    """Active features, and errors that are more than rounding."""
    return {
        address
        for nodes in clean.nodes.values()
        for address in addresses(nodes.take(nodes.activation_N.abs() > _ROUNDING))
    }


def faithfulness(found: Collection[Address], clean: CleanRun, seed: int) -> tuple[float, float]:
    """Share of the output that the nodes carry when everything else is set to 0, and the mean of random ones.

    Args:
        found: Features and errors.
        clean: The unmodified pass.
        seed: Of the random circuits: as many of the active nodes, drawn 20 times.

    Returns:
        Both; NaN where the output of nothing is that of everything.
    """
    keys = [(node.site, node.position or 0, ERROR if node.index is None else node.index) for node in found]
    silent = [(site, position, index) for site, position, index in keys if site is not None and index != ERROR]
    pool = Pool.of(clean, silent)
    names = zip(pool.site_N.tolist(), pool.position_N.tolist(), pool.index_N.tolist(), strict=True)
    place = {(pool.sites[site], position, index): number for number, (site, position, index) in enumerate(names)}
    keep_CN = torch.zeros(2 + _RANDOM_CIRCUITS, len(pool), dtype=torch.bool)
    keep_CN[1, [place[key] for key in keys if key in place]] = True
    active = (pool.activation_N.abs() > _ROUNDING).nonzero()[:, 0]
    generator = torch.Generator().manual_seed(seed)
    for row in range(2, len(keep_CN)):
        keep_CN[row, active[torch.randperm(len(active), generator=generator)[: len(keys)]]] = True
    values = run_circuits(clean, pool, Circuits.of(keep_CN), zero_reference(clean.sites))
    empty, own, random = float(values[0]), float(values[1]), float(values[2:].mean())
    scale = clean.value - empty
    if abs(scale) < 0.01 * max(abs(clean.value), abs(empty)):
        return math.nan, math.nan
    return (own - empty) / scale, (random - empty) / scale
