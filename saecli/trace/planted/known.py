"""Programs worked out by hand, where methods part: a dead neuron that wakes up, gates, a mean over positions."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from saecli.trace.planted.case import Case
from saecli.trace.planted.program import Gate, Layer, Look, Neuron, Program, compile_program

LADDER: Final = Program(
    ("a", "b", "c", "p", "q"),
    ({"a": 2.0, "b": 1.0, "c": 3.0},),
    (
        Layer(
            gates=(
                Gate("p", (Neuron({"a": 1.0, "b": -1.0}, out=2.0),)),
                Gate("q", (Neuron({"b": 1.0, "a": -1.0}, out=5.0),)),
            )
        ),
    ),
    (0,),
    {"a": 0.5, "c": 1.0, "p": 1.0, "q": 3.0},
    hidden="c",
)
"""p = 2 relu(a − b), q = 5 relu(b − a), y = a/2 + c + p + 3 q: q is silent, and wakes up when a is removed."""

_BOTH: Final = {"u": 1.0, "v": 1.0}

AND: Final = Program(
    ("u", "v", "y"),
    ({"u": 1.0, "v": 1.0},),
    (Layer(gates=(Gate("y", (Neuron(_BOTH, bias=-1.0),)),)),),
    (0,),
    {"y": 1.0},
)
"""y = relu(u + v − 1) of u = v = 1."""

OR: Final = replace(AND, layers=(Layer(gates=(Gate("y", (Neuron(_BOTH), Neuron(_BOTH, out=-1.0, bias=-1.0))),)),))
"""y = relu(u + v) − relu(u + v − 1) of u = v = 1: either is enough."""

_WORDS: Final = ("BOS", "w", "x", "y", "z")

FRACTION: Final = Program(
    (*_WORDS, "one", "is_x", "frac"),
    tuple({word: 1.0, "one": 1.0} for word in _WORDS),
    (
        Layer(gates=(Gate("is_x", (Neuron({"x": 1.0}),)),)),
        Layer(looks=(Look("frac", "is_x", key="BOS", strength=-1000.0, query="one"),)),
    ),
    (0, 1, 1, 1, 1, 2, 2, 2, 4, 4),
    {"frac": 1.0},
)
"""The share of x among the words so far, BOS left out, as RASP's ``make_frac_prevs`` computes it."""


def known_cases() -> list[Case]:
    """The programs of this module; the fraction twice, also with what keeps attention away from BOS."""
    fraction = compile_program(FRACTION, "frac_prevs", "frac_prevs")
    names = fraction.feature_names
    carried = fraction.truth.without(lambda node: node.index is not None and names[node.index] in ("BOS", "one"))
    return [
        compile_program(LADDER, "ladder", "ladder"),
        compile_program(AND, "AND gate", "AND gate"),
        compile_program(OR, "OR gate", "OR gate"),
        replace(fraction, truth=carried),
        replace(fraction, name="frac_prevs + BOS", group="frac_prevs + BOS"),
    ]
