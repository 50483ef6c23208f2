"""Connections: what a feature may depend on, and what no model could connect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saecli.core.connections import Connections, Module, Rows, indptr_of
from saecli.core.errors import UsageError
from saecli.core.site import Site

ATTN = [Module(Site(layer, "attn_out"), Site(layer, "attn_out"), 4) for layer in range(2)]
MLP = [Module(Site(layer, "mlp_in"), Site(layer, "mlp_out"), 3) for layer in range(2)]
SUITE = (ATTN[0], MLP[0], ATTN[1], MLP[1])
A0, M0, A1, M1 = (module.reads for module in SUITE)


def rows(lists: list[list[int]], scores: list[list[float]] | None = None) -> Rows:
    flat = None if scores is None else torch.tensor([one for row in scores for one in row], dtype=torch.float32)
    counts = torch.tensor([len(row) for row in lists])
    return Rows(indptr_of(counts), torch.tensor([one for row in lists for one in row], dtype=torch.int32), flat)


KEPT = Connections(
    SUITE,
    "per-feature",
    3,
    {
        (M0, A0): rows([[2], [], [0, 3]], [[0.5], [], [-4.0, 1.0]]),
        (A1, A0): rows([[1], [], [], []], [[2.0], [], [], []]),
        (A1, M0): rows([[2, 0], [1], [], []], [[-3.0, 2.0], [0.1], [], []]),
    },
    score="mean contribution",
)


def test_rows_are_found_by_module_and_feature():
    assert KEPT.pairs == ((M0, A0), (A1, A0), (A1, M0))
    assert KEPT.row(M0, A0, 2).indices_E.tolist() == [0, 3]
    assert KEPT.row(M0, A0, 2).scores_E.tolist() == [-4.0, 1.0]
    assert KEPT.row(M0, A0, 1).indices_E.tolist() == []
    assert KEPT.row(M1, A0, 1).indices_E.tolist() == []
    assert KEPT.in_degree(A1).tolist() == [3, 1, 0, 0]
    assert KEPT.in_degree(M1).tolist() == [0, 0, 0]
    assert KEPT.n_edges == 7


def test_all_needs_no_rows():
    everything = Connections(SUITE, "all")
    assert everything.pairs == ((M0, A0), (A1, A0), (A1, M0), (M1, A0), (M1, M0), (M1, A1))
    assert everything.row(M1, A1, 0).indices_E.tolist() == [0, 1, 2, 3]
    assert everything.in_degree(M1).tolist() == [11] * 3
    assert everything.n_edges == 12 + 16 + 12 + 12 + 9 + 12


def test_parallel_blocks_pass_nothing_from_attention_to_mlp():
    parallel = Connections(SUITE, "all", parallel=True)
    assert parallel.pairs == ((A1, A0), (A1, M0), (M1, A0), (M1, M0))
    with pytest.raises(UsageError, match=r"Features at 0\.mlp_in cannot depend on features at 0\.attn_out"):
        Connections(SUITE, "per-feature", None, {(M0, A0): rows([[], [], []])}, parallel=True)


def test_the_strongest_are_chosen_over_all_upstream_modules():
    two = KEPT.restrict(per_feature=2)
    assert two.limit == 2
    assert two.row(A1, A0, 0).indices_E.tolist() == [1]  # 2.0 of attention before 2.0 of the MLP, which comes later
    assert two.row(A1, M0, 0).indices_E.tolist() == [2]
    assert two.row(A1, M0, 0).scores_E.tolist() == [-3.0]
    assert two.in_degree(M0).tolist() == [1, 0, 2]
    assert KEPT.restrict(per_feature=0).n_edges == 0
    assert KEPT.restrict(sites=[A1, M0]).pairs == ((A1, M0),)
    assert KEPT.restrict(sites=[A1, M0]).n_edges == 3
    with pytest.raises(UsageError, match="these have no scores"):
        Connections(SUITE, "all").restrict(per_feature=2)
    with pytest.raises(UsageError, match=r"no module that reads 5\.mlp_in"):
        KEPT.restrict(sites=[Site(5, "mlp_in")])


@given(st.data())
def test_the_strongest_are_those_of_a_sort(data: st.DataObject):
    scores = {
        up: data.draw(st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=4, max_size=4))
        for up in (A0, M0)
    }
    width, most = {A0: 4, M0: 3}, data.draw(st.integers(0, 8))
    full, expected = {}, set()
    for feature in range(4):
        everything = [(-scores[up][feature][i], up, i) for up in (A0, M0) for i in range(width[up])]
        expected |= {(feature, up, i) for _, up, i in sorted(everything, key=lambda one: one[0])[:most]}
    for up in (A0, M0):
        order = [sorted(range(width[up]), key=lambda i: -scores[up][f][i]) for f in range(4)]
        full[A1, up] = rows(order, [[float(scores[up][f][i]) for i in row] for f, row in enumerate(order)])
    kept = Connections(SUITE, "per-feature", None, full).restrict(per_feature=most)
    found = {(f, up, int(i)) for up in (A0, M0) for f in range(4) for i in kept.row(A1, up, f).indices_E}
    assert found == expected


@pytest.mark.parametrize(
    ("make", "answer"),
    [
        (lambda: Connections((*SUITE, ATTN[0]), "all"), "two modules that read one site"),
        (lambda: Connections(SUITE, "some"), "no rule 'some'"),  # type: ignore[arg-type]
        (lambda: Connections(SUITE, "all", 5), "no rows and no limit"),
        (lambda: Connections(SUITE, "per-feature", 2, KEPT.rows), "limit 2 hold 3"),
        (lambda: Connections(SUITE, "overall", 6, KEPT.rows), "limit 6 hold 7"),
        (lambda: one((A0, M0), rows([[], [], [], []])), r"0\.attn_out cannot depend on features at 0\.mlp_in"),
        (lambda: one((M0, M0), rows([[], [], []])), "cannot depend"),
        (lambda: one((M0, Site(7, "mlp_in")), rows([[], [], []])), "cannot depend"),
        (lambda: one((M0, A0), rows([[], []])), "there are no 3 rows"),
        (lambda: one((M0, A0), rows([[4], [], []])), r"outside 0\.\.3"),
        (lambda: one((M0, A0), rows([[-1], [], []])), r"outside 0\.\.3"),
        (lambda: one((M0, A0), rows([[1, 1], [], []])), "names a feature twice"),
        (lambda: one((M0, A0), rows([[1, 2], [], []], [[1.0, -2.0], [], []])), "descending order"),
        (lambda: one((M0, A0), rows([[1], [], []], [[float("nan")], [], []])), "one finite number"),
        (lambda: one((M0, A0), Rows(torch.tensor([0, 2, 1, 1]), torch.zeros(1, dtype=torch.int32))), "do not divide"),
        (lambda: one((M0, A0), Rows(torch.tensor([0, 0, 0, 1]), torch.zeros(1, dtype=torch.int64))), "number types"),
        (lambda: KEPT.row(M0, A0, 3), r"0\.mlp_in has no feature 3: its features are 0\.\.2"),
    ],
)
def test_impossible_connections_are_refused(make: Callable[[], Any], answer: str):
    with pytest.raises(UsageError, match=answer):
        make()


def one(pair: tuple[Site, Site], value: Rows) -> Connections:
    return Connections(SUITE, "per-feature", None, {pair: value})


# --- the ends of the model, and connections drawn at random -----------------------------------------------------------


def test_tokens_are_upstream_of_everything_and_logits_downstream():
    embed, logits = Module.embed(5), Module.logits(2, 5)
    everything = Connections((embed, *SUITE, logits), "all")
    first, last = Site(0, "resid_pre"), Site(2, "resid_pre")
    assert {up for down, up in everything.pairs if down == A0} == {first}
    assert {down for down, up in everything.pairs if up == first} == {A0, M0, A1, M1, last}
    assert {up for down, up in everything.pairs if down == last} == {first, A0, M0, A1, M1}
    assert not [pair for pair in everything.pairs if pair[1] == last or pair[0] == first]


def test_random_connections_keep_the_layout():
    random = KEPT.randomised(0)
    assert random.score == "random"
    for pair in KEPT.pairs:
        assert random.rows[pair].indptr.tolist() == KEPT.rows[pair].indptr.tolist()
        assert random.rows[pair].scores is None
    drawn = {tuple(KEPT.randomised(seed).row(M0, A0, 2).indices_E.tolist()) for seed in range(60)}
    assert len(drawn) > 6  # of 12 ordered pairs
    assert KEPT.randomised(4).row(M0, A0, 2).indices_E.tolist() == KEPT.randomised(4).row(M0, A0, 2).indices_E.tolist()
    with pytest.raises(UsageError, match="cannot be drawn"):
        Connections(SUITE, "all").randomised(0)
