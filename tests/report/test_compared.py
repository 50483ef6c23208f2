"""Two graphs in one picture: the same geometry as any graph's, colours for who has what."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from saecli.core.address import parse_address
from saecli.graph.difference import difference
from saecli.report.compared import Compared
from saecli.report.palette import HELPS, HURTS, shade
from tests.graph.test_merge import two
from tests.report.browser import BROWSER, Page


@pytest.fixture
def compared() -> Compared:
    """Two graphs of which the second lacks 7:7@1 and has 8:99@2."""
    first, second = two()
    found = difference(first, second)
    return Compared.of(
        first,
        dataclasses.replace(second, title="<b> & other"),
        {one: (pair.first, pair.second) for one, pair in found.nodes.items()},
        {ends: (pair.first, pair.second) for ends, pair in found.edges.items()},
        ("The targets differ.",),
    )


def test_the_union_has_the_larger_of_both_values(compared: Compared):
    effects = {str(node.address): node.effect for node in compared.graph.nodes}
    assert effects["8:331@2"] == -4.5
    assert effects["7:7@1"] == -0.0625
    assert effects["8:99@2"] == 1.0
    weights = {(str(e.source), str(e.target)): e.weight for e in compared.graph.edges}
    assert weights["7:5@0", "7.attn_out:9@2"] == -0.75
    assert weights["8:99@2", "target@2"] == 1.0


def test_colours_say_who_has_a_node(compared: Compared):
    words = compared.words()
    roles = {str(node.address): words.node_role(compared.graph, node) for node in compared.graph.nodes}
    assert (roles["7:7@1"], roles["8:99@2"], roles["8:331@2"]) == ("hurts", "helps", "")
    index = next(i for i, node in enumerate(compared.graph.nodes) if node.address == parse_address("8:331@2"))
    assert words.describe(compared.graph, index).endswith("effect in A −1.50, in B −4.50")
    assert [entry.text for entry in words.legend(compared.graph)] == [
        "only in A (1 nodes)", "only in B (1)", "in both (10)",
    ]  # fmt: skip


def test_every_file_is_made_and_text_stays_text(compared: Compared):
    files = compared.files()
    assert list(files) == ["diff.svg", "diff.png", "diff.html"]
    assert files["diff.png"].startswith(b"\x89PNG")
    page, picture = files["diff.html"].decode(), files["diff.svg"].decode()
    assert "<b>" not in page
    assert "<b>" not in picture
    for text in (page, picture):
        assert "The targets differ." in text
        assert "only in B (1)" in text
    fills = re.findall(r'<g class="node" data-key="n\d+">\s*<title>(.*?) ·.*?fill="(#\w+)"', picture, re.DOTALL)
    by_id = dict(fills)
    assert by_id["8:99@2"].lower() != by_id["7:7@1"].lower()
    assert by_id["8:331@2"] == shade(None, 1.0)
    assert {HELPS, HURTS} & set(re.findall(r'stroke="(#\w+)"', picture))


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
def test_the_page_is_seen(compared: Compared, tmp_path: Path):
    (tmp_path / "diff.html").write_bytes(compared.files()["diff.html"])
    with Page(tmp_path / "profile") as page:
        page.open((tmp_path / "diff.html").as_uri())
        assert page.eval("document.querySelectorAll('main .node').length") == 13
        assert "only in A (1 nodes)" in page.eval("document.querySelector('.legend').innerText")
        assert page.complaints == []
