"""Graphs that are damaged anywhere are refused in one sentence, or everything that reads a graph can work with them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saecli.core.errors import SaecliError
from saecli.core.result import to_json
from saecli.formats.graph_file import read_graph_file
from saecli.formats.neuronpedia_write import to_document
from saecli.graph.config import PruneConfig, ShowConfig
from saecli.graph.merge import merge
from saecli.graph.prune import prune
from saecli.graph.show import shown
from saecli.report.dot import to_dot
from saecli.report.graphml import to_graphml
from saecli.report.tables import edges_csv, nodes_csv
from tests.report.graphs import hand_made

JUNK: list[Any] = [
    *(None, True, -1, 0, 3.5, 1e308, 10**30, 10**400, float("nan"), float("inf"), -5, 1e-300),
    *("", "x", "7:5@2", "target@2", "1:error@3", "7:5@99999999999", "2.attn_out:3@1", "\ud800", "ᛃ"),
    *([], {}, [1], {"a": 1}, [[]]),
]


EVIDENCE = {
    "contexts": [{"tokens": ["a", "b"], "values": [0.0, 1.5], "at": 1, "sequence": 3, "position": 7, "board": None}],
    "explanation": "an ending",
    "raises": [["F5", 1.0]],
    "lowers": [["A1", -2.0]],
    "near": [["7:9", 0.5]],
}


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Paths to everything in a document."""
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A document of ours or of circuit-tracer with one to three changes anywhere, perhaps cut off."""
    graph = hand_made()
    known = {**graph.to_json(), "features": {"7:5": EVIDENCE}}
    document = copy.deepcopy(draw(st.sampled_from([known, to_document(graph)])))
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(list(places(document))))
        parent = document
        for key in above:
            parent = parent[key]
        if draw(st.integers(0, 9)) < 8:
            parent[last] = draw(st.sampled_from(JUNK))
        else:
            del parent[last]
        if not document:
            break
    text = json.dumps(document)
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 9)) == 0 else text


def refused(work: Callable[[], object]) -> str:
    """The one sentence with which something is refused; empty if it is not."""
    try:
        work()
    except SaecliError as error:
        assert "\n" not in str(error)  # noqa: PT017 (any other error fails the test)
        return str(error)
    return ""


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=damaged())
def test_it_is_refused_or_everything_works(text: str, tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_text(text)
    strict = refused(lambda: read_graph_file(path))
    if refused(lambda: read_graph_file(path, flawed=True)):
        assert strict
        return
    graph, kind = read_graph_file(path, flawed=True)
    json.dumps(to_json(shown(graph, kind, ShowConfig())), allow_nan=False)
    if strict:  # shown with what is wrong with it, and refused by all others
        assert "is no circuit" in strict
        return
    prune(graph, PruneConfig(top_nodes=2, connected=True)).dumps().encode()
    for made in (to_dot(graph), to_graphml(graph), nodes_csv(graph), edges_csv(graph), graph.dumps()):
        assert made
    refused(lambda: json.dumps(to_document(graph), allow_nan=False))
    refused(lambda: merge([graph, graph]).dumps())
