"""``saecli view`` through the command line, on a tiny model with random dictionaries."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from saecli.core.site import Site
from saecli.data.sequences import open_sequences
from saecli.formats.graph_file import read_graph_file
from saecli.formats.suite import read_suite, write_suite
from tests.connect.suites import LATENTS, save_model_and_suite
from zoo.load import load_model

DATA = ("--model", "lm", "--data", "othello", "--sequences", "12")
DEAD = 5


class Links(HTMLParser):
    """The addresses that a page links to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs)["href"] or "")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model whose suite has one feature that never fires."""
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    folder = save_model_and_suite(tmp_path / "lm")
    suite = read_suite(folder / "suite", name="lm/suite")
    dictionaries = [suite[site] for site in suite]
    with torch.no_grad():
        dictionaries[0].W_enc_DF[:, DEAD] = 0
        dictionaries[0].b_enc_F[DEAD] = -1
    write_suite(type(suite).of(suite.info, dictionaries), folder / "suite")
    return tmp_path


def view(saecli, *argv: str) -> dict:
    done = saecli("view", "lm/suite", *argv, *DATA, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def connect(saecli, *argv: str) -> str:
    flags = ("--suite", "lm/suite", "--data", "othello", "--sequences", "12", "--device", "cpu")
    done = saecli("connect", "lm", *flags, *(argv or ("--c", "4")), "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)["run_directory"]


def test_a_page_counts_what_the_dictionary_does_on_the_data(here, saecli):
    document = view(saecli, "1.mlp_in:3")
    (row,) = document["features"]
    model, sequences = load_model("lm"), open_sequences("othello", 12)
    acts: list[float] = []
    for tokens_S, length in zip(sequences.tokens_BS.long(), sequences.lengths_B.tolist(), strict=True):
        site = Site(1, "mlp_in")
        run = model.run(tokens_S[None, :length], read={site})
        dictionary = read_suite(here / "lm" / "suite", name="lm/suite")[site]
        acts += dictionary.encode(run.sites[site][0])[:, 3].tolist()
    fired = [one for one in acts if one]
    assert (document["tokens"], row["active"]) == (len(acts), len(fired))
    assert row["frequency"] == pytest.approx(len(fired) / len(acts))
    assert row["mean"] == pytest.approx(sum(fired) / len(fired), rel=1e-5)
    assert row["strongest"] == pytest.approx(max(fired), rel=1e-5)
    page = (Path(document["run_directory"]) / row["page"]).read_text(encoding="utf-8")
    assert f"{len(fired):,} of {len(acts):,}" in page
    assert "1.mlp_in:3" in page


def test_a_feature_that_never_fires_gets_a_page_that_says_so(here, saecli):
    document = view(saecli, f"0.attn_out:{DEAD}")
    (row,) = document["features"]
    assert (row["active"], row["frequency"], row["strongest"]) == (0, 0, 0)
    assert "never fires" in (Path(document["run_directory"]) / row["page"]).read_text(encoding="utf-8")
    assert "never fires" in saecli("view", "lm/suite", f"0.attn_out:{DEAD}", *DATA).out


@pytest.mark.parametrize("site", ["0.mlp_in", "1.attn_out"])
def test_mean_contributions_are_the_active_means_that_connect_stores(here, saecli, site):
    run = connect(saecli, "--embed", "--logits", "--c", "8")
    every = f"{site}:" + ",".join(map(str, range(LATENTS)))
    document = view(saecli, every, "--connections", run, "--top", "1000")
    joined = [one for row in document["features"] for one in (*row["upstream"], *row["downstream"])]
    kinds = {one["feature"].partition(":")[0] for one in joined}
    assert {"token", "target", "0.attn_out", "1.mlp_in"} <= kinds
    for one in joined:
        assert one["mean"] == pytest.approx(one["score"], rel=1e-4, abs=1e-6)
    for row in document["features"]:
        assert (len(row["upstream"]), len(row["downstream"])) == (row["in_degree"], row["out_degree"])
        sizes = [abs(one["mean"]) for one in row["downstream"]]
        assert sizes == sorted(sizes, reverse=True)


def test_neighbours_get_pages_and_all_pages_are_linked_with_each_other(here, saecli):
    document = view(saecli, "1.mlp_in:3", "--connections", connect(saecli), "--neighbours", "2")
    folder = Path(document["run_directory"])
    first, *others = document["features"]
    assert [one["feature"] for one in others] == [one["feature"] for one in first["upstream"][:2]]
    pages = {one["feature"]: one["page"] for one in document["features"]}
    links = {name: Links((folder / page).read_text(encoding="utf-8")).found for name, page in pages.items()}
    for one in others:
        assert pages[one["feature"]] in links["1.mlp_in:3"]
        assert pages["1.mlp_in:3"] in links[one["feature"]]
        assert "index.html" in links[one["feature"]]
    assert set(pages.values()) <= set(Links((folder / "index.html").read_text(encoding="utf-8")).found)
    for found in links.values():
        assert all((folder / link).is_file() for link in found)
    graph, _ = read_graph_file(folder)
    edges = {(graph.id_of(edge.source), graph.id_of(edge.target)): edge.weight for edge in graph.edges}
    for one in first["upstream"]:
        assert edges[one["feature"], "1.mlp_in:3"] == -one["mean"]
    assert json.dumps(pages, separators=(",", ":"), sort_keys=True) in (folder / "graph.html").read_text(
        encoding="utf-8"
    )
    node = {graph.id_of(node.address): node for node in graph.nodes}["1.mlp_in:3"]
    assert node.activation == pytest.approx(first["mean"])


def test_circuits_and_clusters_that_have_the_feature_are_linked(here, saecli):
    traced = saecli("trace", "lm", "--suite", "lm/suite", "--game", "f5d6c3d3c4", "--json")
    assert traced.code == 0, traced.err
    folder = Path(json.loads(traced.out)["run_directory"])
    graph, _ = read_graph_file(folder)
    node = max((n for n in graph.nodes if n.address.kind == "feature"), key=lambda n: abs(n.effect))
    document = view(saecli, graph.id_of(node.address.at(None)))
    (row,) = document["features"]
    assert row["circuits"] == 1
    page = Path(document["run_directory"]) / row["page"]
    (link,) = [one for one in Links(page.read_text(encoding="utf-8")).found if "graph.html" in one]
    path, _, fragment = link.partition("#")
    assert (page.parent / path).resolve() == (folder / "graph.html").resolve()
    assert fragment == f"node={graph.id_of(node.address)}"
    again = view(saecli, graph.id_of(node.address.at(None)))
    assert again["reused"]
    silent = view(saecli, f"0.attn_out:{DEAD}")
    assert silent["features"][0]["circuits"] == 0


def test_clusters_that_have_the_feature_are_linked(here, saecli):
    counting = ("--suite", "lm/suite", "--kind", "mlp_in", "--layers", "1", "--data", "othello", "--sequences", "20")
    counted = saecli("cooc", "lm", *counting, "--edge-threshold", "0.05", "--json")
    assert counted.code == 0, counted.err
    folder = Path(json.loads(counted.out)["run_directory"])
    with (folder / "nodes.csv").open(encoding="utf-8", newline="") as file:
        clusters = {int(row["latent"]): int(row["cluster"]) for row in csv.DictReader(file)}
    latent = next(latent for latent, cluster in clusters.items() if cluster >= 0)
    (row,) = view(saecli, f"1.mlp_in:{latent}")["features"]
    assert (row["circuits"], row["clusters"]) == (0, 1)
    pages = Path("saecli-runs").glob("view-*/*.html")
    (link,) = [one for page in pages for one in Links(page.read_text(encoding="utf-8")).found if "report.html" in one]
    assert link == f"../{folder.name}/report.html#analysis=0&cluster={clusters[latent]}&latent={latent}"
    alone = [latent for latent, cluster in clusters.items() if cluster < 0]
    for one in alone[:1]:
        assert view(saecli, f"1.mlp_in:{one}")["features"][0]["clusters"] == 0


def test_the_page_of_a_run_is_told(here, saecli):
    document = view(saecli, "1.mlp_in:3")
    folder = document["run_directory"]
    assert saecli("view", folder).out.strip() == f"{folder}/1.mlp_in-3.html"
    told = saecli("view", folder, "--open", "--json")
    assert json.loads(told.out)["page"] == "1.mlp_in-3.html"
    assert "no terminal" in told.err
    assert saecli("view", f"{folder}/1.mlp_in-3.html").out.strip() == f"{folder}/1.mlp_in-3.html"


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("lm/suite", "1.mlp_in:12"), 3, "0 to 11"),
        (("lm/suite", "1:3"), 3, "no dictionary at 1"),
        (("no-such-suite", "1:3"), 2, "no-such-suite"),
        (("lm/suite",), 2, "neither a feature nor a run"),
        (("lm/suite", "lm", "1:3"), 2, "one suite"),
        (("lm/suite", "1.mlp_in:3", "--neighbours", "2"), 2, "has none"),
        (("lm/suite", "1.mlp_in:3", "--connections", "nowhere"), 3, "nowhere"),
        (("lm/suite", "1.mlp_in:3", "--labels", "nowhere.json"), 3, "nowhere.json"),
    ],
    ids=["index", "site", "suite", "nothing", "two-suites", "neighbours", "connections", "labels"],
)
def test_what_is_not_there_is_said_in_a_sentence(here, saecli, argv, code, words):
    done = saecli("view", *argv, *DATA)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert not list(Path("saecli-runs").glob("view-*"))


def test_connections_of_all_with_all_are_refused(here, saecli):
    connect(saecli, "--c", "all", "--out", "linked")
    done = saecli("view", "lm/suite", "1.mlp_in:3", *DATA, "--connections", "linked/connections-all.safetensors")
    assert done.code == 2
    assert "none stands out" in done.err
