"""Explanations from Neuronpedia: a real server of its API on the loopback, and every way in which it may not answer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from saecli.core.errors import UsageError
from saecli.core.graph import FeatureGraph
from saecli.core.site import Site
from saecli.features.neuronpedia import VARIABLE, Neuronpedia
from saecli.formats.saelens import to_files
from tests.trace.conftest import make_tiny
from zoo.explained import name_of
from zoo.index import find_release
from zoo.load import load_suite

NAME = "gpt2-small/8-res_post_128k-oai"


class Handler(BaseHTTPRequestHandler):
    """Feature n: 0 is explained; the others go wrong, each in its own way."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        feature = self.path.rpartition("/")[2]
        feature = "0" if int(feature) > 9 and int(feature) % 2 else feature
        body = {
            "0": json.dumps({"explanations": [{"description": " "}, {"description": "words\n of <joy>"}]}),
            "1": "not json",
            "2": json.dumps({"explanations": []}),
            "3": json.dumps({"explanations": "what"}),
            "4": json.dumps([1]),
        }.get(feature)
        if feature == "6":
            time.sleep(1.0)
        self.send_response(404 if feature == "5" else 200)
        self.end_headers()
        self.wfile.write((body or "{}").encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


class Told:
    """Keeps what is told."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def __call__(
        self,
        label: str,
        done: float | None = None,
        total: float | None = None,
        detail: str = "",
        table: Sequence[Sequence[str]] = (),
    ) -> None:
        self.lines.append(label)


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def test_an_explanation_is_asked_for_once(server: str, tmp_path: Path):
    client = Neuronpedia(tmp_path, server=server)
    told: list[str] = []
    for _ in range(2):
        found = client.explain([(NAME, [0])], Told(told))
        assert found == {(NAME, 0): "words of <joy>"}
    assert Handler.asked == [f"/api/feature/{NAME}/0"]
    assert set(told) == {"asking Neuronpedia"}


@pytest.mark.parametrize(
    ("feature", "why"),
    [
        (1, "its answer is not JSON"),
        (2, "it has none"),
        (3, "its answer is no feature"),
        (4, "it has none"),
        (5, "it does not know them"),
        (6, "it did not answer in time"),
    ],
)
def test_what_is_not_answered_is_missing_with_one_line(server: str, tmp_path: Path, feature: int, why: str):
    told: list[str] = []
    client = Neuronpedia(tmp_path, timeout=0.3, server=server)
    assert client.explain([(NAME, [feature])], Told(told)) == {}
    lines = [line for line in told if line != "asking Neuronpedia"]
    assert lines == [f"Neuronpedia gave no explanation of 1 of 1 features: {why}."]
    assert not list(tmp_path.rglob("*.json"))


def test_a_server_that_is_not_there_is_given_up(tmp_path: Path):
    told: list[str] = []
    client = Neuronpedia(tmp_path, timeout=0.3, server="http://127.0.0.1:9")
    assert client.explain([(NAME, range(40))], Told(told)) == {}
    assert told[-1] == "Neuronpedia gave no explanation of 40 of 40 features: it cannot be reached."


def test_a_damaged_copy_is_asked_for_again(server: str, tmp_path: Path):
    client = Neuronpedia(tmp_path, server=server)
    client.explain([(NAME, [0])])
    (path,) = tmp_path.rglob("*.json")
    path.write_text("{")
    assert client.explain([(NAME, [0])]) == {(NAME, 0): "words of <joy>"}
    assert len(Handler.asked) == 2


@pytest.mark.parametrize("server", ["http://example.org", "file:///etc", "ftp://127.0.0.1"])
def test_no_other_address_is_asked(tmp_path: Path, server: str):
    with pytest.raises(UsageError, match="begins with https"):
        Neuronpedia(tmp_path, server=server)


def test_the_suite_is_called_by_its_own_name():
    site = Site(6, "resid_post")
    release = find_release("gpt2-small-resid-post-v5-128k")
    assert release is not None
    assert name_of(site, release[1].labels, "gpt2-small/6-res-jb") == "gpt2-small/6-res_post_128k-oai"
    assert name_of(site, "gpt2-small/{layer}-res_fs*-jb", "gpt2-small/6-res_fs768-jb") == "gpt2-small/6-res_fs768-jb"
    assert name_of(site, "", "gpt2-small") == ""


def test_explanations_are_labels_of_a_trace(saecli, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, server)
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    tiny = make_tiny(tmp_path / "tiny", "ascii", 128)
    suite = load_suite(str(tiny))
    (site,) = suite.resolve("1", ("resid_pre",))
    for name, data in to_files(suite[site], neuronpedia_id="tiny/1-res").items():
        (tmp_path / "sae").mkdir(exist_ok=True)
        (tmp_path / "sae" / name).write_bytes(data)
    call = ("trace", str(tiny), "--suite", "sae", "--prompt", "a cat sat", "--keep", "1")
    done = saecli(*call, "--explanations", "neuronpedia", "--out", "run")
    assert done.code == 0, done.err
    graph = FeatureGraph.from_json(json.loads((tmp_path / "run" / "graph.json").read_text()))
    assert {one.partition("/api/feature/")[2].rpartition("/")[0] for one in Handler.asked} == {"tiny/1-res"}
    assert len(Handler.asked) == len(set(Handler.asked)) == len(graph.features)
    assert "Neuronpedia gave no explanation of" in done.err
    labels = {node.address.index or 0: node.label for node in graph.nodes if node.address.kind == "feature"}
    explained = {feature: label for feature, label in labels.items() if feature > 9 and feature % 2}
    assert explained
    assert set(explained.values()) == {"words of <joy>"}
    before = len(Handler.asked)
    done = saecli("trace", str(tiny), "--prompt", "a cat sat", "--explanations", "neuronpedia", "--out", "other")
    assert done.code == 0, done.err
    assert "Neuronpedia does not show" in done.err
    assert len(Handler.asked) == before
