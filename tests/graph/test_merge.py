"""``saecli graph merge``: one graph of many inputs."""

from __future__ import annotations

import csv
import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.address import parse_address
from saecli.core.errors import InputError
from saecli.core.evidence import Context, Evidence
from saecli.core.graph import Edge, FeatureGraph, Node
from saecli.core.graph_check import flaws
from saecli.formats.neuronpedia_graph import from_document
from saecli.graph.merge import merge
from saecli.graph.positions import without_positions
from tests.formats.test_neuronpedia_graph import PLAIN
from tests.graph.small import broken, graphs, write
from tests.report.graphs import hand_made

MINE = {"model": "othello-mini", "suite": "othello-mini", "suite_fingerprint": "one", "model_fingerprint": "m"}


def two() -> tuple[FeatureGraph, FeatureGraph]:
    """The hand-made graph, and one of the same input with other effects, a node less and a node more."""
    first = dataclasses.replace(hand_made(), provenance=MINE)
    nodes = [dataclasses.replace(n, effect=3 * n.effect) for n in first.nodes if str(n.address) != "7:7@1"]
    new = Node(parse_address("8:99@2"), 1.0, 2.0, "C4 mine")
    edges = [dataclasses.replace(e, weight=3 * e.weight) for e in first.edges if str(e.source) != "7:7@1"]
    edges.append(Edge(parse_address("8:99@2"), parse_address("target@2"), 1.0))
    return first, dataclasses.replace(first, nodes=(*nodes, new), edges=tuple(edges))


def test_effects_are_means_and_what_is_missing_counts_as_nothing():
    merged = merge(two())
    effects = {str(node.address): (node.effect, node.graphs) for node in merged.nodes}
    assert effects["8:331@2"] == ((-1.5 - 4.5) / 2, 2)
    assert effects["7:7@1"] == (-0.0625 / 2, 1)
    assert effects["8:99@2"] == (0.5, 1)
    weights = {(str(e.source), str(e.target)): (e.weight, e.graphs) for e in merged.edges}
    assert weights["7:5@0", "7.attn_out:9@2"] == (-0.5, 2)
    assert weights["8:99@2", "target@2"] == (0.5, 1)
    assert merged.totals["graphs"] == 2
    assert merged.totals["absolute_effect"] == 6.0
    carried = 2 * (4.9375 - 0.0625) + 0.0625 / 2 + 0.5
    assert merged.coverage == pytest.approx(carried / 6.0)
    assert merged.positions == hand_made().positions
    assert merged.title == hand_made().title


def test_an_intersection_is_what_all_have():
    merged = merge(two(), "intersection")
    names = {str(node.address) for node in merged.nodes}
    assert "7:7@1" not in names
    assert "8:99@2" not in names
    assert len(merged.nodes) == 11
    assert {edge.graphs for edge in merged.edges} == {2}


def test_other_inputs_are_summed_over_positions():
    first, second = two()
    second = dataclasses.replace(
        second,
        positions=(*second.positions, second.positions[-1]),
        metric=dataclasses.replace(second.metric, target="C3", value=2.125),
        title="othello-mini · why C3?",
    )
    merged = merge((first, second))
    assert merged.positions == ()
    assert all(node.address.position is None for node in merged.nodes)
    assert {str(n.address): n.effect for n in merged.nodes}["7:5"] == pytest.approx((-1.0 - 3.0) / 2)
    assert (merged.metric.value, merged.metric.target) == (3.125, "2 targets (C3, F5)")
    assert merged.title == "othello-mini · 2 graphs, why 2 targets (C3, F5)?"
    with pytest.raises(InputError, match=r"have 3, 4 tokens.*--positions sum"):
        merge((first, second), positions="keep")


def test_templates_keep_their_positions():
    first, second = two()
    other = dataclasses.replace(second.positions[0], token=30, text="A1", note="move 9", board=None)
    second = dataclasses.replace(second, positions=(other, *second.positions[1:]))
    merged = merge((first, second), positions="keep")
    assert (merged.positions[0].token, merged.positions[0].text, merged.positions[0].note) == (-1, "…", "")
    assert merged.positions[1:] == first.positions[1:]


def test_groups_and_pins_of_all_are_kept():
    a, b = parse_address("8:331@2"), parse_address("8:99@2")
    first, second = two()
    first = dataclasses.replace(first, supernodes={"mine": (a,)}, pinned=(a,))
    second = dataclasses.replace(second, supernodes={"mine": (b,), "new": (b,)}, pinned=(b,))
    merged = merge((first, second))
    assert merged.supernodes == {"mine": (b, a), "new": (b,)}
    assert merged.pinned == (b, a)
    assert merge((first, second), "intersection").supernodes == {"mine": (a,)}


def test_foreign_graphs_of_one_scan_are_merged():
    first = from_document(PLAIN, "a.json")
    merged = merge([first, from_document({**PLAIN, "links": PLAIN["links"][:3]}, "b.json")])
    assert "neuronpedia" not in merged.provenance
    assert merged.provenance["scan"] == "gemma-2-2b ['org/set']"
    other = from_document({**PLAIN, "metadata": {**PLAIN["metadata"], "scan": "gpt2"}}, "c.json")
    with pytest.raises(InputError, match="different dictionaries: gemma-2-2b and gpt2"):
        merge([first, other])


# --- properties -------------------------------------------------------------------------------------------------------

_how, _positions = st.sampled_from(["union", "intersection"]), st.sampled_from(["keep", "sum"])


@settings(max_examples=80, deadline=None)
@given(graphs("F5"), graphs("C3"), graphs("F5"), _how, _positions)
def test_the_order_does_not_matter(a: FeatureGraph, b: FeatureGraph, c: FeatureGraph, how: str, positions: str):
    merged = merge([a, b, c], how, positions)
    assert merge([c, a, b], how, positions) == merged
    assert merge([b, a, c], how, positions).dumps() == merged.dumps()
    assert flaws(merged) == []
    assert FeatureGraph.from_json(json.loads(merged.dumps())) == merged


@settings(max_examples=60, deadline=None)
@given(graphs(), graphs())
def test_means_by_dictionary(a: FeatureGraph, b: FeatureGraph):
    merged = merge([a, b], positions="keep")
    effects = [{node.address: node.effect for node in graph.nodes} for graph in (a, b)]
    for node in merged.nodes:
        assert node.effect == sum(one.get(node.address, 0.0) for one in effects) / 2
        assert node.graphs == sum(node.address in one for one in effects)
    assert {node.address for node in merged.nodes} == effects[0].keys() | effects[1].keys()
    weights = [{(edge.source, edge.target): edge.weight for edge in graph.edges} for graph in (a, b)]
    for edge in merged.edges:
        assert edge.weight == sum(one.get((edge.source, edge.target), 0.0) for one in weights) / 2


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_sums_over_positions_keep_what_flows(graph: FeatureGraph):
    summed = without_positions(graph)
    assert flaws(summed) == []
    assert sum(n.effect for n in summed.nodes) == pytest.approx(sum(n.effect for n in graph.nodes))
    assert sum(e.weight for e in summed.edges) == pytest.approx(sum(e.weight for e in graph.edges))
    assert summed.coverage <= graph.coverage + 1e-9
    assert without_positions(summed) == summed


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command(tmp_path, saecli):
    for name, graph in zip("ab", two(), strict=True):
        write(graph, tmp_path / f"{name}.json")
    done = saecli("graph", "merge", "a.json", "b.json", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["graphs"], told["nodes"], told["nodes_in_all"], told["positions"]) == (2, 13, 11, "keep")
    run = tmp_path / told["run_directory"]
    with (run / "nodes.csv").open() as file:
        counts = {row["id"]: row["graphs"] for row in csv.DictReader(file)}
    assert (counts["8:331@2"], counts["8:99@2"]) == ("2", "1")
    assert "in 1 of 2 graphs" in (run / "graph.svg").read_text()
    shown = saecli("graph", "show", run)
    assert "Merged from 2 graphs" in shown.out
    again = saecli("graph", "merge", run, "a.json")
    assert "is a merged graph itself" in again.err


def test_what_cannot_be_merged_is_refused(tmp_path, saecli):
    first, second = two()
    a, b = write(first, tmp_path / "a.json"), write(second, tmp_path / "b.json")
    metric = first.metric
    changes = {
        "suite": {"provenance": {**MINE, "suite_fingerprint": "two"}},
        "model": {"provenance": {**MINE, "model_fingerprint": "n"}},
        "silent": {"provenance": {}},
        "direction": {"metric": {**dataclasses.asdict(metric), "direction": -1}},
        "metric": {"metric": {**dataclasses.asdict(metric), "name": "ce"}},
        "method": {"method": "ablation"},
    }
    words = {
        "suite": "two versions of othello-mini",
        "model": "are of different models",
        "silent": "does not say which dictionaries",
        "direction": "differ in their direction: 1 and -1",
        "metric": "differ in their metric: logit-over-illegal and ce",
        "method": "differ in their method",
    }
    for name, change in changes.items():
        got = saecli("graph", "merge", a, broken(second, tmp_path / f"{name}.json", **change))
        assert (got.code, got.err.count("\n")) == (3, 1), got.err
        assert words[name] in got.err
    (tmp_path / "again.json").symlink_to("a.json")
    calls = [((a,), 2, "two graphs or more"), ((a, b, tmp_path / "again.json"), 2, "named twice")]
    only = write(second.restrict([parse_address("8:99@2"), parse_address("target@2")]), tmp_path / "only.json")
    calls += [((a, only, "--how", "intersection"), 1, "no node in common")]
    for arguments, code, text in calls:
        got = saecli("graph", "merge", *arguments)
        assert (got.code, got.err.count("\n")) == (code, 1), got.err
        assert text in got.err
    assert not list(tmp_path.glob("saecli-runs/*/*"))


def test_of_a_feature_the_graph_with_most_contexts_tells():
    first, second = two()
    feature = parse_address("8:331")
    context = Context(("a",), (1.0,), 0, 0, 0)
    little, much = Evidence(raises=(("F5", 1.0),)), Evidence((context,))
    graphs = [dataclasses.replace(one, features={feature: told}) for one, told in ((first, little), (second, much))]
    assert merge(graphs).features == {feature: much}
    assert not merge(two()).features
