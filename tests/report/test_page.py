"""The HTML page: self-contained, safe, and usable with pointer, keyboard and address bar in a real browser."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from saecli.core.address import parse_address
from saecli.core.evidence import Context, Evidence
from saecli.core.graph import FeatureGraph
from saecli.report.html import to_html
from tests.report.browser import BROWSER, Page
from tests.report.graphs import ALL_SITES, START, generated, hand_made, hostile


class Scripts(HTMLParser):
    """What a browser sees of a page: elements, their attributes, and what scripts and styles contain."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.contents: list[tuple[str, str]] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = f"{tag} {dict(attrs).get('type') or ''}".strip()

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside.startswith(("script", "style")):
            self.contents.append((self._inside, data))


@pytest.mark.parametrize("graph", [hand_made(), hostile()], ids=["plain", "hostile"])
def test_the_page_loads_nothing_and_runs_only_its_own_script(graph):
    page = Scripts(to_html(graph))
    assert [kind for kind, _ in page.contents] == ["style", "script application/json", "script"]
    policy = next(a["content"] or "" for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'; ")
    for kind, text in page.contents[::2]:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    for _, attributes in page.elements:
        assert not {"src", "style", "srcset", "action"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href") in (None, "data:,")
    data = page.contents[1][1]
    assert not re.search("[<>&\u2028\u2029]", data)
    assert len(json.loads(data)["nodes"]) == len(graph.nodes)


def test_the_page_knows_every_node_drawn_or_not():
    graph = generated(900, 59, ALL_SITES, seed=1, per_child=1)
    data = json.loads(Scripts(to_html(graph)).contents[1][1])
    assert [node["id"] for node in data["nodes"]] == [graph.id_of(node.address) for node in graph.nodes]
    assert len(data["edges"]) == len(graph.edges)
    assert sum(len(chip["nodes"]) for chip in data["chips"]) > 0


# --- in a browser -----------------------------------------------------------------------------------------------------

in_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    graphs = {
        "plain": hand_made(),
        "ablation": dataclasses.replace(hand_made(), edge_meaning="activation"),
        "hostile": hostile(),
        "told": told(),
        "large": generated(2000, 59, ALL_SITES, seed=2, late=0.3, per_child=4),
    }
    for name, graph in graphs.items():
        (folder / f"{name}.html").write_text(to_html(graph), encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in graphs}


@pytest.fixture(scope="module")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(Path(tmp_path_factory.mktemp("profile"))) as page:
        yield page


@pytest.fixture
def browser(one_browser: Page, pages: dict[str, str]) -> Iterator[Page]:
    """The browser, which after the test must have nothing to complain about and have loaded nothing else."""
    yield one_browser
    assert one_browser.complaints == []
    assert {address.partition("#")[0] for address in one_browser.requests} <= {*pages.values(), "about:blank"}


def panel(page: Page) -> str:
    return page.eval("document.querySelector('#details').innerText")


def told() -> FeatureGraph:
    """The hand-made graph, with what is known of a feature, also of another site, and a group."""
    context = Context(("if", " <b>", "\n"), (0.0, 2.5, -1.0), 1, 17, 3)
    move = Context(("D3", "C5", "F6"), (0.0, 2.5, 1.0), 1, 17, 3, START)
    features = {
        "8:331": Evidence((context,), ((" else", 2.0),), (("x", -1.5),), (("7.mlp_out:44", 0.9), ("8:1", 0.5)), "ifs"),
        "7:5": Evidence((move,), (("F5", 2.0), ("F6", 1.0)), (("C3", -1.5),)),
    }
    return dataclasses.replace(
        hand_made(),
        features={parse_address(name): one for name, one in features.items()},
        supernodes={"late": tuple(map(parse_address, ("8:331@2", "8:17@2")))},
    )


class TestInABrowser:
    pytestmark = in_browser

    def test_the_address_chooses_a_node_and_sets_the_sliders(self, browser, pages):
        browser.open(f"{pages['plain']}#node=7.attn_out:9@2&edges=50")
        seen = panel(browser)
        assert seen.startswith("D6 flips .84")
        assert "7.attn_out:9@2" in seen
        assert "@2 F6 · move 3" in seen
        assert "−0.500 helps" in seen
        assert "Comes from, helps (2)" in seen
        assert "Comes from, hurts (1)" in seen
        assert "Goes to, helps (2)" in seen
        assert browser.eval("document.querySelectorAll('#details svg.board circle').length") == 5
        assert browser.eval("document.querySelectorAll('.node.chosen').length") == 1
        assert browser.eval("document.querySelectorAll('.edges path.on').length") == 5
        assert browser.eval("document.querySelector('#edges').value") == "50"
        assert browser.eval("document.querySelector('#edges-shown').textContent") == "≥ 0.400: 6 of 12"

    def test_edges_of_ablation_change_activations_and_those_into_the_target_the_metric(self, browser, pages):
        browser.open(f"{pages['ablation']}#node=8:331@2&edges=50")
        seen = panel(browser)
        assert "Comes from, raises (2)" in seen
        assert "Goes to, helps (1)" in seen
        assert browser.eval("document.querySelector('#edges-shown').textContent") == "≥ 33 %: 6 of 12"

    def test_a_click_chooses_and_the_panel_leads_on(self, browser, pages):
        browser.open(pages["plain"])
        assert "Strongest nodes" in panel(browser)
        browser.click('[data-key="n1"] rect')
        assert panel(browser).startswith("F5 legal .88")
        assert browser.eval("location.hash") == "#node=8:331@2"
        browser.click('#details [data-node="7.mlp_out:44@2"]')
        assert panel(browser).startswith("44")
        browser.press("Escape")
        assert "Strongest nodes" in panel(browser)
        assert browser.eval("location.hash") == ""

    def test_hovering_shows_the_node_and_its_strongest_edges(self, browser, pages):
        browser.open(pages["plain"])
        browser.mouse("Moved", '[data-key="n1"] rect')
        tip = browser.eval("document.querySelector('#tip').innerText")
        assert tip.split("\n")[:3] == ["F5 legal .88", "8:331@2 · activation 3.00", "effect −1.50 helps"]
        assert "← 44 −1.00" in tip
        assert "→ F5" in tip
        assert browser.eval("document.querySelector('#picture').classList.contains('lit')")
        browser.mouse("Moved", "h1")
        assert browser.eval("document.querySelector('#tip').hidden")

    def test_the_keyboard_alone_is_enough(self, browser, pages):
        browser.open(pages["plain"])
        for key in ("/", "B", "4"):
            browser.press(key)
        assert panel(browser).startswith("1 of 12 nodes match")
        browser.press("Enter")
        assert panel(browser).startswith("B4 empty .95")
        browser.eval("document.querySelector('.node.chosen').focus()")
        browser.press("ArrowDown")
        assert browser.eval("document.activeElement.getAttribute('aria-label')").startswith("7.mlp_out:error@2")
        browser.press("Enter")
        assert panel(browser).startswith("error")
        before = browser.eval("document.querySelector('#picture').getAttribute('viewBox')")
        browser.press("+")
        assert browser.eval("document.querySelector('#picture').getAttribute('viewBox')") != before

    def test_the_wheel_zooms_and_dragging_pans(self, browser, pages):
        browser.open(pages["plain"])
        view = "document.querySelector('#picture').viewBox.baseVal"
        width = browser.eval(f"{view}.width")
        browser.mouse("Wheel", "#stage", deltaX=0, deltaY=-200)
        assert browser.eval(f"{view}.width") < width
        top = browser.eval(f"{view}.y")
        browser.mouse("Pressed", "#stage", button="left", buttons=1, clickCount=1)
        browser.mouse("Moved", "h1", button="left", buttons=1)
        browser.mouse("Released", "h1", button="left", clickCount=1)
        assert browser.eval(f"{view}.y") > top

    def test_attacks_in_labels_stay_text(self, browser, pages):
        browser.open(f"{pages['hostile']}#node=8:331@2&q=alert")
        assert "</script><script>alert(1)</script>" in panel(browser)
        assert browser.eval("document.scripts.length") == 2
        assert browser.eval("document.querySelectorAll('#details b, #tip b, h1 b').length") == 0

    def test_two_thousand_nodes(self, browser, pages):
        browser.open(pages["large"])
        hidden = browser.eval(
            "(() => { const d = JSON.parse(document.querySelector('#data').textContent);"
            " return d.nodes[d.chips[0].nodes[0]].id; })()"
        )
        browser.eval(f"location.hash = '#node={hidden}'")
        assert "Has no box of its own" in panel(browser)
        assert browser.eval("document.querySelectorAll('.chip.chosen').length") == 1
        browser.press("Escape")
        browser.click(".chip rect")
        assert "nodes without a box" in panel(browser)
        browser.open(f"{pages['large']}#nodes=90")
        assert browser.eval("document.querySelectorAll('.node.off').length") > 100

    def test_a_chosen_feature_tells_what_is_known_of_it(self, browser, pages):
        browser.open(f"{pages['told']}#node=8:331@2&merge=0")
        seen = panel(browser)
        for part in ("Neuronpedia says", "ifs", "Fires most strongly", "if <b>↵", "2.50 · sequence 17, position 3"):
            assert part in seen
        assert " else" in seen.partition("raises")[2].partition("lowers")[0]
        tokens = browser.eval(
            "[...document.querySelectorAll('.context .token')].map((t) => getComputedStyle(t).backgroundColor)"
        )
        assert len(set(tokens)) == 3  # silent, for and against
        assert tokens[0] == "rgba(0, 0, 0, 0)"
        browser.eval("document.querySelector('.near button').click()")
        assert panel(browser).startswith("44")
        browser.eval("location.hash = '#node=7:5@0&merge=0'; new Promise((done) => setTimeout(done, 50))")
        seen = panel(browser)
        assert "sequence 17, move 4" in seen
        assert browser.eval("document.querySelectorAll('.contexts .board circle').length") >= 4
        assert browser.eval("document.querySelectorAll('.beside .board').length") == 1

    def test_groups_of_the_graph_are_one_box_with_sums_of_edges(self, browser, pages):
        browser.open(f"{pages['told']}#group=late")
        seen = panel(browser)
        assert seen.startswith("late")
        assert "2 nodes" in seen
        assert "−1.00 helps" in seen  # −1.5 + 0.5
        rows = dict(re.findall(r"^(.*?)\n([+−][0-9.]+)$", seen.partition("Comes from")[2], re.M))
        assert rows["7.mlp_out:44@2"] == "−1.00"
        assert rows["D6 flips .84 (7.attn_out:9@2)"] == "−0.500"  # −0.4 − 0.1
        assert rows["7.mlp_out:error@2"] == "+0.250"
        assert browser.eval("document.querySelector('[data-key=s0] text').textContent") == "late ×2"
        hidden = "getComputedStyle(document.querySelector('.node[data-key=n1]')).display"
        assert browser.eval(hidden) == "none"
        browser.click("#merge")
        assert browser.eval(hidden) != "none"
        assert browser.eval("location.hash") == "#merge=0"

    def test_nodes_are_grouped_by_hand_kept_in_the_address_and_saved(self, browser, pages):
        browser.open(pages["plain"])
        assert browser.eval("document.querySelector('#save').hidden")
        for key in ("n3", "n8"):
            browser.mouse("Pressed", f"[data-key={key}] rect", button="left", clickCount=1, modifiers=8)
            browser.mouse("Released", f"[data-key={key}] rect", button="left", clickCount=1, modifiers=8)
        assert panel(browser).startswith("2 nodes selected")
        browser.eval("document.querySelector('#group-name').focus()")
        for letter in "a b":
            browser.press(letter)
        browser.press("Enter")
        assert panel(browser).startswith("a b")
        address = browser.eval("location.href")
        browser.open(address)
        assert panel(browser).startswith("a b")
        browser.eval("URL.createObjectURL = (blob) => { window.saved = blob; return '#'; }; 1")
        browser.click("#save")
        saved = json.loads(browser.eval("window.saved.text()"))
        assert saved["schema"] == "saecli.supernodes/1"
        assert saved["supernodes"] == {"a b": ["7.mlp_out:44@2", "7:6@1"]}
        browser.open(address)
        browser.click("#ungroup")
        assert browser.eval("document.querySelectorAll('.super').length") == 0

    def test_nodes_of_one_label_become_one(self, browser, pages):
        browser.open(pages["plain"])
        browser.click("#by-label")
        assert browser.eval("location.hash") == "#groups=label"
        assert browser.eval("[...document.querySelectorAll('.super text')].map((t) => t.textContent)") == [
            "E6 mine .91 ×2"
        ]
        browser.open(browser.eval("location.href"))
        browser.click(".super")
        seen = panel(browser)
        assert "−0.750" in seen.partition("Goes to")[2]
        assert "−0.250" in seen.partition("Goes to")[2]

    def test_keys_select_nodes_for_a_group(self, browser, pages):
        browser.open(pages["plain"])
        for key in ("n1", "n4"):
            browser.eval(f"document.querySelector('[data-key={key}]').focus()")
            browser.press("s")
        assert panel(browser).startswith("2 nodes selected")
        browser.press("s")
        assert panel(browser).startswith("1 node selected")
        browser.press("Escape")
        assert "selected" not in panel(browser)
