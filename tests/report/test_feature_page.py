"""The page of a feature: complete in itself, safe whatever tokens and labels say, and linked in a real browser."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from saecli.core.evidence import Context, Evidence
from saecli.report.feature_page import Firing, Joined, Place, Shown, feature_page, features_page, histogram
from saecli.report.html import to_html
from saecli.report.shapes import Group, Rectangle
from tests.report.browser import BROWSER, Page
from tests.report.graphs import hand_made
from tests.report.test_page import Scripts

ATTACK = "</style><script>alert(1)</script><b title='\">&quot;"
BOARD = "...........................ox......xo..........................."
FIRING = Firing(1000, 30, 2.5, 4.0, (0.0, 1.0, 2.0, 3.0, 4.0), (4, 10, 15, 1))


def evidence(text: str = "D3") -> Evidence:
    game = Context((text, "C3", "F5"), (0.0, 4.0, 1.0), 1, 7, 2, BOARD)
    return Evidence(contexts=(game,), raises=(("D3", 2.0), (text, 1.0)), lowers=(("H8", -1.5),), near=(("6:2", 0.9),))


def shown(text: str = "D3 mine", **more: object) -> Shown:
    usual = Shown(
        name="5:54",
        label=text,
        about=f"mini · {text}",
        read="10 sequences of othello",
        firing=FIRING,
        evidence=evidence(text if text == ATTACK else "D3"),
        pages={"6:2": "6-2.html"},
        score="active-mean",
        upstream=[Joined("6:2", text, 1.5, 1.4, "6-2.html"), Joined("4:9", "", -0.5, None)],
        downstream=[Joined("7:1", text, None, None)],
        in_degree=30,
        out_degree=1,
        graph=hand_made(),
        graph_page="graph.html",
        circuits=[Place(text, "helps", "../trace-1/graph.html#node=5:54@2")],
        clusters=[Place("cluster 3", text, "../cooc-1/report.html#cluster=3")],
        after="6-2.html",
        index="index.html",
    )
    return replace(usual, **more)


@pytest.mark.parametrize("text", ["D3 mine", ATTACK], ids=["plain", "hostile"])
@pytest.mark.parametrize("which", ["feature", "index"])
def test_the_page_has_no_script_and_only_its_own_style(text, which):
    made = feature_page(shown(text)) if which == "feature" else features_page(text, text, [("5-54.html", shown(text))])
    page = Scripts(made)
    assert [kind for kind, _ in page.contents] == ["style"]
    policy = next(a["content"] or "" for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    digest = base64.b64encode(hashlib.sha256(page.contents[0][1].encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")
    for tag, attributes in page.elements:
        assert tag not in ("script", "b")
        assert not {"src", "style", "srcset", "action"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)


def test_the_same_feature_gives_the_same_text():
    assert feature_page(shown()) == feature_page(shown())


def test_bars_of_the_histogram_are_as_tall_as_their_counts():
    shapes, _, _ = histogram(FIRING)
    bars = [one.shapes[0] for one in shapes if isinstance(one, Group)]
    heights = [bar.height for bar in bars if isinstance(bar, Rectangle)]
    assert [height / heights[2] for height in heights[:3]] == pytest.approx([4 / 15, 10 / 15, 1])


@pytest.mark.parametrize("sign", [1, -1], ids=["active", "below-zero"])
def test_texts_are_shaded_by_activation_and_keep_their_blanks(sign):
    text = Context((" for", " ", "\n", "in"), (0.0, sign * 1.0, 0.0, sign * 2.0), 3, 4, 9)
    page = feature_page(shown(evidence=Evidence(contexts=(text,))))
    letter = "p" if sign > 0 else "n"
    tokens = re.findall(r'<span class="token ([^"]*)"[^>]*>([^<]*)</span>', page)
    assert tokens == [("", " for"), (f"{letter}4", "␣"), ("", "↵"), (f"{letter}8 at", "in")]
    assert "sequence 4, position 9" in page


def test_a_feature_that_never_fires_says_so_and_has_no_contexts():
    page = feature_page(
        shown(firing=Firing(1000, 0, 0.0, 0.0, (), ()), evidence=Evidence(), upstream=(), downstream=(), graph=None)
    )
    assert "never fires on the 1,000 tokens" in page
    assert "Fires most strongly" not in page
    assert "no feature is connected" in page


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
def test_in_a_browser_pages_lead_to_each_other_and_nothing_is_complained_of(tmp_path: Path):
    (tmp_path / "5-54.html").write_text(feature_page(shown(ATTACK)), encoding="utf-8")
    other = shown(name="6:2", before="5-54.html", after="", pages={"5:54": "5-54.html"})
    (tmp_path / "6-2.html").write_text(feature_page(other), encoding="utf-8")
    both = [("5-54.html", shown(ATTACK)), ("6-2.html", other)]
    (tmp_path / "index.html").write_text(features_page("two", "of mini", both), encoding="utf-8")
    with Page(tmp_path / "profile") as page:
        page.open((tmp_path / "index.html").as_uri())
        for selector, expected in (
            ("tbody a", "5-54.html"),
            ("#upstream tbody a", "6-2.html"),
            ("a[rel=prev]", "5-54.html"),
            ("nav a", "index.html"),
        ):
            address = page.eval(f"document.querySelector({selector!r}).href")
            assert address.endswith(expected)
            page.open(address)
        page.open((tmp_path / "5-54.html").as_uri())
        assert page.eval("document.querySelectorAll('.contexts svg').length") == 1
        assert page.eval("document.querySelector('#logits rect').getBoundingClientRect().width") > 0
        assert ATTACK.split("<b")[0] in page.eval("document.querySelector('h1').textContent")
        shade = "getComputedStyle(document.querySelector('.contexts .p8')).backgroundColor"
        assert page.eval(shade) == "rgb(111, 156, 201)"
        assert page.eval("document.documentElement.scrollWidth <= innerWidth")
        assert not page.complaints
        assert all(one.startswith(("file:", "data:", "about:")) for one in page.requests)


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
def test_in_a_browser_the_graph_leads_to_the_page_of_a_feature(tmp_path: Path):
    graph = hand_made()
    places = [node.address for node in graph.nodes if node.address.kind == "feature"]
    address = places[0]
    other = next(one for one in places if one.at(None) != address.at(None))
    pages = {graph.id_of(address.at(None)): "one.html"}
    (tmp_path / "graph.html").write_text(to_html(graph, None, pages), encoding="utf-8")
    with Page(tmp_path / "profile") as page:
        page.open((tmp_path / "graph.html").as_uri() + f"#node={graph.id_of(address)}")
        link = "[...document.querySelectorAll('a')].find((one) => one.textContent === 'Its own page')"
        assert page.eval(f"{link}.href").endswith("/one.html")
        other = next(
            n.address for n in graph.nodes if n.address.kind == "feature" and n.address.at(None) != address.at(None)
        )
        page.open((tmp_path / "graph.html").as_uri() + f"#node={graph.id_of(other)}")
        assert page.eval(f"{link} === undefined")
        assert not page.complaints
