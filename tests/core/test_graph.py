"""Circuit graphs as nouns: what a part of one holds, and how a wrong address is answered."""

from __future__ import annotations

import dataclasses

import pytest

from saecli.core.address import parse_address, parse_layers
from saecli.core.errors import SaecliError
from saecli.core.graph import FeatureGraph
from saecli.core.site import Site
from tests.report.graphs import hand_made


def test_the_coverage_of_a_part_is_that_of_its_nodes():
    graph = hand_made()
    whole = graph.restrict(node.address for node in graph.nodes)
    assert whole == graph
    part = graph.restrict(parse_address(i) for i in ("target@2", "8:331@2", "7.mlp_out:error@2", "token:26@2"))
    assert part.totals["kept_absolute_effect"] == 1.75
    assert part.coverage == pytest.approx(1.75 / 6)
    assert [graph.id_of(edge.source) for edge in part.edges] == ["8:331@2"]


def test_an_edge_into_the_target_changes_the_metric_whatever_the_others_change():
    graph = dataclasses.replace(hand_made(), edge_meaning="activation")
    assert {graph.meaning(e) for e in graph.edges if e.target.kind == "target"} == {"metric"}
    assert {graph.meaning(e) for e in graph.edges if e.target.kind != "target"} == {"activation"}


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (lambda: parse_layers("six", 9), "--layers six is no slice. Write --layers 6:9, 6:, -2: or 5."),
        (lambda: parse_layers("", 9), "--layers '' is no slice. Write --layers 6:9, 6:, -2: or 5."),
        (lambda: parse_layers("9:", 9), "--layers 9: selects nothing: the labels are 0..8."),
        (lambda: parse_address("7"), "'7' is no feature address. Write 7:331, 7.attn_out:331 or 7:331@42."),
        (
            lambda: Site.parse("7.head"),
            "'7.head' names no site. Write a site as 6 (residual), 6.attn_out or blocks.6.hook_attn_out.",
        ),
        (
            lambda: FeatureGraph.from_json({"schema": "saecli.graph/2"}),
            "This graph has schema saecli.graph/2, and this saecli reads saecli.graph/1. Update saecli.",
        ),
    ],
)
def test_errors_are_sentences(call, answer):
    with pytest.raises(SaecliError) as caught:
        call()
    assert str(caught.value) == answer
