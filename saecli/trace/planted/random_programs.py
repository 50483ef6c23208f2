"""Random programs of several sizes, seeded; most of what they compute does not lead to the output."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import torch

from saecli.core.errors import Failure
from saecli.core.site import Site
from saecli.trace.planted.case import Case, target_at
from saecli.trace.planted.program import Gate, Layer, Look, Neuron, Program, compile_program, mechanism_of

_ATTEMPTS: Final = 1000
_LEAST: Final = 0.1
"""Smallest output that is worth tracing."""


@dataclass(frozen=True)
class Size:
    """How large programs are.

    Attributes:
        name: What they are called.
        layers, inputs, tokens: Layers, variables that tokens set, and length of the input.
    """

    name: str
    layers: int
    inputs: int
    tokens: int


SIZES: Final = (Size("small programs", 1, 3, 5), Size("medium programs", 2, 4, 8), Size("large programs", 4, 6, 12))
PER_SIZE: Final = 8


def random_cases(seed: int) -> list[Case]:
    """:data:`PER_SIZE` programs of every size, their variables along random orthonormal directions."""
    return [random_case(size, number, seed) for size in SIZES for number in range(PER_SIZE)]


def random_case(size: Size, number: int, seed: int) -> Case:
    """One program: the first of the seed's whose output is not near 0 and depends on something in every layer."""
    chance = random.Random(f"{seed} {size.name} {number}")  # noqa: S311 (nothing secret)
    for _ in range(_ATTEMPTS):
        program = random_program(size, chance)
        cells = mechanism_of(program)
        target = target_at(size.tokens - 1)
        if cells.value(target) < _LEAST:
            continue
        used = {node.site for node in cells.truth(target).nodes}
        if all(used & {Site(layer, "attn_out"), Site(layer, "mlp_out")} for layer in range(size.layers)):
            break
    else:
        raise Failure(f"No random program of {size.layers} layers has an output.", "Choose another --seed.")
    generator = torch.Generator().manual_seed(chance.randrange(2**31))
    count = len(program.variables)
    basis = torch.linalg.qr(torch.randn(count, count, generator=generator, dtype=torch.float64))[0]
    return compile_program(program, f"{size.name} {number + 1}", size.name, basis=basis)


def random_program(size: Size, chance: random.Random) -> Program:
    """A program: per layer one or two heads and two or three gates over what is there, newer variables more often."""
    names = [f"in{number}" for number in range(size.inputs)]
    vocabulary = tuple(
        {name: _amount(chance) for name in chance.sample(names, chance.randint(1, 2))} for _ in range(2 * size.inputs)
    )
    layers = []
    for layer in range(size.layers):
        looks = []
        for number in range(chance.randint(1, 2)):
            looks.append(_look(f"look{layer}.{number}", names, chance))
        names += [look.writes for look in looks]
        gates = []
        for number in range(chance.randint(2, 3)):
            gates.append(_gate(f"gate{layer}.{number}", names, chance))
        names += [gate.writes for gate in gates]
        layers.append(Layer(tuple(looks), tuple(gates)))
    tokens = tuple(chance.randrange(len(vocabulary)) for _ in range(size.tokens))
    return Program(tuple(names), vocabulary, tuple(layers), tokens, {names[-1]: 1.0})


def _look(writes: str, names: list[str], chance: random.Random) -> Look:
    reads = _recent(names, chance)
    kind = chance.choice(("mean", "previous", "where"))
    if kind == "where":
        return Look(writes, reads, key=_recent(names, chance), strength=2.0)
    return Look(writes, reads, distance=1 if kind == "previous" else None)


def _gate(writes: str, names: list[str], chance: random.Random) -> Gate:
    first = _recent(names, chance)
    second = chance.choice([name for name in names if name != first])
    out, bias = _amount(chance), -_amount(chance) / 2
    kind = chance.choice(("copy", "and", "or", "without"))
    both = {first: 1.0, second: 1.0}
    neurons = {
        "copy": (Neuron({first: 1.0}, out),),
        "and": (Neuron(both, out, bias),),
        "or": (Neuron(both, out), Neuron(both, -out, bias)),
        "without": (Neuron({first: 1.0, second: -1.0}, out),),
    }
    return Gate(writes, neurons[kind])


def _recent(names: list[str], chance: random.Random) -> str:
    return chance.choice(names[len(names) // 2 :] if chance.random() < 0.7 else names)


def _amount(chance: random.Random) -> float:
    return round(chance.uniform(0.5, 1.5), 2)
