"""Circuits worked out by hand: every number here was derived on paper."""

from __future__ import annotations

from itertools import chain

import pytest
import torch

from saecli.attribution.ablation import Ablation, removals
from saecli.attribution.clean import ERROR, CleanRun
from saecli.attribution.gradient import direct_edges
from saecli.core.site import Site
from saecli.trace.planted.known import AND, FRACTION, LADDER, OR
from saecli.trace.planted.program import compile_program

F64 = torch.float64


def effects(clean: CleanRun, site: Site) -> dict[tuple[int, int], float]:
    nodes = clean.nodes[site]
    return {
        (int(p), int(i)): round(float(e), 9)
        for p, i, e in zip(nodes.position_N, nodes.index_N, nodes.effect_N, strict=True)
    }


def edges(clean: CleanRun, *, tokens: bool = False) -> dict[tuple, float]:
    """Every direct edge: ((site, position, index), (site, position, index) or 'y') → weight, zero edges left out."""
    out = {}
    for block in chain.from_iterable(direct_edges(clean, clean.nodes, tokens=clean.tokens if tokens else None)):
        for c in range(block.weight_CP.shape[0]):
            for p in range(block.weight_CP.shape[1]):
                weight = float(block.weight_CP[c, p])
                if abs(weight) > 1e-12:
                    parent = "token" if block.tokens else str(block.parents.site)
                    source = (parent, int(block.parents.position_N[p]), int(block.parents.index_N[p]))
                    kids = block.children
                    target = "y" if kids is None else (str(kids.site), int(kids.position_N[c]), int(kids.index_N[c]))
                    out[source, target] = round(weight, 9)
    return out


# --- the ladder: a dead neuron wakes up ---


@pytest.fixture
def ladder() -> CleanRun:
    """[a b c p q] = (2 1 3 0 0); MLP: p += 2 relu(a − b), q += 5 relu(b − a); y = a/2 + c + p + 3 q."""
    return compile_program(LADDER, "ladder", "ladder").clean()


def test_ladder_first_order_node_effects(ladder: CleanRun) -> None:
    assert ladder.value == 6
    assert effects(ladder, Site(0, "resid_pre")) == {(0, 0): -5, (0, 1): 2, (0, ERROR): -3}


def test_ladder_edges(ladder: CleanRun) -> None:
    found = edges(ladder)
    resid0, mlp, resid1 = "0.resid_pre", "0.mlp_out", "1.resid_pre"
    assert found[(resid0, 0, 0), (mlp, 0, 2)] == -4
    assert found[(resid0, 0, 1), (mlp, 0, 2)] == 2
    assert found[(resid0, 0, 0), (resid1, 0, 0)] == -1
    assert found[(mlp, 0, 2), (resid1, 0, 2)] == -2
    assert found[(resid0, 0, ERROR), (resid1, 0, ERROR)] == -3
    assert not any(target == (mlp, 0, 3) for _, target in found)  # q is silent: no edge to first order


def test_ladder_exact_ablation_flips_the_sign(ladder: CleanRun) -> None:
    removal = removals(ladder.nodes[Site(0, "resid_pre")], "each", 1)
    assert dict(zip(removal.index_N.tolist(), Ablation(ladder).effects(removal).tolist(), strict=True)) == {0: 12, 1: 2}


@pytest.mark.parametrize("where", ["each", "all", "last"])
def test_ladder_ablation_sees_the_feature_that_wakes_up(where) -> None:
    clean = compile_program(LADDER, "ladder", "ladder").clean({Site(0, "resid_pre"), Site(1, "resid_pre")})
    removal = removals(clean.nodes[Site(0, "resid_pre")], where, 1)
    found = {}
    for changes in Ablation(clean).changes(removal):
        assert changes.site == Site(1, "resid_pre")
        for n, index, delta in zip(changes.removal_E, changes.index_E, changes.delta_E, strict=True):
            found["abpq"[removal.index_N[n]], "abpq"[index]] = float(delta)
    assert found == {("a", "p"): -2, ("a", "q"): 5, ("a", "a"): -2, ("b", "p"): 2, ("b", "b"): -1}


# --- gates: effects to first order and exactly ---


def gate(kind: str) -> CleanRun:
    """Two features u = v = 1, and an MLP that writes their AND or OR, which no dictionary reads."""
    return compile_program({"and": AND, "or": OR}[kind], kind, kind).clean({Site(0, "resid_pre")})


@pytest.mark.parametrize(("kind", "first_order", "exact"), [("and", -1.0, -1.0), ("or", 0.0, 0.0)])
def test_gates(kind: str, first_order: float, exact: float) -> None:
    clean, site = gate(kind), Site(0, "resid_pre")
    assert clean.value == 1
    assert [effects(clean, site)[0, i] for i in (0, 1)] == [first_order] * 2
    assert Ablation(clean).effects(removals(clean.nodes[site], "each", 1)).tolist() == [exact] * 2


# --- the fraction of x so far, by one attention head ---

NAMES = FRACTION.variables
BOS, X, ONE, IS_X, FRAC = (NAMES.index(name) for name in ("BOS", "x", "one", "is_x", "frac"))
PROMPT = torch.tensor(FRACTION.tokens)


@pytest.fixture
def fraction() -> CleanRun:
    return compile_program(FRACTION, "frac_prevs", "frac_prevs").clean()


def test_fraction_first_order_effects_are_per_position(fraction: CleanRun) -> None:
    assert fraction.value == pytest.approx(1 / 3)
    for site, feature in [(Site(0, "resid_pre"), X), (Site(0, "mlp_out"), IS_X), (Site(1, "resid_pre"), IS_X)]:
        found = effects(fraction, site)
        assert [found.get((p, feature), 0) for p in range(10)] == pytest.approx([0] * 5 + [-1 / 9] * 3 + [0] * 2)
    assert effects(fraction, Site(1, "attn_out"))[9, FRAC] == pytest.approx(-1 / 3)
    assert effects(fraction, Site(0, "resid_pre"))[0, BOS] == 0  # the softmax is saturated


def test_fraction_exact_effects(fraction: CleanRun) -> None:
    ablation = Ablation(fraction, batch_size=3)
    each = removals(fraction.nodes[Site(1, "resid_pre")], "each", 10)
    found = {
        (p, i): e
        for p, i, e in zip(
            each.position_N.tolist(), each.index_N.tolist(), ablation.effects(each).tolist(), strict=True
        )
    }
    assert [found[p, IS_X] for p in (5, 6, 7)] == pytest.approx([-1 / 9] * 3)
    everywhere = removals(fraction.nodes[Site(0, "resid_pre")], "all", 10)
    by_name = {
        NAMES[i]: e for i, e in zip(everywhere.index_N.tolist(), ablation.effects(everywhere).tolist(), strict=True)
    }
    assert by_name["x"] == pytest.approx(-1 / 3)
    assert by_name["BOS"] == pytest.approx(3 / 10 - 3 / 9)
    assert by_name["one"] == pytest.approx(3 / 10 - 3 / 9)
    assert by_name["w"] == pytest.approx(0)


def test_fraction_true_graph_and_nothing_else(fraction: CleanRun) -> None:
    found = {pair for pair, weight in edges(fraction, tokens=True).items() if abs(weight) > 0.01}
    expected = set()
    for p in (5, 6, 7):
        expected.add((("token", p, X), ("0.resid_pre", p, X)))
        expected.add((("0.resid_pre", p, X), ("0.mlp_out", p, IS_X)))
        expected.add((("0.mlp_out", p, IS_X), ("1.resid_pre", p, IS_X)))
        expected.add((("1.resid_pre", p, IS_X), ("1.attn_out", 9, FRAC)))
    expected.add((("1.attn_out", 9, FRAC), ("2.resid_pre", 9, FRAC)))
    expected.add((("2.resid_pre", 9, FRAC), "y"))
    assert found == expected
