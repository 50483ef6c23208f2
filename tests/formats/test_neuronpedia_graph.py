"""Graph JSON of circuit-tracer and Neuronpedia: read rightly although its ids are ambiguous, and written back whole."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.address import Address, parse_address
from saecli.core.errors import InputError, UsageError
from saecli.core.graph import FeatureGraph
from saecli.core.site import Site
from saecli.formats.neuronpedia_graph import from_document, graph_kind, read_graph, sniff_graph
from saecli.formats.neuronpedia_nodes import cantor, from_cantor
from saecli.formats.neuronpedia_write import to_document, write_graph
from tests.report.graphs import generated, hand_made

LAYERS = 4
LOGITS = str(LAYERS + 1)


def feature(layer: int, index: int, position: int, activation: float | None = 2.0, **more: Any) -> dict[str, Any]:
    number = (layer + index) * (layer + index + 1) // 2 + index
    node = usual(f"{layer}_{index}_{position}", number, str(layer), position, "cross layer transcoder")
    return {**node, "jsNodeId": f"{layer}_{index}-0", "activation": activation, **more}


def error(layer: int, position: int) -> dict[str, Any]:
    node = usual(f"0_{layer}_{position}", -1, str(layer), position, "mlp reconstruction error")
    return {**node, "jsNodeId": f"{layer}_{position}-0"}


def new_error(layer: int, position: int) -> dict[str, Any]:
    """As circuit-tracer writes it since its ids are unique."""
    node = usual(f"{layer}_-1_{position}", -1, str(layer), position, "mlp reconstruction error")
    return {**node, "jsNodeId": f"{layer}_-1-{position}"}


def token(vocab: int, position: int) -> dict[str, Any]:
    node = usual(f"E_{vocab}_{position}", position, "E", position, "embedding")
    return {**node, "jsNodeId": f"E_{vocab}-{position}"}


def logit(vocab: int, position: int, text: str, p: float, first: bool = False) -> dict[str, Any]:
    node = usual(f"{LOGITS}_{vocab}_{position}", vocab, LOGITS, position, "logit")
    more = {"jsNodeId": f"L_{vocab}-{position}", "clerp": f'Output "{text}" (p={p:.3f})'}
    return {**node, **more, "token_prob": p, "is_target_logit": first}


def usual(name: str, number: int, layer: str, position: int, kind: str) -> dict[str, Any]:
    return {
        "node_id": name,
        "feature": number,
        "layer": layer,
        "ctx_idx": position,
        "feature_type": kind,
        "token_prob": 0,
        "is_target_logit": False,
        "run_idx": 0,
        "reverse_ctx_idx": 0,
        "jsNodeId": "",
        "clerp": "",
        "influence": None,
        "activation": None,
    }


def document(nodes: list[dict[str, Any]], links: list[tuple[str, str, float]], words: int = 2) -> dict[str, Any]:
    return {
        "metadata": {
            "slug": "austin",
            "scan": "gemma-2-2b",
            "transcoder_list": ["org/set"],
            "prompt_tokens": [f"<{i}>" for i in range(words)],
            "prompt": "text",
            "node_threshold": 0.8,
            "schema_version": 1,
            "info": {"creator_name": "someone"},
        },
        "qParams": {"pinnedIds": ["3_8_1"], "supernodes": [["capital", "3_8_1"]], "linkType": "both", "clickedId": ""},
        "nodes": nodes,
        "links": [{"source": source, "target": target, "weight": weight} for source, target, weight in links],
    }


PLAIN = document(
    [
        feature(1, 7, 0, 2.0, clerp="say a capital", influence=0.31),
        feature(3, 8, 1, 4.0, run_idx=2, note="theirs"),
        error(2, 1),
        token(11, 0),
        token(12, 1),
        logit(5, 1, "Austin", 0.6, first=True),
        logit(6, 1, "Dallas", 0.2),
    ],
    [
        ("E_11_0", "1_7_0", 1.5),
        ("1_7_0", "3_8_1", 3.0),
        ("0_2_1", "3_8_1", -1.0),
        ("E_12_1", "3_8_1", 0.5),
        ("3_8_1", f"{LOGITS}_5_1", 6.0),
        ("E_12_1", f"{LOGITS}_5_1", 0.25),
        ("3_8_1", f"{LOGITS}_6_1", -2.0),
    ],
)


def test_nodes_are_features_errors_tokens_and_several_targets():
    graph = from_document(PLAIN, "x.json")
    assert [graph.id_of(node.address) for node in graph.nodes] == [
        "1.mlp_in:7@0",
        "3.mlp_in:8@1",
        "2.mlp_in:error@1",
        "token:11@0",
        "token:12@1",
        "target:5@1",
        "target:6@1",
    ]
    assert [(position.token, position.text) for position in graph.positions] == [(11, "<0>"), (12, "<1>")]
    assert graph.sites == ("1.mlp_in", "2.mlp_in", "3.mlp_in")
    assert (graph.metric.target, graph.metric.value) == ("Austin", 6.25)
    first = graph.nodes[0]
    assert (first.activation, first.label) == (2.0, "say a capital")
    assert graph.provenance["notes"] == []


def test_effects_follow_the_links_to_the_target():
    graph = from_document(PLAIN, "x.json")
    effect = {graph.id_of(node.address): node.effect for node in graph.nodes}
    # Each unit added to feature 8 adds 6 / 4 to the target; each added to feature 7 adds 3 / 2 to feature 8.
    assert effect["3.mlp_in:8@1"] == -6.0
    assert effect["2.mlp_in:error@1"] == 1.5
    assert effect["1.mlp_in:7@0"] == -4.5
    assert effect["token:11@0"] == -1.5 / 2 * 4.5
    assert effect["token:12@1"] == -(0.25 + 0.5 * 6 / 4)
    assert effect["target:6@1"] == 0.0
    assert graph.helps(effect["3.mlp_in:8@1"])
    weights = {(graph.id_of(e.source), graph.id_of(e.target)): e.weight for e in graph.edges}
    assert weights["2.mlp_in:error@1", "3.mlp_in:8@1"] == 1.0


def test_without_activations_effects_are_not_known():
    changed = copy.deepcopy(PLAIN)
    changed["nodes"][1]["activation"] = None
    graph = from_document(changed, "x.json")
    assert {node.effect for node in graph.nodes} == {0.0}
    assert "effects are not known" in graph.provenance["notes"][0]


def test_a_round_trip_gives_the_same_document(tmp_path: Path):
    before = {**PLAIN, "features": {"theirs": [1]}}
    (tmp_path / "in.json").write_text(json.dumps(before))
    graph = read_graph(tmp_path / "in.json")
    write_graph(graph, tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == before
    again = FeatureGraph.from_json(json.loads(graph.dumps()))  # by way of our own file
    assert again == graph
    write_graph(again, tmp_path / "out.json", exact=True)
    assert json.loads((tmp_path / "out.json").read_text()) == before


def test_the_dictionaries_site_can_be_told():
    graph = from_document(PLAIN, "x.json", reads="resid_mid")
    assert graph.nodes[0].address == Address("feature", Site(1, "resid_mid"), 7, 0)
    assert to_document(graph) == PLAIN


# --- one id for two nodes ---------------------------------------------------------------------------------------------

CLASH = document(
    [
        feature(0, 3, 1, 1.0),
        feature(2, 9, 1),
        feature(4, 1, 1),
        error(1, 1),
        error(3, 1),
        token(11, 0),
        token(12, 1),
        logit(5, 1, "Austin", 0.6, first=True),
    ],
    [
        ("E_12_1", "0_3_1", 0.5),  # nothing leads into an error: the feature
        ("0_3_1", "2_9_1", 1.0),  # the error of layer 3 is too late: the feature
        ("0_1_1", "2_9_1", 7.0),
        ("2_9_1", "4_1_1", 2.0),
        ("0_1_1", "4_1_1", 2.5),
        ("0_3_1", "4_1_1", 3.0),  # after the error of layer 1, which stands after every feature: the error
        ("0_3_1", f"{LOGITS}_5_1", 4.0),  # before feature 9: the feature
        ("2_9_1", f"{LOGITS}_5_1", 5.0),
        ("0_3_1", f"{LOGITS}_5_1", 6.0),  # the second of one id: the error
    ],
)


def edges(graph: FeatureGraph) -> dict[tuple[str, str], float]:
    return {(graph.id_of(e.source), graph.id_of(e.target)): -e.weight for e in graph.edges}


def test_links_of_colliding_ids_are_told_apart():
    graph = from_document(CLASH, "x.json")
    assert edges(graph) == {
        ("token:12@1", "0.mlp_in:3@1"): 0.5,
        ("0.mlp_in:3@1", "2.mlp_in:9@1"): 1.0,
        ("1.mlp_in:error@1", "2.mlp_in:9@1"): 7.0,
        ("2.mlp_in:9@1", "4.mlp_in:1@1"): 2.0,
        ("1.mlp_in:error@1", "4.mlp_in:1@1"): 2.5,
        ("3.mlp_in:error@1", "4.mlp_in:1@1"): 3.0,
        ("0.mlp_in:3@1", "target:5@1"): 4.0,
        ("2.mlp_in:9@1", "target:5@1"): 5.0,
        ("3.mlp_in:error@1", "target:5@1"): 6.0,
    }
    assert graph.provenance["notes"] == ["1 errors had the id of a feature; their links were told apart."]


def test_colliding_errors_are_written_under_ids_of_their_own():
    graph = from_document(CLASH, "x.json")
    written = to_document(graph)
    assert [node["node_id"] for node in written["nodes"]][3:5] == ["0_1_1", "3_-1_1"]
    assert edges(from_document(written, "y.json")) == edges(graph)
    with pytest.raises(UsageError, match=r"The error 3\.mlp_in:error@1 has the id of a feature: 0_3_1"):
        to_document(graph, exact=True)
    alone = graph.restrict(node.address for node in graph.nodes if node.address.site != Site(0, "mlp_in"))
    assert "0_3_1" in [node["node_id"] for node in to_document(alone, exact=True)["nodes"]]
    ours = dataclasses.replace(graph, provenance={})
    assert [node["node_id"] for node in to_document(ours, exact=True)["nodes"]][3:5] == ["1_-1_1", "3_-1_1"]


def test_errors_with_ids_of_their_own_are_read_and_written():
    nodes = [feature(0, 2, 0), new_error(2, 0), token(1, 0), logit(5, 0, "a", 1.0)]
    plain = document(nodes, [("0_2_0", f"{LOGITS}_5_0", 1.0), ("2_-1_0", f"{LOGITS}_5_0", 2.0)], 1)
    graph = from_document(plain, "x.json")
    assert edges(graph) == {("0.mlp_in:2@0", "target:5@0"): 1.0, ("2.mlp_in:error@0", "target:5@0"): 2.0}
    assert graph.provenance["notes"] == []
    assert graph.provenance["neuronpedia"]["nodes"] == {"target:5@0": {"token_prob": 1.0}}
    assert to_document(graph, exact=True) == plain


def test_a_link_that_could_be_of_either_is_counted():
    nodes = [feature(0, 2, 0), error(2, 0), token(1, 0), logit(5, 0, "a", 1.0)]
    graph = from_document(document(nodes, [("0_2_0", f"{LOGITS}_5_0", 1.0)], 1), "x.json")
    assert edges(graph) == {("0.mlp_in:2@0", "target:5@0"): 1.0}
    assert graph.provenance["notes"][1] == (
        "1 links could be of a feature or of an error; they were given to the feature."
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_links_in_the_order_of_the_nodes_are_told_apart_or_counted(data: st.DataObject):
    nodes = [feature(0, index, 0) for index in range(LAYERS)]
    nodes += [feature(layer, 9, 0) for layer in range(1, LAYERS)]
    nodes += [error(layer, 0) for layer in range(LAYERS)] + [token(7, 0), logit(5, 0, "a", 1.0, first=True)]
    ids = [str(address) for address in (node.address for node in from_document(document(nodes, [], 1), "x").nodes)]
    depth = [-1 if node["layer"] == "E" else int(node["layer"]) for node in nodes]
    links, truth = [], {}
    for t, target in enumerate(nodes):
        if "error" in target["feature_type"] or target["layer"] == "E":
            continue
        for s, source in enumerate(nodes):
            if depth[s] < depth[t] and data.draw(st.booleans()):
                weight = float(len(links) + 1)
                links.append((source["node_id"], target["node_id"], weight))
                truth[ids[s], ids[t]] = weight
    if data.draw(st.booleans()):  # links grouped by target, the groups in any order
        links.sort(key=lambda link: link[1])
    graph = from_document(document(nodes, links, 1), "x.json")
    found = edges(graph)
    wrong = sum(found.get(pair) != weight for pair, weight in truth.items())
    unclear = [note for note in graph.provenance["notes"] if "could be" in note]
    assert len(found) == len(truth)
    assert wrong <= (int(unclear[0].split()[0]) if unclear else 0)


# --- graphs of our own ------------------------------------------------------------------------------------------------


def test_a_graph_of_our_own_comes_back(tmp_path: Path):
    before = hand_made()
    write_graph(before, path := tmp_path / "graph.json")
    after = read_graph(path)
    assert edges(after) == edges(before)
    assert after.metric == before.metric
    assert after.edge_meaning == before.edge_meaning
    assert {n.address: (n.effect, n.activation, n.label) for n in after.nodes} == {
        n.address: (n.effect, n.activation, n.label) for n in before.nodes
    }
    with pytest.raises(UsageError, match="one dictionary per block, and the graph has several"):
        to_document(before, exact=True)


def test_generated_graphs_come_back():
    for seed in range(3):
        before = generated(120, 6, ("2.mlp_in", "3.mlp_in", "5.mlp_in"), seed, tokens=True)
        after = from_document(json.loads(json.dumps(to_document(before))), "x.json")
        assert edges(after) == edges(before)
        assert [node.address for node in after.nodes] == [node.address for node in before.nodes]


def test_the_exact_form_has_the_schemas_keys_only():
    graph = hand_made()
    keep = [node.address for node in graph.nodes if node.address.site in (None, parse_address("8:1").site)]
    written = to_document(graph.restrict(keep), exact=True)
    assert set(written) == {"metadata", "qParams", "nodes", "links"}
    keys = {"slug", "scan", "transcoder_list", "prompt_tokens", "prompt", "schema_version"}
    assert set(written["metadata"]) == keys
    assert set(written["qParams"]) == {"pinnedIds", "supernodes", "linkType", "clickedId", "sg_pos"}
    expected = usual("8_331_2", (8 + 331) * (8 + 331 + 1) // 2 + 331, "8", 2, "cross layer transcoder")
    expected |= {"jsNodeId": "8_331-0", "clerp": "F5 legal .88", "activation": 3.0}
    assert expected in written["nodes"]
    targets = [node for node in written["nodes"] if node["feature_type"] == "logit"]
    assert [node["is_target_logit"] for node in targets] == [True]
    assert targets[0]["layer"] == "10"
    assert {"source": "8_331_2", "target": targets[0]["node_id"], "weight": 1.5} in written["links"]


def test_nodes_at_every_position_cannot_be_written():
    graph = hand_made()
    nodes = tuple(dataclasses.replace(node, address=node.address.at(None)) for node in graph.nodes[:1])
    with pytest.raises(UsageError, match="target is at every position"):
        to_document(dataclasses.replace(graph, nodes=nodes, edges=()))


@given(st.integers(0, 200), st.integers(0, 2_000_000))
def test_cantors_numbers_have_one_pair(layer: int, index: int):
    assert from_cantor(cantor(layer, index)) == (layer, index)


@pytest.mark.parametrize("text", ["target@42", "target:11@42", "target:0", "target", "token:19@42"])
def test_addresses_of_targets_are_read_and_written(text: str):
    assert str(parse_address(text)) == text


# --- what is refused, and what is recognised --------------------------------------------------------------------------


def changed(path: str, value: Any) -> dict[str, Any]:
    """PLAIN with one value replaced: `nodes.0.ctx_idx`."""
    result = copy.deepcopy(PLAIN)
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    inner: Any = result
    for part in way:
        inner = inner[part]
    if value == "gone":
        del inner[last]
    else:
        inner[last] = value
    return result


@pytest.mark.parametrize(
    ("path", "value", "answer"),
    [
        ("nodes", "gone", "is no circuit graph: expected metadata, nodes and links"),
        ("links", {}, "is no circuit graph"),
        ("metadata", [], "is no circuit graph"),
        ("metadata.schema_version", 2, "has schema_version 2, and this saecli reads 1"),
        ("metadata.prompt_tokens", "text", "has no prompt_tokens"),
        ("metadata.prompt_tokens", ["one"], "has the node '3_8_1' beyond its 1 tokens"),
        ("nodes.0", "1_7_0", "has a node that is no JSON object"),
        ("nodes.0.ctx_idx", "0", "has the node '1_7_0' with ctx_idx = '0'"),
        ("nodes.0.ctx_idx", True, "with ctx_idx = 'True'"),
        ("nodes.0.ctx_idx", -1, "with ctx_idx = -1"),
        ("nodes.0.feature_type", "gone", "with feature_type = 'None'"),
        ("nodes.0.activation", float("nan"), "with activation = nan"),
        ("nodes.0.clerp", 7, "with clerp = '7'"),
        ("nodes.0.layer", "seven", "at a layer that is none"),
        ("nodes.0.layer", "-1", "at a layer that is none"),
        ("nodes.5.layer", "9", "has logit nodes at 2 layers"),
        ("nodes.3.node_id", "E_x_0", "has a link of the node 'E_11_0'"),
        ("links.0.source", "9_9_9", "has a link of the node '9_9_9', which it does not have"),
        ("links.0.weight", float("inf"), "has a link of weight inf"),
        ("links.0.weight", 10**400, "has a link of weight 1000"),
        ("metadata.node_threshold", float("nan"), "has a number that is not finite"),
        ("nodes.0.activation", 10**31, "too large or no number"),
        ("nodes.0.node_id", "", "has a link of the node '1_7_0'"),
        ("links.0.source", "", "has a link of the node ''"),
        ("links.0.weight", "1", "has a link without source, target and weight"),
        ("links.0.weight", True, "has a link of weight True"),
        ("links.0", 5, "has a link without source"),
        ("links.0.target", "E_12_1", "has a link into 'E_12_1', which nothing can lead into"),
        ("links.1.source", "0_2_1", "has two links between the same two nodes"),
        ("nodes.0", feature(3, 8, 1), "has two nodes for 3.mlp_in:8@1"),
        ("nodes.0.feature_type", "lorsa", "is a graph of OpenMOSS"),
        ("nodes.2.node_id", "5_error_1", "is a graph of OpenMOSS"),
        ("nodes.0.qk_tracing_results", None, "is a graph of OpenMOSS"),
    ],
)
def test_damaged_graphs_are_refused(tmp_path: Path, path: str, value: Any, answer: str):
    (file := tmp_path / "x.json").write_text(json.dumps(changed(path, value)))
    with pytest.raises(InputError) as caught:
        read_graph(file)
    assert str(caught.value).startswith(str(file))
    assert answer in str(caught.value)


def test_an_id_that_says_nothing_is_made_up_for_by_other_fields():
    graph = from_document(changed_id(0, "n0", "1_7-0"), "x.json")
    assert str(graph.nodes[0].address) == "1.mlp_in:7@0"
    graph = from_document(changed_id(0, "n0", ""), "x.json")
    assert str(graph.nodes[0].address) == "1.mlp_in:7@0"
    assert to_document(graph)["nodes"][0]["node_id"] == "n0"
    with pytest.raises(InputError, match="does not say its feature or token"):
        from_document(changed_id(3, "n3", ""), "x.json")


def changed_id(place: int, name: str, js: str) -> dict[str, Any]:
    result = copy.deepcopy(PLAIN)
    old = result["nodes"][place]["node_id"]
    result["nodes"][place] |= {"node_id": name, "jsNodeId": js}
    for link in result["links"]:
        for end in ("source", "target"):
            link[end] = name if link[end] == old else link[end]
    return result


def test_layers_of_any_number_cost_nothing(tmp_path: Path):
    far = copy.deepcopy(PLAIN)
    for node in far["nodes"][5:]:
        node["layer"] = "9" * 17
    assert len(from_document(far, "x.json").nodes) == 7
    (path := tmp_path / "deep.json").write_text('{"nodes":' + "[" * 100_000)
    with pytest.raises(InputError, match="nested too deeply"):
        read_graph(path)


def test_graphs_are_recognised_by_their_first_bytes(tmp_path: Path):
    files = {
        "ours.json": (hand_made().dumps(), "saecli"),
        "theirs.json": (json.dumps(PLAIN), "circuit-tracer"),
        "indented.json": (json.dumps(PLAIN, indent=2), "circuit-tracer"),
        "cut.json": (json.dumps(PLAIN)[:500], "circuit-tracer"),
        "suite.json": ('{"schema": "saecli.suite/1", "nodes": []}', ""),
        "list.json": ("[1, 2]", ""),
        "text.json": ("metadata prompt_tokens", ""),
        "empty.json": ("", ""),
    }
    for name, (text, kind) in files.items():
        (tmp_path / name).write_text(text)
        assert graph_kind(tmp_path / name) == kind
        assert sniff_graph(tmp_path / name) == bool(kind)
    assert not sniff_graph(tmp_path)
    assert not sniff_graph(tmp_path / "gone.json")
