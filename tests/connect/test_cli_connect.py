"""``saecli connect`` through the command line, on a tiny model with random dictionaries."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from saecli.connect import files
from saecli.core.site import Site
from saecli.data.sequences import open_sequences
from saecli.formats.connections import read_connections
from tests.connect.suites import LATENTS, save_model_and_suite

FEW = ("--data", "othello", "--sequences", "12", "--device", "cpu", "--threads", "1")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    if "drawn" not in request.node.name:
        monkeypatch.setattr(files, "connect_figures", lambda *_: {})
    return save_model_and_suite(tmp_path / "lm").parent


def connect(saecli, *argv: str) -> dict:
    done = saecli("connect", "lm", "--suite", "lm/suite", *FEW, *argv, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(encoding="utf-8")))


def test_one_pass_makes_a_file_per_number_nested_and_tables_that_agree(here, saecli):
    document = connect(saecli, "--c", "2,5,all", "--keep", "50")
    folder = Path(document["run_directory"])
    assert document["schema"] == "saecli.connect/1"
    assert (document["score"], document["sequences"]) == ("active-mean", 12)
    assert [one["file"] for one in document["chosen"]] == [
        "connections-c2.safetensors", "connections-c5.safetensors", "connections-e50.safetensors",
        "connections-all.safetensors",
    ]  # fmt: skip
    few, many, strongest, everything = (read_connections(folder / one["file"]) for one in document["chosen"])
    assert (few.rule, few.limit, few.score, few.most_per_feature) == ("per-feature", 2, "active-mean", 2)
    assert (strongest.rule, strongest.n_edges, everything.rule) == ("overall", 50, "all")
    assert few.model_fingerprint
    assert few.suite_fingerprint
    again = many.restrict(per_feature=2)
    for pair in few.pairs:
        assert again.rows[pair].indices.tolist() == few.rows[pair].indices.tolist()
    for one, made in zip(document["chosen"], (few, many, strongest, everything), strict=True):
        assert one["connections"] == made.n_edges
        assert one["possible"] == everything.n_edges == (1 + 2 + 3) * LATENTS**2
    shares = [one["kept"] for one in document["chosen"]]
    assert 0 < shares[0] < shares[1] < 1
    assert shares[3] is None
    for one in document["chosen"][:3]:
        own = [row for row in rows_of(folder / "connections.csv") if row["file"] == one["file"]]
        assert sum(int(row["connections"]) for row in own) == one["connections"]
        for name, per in (("degrees.csv", "degree"), ("skips.csv", "connections")):
            own = [row for row in rows_of(folder / name) if row["file"] == one["file"]]
            if per == "degree":
                counts = {side: [r for r in own if r["direction"] == side] for side in ("in", "out")}
                for side in counts.values():
                    assert sum(int(row["degree"]) * int(row["features"]) for row in side) == one["connections"]
                    assert sum(int(row["features"]) for row in side) == 3 * LATENTS
            else:
                assert sum(int(row["connections"]) for row in own) == one["connections"]
                assert sum(float(row["possible_share"]) for row in own) == pytest.approx(1)
    importance = [row for row in rows_of(folder / "importance.csv") if row["c"] == "5"]
    whole = sum(float(row["kept"]) * int(row["features"]) for row in importance)
    assert whole / sum(int(row["features"]) for row in importance) == pytest.approx(shares[1])
    agreement = [row for row in rows_of(folder / "agreement.csv") if row["c"] == "2"]
    rows = sum(int(row["features"]) for row in agreement)
    overlap = sum(float(row["overlap"]) * int(row["features"]) for row in agreement) / rows
    assert overlap == pytest.approx(document["chosen"][0]["overlap"])
    assert set(document["files"]) == {path.name for path in folder.iterdir()} - {"manifest.json", "result.json"}


@pytest.mark.parametrize("score", ["mean", "max", "gradient", "weight"])
def test_other_scores(here, saecli, score):
    document = connect(saecli, "--c", "3", "--score", score)
    (one,) = document["chosen"]
    made = read_connections(Path(document["run_directory"]) / one["file"])
    assert (document["score"], made.score) == (score, score)
    assert 0 < one["kept"] < 1
    assert (one["overlap"] is None) == (score == "weight")
    assert (document["data"], document["tokens"]) == (("", 0) if score == "weight" else ("othello", 12 * 59))


def test_random_connections_have_the_shape_of_the_usual_ones(here, saecli):
    usual = connect(saecli, "--c", "3")
    random = connect(saecli, "--c", "3", "--score", "random")
    other = connect(saecli, "--c", "3", "--score", "random", "--seed", "1")
    made = [
        read_connections(Path(one["run_directory"]) / "connections-c3.safetensors") for one in (usual, random, other)
    ]
    for pair in made[0].pairs:
        assert made[1].rows[pair].indptr.tolist() == made[0].rows[pair].indptr.tolist()
        assert made[1].rows[pair].scores is None
    drawn = [[one.rows[pair].indices.tolist() for pair in one.pairs] for one in made]
    assert drawn[0] != drawn[1] != drawn[2]
    assert (random["chosen"][0]["kept"], random["correlation"]) == (None, None)
    assert not (Path(random["run_directory"]) / "importance.csv").exists()


def test_tokens_and_logits_can_be_connected(here, saecli):
    document = connect(saecli, "--c", "4", "--embed", "--logits")
    made = read_connections(Path(document["run_directory"]) / "connections-c4.safetensors")
    ends = {module.reads: (module.what, module.n_latents) for module in made.modules if module.what != "features"}
    assert ends == {Site(0, "resid_pre"): ("tokens", 61), Site(2, "resid_pre"): ("logits", 61)}
    assert (Site(2, "resid_pre"), Site(0, "resid_pre")) in made.pairs
    assert (Site(0, "attn_out"), Site(0, "resid_pre")) in made.pairs
    assert made.in_degree(Site(2, "resid_pre")).max() == 4


@pytest.mark.slow
def test_figures_are_drawn(here, saecli):
    document = connect(saecli, "--c", "2,5", "--keep", "40")
    for name in ("degrees", "skips", "importance"):
        assert f"{name}.svg" in document["files"]
        picture = (Path(document["run_directory"]) / f"{name}.svg").read_text(encoding="utf-8")
        assert "<svg" in picture


def test_a_plan_computes_nothing(here, saecli):
    done = saecli("connect", "lm", "--suite", "lm/suite", *FEW, "--plan")
    assert done.code == 0, done.err
    assert "4 modules, 864 possible connections of 36 features" in done.out
    assert "Keeps 10 per feature, 30 per feature, 100 per feature, by active-mean" in done.out
    assert "lm reads 12 sequences, once" in done.out
    assert not Path("saecli-runs").exists()


def test_the_same_call_again_is_not_computed_and_gives_the_same_bytes_elsewhere(here, saecli):
    first = connect(saecli, "--c", "3")
    assert connect(saecli, "--c", "3")["reused"]
    other = connect(saecli, "--c", "3", "--out", "other")
    for name in first["files"]:
        assert (Path(first["run_directory"]) / name).read_bytes() == (Path(other["run_directory"]) / name).read_bytes()


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("--c", "0"), 2, "--c expects numbers of connections above 0, got '0'"),
        (("--c", "10,-3"), 2, "got '-3'"),
        (("--c", ""), 2, "got ''"),
        (("--keep", "many"), 2, "--keep expects numbers"),
        (("--score", "best"), 2, "--score best: must be one of"),
        (("--compat", "scae", "--score", "max"), 2, "--compat scae scores by the mean"),
        (("--compat", "scae", "--embed"), 2, "--compat scae connects features only"),
        (("--compat", "scae"), 2, "needs folded weights"),
        (("--n-ctx", "500"), 2, "reads at most 59 positions"),
    ],
)
def test_bad_flags(here, saecli, argv, code, said):
    done = saecli("connect", "lm", "--suite", "lm/suite", *FEW, *argv)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_suites_that_cannot_be_connected(here, saecli, tmp_path):
    save_model_and_suite(tmp_path / "half", sites=("attn_out",))
    done = saecli("connect", "half", "--suite", "half/suite", *FEW)
    assert done.code == 3
    assert "has no MLP transcoder (mlp_in to mlp_out) at layer 0; it has attn_out" in done.err
    done = saecli("connect", "othello-mini", "--suite", "lm/suite", *FEW)
    assert done.code == 3
    assert "lm/suite" in done.err


def test_the_pruned_pass_takes_the_files_and_all_weights_are_all_connections(here, saecli):
    from saecli.core.connections import Connections
    from saecli.pruned.suite import PrunedSuite
    from zoo.load import load_model, load_suite

    folder = Path(connect(saecli, "--c", "3,1000", "--score", "weight")["run_directory"])
    model, suite = load_model("lm"), load_suite("lm/suite")
    few, many = (read_connections(folder / f"connections-c{c}.safetensors") for c in (3, 1000))
    tokens = open_sequences("othello", 4).tokens_BS.long()
    losses = []
    for connections in (few, many, Connections(many.modules, "all")):
        pruned = PrunedSuite(model, suite, connections)
        frozen = pruned.freeze(tokens)
        losses.append(float(pruned.ce(frozen, pruned.run(frozen))))
    assert losses[1] == pytest.approx(losses[2], rel=1e-5)
    assert abs(losses[0] - losses[2]) > 1e-3
    done = saecli("connect", "lm", "--suite", "lm/suite", *FEW, "--c", "3", "--json")
    other = read_connections(Path(json.loads(done.out)["run_directory"]) / "connections-c3.safetensors")
    assert other.suite_fingerprint == few.suite_fingerprint == suite.fingerprint
