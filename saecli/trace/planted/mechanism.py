"""What depends on what in a planted circuit: the true graph, worked out from the program and not from the model.

A cell is one variable at one site and position, computed from other cells. Each can be removed, so a cell's possible
values are 0, and what it becomes when some of the cells before it are removed. An edge u → v is true if, the other
parents of v held at some of their possible values, two possible values of u make different values of v; a cell is true
if true edges lead from it to the target. So either input of an OR gate is true although its removal alone changes
nothing, and so is a neuron that is silent and wakes up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Final

from saecli.core.address import Address

Compute = Callable[[Sequence[float]], float]

_EXHAUSTIVE: Final = 128
"""All combinations of the parents' values are tried up to this many, then each parent against a few backgrounds."""
_SAME: Final = 1e-9


@dataclass(frozen=True)
class Truth:
    """The true graph.

    Attributes:
        nodes: Features and errors, without tokens and target.
        edges: Pairs of parent and child; the target may be a child.
    """

    nodes: frozenset[Address]
    edges: frozenset[tuple[Address, Address]]

    def without(self, removed: Callable[[Address], bool]) -> Truth:
        """The part that does not touch some nodes."""
        return Truth(
            frozenset(node for node in self.nodes if not removed(node)),
            frozenset(edge for edge in self.edges if not any(map(removed, edge))),
        )


@dataclass(frozen=True)
class _Cell:
    parents: tuple[Address, ...]
    compute: Compute
    value: float


class Mechanism:
    """Cells, each given after its parents."""

    def __init__(self) -> None:
        self._cells: dict[Address, _Cell] = {}
        self._known: dict[Address, tuple[float, ...]] = {}

    def __contains__(self, address: object) -> bool:
        return address in self._cells

    def source(self, address: Address, value: float) -> None:
        """A cell that the input sets."""
        self._cells[address] = _Cell((), lambda _: value, value)

    def add(self, address: Address, parents: Sequence[Address], compute: Compute) -> None:
        """A cell computed from others, none of which may be missing."""
        value = compute([self._cells[parent].value for parent in parents])
        self._cells[address] = _Cell(tuple(parents), compute, value)

    def value(self, address: Address) -> float:
        """The value with nothing removed."""
        return self._cells[address].value

    def truth(self, target: Address) -> Truth:
        """The true graph of a cell."""
        nodes: set[Address] = set()
        edges: set[tuple[Address, Address]] = set()
        waiting = [target]
        while waiting:
            child = waiting.pop()
            for parent in self._true_parents(child):
                edges.add((parent, child))
                if parent not in nodes:
                    nodes.add(parent)
                    waiting.append(parent)
        return Truth(frozenset(nodes), frozenset(edges))

    def _true_parents(self, child: Address) -> Iterator[Address]:
        cell = self._cells[child]
        for place, parent in enumerate(cell.parents):
            choices = self._possible(parent)
            if len(choices) > 1 and any(
                abs(cell.compute([*values[:place], choice, *values[place + 1 :]]) - cell.compute(values)) > _SAME
                for values in self._backgrounds(cell.parents)
                for choice in choices
            ):
                yield parent

    def _possible(self, address: Address) -> tuple[float, ...]:
        """The clean value, 0 and the extremes; values that differ by rounding only are one."""
        if address not in self._known:
            cell = self._cells[address]
            values = [cell.compute(values) for values in self._backgrounds(cell.parents)]
            kept: list[float] = []
            for value in (cell.value, 0.0, min(values), max(values)):
                if all(abs(value - one) > _SAME for one in kept):
                    kept.append(value)
            self._known[address] = tuple(kept)
        return self._known[address]

    def _backgrounds(self, parents: Sequence[Address]) -> Iterator[list[float]]:
        possible = [self._possible(parent) for parent in parents]
        if prod(map(len, possible)) <= _EXHAUSTIVE:
            yield from map(list, product(*possible))
            return
        clean = [self._cells[parent].value for parent in parents]
        for base in (clean, [0.0] * len(parents), [max(one) for one in possible]):
            yield base
            for place, choices in enumerate(possible):
                yield from ([*base[:place], choice, *base[place + 1 :]] for choice in choices)
