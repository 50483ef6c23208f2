"""Circuit graphs as nouns: what a part of one holds, and how a wrong address is answered."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from saecli.core.address import parse_address, parse_layers
from saecli.core.errors import InputError, SaecliError
from saecli.core.evidence import Context, Evidence
from saecli.core.graph import FeatureGraph
from saecli.core.graph_check import require_values
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


def told():
    graph = hand_made()
    context = Context((" if", " x", " in"), (0.0, 2.5, 1.0), 1, 17, 3)
    one = Evidence((context,), (("F5", 2.0),), (("C3", -1.5),), (("7.mlp_out:3", 0.9),), "squares")
    return dataclasses.replace(graph, features={parse_address("8:331"): one})


def test_what_is_known_of_features_goes_with_the_graph():
    graph = told()
    assert FeatureGraph.from_json(json.loads(graph.dumps())) == graph
    node = parse_address("8:331@2")
    assert graph.evidence(node) == graph.features[node.at(None)]
    assert graph.evidence(parse_address("7.mlp_out:error@2")) is None
    assert graph.restrict([node]).features == graph.features
    assert not graph.restrict([parse_address("target@2")]).features


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"raises": [["F5", "high"]]}, "could not convert string to float"),
        ({"raises": [["F5", 1e40]]}, "A number about 8:331 is 1e+40"),
        ({"contexts": [{"tokens": ["a"], "values": [], "at": 0, "sequence": 0, "position": 0}]}, "activations"),
        (
            {"contexts": [{"tokens": ["a"], "values": [1], "at": 0, "sequence": 0, "position": 0, "board": "."}]},
            "not 64 characters",
        ),
    ],
)
def test_what_is_known_of_features_is_checked(change, said):
    data = json.loads(told().dumps())
    data["features"]["8:331"] |= change
    with pytest.raises(InputError, match=re.escape(said)):
        require_values(FeatureGraph.from_json(data))


def test_what_is_known_belongs_to_a_feature_at_all_positions():
    with pytest.raises(InputError, match="without a position"):
        require_values(dataclasses.replace(hand_made(), features={parse_address("8:331@2"): Evidence()}))


def test_a_feature_without_a_label_is_called_by_what_is_known_of_it():
    def at(token, board=None):
        return Context(("a", token), (0.0, 1.0), 1, 0, 1, board)

    assert Evidence(tuple(map(at, ["if", "if", "x", "y"]))).label == 'on "if"'
    assert Evidence(tuple(map(at, ["if", "w", "x", "y"]))).label == ""
    assert Evidence((at("if"),) * 2).label == ""  # too few to say
    assert Evidence((at("F5", "." * 64),) * 6).label == "on F5"
    assert Evidence(raises=(("F5", 3.0), ("C3", 2.0))).label == "for F5"
    assert Evidence(raises=((" x", 3.0), ("C3", 2.5))).label == ""
    assert Evidence(raises=((" x", 3.0), ("C3", 0.5))).label == 'for " x"'
    assert Evidence((at("if"),) * 6, explanation=" conditions ").label == "conditions"
    long = Evidence(explanation="words " * 20).label
    assert len(long) == 48
    assert long.endswith("…")
    assert at("F5", "." * 64).text == "a|F5|"
    assert Context(("F5", "D6", "C3"), (0.0,) * 3, 2, 0, 2, "." * 64).text == "F5 D6|C3|"
