"""SVG and PNG: the same picture, with words that say what it means, safe whatever the labels hold."""

from __future__ import annotations

import dataclasses
import io
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from saecli.report.board import board_shapes, squares_in
from saecli.report.captions import headline, scale_note
from saecli.report.palette import HELPS, HURTS, INK
from saecli.report.picture import MARGIN, draw
from saecli.report.place import lay_out
from saecli.report.png import to_png
from saecli.report.shapes import Rectangle, Text
from saecli.report.svg import to_svg
from tests.report.graphs import ALL_SITES, DEFAULT_SITES, generated, hand_made, hostile, without_positions

SVG = "{http://www.w3.org/2000/svg}"


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own text


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in parse(svg).iter(f"{SVG}text")]


def test_the_picture_asks_the_question_and_says_how_much_of_the_answer_it_holds():
    found = texts(to_svg(hand_made()))
    assert found[0] == "othello-mini · why F5?"
    assert found[1] == "Gradient attribution: 9 of 120 active nodes carry 82 % of the absolute effect"
    assert "helps the target (removing it lowers the metric)" in found
    assert "hurts the target (removing it raises the metric)" in found
    assert "dashed: what no dictionary explains (12 % of the effect)" in found
    assert any(text.startswith("Metric logit-over-illegal: Logit of F5 minus") for text in found)
    assert not any(text.startswith("Drawn:") for text in found)


def test_the_legend_follows_the_direction_of_the_metric():
    graph = hand_made()
    flipped = dataclasses.replace(graph, metric=dataclasses.replace(graph.metric, direction=-1, name="ce"))
    assert "helps the target (removing it raises the metric)" in texts(to_svg(flipped))
    fills = [[node[1].get("fill") for node in groups(to_svg(g), "node")] for g in (graph, flipped)]
    assert fills[0] != fills[1]


def test_edges_of_ablation_are_labelled_as_changes_of_activations():
    found = texts(to_svg(without_positions(generated(20, 1, DEFAULT_SITES, boards=False))))
    assert "edge: change of downstream activation; raises it (removing lowers it)" in found
    assert "lowers it (removing raises it)" in found
    assert "edge: the part of the effect that passes directly" not in found


def edge_widths(svg: str) -> dict[str, str]:
    paths = [path for path in parse(svg).iter(f"{SVG}path") if "data-key" in path.keys()]  # noqa: SIM118
    return {path.attrib["data-key"]: path.attrib["stroke-width"] for path in paths}


def test_edges_into_the_target_are_scaled_apart_from_changes_of_activations():
    """Weights a thousand times larger between features leave the edges into the target as wide as before."""
    graph = dataclasses.replace(hand_made(), edge_meaning="activation")
    into = {i for i, edge in enumerate(graph.edges) if edge.target.kind == "target"}
    loud = dataclasses.replace(
        graph,
        edges=tuple(
            e if i in into else dataclasses.replace(e, weight=1000 * e.weight) for i, e in enumerate(graph.edges)
        ),
    )
    widths = [edge_widths(to_svg(g)) for g in (graph, loud)]
    assert len(widths[0]) == len(graph.edges)
    assert widths[0] == widths[1]
    found = texts(to_svg(loud))
    assert "edge into the target: change of the metric, helps or hurts it" in found
    note = scale_note(loud, lay_out(loud))
    assert note.endswith("widest edge 1,000 (activation), widest edge into the target 1.50")


def test_a_large_graph_says_how_much_of_it_is_drawn():
    graph = generated(2000, 59, ALL_SITES, seed=2, late=0.3, per_child=2)
    layout = lay_out(graph)
    (line,) = [text for text in texts(to_svg(graph, layout)) if text.startswith("Drawn:")]
    assert f"{layout.drawn_nodes:,} of 2,001 nodes" in line
    assert f"{len(layout.curves):,} of {len(graph.edges):,} edges" in line


def groups(svg: str, role: str) -> list[ET.Element]:
    return [element for element in parse(svg).iter(f"{SVG}g") if element.get("class") == role]


def test_nodes_are_coloured_by_what_they_do_and_named_on_hover():
    nodes = {group[0].text.split(" · ")[0]: group for group in groups(to_svg(hand_made()), "node")}
    assert len(nodes) == 12
    strongest, error, target = nodes["8:331@2"], nodes["7.mlp_out:error@2"], nodes["target@2"]
    assert strongest[0].text == "8:331@2 · F5 legal .88 · effect −1.50, helps · activation 3.00"
    assert strongest[1].get("fill") == HELPS
    assert error[1].get("stroke-dasharray")
    assert "hurts" in error[0].text
    assert target[1].get("fill") == INK
    assert target[2].text == "F5\N{EN SPACE}+4.12"
    assert nodes["7.mlp_out:44@2"][2].text == "44"
    assert nodes["token:19@0"][2].text == "D3"


def test_the_strongest_edge_is_the_widest_and_drawn_last():
    paths = [p for p in parse(to_svg(hand_made())).iter(f"{SVG}path") if p.get("data-key")]
    widths = [float(path.get("stroke-width") or 0) for path in paths]
    assert widths == sorted(widths)
    assert paths[-1].get("data-key") == "e0"
    assert {path.get("stroke") for path in paths} == {HELPS, HURTS}


def test_boards_mark_the_move_and_the_target():
    boards = groups(to_svg(hand_made()), "board")
    assert len(boards) == 3
    rings = [[r for r in board.iter(f"{SVG}rect") if r.get("stroke") == HELPS] for board in boards]
    assert [len(ring) for ring in rings] == [0, 0, 1]
    assert len(list(boards[0].iter(f"{SVG}circle"))) == 4 + 1  # four stones and the dot of the move
    assert squares_in("F5 over C3") == [37, 18]
    assert squares_in("8:331@19") == []


@pytest.mark.parametrize("graph", [hand_made(), hostile()], ids=["plain", "hostile"])
def test_svg_is_well_formed_and_repeats_to_the_byte(graph):
    svg = to_svg(graph)
    parse(svg)
    assert svg == to_svg(graph)
    assert "<script" not in svg
    assert not re.search(r"(href|style|on\w+)=", svg)


def test_a_hostile_label_shows_as_text():
    shown = headline(hostile())
    assert "<script>alert(1)</script>" in shown
    assert any(text.startswith("why </script><script>alert(1)</script>") for text in texts(to_svg(hostile())))


def test_png_repeats_to_the_byte_and_carries_no_metadata():
    graph = hand_made()
    data = to_png(graph)
    assert data == to_png(graph)
    chunks = re.findall(rb"(tEXt|iTXt|zTXt|tIME|eXIf)", data[:200])
    assert chunks == []


def test_png_ignores_the_readers_own_matplotlib_settings():
    import matplotlib

    expected = to_png(hand_made(), scale=1)
    with matplotlib.rc_context({"font.size": 30, "text.antialiased": False, "path.sketch": (5, 50, 2)}):
        assert to_png(hand_made(), scale=1) == expected


def test_png_shows_what_the_svg_shows():
    """Every box of the SVG has its fill at the same place of the PNG."""
    graph = generated(60, 8, DEFAULT_SITES, seed=1, tokens=True)
    layout = lay_out(graph)
    picture = draw(graph, layout)
    image = np.asarray(Image.open(io.BytesIO(to_png(graph, layout, scale=2))).convert("RGB"))
    assert image.shape[:2] == (round(picture.height * 2), round(picture.width * 2))
    top = picture.shapes[1].shift[1]
    rectangles = [group[1] for group in groups(to_svg(graph, layout), "node")]
    assert len(rectangles) == layout.drawn_nodes
    for rectangle in rectangles:
        x, y, height = (float(rectangle.get(name) or 0) for name in ("x", "y", "height"))
        fill = rectangle.get("fill") or ""
        seen = image[round(2 * (y + top + height / 2)), round(2 * (x + MARGIN + 3))]
        wanted = [int(fill[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.abs(seen.astype(int) - wanted).max() <= 2


def test_a_hostile_graph_becomes_a_png():
    assert to_png(hostile(), scale=0.5).startswith(b"\x89PNG")


def test_chess_is_drawn_with_its_pieces_and_white_below():
    board = "....K" + "." * 58 + "k"
    texts = [shape for shape in board_shapes(board, 0, 0, 80) if isinstance(shape, Text)]
    assert [(one.text, round(one.x), round(one.y)) for one in texts] == [("♔", 45, 78), ("♚", 75, 8)]
    squares = [shape for shape in board_shapes(board, 0, 0, 80) if isinstance(shape, Rectangle)]
    assert (0, 70) in [(one.left, one.top) for one in squares[1:]]  # a1 is dark
    assert len(squares) == 1 + 32
