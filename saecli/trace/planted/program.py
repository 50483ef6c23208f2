"""Programs over named variables, and what they are compiled to: a transformer, its dictionaries and the true graph.

A variable is a direction of the residual stream and a feature of every dictionary. Tokens set variables; in each layer
heads look variables up at other positions and gates compute new ones out of those at their own:

    w_s += Σ_k pattern_sk v_k                      pattern = softmax over k <= s of (query_s · key_k + bias_{s − k})
    w_s += Σ_j c_j relu(Σ_i a_ji v_i,s + b_j)      j over the gate's neurons
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from saecli.core.address import Address
from saecli.core.site import Site
from saecli.trace.planted.case import Case, output_at, target_at
from saecli.trace.planted.mechanism import Mechanism
from saecli.trace.planted.model import HandModel, Head, attention, dictionary, hand_block, relu_mlp

F64: Final = torch.float64
FAR: Final = 1000.0
"""What a head that looks at one distance takes from the score of every other."""
_SILENT: Final = 1e-9
"""Activations up to here are rounding."""


@dataclass(frozen=True)
class Neuron:
    """``out · relu(Σ weight · variable + bias)``; the bias is at most 0, so that nothing comes of nothing."""

    weights: Mapping[str, float]
    out: float = 1.0
    bias: float = 0.0


@dataclass(frozen=True)
class Gate:
    """A variable that neurons write."""

    writes: str
    neurons: tuple[Neuron, ...]


@dataclass(frozen=True)
class Look:
    """A head.

    Attributes:
        writes, reads: Variables.
        key, strength: Variable that positions are looked for by, and its factor in the score; none for equal scores.
        query: Variable that multiplies the score; none for 1.
        distance: The only distance it looks at, where there is such a position.
    """

    writes: str
    reads: str
    key: str | None = None
    strength: float = 1.0
    query: str | None = None
    distance: int | None = None


@dataclass(frozen=True)
class Layer:
    """Heads, then gates that see what the heads wrote."""

    looks: tuple[Look, ...] = ()
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True)
class Program:
    """A program and its input.

    Attributes:
        variables: All variables; their numbers are the features' indices, those that are hidden left out.
        vocabulary: What each token sets.
        layers: What is computed.
        tokens: The input.
        readout: Weights of the output at the last position.
        hidden: A variable that no dictionary has, so that errors carry it.
    """

    variables: tuple[str, ...]
    vocabulary: tuple[Mapping[str, float], ...]
    layers: tuple[Layer, ...]
    tokens: tuple[int, ...]
    readout: Mapping[str, float]
    hidden: str | None = None

    @cached_property
    def features(self) -> dict[str, int]:
        """Variable → index of its feature."""
        visible = (name for name in self.variables if name != self.hidden)
        return {name: number for number, name in enumerate(visible)}


def compile_program(program: Program, name: str, group: str, *, basis: Tensor | None = None) -> Case:
    """A model that computes the program.

    Args:
        program: The program.
        name, group: Of the case.
        basis: Orthonormal directions [V, d] of the variables; coordinates if not given.
    """
    count = len(program.variables)
    basis_VD = torch.eye(count, dtype=F64) if basis is None else basis

    def direction(weights: Mapping[str, float]) -> Tensor:
        row_V = torch.zeros(count, dtype=F64)
        for variable, weight in weights.items():
            row_V[program.variables.index(variable)] = weight
        return row_V @ basis_VD

    def head(look: Look) -> Head:
        return Head(
            direction({look.key: look.strength} if look.key else {}),
            direction({look.reads: 1.0}),
            direction({look.writes: 1.0}),
            direction({look.query: 1.0}) if look.query else None,
            look.distance,
        )

    blocks = []
    for layer in program.layers:
        rows = [(gate.writes, neuron) for gate in layer.gates for neuron in gate.neurons]
        into = torch.stack([direction(neuron.weights) for _, neuron in rows]) if rows else torch.zeros(0, count)
        bias = torch.tensor([neuron.bias for _, neuron in rows], dtype=F64)
        out = torch.stack([direction({w: n.out}) for w, n in rows]) if rows else torch.zeros(0, count)
        mlp = relu_mlp(into.to(basis_VD), bias, out.to(basis_VD))
        blocks.append(hand_block(attention([head(look) for look in layer.looks]), mlp))
    embedding_TD = torch.stack([direction(token) for token in program.vocabulary])
    model = HandModel(embedding_TD, blocks, direction(program.readout)[:, None], name)
    visible = [program.variables.index(name) for name in program.features]
    threshold = None if basis is None else _SILENT
    dictionaries = {site: dictionary(site, basis_VD[visible], threshold=threshold) for site in _sites(program)}
    last = len(program.tokens) - 1
    return Case(
        name,
        group,
        model,
        dictionaries,
        torch.tensor(program.tokens),
        output_at(last),
        mechanism_of(program).truth(target_at(last)),
        tuple(program.features),
    )


def _sites(program: Program) -> list[Site]:
    """Every place where something is written."""
    found = [Site(0, "resid_pre")]
    for number, layer in enumerate(program.layers):
        found += [Site(number, "attn_out")] if layer.looks else []
        found += [Site(number, "mlp_out")] if layer.gates else []
        found.append(Site(number + 1, "resid_pre"))
    return found


def mechanism_of(program: Program) -> Mechanism:
    """The cells of a program on its input: every variable at every site and position that it can reach."""
    cells = Mechanism()
    length, final = len(program.tokens), Site(len(program.layers), "resid_pre")
    for position, token in enumerate(program.tokens):
        for variable, value in program.vocabulary[token].items():
            cells.source(address_of(program, Site(0, "resid_pre"), variable, position), value)
    for number, layer in enumerate(program.layers):
        attn, mlp, before = (Site(number, kind) for kind in ("attn_out", "mlp_out", "resid_pre"))
        for position in range(length):
            for look in layer.looks:
                _look(cells, program, look, before, attn, position)
            for gate in layer.gates:
                _gate(cells, program, gate, (before, attn), mlp, position)
            for variable in program.variables:
                places = [address_of(program, site, variable, position) for site in (before, attn, mlp)]
                here = [place for place in places if place in cells]
                if here:
                    cells.add(address_of(program, Site(number + 1, "resid_pre"), variable, position), here, sum)
    read = {address_of(program, final, name, length - 1): weight for name, weight in program.readout.items()}
    weights = [weight for place, weight in read.items() if place in cells]
    cells.add(target_at(length - 1), [place for place in read if place in cells], lambda x: _dot(weights, x))
    return cells


def address_of(program: Program, site: Site, variable: str, position: int) -> Address:
    """A variable's node."""
    if variable == program.hidden:
        return Address("error", site, None, position)
    return Address("feature", site, program.features[variable], position)


def _look(cells: Mechanism, program: Program, look: Look, before: Site, attn: Site, position: int) -> None:
    slots: dict[Address, int] = {}

    def slot(name: str | None, k: int) -> int | None:
        place = address_of(program, before, name, k) if name else None
        return slots.setdefault(place, len(slots)) if place is not None and place in cells else None

    query = slot(look.query, position)
    keys = [slot(look.key, k) for k in range(position + 1)]
    reads = [slot(look.reads, k) for k in range(position + 1)]
    far = [FAR * (look.distance is not None and position - k != look.distance) for k in range(position + 1)]

    def compute(values: Sequence[float]) -> float:
        def at(place: int | None) -> float:
            return 0.0 if place is None else values[place]

        factor = look.strength * (at(query) if look.query else 1.0)
        scores = [factor * at(key) - away for key, away in zip(keys, far, strict=True)]
        largest = max(scores)
        sizes = [math.exp(score - largest) for score in scores]
        return _dot(sizes, [at(place) for place in reads]) / sum(sizes)

    if slots:
        cells.add(address_of(program, attn, look.writes, position), list(slots), compute)


def _gate(cells: Mechanism, program: Program, gate: Gate, sources: Sequence[Site], mlp: Site, position: int) -> None:
    names = dict.fromkeys(name for neuron in gate.neurons for name in neuron.weights)
    parents = [
        (place, name)
        for name in names
        for site in sources
        if (place := address_of(program, site, name, position)) in cells
    ]

    neurons = [([neuron.weights.get(name, 0.0) for _, name in parents], neuron) for neuron in gate.neurons]

    def compute(values: Sequence[float]) -> float:
        return math.fsum(neuron.out * max(0.0, _dot(into, values) + neuron.bias) for into, neuron in neurons)

    if parents:
        cells.add(address_of(program, mlp, gate.writes, position), [place for place, _ in parents], compute)


def _dot(first: Sequence[float], second: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(first, second, strict=True))
