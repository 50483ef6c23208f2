"""The layout: every node has a place or is counted, nothing overlaps, and strong edges can be followed by eye."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.address import Address
from saecli.core.graph import FeatureGraph, Node
from saecli.report.layout import Layout
from saecli.report.measure import text_width
from saecli.report.place import MAX_CURVES, lay_out
from saecli.report.routes import STRONG
from saecli.report.sizes import LABEL_SIZE, TARGET_SIZE
from tests.report.graphs import ALL_SITES, DEFAULT_SITES, generated, hand_made, without_positions

sizes = st.builds(
    generated,
    count=st.integers(0, 120),
    positions=st.integers(1, 59),
    sites=st.sampled_from([("6",), DEFAULT_SITES, ALL_SITES]),
    seed=st.integers(0, 999),
    labelled=st.booleans(),
    boards=st.booleans(),
    tokens=st.booleans(),
    per_child=st.integers(0, 4),
    late=st.sampled_from([0.0, 0.4, 1.0]),
)


def overlaps(layout: Layout) -> list[tuple[str, str]]:
    boxes = sorted(layout.boxes, key=lambda box: box.top)
    found = []
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            if other.top >= one.bottom:
                break
            if one.left < other.left + other.width and other.left < one.left + one.width:
                found.append((one.text, other.text))
    return found


def check(graph: FeatureGraph) -> Layout:
    layout = lay_out(graph)
    placed = [box.node for box in layout.boxes if box.node is not None]
    counted = [index for box in layout.boxes for index in box.hidden]
    assert sorted(placed + counted) == list(range(len(graph.nodes)))
    assert overlaps(layout) == []
    for box in layout.boxes:
        row = layout.rows[box.row]
        assert box.left >= layout.left - 1
        assert box.left + box.width <= layout.width + 1
        assert row.top - 1 <= box.top
        assert box.bottom <= row.bottom + 1
        size = TARGET_SIZE if row.kind == "target" else LABEL_SIZE
        assert text_width(box.text, size, bold=row.kind == "target") <= box.width
        if box.node is None:
            assert box.text.startswith(f"+{len(box.hidden)}")
    for below, above in pairwise(layout.rows):
        assert above.bottom < below.top
    for left, right in pairwise(layout.columns):
        assert left.left + left.width < right.left
    boxed = {graph.nodes[i].address for i in placed}
    for curve in layout.curves:
        edge = graph.edges[curve.edge]
        assert edge.source in boxed
        assert edge.target in boxed
    between = sum(edge.source in boxed and edge.target in boxed for edge in graph.edges)
    assert len(layout.curves) == min(between, MAX_CURVES)
    return layout


@settings(max_examples=20, deadline=None)
@given(sizes)
def test_any_graph_fits_its_page(graph):
    check(graph)
    assert lay_out(graph) == lay_out(graph)


@settings(max_examples=10, deadline=None)
@given(sizes)
def test_a_strong_edge_passes_behind_no_other_box(graph):
    layout = lay_out(graph)
    for curve in layout.curves[-STRONG:]:
        edge = graph.edges[curve.edge]
        ends = {edge.source, edge.target}
        # The upright pieces; bends lie in the channels between rows.
        for (x, y0), (x1, y1) in zip(curve.points[0:-1:4], curve.points[1::4], strict=True):
            if x != x1:
                continue
            low, high = sorted((y0, y1))
            for box in layout.boxes:
                if box.node is None or graph.nodes[box.node].address not in ends:
                    inside = box.left < x < box.left + box.width and box.top < high and low < box.bottom
                    assert not inside, (box.text, x)


@pytest.mark.parametrize("positions", [1, 9, 59])
def test_two_thousand_nodes_stay_readable(positions):
    graph = generated(2000, positions, ALL_SITES, seed=positions, late=0.3, per_child=2)
    layout = check(graph)
    assert layout.drawn_nodes >= 100
    assert layout.width <= 2200
    assert layout.height <= 2600


def test_rows_run_from_the_input_up_to_the_target():
    layout = lay_out(hand_made())
    assert [row.label for row in layout.rows] == ["token", "7", "7.attn_out", "7.mlp_out", "8", "target"]
    assert [row.top for row in layout.rows] == sorted((row.top for row in layout.rows), reverse=True)
    assert layout.rows[1].detail == "residual stream"


def test_resid_post_labels_name_their_rows():
    graph = dataclasses.replace(generated(20, 3, ("6", "7"), tokens=False), residual="resid_post", sites=("5", "6"))
    assert [row.label for row in lay_out(graph).rows] == ["5", "6", "target"]


def test_columns_are_positions_and_runs_without_nodes_fold_into_one():
    graph = hand_made()
    keep = [node.address for node in graph.nodes if node.address.position in (None, 2)]
    layout = lay_out(graph.restrict(keep))
    assert [(column.head, column.note) for column in layout.columns] == [("…", "2 more"), ("F6", "move 3")]
    assert layout.columns[0].positions == (0, 1)
    assert [column.is_target for column in layout.columns] == [False, True]


def test_the_strongest_nodes_of_a_full_cell_are_the_ones_drawn():
    nodes = [Node(Address("feature", hand_made().nodes[1].address.site, i, 2), -1.0 - i) for i in range(400)]
    graph = dataclasses.replace(hand_made(), nodes=tuple(nodes), edges=())
    layout = lay_out(graph)
    (chip,) = [box for box in layout.boxes if box.node is None]
    weakest_drawn = min(abs(nodes[box.node].effect) for box in layout.boxes if box.node is not None)
    assert chip.text == f"+{len(chip.hidden)}"  # no room for "more"
    assert all(abs(nodes[i].effect) < weakest_drawn for i in chip.hidden)


def test_nodes_of_every_position_spread_side_by_side():
    graph = without_positions(generated(40, 1, DEFAULT_SITES, seed=5, boards=False))
    layout = check(graph)
    assert [column.positions for column in layout.columns] == [(None,)]
    assert layout.drawn_nodes == len(graph.nodes)


def test_the_target_column_is_always_drawn():
    graph = generated(600, 59, DEFAULT_SITES, seed=3, late=0.0)
    target = next(column for column in lay_out(graph).columns if column.is_target)
    assert target.positions == (58,)
    assert not target.folded


def test_an_empty_graph_has_a_page():
    graph = dataclasses.replace(hand_made(), nodes=(), edges=())
    layout = lay_out(graph)
    assert layout.boxes == ()
    assert all(row.empty for row in layout.rows)


def test_lanes_are_ordered_so_that_edges_cross_little():
    """Two pairs, wired straight up, stay uncrossed whatever the order of the nodes."""
    from saecli.core.address import parse_address
    from saecli.core.graph import Edge

    a, b, c, d = (parse_address(i) for i in ("7:1@0", "7:2@0", "8:3@0", "8:4@0"))
    effects = {a: -1.0, b: -2.0, c: -4.0, d: -3.0}  # by effect alone, b–d and a–c would cross
    graph = dataclasses.replace(
        hand_made(),
        nodes=tuple(Node(address, effect) for address, effect in effects.items()),
        edges=(Edge(a, c, -1.0), Edge(b, d, -1.0)),
    )
    middle = {graph.nodes[box.node].address: box.middle for box in lay_out(graph).boxes if box.node is not None}
    assert (middle[a] - middle[b]) * (middle[c] - middle[d]) > 0
