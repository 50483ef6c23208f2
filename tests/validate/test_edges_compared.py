"""``saecli validate A B --edges … --edges …`` and ``--choose``: suites beside each other."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from saecli.connect import files
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError
from saecli.core.intervals import Interval
from saecli.core.site import Site
from saecli.core.staircase import chunks, is_staircase, parameters, staircases
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from saecli.formats.connections import read_connections
from saecli.formats.suite import read_suite, write_suite
from saecli.validate.edges_ratio import edges_ratio
from saecli.validate.edges_read import apart
from saecli.validate.files import short_names
from tests.connect.test_cli_pair import FEW, make

MEASURED = ("--sequences", "3", "--firing", "0", "--data", "othello", "--device", "cpu", "--threads", "1")
PAIRS = ("0.resid_pre:1.resid_pre", "1.mlp_in:1.mlp_out")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "connect_figures", lambda *_: {})
    monkeypatch.setattr("saecli.validate.data._FITTING", 8)
    for name in ("files.fidelity_figure", "files.density_figure", "files.curve_figure", "edges_files.edges_figure"):
        monkeypatch.setattr(f"saecli.validate.{name}", lambda *_: None)
    for name in ("files.as_png", "files.as_svg", "edges_files.as_png", "edges_files.as_svg"):
        monkeypatch.setattr(f"saecli.validate.{name}", lambda _: b"")
    make(tmp_path / "lm")
    suite = read_suite(tmp_path / "lm" / "suite")
    sites = [site for site in suite if site.kind != "attn_out"]
    wide, narrow = Site(1, "resid_pre"), Site(0, "resid_pre")
    made = [suite[site] for site in sites if site != narrow]
    few = make_dictionary(DictionaryConfig("topk", 8, 7, narrow, narrow, 8, {"k": 3}))
    with torch.no_grad():
        few.W_enc_DF.copy_(suite[wide].W_enc_DF[:, :7])
        few.W_dec_FD.copy_(suite[wide].W_dec_FD[:7])
        few.b_dec_D.fill_(0.25)
    write_suite(Suite.of(suite.info, [few, *made]), tmp_path / "stairs")
    write_suite(suite.only(sites), tmp_path / "plain")


def ran(saecli, *argv: str) -> dict:
    done = saecli(*argv, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def connected(saecli, suite: str, only: tuple[str, ...] = PAIRS) -> str:
    pairs = [word for pair in only for word in ("--pair", pair)]
    flags = [suite if one == "lm/suite" else one for one in FEW]
    document = ran(saecli, "connect", "lm", *flags, *pairs, "--score", "jacobian", "--half", "first")
    assert [one["site"] for one in document["modules"]] == [pair.split(":")[1] for pair in only]
    return document["run_directory"]


def test_suites_are_compared_between_every_pair(here, saecli):
    runs = [connected(saecli, suite) for suite in ("plain", "stairs")]
    edges = [word for run in runs for word in ("--edges", run)]
    few = ("--draws", "1", "--counts", "5,100", "--half", "second")
    done = saecli("validate", "plain", "stairs", *edges, *few, *MEASURED, "--json")
    assert (done.code, "may have been scored" in done.err) == (0, False), done.err
    document = json.loads(done.out)
    assert (document["half"], document["draws"]) == ("second", 1)
    curves = {(one["suite"], one["pair"]): one for one in document["curves"]}
    assert list(curves) == [(suite, pair) for pair in PAIRS for suite in ("plain", "stairs")]
    assert [one["edges"] for one in curves["stairs", PAIRS[0]]["points"]] == [0, 5, 7 * 12]
    assert [one["edges"] for one in curves["stairs", PAIRS[1]]["points"]] == [0, 5, 100, 12 * 12]
    assert {one["scored_on"] for one in curves.values()} == {"othello, first half"}
    same = [curves[suite, PAIRS[1]] for suite in ("plain", "stairs")]
    assert {**same[0], "suite": ""} == {**same[1], "suite": ""}  # the same dictionaries on the same sequences
    changes = {one["pair"]: one for one in document["differences"]}
    assert [changes[PAIRS[1]]["area"][end] for end in ("value", "low", "high")] == [0, 0, 0]
    first = changes[PAIRS[0]]
    whole = [curves[suite, PAIRS[0]]["area"]["value"] for suite in ("stairs", "plain")]
    assert first["area"]["value"] == pytest.approx(whole[0] - whole[1])
    plain, stairs = document["suites"]
    assert plain["parameters"] - stairs["parameters"] == 12 * (1 + 2 * 8) - 7
    assert (plain["minus_first"], plain["dictionaries"]) == (None, 5)
    found = ran(saecli, "validate", "plain", "stairs", "--half", "second", *MEASURED)
    compound = {one["suite"]: one["metrics"] for one in found["compound"] if one["group"] == "all"}
    assert [one["ce_increase"] for one in (plain, stairs)] == [
        compound[name]["compound_ce_increase"] for name in ("plain", "stairs")
    ]
    change = next(one for one in found["differences"] if one["site"] == "all")
    assert stairs["minus_first"] == change["metrics"]["compound_ce_increase"]
    (site,) = (
        one for one in document["sites"] if one["suite"] == "stairs" and one["l0_per_chunk"] and one["latents"] > 7
    )
    assert len(site["l0_per_chunk"]) == 2
    assert sum(site["l0_per_chunk"]) == pytest.approx(site["l0"]["value"])
    folder = Path(document["run_directory"])
    rows = list(csv.DictReader((folder / "suites.csv").open(encoding="utf-8")))
    assert [(row["suite"], row["site"]) for row in rows][-1] == ("stairs", "all")
    assert {(row["suite"], row["pair"]) for row in csv.DictReader((folder / "edges.csv").open())} == set(curves)
    page = (folder / "report.html").read_text(encoding="utf-8")
    for said in (
        "Edges of plain and stairs",
        f"{stairs['parameters']:,}",
        "L0 per chunk",
        "data:image/svg+xml",
        "Edges scored on othello, first half.",
    ):
        assert said in page
    assert "<script" not in page


def test_each_of_equal_suites_has_its_own_edges_and_whether_they_saw_the_data_is_told(here, saecli):
    shutil.copytree("plain", "again")
    runs = [connected(saecli, suite, (pair,)) for suite in ("plain", "again") for pair in PAIRS]
    edges = [word for run in runs for word in ("--edges", run)]
    done = saecli("validate", "plain", "again", *edges, *MEASURED, "--counts", "3", "--half", "second", "--plan")
    assert done.code == 0, done.err
    assert [line.split(":")[0] for line in done.out.splitlines() if "keeps 0, 3" in line] == [
        f"{suite}, {pair.split(':')[0]}" for pair in PAIRS for suite in ("plain", "again")
    ]
    (file,) = Path(runs[0]).glob("connections-*.safetensors")
    connections = read_connections(file)
    assert [apart(connections, "othello", half) for half in HALVES] == [False, False, True]
    assert apart(connections, "chess-random", "first")
    told = saecli("validate", "plain", "--edges", runs[0], *MEASURED, "--counts", "3", "--draws", "1")
    assert told.code == 0, told.err
    assert "may have been scored on sequences that are measured here" in told.err


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("plain", "stairs", "--edges", "RUN"), 2, "No --edges belong to stairs"),
        (("stairs", "--edges", "RUN"), 3, "belongs to other dictionaries than stairs"),
        (("plain", "--edges", "RUN", "--edges", "RUN"), 2, "Two of --edges are from 0.resid_pre to 1.resid_pre"),
        (("plain", "--edges", "plain"), 3, "has no connections-*.safetensors"),
        (("plain", "--choose", "0.1"), 2, "--choose is between several suites"),
        (("plain", "lm/suite", "--choose", "0.1"), 2, "--choose is between suites of the same sites: plain has 0 "),
        (("plain", "stairs", "--choose", "nan"), 2, "--choose must be a number"),
        (("plain", "--set", "1:0=0", "--half", "first"), 2, "--half is of held-out sequences"),
    ],
)
def test_what_does_not_belong_together_is_refused(here, saecli, argv, code, said):
    run = connected(saecli, "plain") if "RUN" in argv else ""
    done = saecli("validate", *(run if one == "RUN" else one for one in argv), *MEASURED)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_the_last_within_the_budget_is_chosen(here, saecli):
    flags = ("--half", "first", *MEASURED)
    document = ran(saecli, "validate", "plain", "stairs", "--choose", "1000", *flags)
    increase = {
        one["suite"]: one["metrics"]["compound_ce_increase"]["value"]
        for one in document["compound"]
        if one["group"] == "all"
    }
    assert document["chosen"] == "stairs"
    chosen = Path(document["run_directory"]) / "chosen"
    assert read_suite(chosen).fingerprint == read_suite(Path("stairs")).fingerprint
    assert short_names(["a/plain", str(chosen)]) == ["plain", "stairs"]
    less, more = sorted(increase, key=lambda name: increase[name])
    budget = (increase[more] - increase[less]) / 2
    assert ran(saecli, "validate", less, more, "--choose", str(budget), *flags)["chosen"] == less


def test_halves_are_other_sequences(here, saecli, tmp_path):
    from saecli.data.samples import open_samples
    from saecli.data.sequences import open_sequences

    text = tmp_path / "text.txt"
    letters = torch.randint(97, 123, (20_000,), generator=torch.Generator().manual_seed(0))
    text.write_text("".join(map(chr, letters.tolist())), encoding="utf-8")
    done = saecli("convert", str(text), "shards", "--to", "shards", "--tokenizer", "ascii", "--val-fraction", "0.3")
    assert done.code == 0, done.err
    for spec in ("othello", "shards"):
        parts = {half: open_samples(spec, 8, n_ctx=0 if spec == "othello" else 40, half=half) for half in HALVES}
        rows = {
            half: {tuple(row) for one in part.held_out for row in one.tokens_BS.tolist()}
            for half, part in parts.items()
        }
        assert not rows["first"] & rows["second"]
        looked = {half: open_sequences(spec, 8, n_ctx=0 if spec == "othello" else 40, half=half) for half in HALVES}
        seen = {half: {tuple(row) for row in one.tokens_BS.tolist()} for half, one in looked.items()}
        assert seen["first"] == rows["first"]
        assert seen["second"] == rows["second"]
    with pytest.raises(InputError, match=r"positions in its first half, and 5000 were asked for"):
        open_samples("shards", 5000, n_ctx=40, half="first")


HALVES = ("all", "first", "second")


def curve(*points: tuple[int, float]) -> dict[int, Interval]:
    return {edges: Interval.of(kl, np.array([kl, kl, kl * 1.0])) for edges, kl in points}


def test_the_ratio_of_edges_at_equal_divergence():
    one = curve((0, 5.0), (1, 1.0), (10, 0.5), (100, 0.1))
    twice = curve((0, 5.0), (2, 1.0), (20, 0.5), (200, 0.1))
    assert edges_ratio(twice, one).value == pytest.approx(2)
    assert edges_ratio(one, twice).value == pytest.approx(0.5)
    assert (edges_ratio(twice, one).low, edges_ratio(twice, one).high) == pytest.approx((2, 2))
    # What rises again counts by its running minimum; a straight line over ln E between 1 and 100 is met half way.
    bumpy, line = curve((0, 5.0), (1, 1.0), (10, 2.0), (100, 0.0)), curve((0, 5.0), (1, 1.0), (100, 0.0))
    levels = (np.arange(32) + 0.5) / 32
    assert edges_ratio(line, curve((0, 1.0), (1, 1.0), (100, 0.0))).value == pytest.approx(1)
    expected = np.exp(np.mean([np.log(10) + (1 - level) * np.log(10) - (1 - level) * np.log(100) for level in levels]))
    assert edges_ratio(bumpy, line).value == pytest.approx(float(expected))
    assert np.isnan(edges_ratio(one, curve((0, 9.0), (1, 8.0), (10, 7.0))).value)
    # Some resamples have a KL in common: still no interval around a number that is none.
    some = {1: Interval.of(8.0, np.array([8.0, 0.9])), 10: Interval.of(7.0, np.array([7.0, 0.2]))}
    draws = {count: Interval.of(now.value, np.full(2, now.value)) for count, now in one.items()}
    assert np.isnan([getattr(edges_ratio(draws, some), end) for end in ("value", "low", "high")]).all()


def stairs(widths: tuple[int, ...], width: int = 64) -> dict[Site, Dictionary]:
    """A staircase over residual sites, of random weights."""
    generator = torch.Generator().manual_seed(0)
    enc = torch.randn(width, max(widths), generator=generator)
    made = {}
    for layer, count in enumerate(widths):
        site = Site(layer, "resid_pre")
        one = make_dictionary(DictionaryConfig("topk", width, count, site, site, width, {"k": 10}))
        with torch.no_grad():
            one.W_enc_DF.copy_(enc[:, :count])
            one.W_dec_FD.copy_(enc.T[:count] * 2)
            one.b_dec_D.fill_(float(layer))
        made[site] = one
    return made


def test_parameters_are_those_of_the_reference():
    shared = stairs(tuple(64 * step for step in (8, 16, 24, 32, 40)))
    suite = Suite.of(SuiteInfo("stairs", ""), list(shared.values()))
    assert parameters(suite) == 335_680
    assert staircases(suite) == [list(suite.sites)]
    assert chunks(suite)[Site(2, "resid_pre")] == (512, 1024, 1536)
    assert is_staircase(list(suite.values()))
    same = stairs((40 * 64,) * 5)
    assert parameters(Suite.of(SuiteInfo("tied", ""), list(same.values()))) == 340_800
    with torch.no_grad():
        for site, one in suite.items():
            one.W_dec_FD[0] += site.layer
    assert (parameters(suite), staircases(suite), chunks(suite)) == (991_040, [], {})
