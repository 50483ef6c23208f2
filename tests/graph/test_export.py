"""``saecli graph export``: a stored graph in other formats, and back."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path

import networkx
import pytest
from hypothesis import given, settings

from saecli.core.address import parse_address
from saecli.core.evidence import Context, Evidence
from saecli.core.graph import FeatureGraph
from saecli.formats.graph_file import read_graph_file
from saecli.formats.neuronpedia_graph import from_document
from saecli.formats.neuronpedia_write import to_document
from saecli.graph.config import FORMATS
from saecli.report.graphml import to_graphml
from saecli.report.pdf import A4, MARGIN, OVERLAP, spread, to_pdf
from tests.formats.test_neuronpedia_graph import CLASH, PLAIN
from tests.graph.small import broken, graphs, traced, write
from tests.report.graphs import ALL_SITES, generated, hand_made, hostile, without_positions


def saved(graph: FeatureGraph) -> FeatureGraph:
    """A graph with a supernode, a pinned node, influences and counts."""
    first, second = graph.nodes[0], graph.nodes[-1]
    return dataclasses.replace(
        graph,
        supernodes={"both": (first.address, second.address), "one": (second.address,)},
        pinned=(second.address,),
        nodes=(dataclasses.replace(first, influence=0.25, graphs=2), *graph.nodes[1:]),
        edges=tuple(dataclasses.replace(edge, influence=0.5, graphs=1) for edge in graph.edges),
    )


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_neuronpedias_json_comes_back_the_same(graph: FeatureGraph):
    assert from_document(json.loads(json.dumps(to_document(graph))), "x.json") == graph
    if len(graph.nodes) > 1:
        whole = saved(graph)
        assert from_document(json.loads(json.dumps(to_document(whole))), "x.json") == whole


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_graphml_comes_back_with_its_types(graph: FeatureGraph):
    found = networkx.read_graphml(io.BytesIO(to_graphml(graph)))
    assert {name: (data["kind"], data["effect"]) for name, data in found.nodes(data=True)} == {
        graph.id_of(node.address): (node.address.kind, node.effect) for node in graph.nodes
    }
    assert {(s, t): data["weight"] for s, t, data in found.edges(data=True)} == {
        (graph.id_of(edge.source), graph.id_of(edge.target)): edge.weight for edge in graph.edges
    }


def test_graphml_says_what_a_node_is():
    data = networkx.read_graphml(io.BytesIO(to_graphml(saved(hand_made())))).nodes
    assert data["7.mlp_out:44@2"] == {
        "kind": "feature", "site": "7.mlp_out", "layer": 7, "position": 2, "token": "F6", "index": 44, "effect": -1.0,
        "role": "helps", "activation": 2.0,
    }  # fmt: skip
    assert (data["target@2"]["supernodes"], data["token:26@2"]["pinned"]) == ("both", True)
    assert len(networkx.read_graphml(io.BytesIO(to_graphml(hostile())))) == 12  # no character that XML has not


# --- what people saved in a viewer ------------------------------------------------------------------------------------


def test_supernodes_and_pinned_nodes_of_a_viewer_are_read_and_written():
    graph = from_document(PLAIN, "x.json")
    capital = parse_address("3.mlp_in:8@1")
    assert (graph.pinned, graph.supernodes) == ((capital,), {"capital": (capital,)})
    assert next(node for node in graph.nodes if node.address.index == 7).influence == 0.31
    token = parse_address("token:12@1")
    more = dataclasses.replace(graph, supernodes={**graph.supernodes, "words": (token, capital)}, pinned=())
    written = to_document(more)
    assert written["qParams"] == {
        **PLAIN["qParams"],
        "pinnedIds": [],
        "supernodes": [["capital", "3_8_1"], ["words", "E_12_1", "3_8_1"]],
    }
    assert written["nodes"] == PLAIN["nodes"]


def test_what_was_saved_as_text_of_an_address_is_read_and_kept():
    texts = {"pinnedIds": "3_8_1,E_11_0,gone", "supernodes": '[["a","3_8_1"],["a","1_7_0","gone"],["b","gone"]]'}
    before = {**PLAIN, "qParams": texts}
    graph = from_document(before, "x.json")
    assert [str(one) for one in graph.pinned] == ["3.mlp_in:8@1", "token:11@0"]
    assert {name: list(map(str, ones)) for name, ones in graph.supernodes.items()} == {
        "a": ["3.mlp_in:8@1"],
        "a (2)": ["1.mlp_in:7@0"],
    }
    assert to_document(graph)["qParams"] == texts
    lost = graph.restrict(node.address for node in graph.nodes if str(node.address) != "1.mlp_in:7@0")
    assert to_document(lost)["qParams"] == texts  # it still names what is left
    only = dataclasses.replace(graph, pinned=graph.pinned[:1])
    assert to_document(only)["qParams"]["pinnedIds"] == ["3_8_1"]


@pytest.mark.parametrize(
    "nonsense", [None, [], "x", {"pinnedIds": {"a": 1}, "supernodes": "[["}, {"supernodes": [[1]]}]
)
def test_what_is_no_saved_subgraph_is_left_alone(nonsense):
    graph = from_document({**PLAIN, "qParams": nonsense}, "x.json")
    assert (graph.pinned, graph.supernodes) == ((), {})
    if isinstance(nonsense, dict):
        assert to_document(graph)["qParams"] == nonsense


def test_of_two_nodes_with_one_id_the_feature_was_saved():
    graph = from_document({**CLASH, "qParams": {"pinnedIds": ["0_3_1", "0_1_1"], "supernodes": []}}, "x.json")
    assert [str(one) for one in graph.pinned] == ["0.mlp_in:3@1", "1.mlp_in:error@1"]


# --- sheets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(640, 400), (1500, 1100), (3000, 500), (900, 4000), (5000, 5000)])
def test_sheets_show_every_part_of_a_picture(width: float, height: float):
    sheets = spread(width, height)
    wide, tall = sheets.window
    left, top = sheets.start(sheets.across - 1, sheets.down - 1)
    assert left + wide >= width * sheets.scale - 1e-6
    assert top + tall >= height * sheets.scale - 1e-6
    for step, count, room in ((sheets.start(1, 1)[0], sheets.across, wide), (sheets.start(1, 1)[1], sheets.down, tall)):
        assert count == 1 or room - step == pytest.approx(OVERLAP)
    assert sorted(sheets.paper) == sorted(A4)
    assert sheets.scale == 0.75 or (sheets.across, sheets.down) == (1, 1)
    assert wide == sheets.paper[0] - 2 * MARGIN


def test_a_pdf_has_a_page_per_sheet():
    small, large = hand_made(), generated(60, 20, ALL_SITES)
    one, many = to_pdf(small), to_pdf(large)
    assert one == to_pdf(small)
    assert one.startswith(b"%PDF")
    assert pages(one) == 1
    assert pages(many) > 1


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", pdf))


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", FORMATS)
def test_every_format_is_written_once(to: str, tmp_path: Path, saecli):
    path = write(hand_made(), tmp_path / "why.json")
    done = saecli("graph", "export", path, "--to", to, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    out = tmp_path / told["destination"]
    files = [out / name for name in told["files"]] if out.is_dir() else [out]
    assert all(file.stat().st_size > 100 for file in files)
    before = [file.read_bytes() for file in files]
    again = saecli("graph", "export", path, "--to", to)
    assert (again.code, again.err.count("\n")) == (3, 1)
    assert "is there already" in again.err
    assert saecli("graph", "export", path, "--to", to, "--overwrite").code == 0
    assert [file.read_bytes() for file in files] == before


def test_files_that_can_be_read_again(tmp_path, saecli):
    run = traced(saved(hand_made()), tmp_path)
    for to in ("saecli", "neuronpedia"):
        told = json.loads(saecli("graph", "export", "--to", to, "--json").out)
        assert told["destination"] == f"{run.name}.{to}.json"
        assert read_graph_file(tmp_path / told["destination"])[0] == saved(hand_made())


def test_a_folder_for_the_viewer_lists_its_graphs(tmp_path, saecli):
    path = write(hand_made(), tmp_path / "graph.json")
    theirs = dict(PLAIN, metadata={**PLAIN["metadata"], "slug": "../../austin"})
    (tmp_path / "austin.json").write_text(json.dumps(theirs))
    for source in (path, tmp_path / "austin.json"):
        done = saecli("graph", "export", source, "--to", "circuit-tracer", "--out", "graphs")
        assert done.code == 0, done.err
    assert "start-server --graph_file_dir graphs" in done.err
    assert sorted(one.name for one in (tmp_path / "graphs").iterdir()) == [
        "austin.json", "graph-metadata.json", "othello-mini-why-f5.json",
    ]  # fmt: skip
    listed = json.loads((tmp_path / "graphs" / "graph-metadata.json").read_text())["graphs"]
    assert [one["slug"] for one in listed] == ["othello-mini-why-f5", "austin"]
    assert "saecli" not in listed[0]
    args = ("--to", "circuit-tracer", "--out", "graphs", "--overwrite")
    assert saecli("graph", "export", path, *args).code == 0
    assert len(json.loads((tmp_path / "graphs" / "graph-metadata.json").read_text())["graphs"]) == 2
    (tmp_path / "graphs" / "graph-metadata.json").write_text('{"graphs": 3}')
    assert "is no list of graphs" in saecli("graph", "export", path, *args).err


def test_the_plan_writes_nothing(tmp_path, saecli):
    path = write(hand_made(), tmp_path / "graph.json")
    assert (
        "Would write graph-csv (nodes.csv, edges.csv)" in saecli("graph", "export", path, "--to", "csv", "--plan").out
    )
    assert [one.name for one in tmp_path.iterdir()] == ["graph.json"]


def test_bad_calls_write_nothing(tmp_path, saecli):
    path = write(hand_made(), tmp_path / "graph.json")
    whole = write(without_positions(hand_made().restrict([parse_address("8:331@2")])), tmp_path / "whole.json")
    nan = {"nodes": [{"id": "7:1@0", "effect": float("nan"), "activation": None, "label": ""}], "edges": []}
    calls = [
        ((path,), 2, "Say what to write with --to"),
        ((path, "--to", "word"), 2, "must be one of"),
        ((path, "--to", "saecli", "--out", path, "--overwrite"), 3, "is the source"),
        ((path, "--to", "csv", "--out", path, "--overwrite"), 3, "is a file"),
        ((path, "--to", "svg", "--out", tmp_path, "--overwrite"), 3, "is a folder"),
        ((whole, "--to", "neuronpedia"), 2, "at every position"),
        ((broken(hand_made(), tmp_path / "nan.json", **nan), "--to", "svg"), 3, "expected a finite number"),
    ]
    before = sorted(tmp_path.iterdir())
    for arguments, code, words in calls:
        got = saecli("graph", "export", *arguments)
        assert (got.code, got.err.count("\n")) == (code, 1), got.err
        assert words in got.err
    assert sorted(tmp_path.iterdir()) == sorted([*before])


def test_groups_that_the_page_saved_go_into_the_graph(saecli, tmp_path: Path):
    path = write(hand_made(), tmp_path / "graph.json")
    made = {"schema": "saecli.supernodes/1", "supernodes": {"a b": ["8:331@2", "7:5@0"]}}
    (tmp_path / "groups.json").write_text(json.dumps(made))
    done = saecli("graph", "export", path, "--to", "saecli", "--supernodes", "groups.json", "--out", "new.json")
    assert done.code == 0, done.err
    graph, _ = read_graph_file(tmp_path / "new.json")
    assert graph.supernodes == {"a b": tuple(map(parse_address, ("8:331@2", "7:5@0")))}
    done = saecli("graph", "export", path, "--to", "neuronpedia", "--supernodes", "groups.json", "--out", "np.json")
    assert done.code == 0, done.err
    assert read_graph_file(tmp_path / "np.json")[0].supernodes == graph.supernodes


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"schema": "saecli.supernodes/1", "supernodes": {"a": ["8:9@2"]}}, "names 8:9@2, which the graph does not"),
        ({"schema": "saecli.supernodes/1", "supernodes": {"a": ["what"]}}, "'what' is no feature address"),
        ({"schema": "saecli.supernodes/1", "supernodes": {"a": "8:331@2"}}, "is no list of nodes"),
        ({"schema": "saecli.supernodes/2", "supernodes": {}}, "expected saecli.supernodes/1"),
    ],
    ids=["unknown", "unreadable", "no-list", "newer"],
)
def test_groups_of_something_else_are_refused(saecli, tmp_path: Path, document: dict[str, object], said: str):
    path = write(hand_made(), tmp_path / "graph.json")
    (tmp_path / "groups.json").write_text(json.dumps(document))
    done = saecli("graph", "export", path, "--to", "saecli", "--supernodes", "groups.json", "--out", "new.json")
    assert done.code == 3
    assert said in " ".join(done.err.split())
    assert not (tmp_path / "new.json").exists()


def test_what_is_known_of_features_comes_back_from_neuronpedias_json():
    feature = parse_address("8:331")
    known = Evidence((Context(("a", "b"), (0.0, 1.5), 1, 2, 3),), (("F5", 2.0),), explanation="words")
    graph = dataclasses.replace(hand_made(), features={feature: known})
    assert from_document(json.loads(json.dumps(to_document(graph))), "x.json") == graph
