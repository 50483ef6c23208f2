"""Tables, DOT, JSON and the writer: what programs read from a graph."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.graph import FeatureGraph
from saecli.report.captions import percent
from saecli.report.dot import to_dot
from saecli.report.measure import visible
from saecli.report.tables import EDGE_COLUMNS, NODE_COLUMNS, edges_csv, nodes_csv
from saecli.report.write import write_graph
from tests.report.graphs import DEFAULT_SITES, HOSTILE, generated, hand_made, hostile, without_positions

FILES = ["graph.json", "nodes.csv", "edges.csv", "graph.dot", "graph.svg", "graph.png", "graph.html"]


def read(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_the_table_of_nodes():
    rows = read(nodes_csv(hand_made()))
    assert list(rows[0]) == list(NODE_COLUMNS)
    assert rows[1] == {
        "id": "8:331@2",
        "kind": "feature",
        "site": "8",
        "layer": "8",
        "position": "2",
        "token": "F6",
        "index": "331",
        "activation": "3.0",
        "effect": "-1.5",
        "helps": "true",
        "label": "F5 legal .88",
    }
    assert [row["helps"] for row in rows[:3]] == ["", "true", "false"]
    assert rows[4]["index"] == ""
    assert rows[5]["site"] == "7.attn_out"
    assert (rows[10]["kind"], rows[10]["index"], rows[10]["layer"]) == ("token", "19", "")


def test_the_table_of_edges():
    rows = read(edges_csv(hand_made()))
    assert list(rows[0]) == list(EDGE_COLUMNS)
    assert rows[0] == {"source": "8:331@2", "target": "target@2", "weight": "-1.5", "helps": "true"}
    assert [row["helps"] for row in rows].count("false") == 3


def test_changes_of_activations_neither_help_nor_hurt_and_edges_into_the_target_do():
    rows = read(edges_csv(without_positions(generated(20, 1, DEFAULT_SITES))))
    assert {row["helps"] for row in rows if row["target"] != "target"} == {""}
    into = [row for row in rows if row["target"] == "target"]
    assert into
    assert all(row["helps"] == ("true" if float(row["weight"]) < 0 else "false") for row in into)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(0, 40))
def test_numbers_and_names_read_back_exactly(seed, count):
    graph = generated(count, 9, DEFAULT_SITES, seed, tokens=True)
    rows = read(nodes_csv(graph))
    assert [float(row["effect"]) for row in rows] == [node.effect for node in graph.nodes]
    assert [row["id"] for row in rows] == [graph.id_of(node.address) for node in graph.nodes]
    assert [float(row["weight"]) for row in read(edges_csv(graph))] == [edge.weight for edge in graph.edges]
    assert FeatureGraph.from_json(json.loads(graph.dumps())) == graph


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_cell_is_a_formula(start):
    graph = hand_made()
    nodes = tuple(dataclasses.replace(node, label=f"{start}cmd|' /C calc'!A0") for node in graph.nodes)
    positions = tuple(dataclasses.replace(position, text=f"{start}1+1") for position in graph.positions)
    rows = read(nodes_csv(dataclasses.replace(graph, nodes=nodes, positions=positions)))
    assert all(row["label"] == f"'{start}cmd|' /C calc'!A0" for row in rows)
    assert all(row["token"] == f"'{start}1+1" for row in rows)
    assert rows[1]["effect"] == "-1.5"  # numbers stay numbers


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
@pytest.mark.parametrize("graph", [hand_made(), hostile()], ids=["plain", "hostile"])
def test_graphviz_reads_the_dot_file_and_shows_every_label_as_it_is(graph):
    done = subprocess.run(["dot", "-Tjson"], input=to_dot(graph).encode(), capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    data = json.loads(done.stdout)
    nodes = [o for o in data["objects"] if "nodes" not in o and o["name"].startswith("n")]
    assert len(nodes) == len(graph.nodes)
    assert len(data["edges"]) == len(graph.edges)
    for node in nodes:
        drawn = [piece["text"] for piece in node["_ldraw_"] if piece["op"] == "T"]
        index = int(node["name"][1:])
        wanted = graph.nodes[index]
        if wanted.address.kind != "target":
            assert drawn[-1] == graph.id_of(wanted.address)
        if wanted.label and wanted.address.kind != "target":
            assert drawn[:-1] == [visible(wanted.label)]


def test_ranks_of_the_dot_file_are_sites():
    source = to_dot(hand_made())
    assert source.count("rank=same") == 6
    assert "rankdir=BT" in source


@pytest.mark.parametrize(
    "graph",
    [hand_made(), hostile(), without_positions(generated(20, 1, DEFAULT_SITES)), generated(0, 3, ("6",))],
    ids=["plain", "hostile", "without-positions", "only-target"],
)
def test_every_file_is_written(graph):
    files: dict[str, bytes] = {}
    assert write_graph(graph, files.__setitem__) == FILES == list(files)
    assert all(files.values())
    assert FeatureGraph.from_json(json.loads(files["graph.json"])) == graph


def test_the_same_graph_gives_the_same_bytes():
    first: dict[str, bytes] = {}
    again: dict[str, bytes] = {}
    write_graph(hand_made(), first.__setitem__)
    write_graph(FeatureGraph.from_json(json.loads(first["graph.json"])), again.__setitem__)
    assert first == again


def test_labels_keep_their_text_in_json():
    data = json.loads(hostile().dumps())
    assert data["nodes"][1]["label"] == HOSTILE


def test_shares_never_round_to_all_or_nothing():
    assert [percent(share) for share in (0, 0.001, 0.5, 0.999, 1)] == ["0 %", "< 1 %", "50 %", "> 99 %", "100 %"]
