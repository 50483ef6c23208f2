"""Which connections are kept, and how far halves of the data agree."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from saecli.connect.agreement import Agreement
from saecli.connect.choose import Ranked, Strongest, connections_of, overall, per_feature, ranked
from saecli.connect.modules import Down, downs_of
from saecli.core.connections import Connections, Module
from saecli.core.site import Site

A = Module(Site(0, "attn_out"), Site(0, "attn_out"), 3)
B = Module(Site(0, "mlp_in"), Site(0, "mlp_out"), 3)
DOWN = Down.of(Module(Site(1, "attn_out"), Site(1, "attn_out"), 1), [A, B])
SCORES = torch.tensor([[0.1, -0.9, 0.0, 0.5, 0.0, -0.2]])


def lists(connections: Connections, down: Site, up: Site) -> list[list[int]]:
    return [connections.row(down, up, row).indices_E.tolist() for row in range(len(connections.in_degree(down)))]


@pytest.mark.parametrize(
    ("most", "of_a", "of_b"), [(0, [], []), (2, [1], [0]), (4, [1, 0], [0, 2]), (10, [1, 0], [0, 2])]
)
def test_the_strongest_over_all_modules_and_never_zeros(most: int, of_a: list[int], of_b: list[int]):
    rows = per_feature(DOWN, ranked(SCORES, 10), most)
    chosen = Connections((A, B, DOWN.module), "per-feature", most, rows)
    assert lists(chosen, DOWN.site, A.reads) == [of_a]
    assert lists(chosen, DOWN.site, B.reads) == [of_b]
    kept = Strongest(10)
    kept.add(0, 0, SCORES)
    chosen = Connections((A, B, DOWN.module), "overall", most, overall([DOWN], kept, most))
    assert (lists(chosen, DOWN.site, A.reads), lists(chosen, DOWN.site, B.reads)) == ([of_a], [of_b])


def sequential(layers: int, width: int = 2) -> list[Module]:
    return [
        Module(Site(layer, reads), Site(layer, writes), width)
        for layer in range(layers)
        for reads, writes in (("attn_out", "attn_out"), ("mlp_in", "mlp_out"))
    ]


def test_what_is_upstream():
    """Sequential blocks: every earlier module. Parallel ones: those of earlier blocks."""
    modules = sequential(2)
    found = {str(down.site): [str(up.reads) for up in down.ups] for down in downs_of(modules, parallel=False)}
    assert found == {
        "0.mlp_in": ["0.attn_out"],
        "1.attn_out": ["0.attn_out", "0.mlp_in"],
        "1.mlp_in": ["0.attn_out", "0.mlp_in", "1.attn_out"],
    }
    found = {str(down.site): [str(up.reads) for up in down.ups] for down in downs_of(modules, parallel=True)}
    assert found == {"1.attn_out": ["0.attn_out", "0.mlp_in"], "1.mlp_in": ["0.attn_out", "0.mlp_in"]}
    for layers in (1, 3, 5):
        for parallel, pairs in ((False, layers * (2 * layers - 1)), (True, 2 * layers * (layers - 1))):
            assert sum(len(down.ups) for down in downs_of(sequential(layers), parallel=parallel)) == pairs


def test_the_ends_of_the_model():
    embed, logits = Module.embed(5), Module.logits(2, 5)
    ends = downs_of([embed, *sequential(2), logits], parallel=False)
    assert embed not in [down.module for down in ends]
    assert all(down.ups[0] == embed and logits not in down.ups for down in ends)
    assert len(ends[-1].ups) == 5
    assert ends[-1].module == logits


def test_connections_that_parallel_blocks_do_not_have_are_left_out():
    """The reference lets them use up the limit of a feature and then passes nothing through them."""
    modules = sequential(1, width=1)
    (down,) = downs_of(modules, parallel=False)
    rows = per_feature(down, ranked(torch.tensor([[2.0]]), 1), 1)
    assert connections_of(modules, rows, False, rule="per-feature", limit=1).n_edges == 1
    assert connections_of(modules, rows, True, rule="per-feature", limit=1).n_edges == 0


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_choices_are_small_distinct_and_nested(data: st.DataObject):
    modules = sequential(2, width=3)
    downs = downs_of(modules, parallel=False)
    value = st.sampled_from([0.0, 0.0, 1.0, -1.0, 2.0, 0.5, -3.0])
    scores = [
        torch.tensor(data.draw(st.lists(st.lists(value, min_size=n, max_size=n), min_size=3, max_size=3)))
        for n in (down.width for down in downs)
    ]
    limits = sorted(data.draw(st.sets(st.integers(1, 12), min_size=1, max_size=4)))
    strongest = Strongest(max(limits))
    for number, one in enumerate(scores):
        for row in range(3):  # rows come in parts
            strongest.add(number, row, one[row : row + 1])
    before: dict[str, set[tuple]] = {}
    for limit in limits:
        rows = {}
        for down, one in zip(downs, scores, strict=True):
            rows |= per_feature(down, ranked(one, max(limits)), limit)
        everywhere = overall(downs, strongest, limit)
        for rule, pairs in (("per-feature", rows), ("overall", everywhere)):
            chosen = Connections(tuple(modules), rule, limit, pairs)  # refuses what is too much, or twice
            edges = {
                (down, up, row, feature)
                for down, up in chosen.pairs
                for row, features in enumerate(lists(chosen, down, up))
                for feature in features
            }
            assert before.get(rule, set()) <= edges
            before[rule] = edges
            random = chosen.randomised(3)
            assert random.n_edges == chosen.n_edges
            assert all(
                torch.equal(random.rows[pair].indptr, chosen.rows[pair].indptr) and random.rows[pair].scores is None
                for pair in chosen.pairs
            )
        nonzero = [int((one != 0).sum(1)[row]) for one in scores for row in range(3)]
        assert len(before["per-feature"]) == sum(min(limit, one) for one in nonzero)
        assert len(before["overall"]) == min(limit, sum(nonzero))


def test_random_connections_are_nested_and_differ_by_seed():
    modules = sequential(2, width=40)
    downs = downs_of(modules, parallel=False)
    scores = [torch.randn(40, down.width, generator=torch.Generator().manual_seed(0)) for down in downs]

    def chosen(limit: int, seed: int) -> dict:
        rows = {}
        for down, one in zip(downs, scores, strict=True):
            rows |= per_feature(down, ranked(one, 20), limit)
        random = Connections(tuple(modules), "per-feature", limit, rows).randomised(seed)
        return {pair: [set(row) for row in lists(random, *pair)] for pair in random.pairs}

    few, many, other = chosen(5, 0), chosen(20, 0), chosen(20, 1)
    assert all(one <= two for pair in few for one, two in zip(few[pair], many[pair], strict=True))
    assert many != other


def test_equals_fall_to_the_earlier_feature():
    scores = torch.tensor([[1.0, -1.0, 2.0, 1.0]])
    assert ranked(scores, 4).features_RK.tolist() == [[2, 0, 1, 3]]


def test_agreement_by_hand():
    """Two features: one chooses the same on both halves, one does not; a third has no score on one half."""
    first = torch.tensor([[3.0, 2.0, 1.0, 0.0], [4.0, -3.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    second = torch.tensor([[-3.0, 1.0, 2.0, 0.0], [1.0, 2.0, -3.0, 4.0], [1.0, 0.0, 0.0, 0.0]])
    found = Agreement()
    found.add(first, second, (1, 2, 3))
    assert found.rows == 2
    assert found.mean_overlap(1) == pytest.approx((1 + 0) / 2)
    assert found.mean_overlap(2) == pytest.approx((1 / 2 + 0) / 2)
    assert found.mean_overlap(3) == pytest.approx((1 + 2 / 3) / 2)
    ours = found.mean_correlation
    assert ours == pytest.approx((spearmanr([3, 2, 1], [3, 1, 2])[0] + spearmanr([4, 3, 2, 1], [1, 2, 3, 4])[0]) / 2)
    found += found
    assert (found.rows, found.mean_correlation) == (4, ours)


def test_nothing_agrees_with_nothing():
    found = Agreement()
    found.add(torch.zeros(2, 3), torch.ones(2, 3), (2,))
    assert (found.mean_overlap(2), found.mean_correlation) == (None, None)
    assert Ranked(torch.zeros(1, 2), torch.zeros(1, 2, dtype=torch.int64)).cut(1).scores_RK.shape == (1, 1)
