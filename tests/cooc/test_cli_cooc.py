"""``saecli cooc`` through the command line, on a tiny model with dictionaries of random directions."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from saecli.cli.app import run
from saecli.cooc import files
from saecli.core.codes import Codes, encode_documents
from saecli.core.site import Site
from saecli.data.sequences import open_sequences
from saecli.formats.cooc_h5 import read_h5
from saecli.formats.cooccurrence import read_pairs
from saecli.formats.cooccurrence_npz import read_dense
from saecli.formats.subspaces import read_subspace
from tests.f1.suites import D, save_model, save_suite
from tests.processes import run_ranks

LATENTS = 4 * D
FEW = ("--sequences", "40", "--device", "cpu", "--threads", "1")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    if "drawn" not in request.node.name:
        monkeypatch.setattr(files, "analysis_figures", lambda *_: ())
        monkeypatch.setattr(files, "effects_figures", lambda *_: {})
    save_model(tmp_path / "lm", "othello")
    save_suite(tmp_path / "sae", tmp_path / "lm")
    return tmp_path


def cooc(saecli, *argv: str) -> dict:
    done = saecli("cooc", "lm", "--suite", "sae", *FEW, *argv, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def fires(here: Path, site: str = "1.resid_pre") -> np.ndarray:
    """bool [T, F]: which latents fire on which tokens, the plain way."""
    from zoo.load import load_model, load_suite

    found = open_sequences("othello", 40)
    batches = [(found.tokens_BS.long(), found.lengths_B)]
    at = Site.parse(site)
    codes = Codes.join(
        list(encode_documents(load_model(str(here / "lm")), load_suite(str(here / "sae")), [at], batches))
    )
    return codes.sites[at].dense(LATENTS).numpy() > 0


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(encoding="utf-8")))


def test_counts_are_those_of_the_plain_way_and_every_table_says_the_same(here, saecli):
    document = cooc(saecli, "--min-count", "1", "--min-pair", "1", "--jaccard-floor", "0", "--max-size", "6")
    folder = Path(document["run_directory"])
    assert document["schema"] == "saecli.cooc/1"
    (one,) = document["analyses"]
    assert (one["site"], one["folder"]) == ("1", "")
    fired = fires(here)
    assert one["tokens"] == len(fired)
    pairs = read_pairs(folder / "pairs.safetensors")
    together = fired.T.astype(int) @ fired.astype(int)
    assert np.array_equal(pairs.count_F.numpy(), np.diag(together))
    whole = np.triu(together, 1)
    assert np.array_equal(np.stack([pairs.first_E, pairs.second_E]), np.nonzero(whole))
    assert np.array_equal(pairs.together_E.numpy(), whole[np.nonzero(whole)])
    assert len(pd.read_parquet(folder / "edges.parquet")) == one["pairs"] == len(pairs)
    clusters, nodes = rows_of(folder / "clusters.csv"), pd.read_csv(folder / "nodes.csv")
    assert len(clusters) == one["clusters"] > 0
    assert [int(row["latents"]) for row in clusters] == [len(row["members"].split()) for row in clusters]
    for row in clusters:
        members = list(map(int, row["members"].split()))
        assert sorted(nodes.latent[nodes.cluster == int(row["cluster"])]) == members
        assert int(row["met"]) == (fired[:, members].sum(1) >= 2).sum()
        assert int(row["fired"]) == fired[:, members].any(1).sum()
    assert len(nodes) == one["latents"] == LATENTS
    assert set(document["files"]) == {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {
        "manifest.json", "result.json",
    }  # fmt: skip


def test_the_second_call_reads_the_codes_from_the_cache_and_gives_the_same(here, saecli, monkeypatch):
    first = cooc(saecli)
    from saecli.core.hooks import ThinModel

    monkeypatch.setattr(ThinModel, "run", lambda *_, **__: pytest.fail("the model ran"))
    again = cooc(saecli, "--out", "other", "--context", "3")
    assert again["analyses"] == [
        {**one, "clearest": other["clearest"]} for one, other in zip(first["analyses"], again["analyses"], strict=True)
    ]
    here_, there = (Path(one["run_directory"]) for one in (first, again))
    assert (here_ / "pairs.safetensors").read_bytes() == (there / "pairs.safetensors").read_bytes()


@pytest.mark.slow
def test_several_sites_and_thresholds_are_compared_in_one_table(here, saecli):
    document = cooc(saecli, "--layers", ":", "--threshold", "0", "--threshold", "9")
    folders = [one["folder"] for one in document["analyses"]]
    assert folders == [f"sae-{layer}-t{at}" for layer in range(3) for at in ("0", "9")]
    folder = Path(document["run_directory"])
    assert all((folder / one / "pairs.safetensors").is_file() for one in folders)
    table = pd.read_csv(folder / "size-effects.csv")
    assert {(str(site), float(at)) for site, at in zip(table.site, table.threshold, strict=True)} == {
        (str(layer), at) for layer in range(3) for at in (0.0, 9.0)
    }
    active = table[table.metric == "features_active"].set_index(["site", "threshold"]).value
    assert active[1, 0.0] == pytest.approx(fires(here).sum(1).mean())
    assert active[1, 9.0] < active[1, 0.0]


def test_compat_writes_the_reference_files_and_cuts_as_it_does(here, saecli):
    document = cooc(saecli, "--compat", "cooc", "--threshold", "0.5")
    (one,) = document["analyses"]
    assert (one["min_count"], one["min_pair"], one["min_jaccard"], one["window"]) == (1, 1, 0.0, [150, 200])
    assert one["edge_threshold"] * 1024 == int(one["edge_threshold"] * 1024)
    folder = Path(document["run_directory"])
    dense = read_dense(folder, 0.5)
    ours = read_pairs(folder / "pairs.safetensors")
    assert torch.equal(dense.together_E, ours.together_E)
    frame = pd.read_csv(folder / "node_info_df_0_5.csv")
    assert list(frame.columns[:5]) == [
        "node_id", "activity_threshold", "subgraph_id", "subgraph_size", "feature_activations",
    ]  # fmt: skip
    assert frame.feature_activations.sum() == ours.count_F.sum()


def test_subspaces_have_the_board_at_every_example(here, saecli):
    document = cooc(saecli, "--size", "2", "--per-size", "1", "--max-examples", "30", "--max-size", "3")
    folder = Path(document["run_directory"])
    (name,) = [one for one in document["files"] if one.startswith("subspaces/")]
    table = read_subspace(folder / name)
    assert len(table.latents) == 2
    assert 0 < len(table.rows) <= 30
    for row in table.rows.itertuples():
        discs = sum(row.board.count(sign) for sign in "xo")
        assert discs == row.position + 5
        assert len(row.board) == 64


def test_probes_hdf5_and_links(here, saecli):
    extra = ("--probe", r"^\S* ?\S*\|", "--probe", "Z9", "--h5", "--neuronpedia", "lm/1-res")
    document = cooc(saecli, "--max-size", "4", "--per-size", "2", "--size", "2", "--size", "3", *extra)
    folder = Path(document["run_directory"])
    spaces = {
        table.cluster: table
        for table in (
            read_subspace(folder / name) for name in document["files"] if name.startswith("subspaces/cluster-")
        )
    }
    probes = pd.read_csv(folder / "probes.csv")
    assert list(probes.cluster) == sorted([*spaces] * 2, key=list(probes.cluster).index)
    never = probes[probes.pattern == "Z9"]
    assert (never.share == 0).all()
    assert never.note.str.contains("two or more").all()
    asked = probes[probes.pattern != "Z9"].set_index("cluster")
    for cluster, table in spaces.items():
        early = table.rows.context.str.contains(r"^\S* ?\S*\|").mean()
        assert asked.share[cluster] == pytest.approx(early)
    stored = [table for name in document["files"] if name.endswith(".h5") for table in read_h5(folder / name).values()]
    assert {table.latents for table in stored} == {table.latents for table in spaces.values()}
    nodes = pd.read_csv(folder / "nodes.csv").set_index("latent")
    assert nodes.neuronpedia_link[3] == "https://neuronpedia.org/lm/1-res/3"
    for table in stored:
        before = {min(one) for one in _clusters(nodes)} | set(nodes.index[nodes.cluster < 0])
        assert table.cluster == sorted(before).index(table.latents[0])


def _clusters(nodes: pd.DataFrame) -> list[list[int]]:
    return [group.index.tolist() for number, group in nodes.groupby("cluster") if int(str(number)) >= 0]


def test_the_report_has_the_recommended_views_and_is_split(here, saecli):
    (here / "views.toml").write_text(
        '[recommended_views.a]\ndisplay_name = "Together"\ncluster = 0\ncolour = "token"\n'
    )
    document = cooc(saecli, "--views", "views.toml", "--page-bytes", "20K", "--max-size", "6")
    pages = [name for name in document["files"] if name.startswith("report")]
    assert pages == ["report.html", *(f"report-{number}.html" for number in range(2, len(pages) + 1))]
    assert len(pages) > 1
    first = (Path(document["run_directory"]) / "report.html").read_text(encoding="utf-8")
    assert '"name": "Together"' in first or '"name":"Together"' in first


@pytest.mark.slow
def test_clusters_and_size_effects_are_drawn(here, saecli):
    document = cooc(saecli, "--max-size", "4", "--per-size", "1", "--size", "2", "--threshold", "0", "--threshold", "9")
    written = set(document["files"])
    for one in document["analyses"]:
        assert {f"{one['folder']}/{name}" for name in ("overview.svg", "overview.png", "curve.svg")} <= written
    spaces = {name.removesuffix(".parquet") for name in written if "/subspaces/" in name}
    assert spaces
    assert {f"{name.replace('/subspaces', '')}.svg" for name in spaces} <= written
    assert sum("/" not in name and name.endswith(".svg") for name in written) > 0


def test_views_that_are_none_are_one_sentence_before_anything_is_computed(here, saecli):
    (here / "views.toml").write_text("[view]\ncluster = 1\n")
    done = saecli("cooc", "lm", "--suite", "sae", *FEW, "--views", "views.toml")
    assert done.code == 3
    assert "views.toml has no views." in done.err
    assert "running the model" not in done.err


def test_parts_of_components(here, saecli):
    (whole,) = cooc(saecli, "--max-size", "20")["analyses"]
    (cut,) = cooc(saecli, "--max-size", "20", "--recut", "4")["analyses"]
    (split,) = cooc(saecli, "--max-size", "20", "--communities")["analyses"]
    assert whole["largest"] == cut["largest"] == split["largest"] > 4
    assert max(map(int, cut["sizes"])) <= 4
    assert split["clusters"] > whole["clusters"]


@pytest.mark.parametrize("weight", ["lift", "pmi"])
def test_other_weights(here, saecli, weight):
    document = cooc(saecli, "--weight", weight, "--max-size", "6")
    (one,) = document["analyses"]
    assert one["largest"] <= 6
    edges = pd.read_parquet(Path(document["run_directory"]) / "edges.parquet")
    assert (edges[weight] >= one["edge_threshold"] - 1e-12).sum() >= one["edges"] > 0


def one_of_several(folder: str) -> int:
    files.analysis_figures, files.effects_figures = (lambda *_: ()), (lambda *_: {})
    os.chdir(folder)
    os.environ["SAECLI_CACHE"] = f"{folder}/cache"
    return run(["cooc", "lm", "--suite", "sae", "--layers", "1:3", *FEW, "--batch-size", "7", "--out", "two", "-q"])


@pytest.mark.slow
def test_two_processes_write_what_one_writes(here, saecli):
    argv = ("--layers", "1:3", *FEW, "--batch-size", "7", "--out", "one", "--cache-codes", "0")
    assert saecli("cooc", "lm", "--suite", "sae", *argv).code == 0
    assert run_ranks(2, one_of_several, str(here)) == [0, 0]
    written = [path for path in (here / "one").rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert len(written) > 20
    for path in written:
        assert (here / "two" / path.relative_to(here / "one")).read_bytes() == path.read_bytes(), path.name


def test_suites_of_several_sizes_side_by_side(here, saecli):
    save_suite(here / "more", here / "lm", seed=2)
    done = saecli("cooc", "lm", "--suite", "sae", "--suite", "more", *FEW, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert [(one["suite"], one["folder"]) for one in document["analyses"]] == [
        ("sae", "sae-1-t0"),
        ("more", "more-1-t0"),
    ]
    done = saecli("cooc", "lm", "--suite", "sae", "--suite", "more", *FEW, "--neuronpedia", "a/b")
    assert done.code == 2
    assert "--neuronpedia names one dictionary, and 2 are chosen." in done.err


def test_bounds_and_notes(here, saecli):
    done = saecli("cooc", "lm", "--suite", "sae", *FEW, "--require", "clusters>=1000")
    assert done.code == 4
    assert "--require clusters>=1000 fails at sae 1, where it is" in done.err
    assert saecli("cooc", "lm", "--suite", "sae", *FEW, "--require", "clusters>=0").code == 0


def test_no_pairs_no_edges_one_document_dead_latents(here, saecli):
    (none,) = cooc(saecli, "--min-pair", "1000000")["analyses"]
    assert (none["pairs"], none["clusters"]) == (0, 0)
    assert "No pair of latents fires together often enough." in none["notes"]
    (high,) = cooc(saecli, "--edge-threshold", "1")["analyses"]
    assert high["largest"] >= 1
    done = saecli("cooc", "lm", "--suite", "sae", "--sequences", "1", "--device", "cpu", "--min-count", "1", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["analyses"][0]["clearest"] == []
    save_suite(here / "dead", here / "lm", dead=True)
    done = saecli("cooc", "lm", "--suite", "dead", *FEW, "--json")
    assert done.code == 0, done.err
    (dead,) = json.loads(done.out)["analyses"]
    assert (dead["live"], dead["notes"][-1]) == (0, "No latent fires.")


@pytest.mark.parametrize(
    ("argv", "code", "sentence"),
    [
        (("--threshold", "1", "--threshold", "1"), 2, "The same threshold is named twice."),
        (("--threshold", "-1"), 2, "must be at least 0"),
        (("--min-size", "5", "--max-size", "4"), 2, "--min-size 5 is more than --max-size 4."),
        (("--cut", "bisect", "--weight", "lift"), 2, "--cut bisect halves 0 to 1"),
        (("--cut", "exact", "--edge-threshold", "0.5"), 2, "Say one or the other."),
        (("--edge-threshold", "0.001"), 2, "is below --jaccard-floor 0.01"),
        (("--compat", "cooc", "--min-pair", "2"), 2, "--compat writes dense files, which need every pair"),
        (("--communities", "--weight", "pmi"), 2, "--communities needs weights above 0"),
        (("--probe", "("), 2, "--probe (: missing ), unterminated subpattern"),
        (("--neuronpedia", "gpt2"), 2, "--neuronpedia gpt2 is no MODEL/NAME"),
        (("--require", "density>=1"), 2, "there is no metric density"),
        (("--n-ctx", "7"), 2, "a game of Othello has 59 positions"),
        (("--suite", "sae"), 2, "The same suite is named twice."),
    ],
)
def test_bad_input_is_one_sentence(here, saecli, argv, code, sentence):
    done = saecli("cooc", "lm", "--suite", "sae", *FEW, *argv)
    assert done.code == code
    assert sentence in done.err
    assert not (here / "saecli-runs").exists()


def test_a_suite_of_another_model_is_refused(here, saecli):
    save_model(here / "other", "othello", seed=5)
    done = saecli("cooc", "other", "--suite", "sae", *FEW)
    assert done.code == 3
    assert "the weights of" in done.err


def test_a_full_disk_is_one_sentence_and_leaves_nothing(here, saecli, monkeypatch):
    from saecli.cooc.spill import Spill

    def full(self, array):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Spill, "keep", full)
    done = saecli("cooc", "lm", "--suite", "sae", *FEW, "--max-memory", "1K")
    assert done.code == 1
    assert "No space left on device" in done.err
    assert not list((here / "saecli-runs").glob("*"))
