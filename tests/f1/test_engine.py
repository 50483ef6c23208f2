"""``saecli f1`` through the command line, on tiny models of both games."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saecli.core.codes import SiteCodes
from saecli.core.site import Site
from saecli.f1.games import open_games, truth
from saecli.f1.properties import properties
from saecli.f1.scoring import score_dictionary
from saecli.f1.truth import Columns
from saecli.formats.hf_gpt2 import load_gpt
from saecli.formats.labels import find_labels, read_labels
from tests.f1.suites import save_model, save_suite

FEW = ("--games", "12", "--device", "cpu", "--threads", "1", "--min-true-positives", "2", "--no-fidelity")
MOVES = ("--property", "valid-moves")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    save_model(tmp_path / "lm", "othello")
    save_suite(tmp_path / "suite", tmp_path / "lm")
    return tmp_path


def one_value(rows: list[dict[str, str]], metric: str, name: str, threshold: str = "") -> float:
    (row,) = [row for row in rows if (row["metric"], row["property"], row["threshold"]) == (metric, name, threshold)]
    return float(row["value"])


def test_what_is_stored_is_what_plain_code_counts(folder, saecli):
    call = ("f1", "suite", *FEW, "--json", "--wide", "--label-f1", "0.05")
    done = saecli(*call)
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["schema"], document["game"], document["data"]) == ("saecli.f1/1", "othello", "othello")
    (scored,) = document["dictionaries"]
    assert (scored["suite"], scored["site"], scored["arch"]) == ("suite", "1", "topk")  # the one in the middle
    run = Path(document["run_directory"])

    suite = save_suite(folder / "again", folder / "lm")
    dictionary, model = suite[Site(1, "resid_pre")], load_gpt(folder / "lm")
    from saecli.core.hooks import thin_gpt

    halves = open_games("othello", 12, game="othello", n_ctx=59)
    chosen = Columns(properties("othello"))
    codes = []
    for half in (halves.labelling, halves.held_out):
        games = half.some(0, 12)
        import torch

        found = thin_gpt(model, "lm", vocabulary="othello").run(
            torch.from_numpy(games.tokens_BS), read=[Site(1, "resid_pre")], stop_after=Site(1, "resid_pre")
        )
        acts_PF = dictionary.encode(found.sites[Site(1, "resid_pre")])[games.row_P, games.position_P]
        codes.append(SiteCodes.of(torch.arange(acts_PF.shape[1]).expand_as(acts_PF), acts_PF))
    scores = score_dictionary(
        codes[0], truth(halves.labelling, chosen), codes[1], truth(halves.held_out, chosen), latents=32,
        min_true_positives=2,
    )  # fmt: skip
    rows = list(csv.DictReader((run / "scores.csv").open()))
    assert list(rows[0]) == ["suite", "site", "property", "threshold", "metric", "value", "n"]
    assert one_value(rows, "l0", "") == pytest.approx(scores.l0, rel=1e-6)
    assert one_value(rows, "live", "") == len(scores.live_F)
    for one in scores.properties:
        name = one.prop.name
        assert one_value(rows, "coverage", name) == pytest.approx(one.coverage, abs=1e-6)
        assert one_value(rows, "coverage_held_out", name) == pytest.approx(one.coverage_held_out, abs=1e-6)
        for number, threshold in enumerate(("0", "0.1", "0.2")):
            assert one_value(rows, "coverage", name, threshold) == pytest.approx(one.coverage_T[number], abs=1e-6)
            assert one_value(rows, "labels", name, threshold) == one.labels_T[number]
            tp = one_value(rows, "reconstruction_tp", name, threshold)
            assert tp == one.reconstruction.rates.tp[number]
        assert scored["properties"][name]["coverage"] == pytest.approx(one.coverage)
    assert 0 < scored["metrics"]["variance_explained"] < 1 or scored["metrics"]["variance_explained"] <= 0
    cells = pd.read_parquet(run / "cells.parquet")
    assert len(cells) == sum(one.prop.cells for one in scores.properties)
    best = scores.properties[0].best
    own = cells[cells["property"] == scores.properties[0].prop.name]
    assert own["tp"].tolist() == best.labelling.tp.tolist()
    assert own["held_out_fp"].tolist() == best.held_out.fp.tolist()
    assert [None if pd.isna(one) else int(one) for one in own["feature"]] == [
        None if one < 0 else one for one in best.feature_C.tolist()
    ]
    labels = read_labels(run / "labels.parquet")
    (fingerprint,) = labels.tables
    assert fingerprint == suite.fingerprints[Site(1, "resid_pre")]
    number = {feature: index for index, feature in enumerate(scores.features.feature_F.tolist())}
    for label in labels.tables[fingerprint]:
        index = number[label.feature]
        assert label.description == chosen.text(int(scores.features.column_F[index]))
        assert label.precision == pytest.approx(scores.features.held_out.precision[index])
        assert label.score == pytest.approx(scores.features.held_out.f1[index])
        assert (label.evidence, label.source) == ("board", "saecli f1")
    found = scores.features
    enough = (found.column_F >= 0) & (found.held_out.tp >= 2) & (found.held_out.f1 >= 0.05)
    assert len(labels.tables[fingerprint]) == enough.sum() == scored["labels"] > 0
    assert find_labels("auto", None, [fingerprint]).tables == labels.tables

    moments = json.loads((run / "moments.json").read_text())
    assert [len(game["positions"]) for game in moments["games"]] == np.diff(halves.held_out.starts)[:6].tolist()
    assert "<!DOCTYPE html>" in (run / "report.html").read_text()[:50]
    for name in document["files"]:
        assert (run / name).stat().st_size > 0
    assert not (run / ".work").exists()
    assert json.loads(saecli(*call).out) == {**document, "reused": True}


def test_the_same_bytes_again_from_the_cache_and_in_other_batches(folder, saecli, monkeypatch):
    call = ("f1", "suite", "--layers", "1:", "--control", "neurons", "--games", "12", "--threads", "1", *MOVES)
    assert saecli(*call, "--out", "first").code == 0

    def never(*_: object) -> None:
        raise AssertionError("the model ran")

    monkeypatch.setattr("saecli.f1.run_group.harvest", never)
    assert saecli(*call, "--out", "cached", "--property", "nonsense").code == 2
    done = saecli(*call, "--out", "cached", "--batch-size", "3")
    assert done.code == 0, done.err
    monkeypatch.undo()
    monkeypatch.setenv("SAECLI_CACHE", str(folder / "cache"))
    monkeypatch.chdir(folder)
    assert saecli(*call, "--out", "anew", "--cache-codes", "0", "--max-memory", "1M").code == 0
    files = sorted(path.name for path in (folder / "first").iterdir() if path.name != "manifest.json")
    assert "report.html" in files
    for name in files:
        first = (folder / "first" / name).read_bytes()
        assert (folder / "cached" / name).read_bytes() == first, name
        assert (folder / "anew" / name).read_bytes() == first, name


@pytest.mark.usefixtures("no_figures")
def test_chess_with_fidelity_the_papers_rules_and_one_property(folder, saecli):
    save_model(folder / "chess-lm", "chess", layers=1)
    save_suite(folder / "chess", folder / "chess-lm", ("1.resid_pre",), vocabulary="chess")
    call = ("f1", "chess", "--games", "10", "--threads", "1", "--json", "--data", "chess-random", "--positions", "4")
    done = saecli(*call, "--property", "threat", "--property", "check")
    assert done.code in (0, 5), done.err
    document = json.loads(done.out)
    assert (document["game"], document["indexing"]) == ("chess", "dots")
    (scored,) = document["dictionaries"]
    assert list(scored["properties"]) == ["threat", "check"]
    assert {"ce", "ce_model", "ce_zero", "ce_increase"} <= set(scored["metrics"])
    assert scored["metrics"]["ce_increase"] == pytest.approx(scored["metrics"]["ce"] - scored["metrics"]["ce_model"])
    paper = saecli(*call, "--compat", "paper", "--property", "threat", "--no-fidelity")
    assert paper.code == 0, paper.err
    assert "ce" not in json.loads(paper.out)["dictionaries"][0]["metrics"]
    assert json.loads(paper.out)["positions"] == [40, 40]


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time."""
    monkeypatch.setattr("saecli.f1.files.write_figures", lambda *_: [])


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("require", "code", "words"),
    [
        ("coverage >= 0.01", 0, "coverage>=0.01 holds"),
        ("valid-moves.coverage>=1.01", 4, "--require valid-moves.coverage>=1.01 fails at 1 of suite, where it is 0."),
        ("live<=1", 4, "--require live<=1 fails at 1 of suite"),
        ("cosine>=2", 4, "--require cosine>=2 fails at 1 of suite, where it is "),
    ],
)
def test_requirements_decide_the_exit_code_after_results_are_stored(folder, saecli, require, code, words):
    for _ in range(2):
        done = saecli("f1", "suite", *FEW, *MOVES, "--require", require, "--out", "run")
        assert done.code == code, done.err
        assert words in (done.err if code else done.out)
    assert (folder / "run" / "result.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nowhere",), 2, "nowhere"),
        (("suite", "suite"), 2, "named twice"),
        (("suite", "--layers", "7:9"), 2, "selects no residual site"),
        (("suite", "--property", "valid-move"), 2, "Did you mean 'valid-moves'?"),
        (("suite", "--property", "check"), 2, "othello has no property 'check'"),
        (("suite", "--indexing", "dots"), 2, "othello has no indexing 'dots'"),
        (("suite", "--control", "neuron"), 2, "Did you mean 'neurons'?"),
        (("suite", "--control", "none", "--control", "neurons"), 2, "--control none leaves out"),
        (("suite", "--require", "covrage>=1"), 2, "Did you mean 'coverage'?"),
        (("suite", "--require", "coverage>1"), 2, "is no bound"),
        (("suite", "--require", "lines-mine.coverage>=0.1"), 2, "lines-mine is not measured"),
        (("suite", "--require", "valid-moves.l0>=1"), 2, "l0 is of a dictionary, not of a property. Write l0>=1."),
        (("suite", "--require", "ce_recovered>=0.9"), 2, "--no-fidelity measures no ce_recovered"),
        (("suite", "--require", "active>=1"), 2, "there is no metric active"),
        (("suite", "--data", "chess-random"), 3, "chess-random holds games of chess"),
        (("suite", "--cache-codes", "many"), 2, "--cache-codes many"),
        (("--plot", "nowhere.csv"), 3, "nowhere.csv"),
        (("--plot", "nowhere.csv", "--require", "coverage>=0.1"), 2, "--plot measures nothing"),
        (("lm",), 2, "is a model without dictionaries"),
        (("text",), 3, "reads the vocabulary ascii, and board states are of models of Othello and chess"),
    ],
)
def test_bad_input_is_one_sentence(folder, saecli, arguments, code, words):
    from saecli.core.gpt import GPT, GPTConfig
    from saecli.formats.hf_gpt2 import save_gpt

    if "text" in arguments:
        save_gpt(GPT(GPTConfig(61, 59, 2, 2, 8)), folder / "text-lm", vocabulary="ascii")
        save_suite(folder / "text", folder / "text-lm", ("1.resid_pre",))
        header = json.loads((folder / "text" / "suite.json").read_text())
        (folder / "text" / "suite.json").write_text(json.dumps({**header, "vocabulary": "ascii"}))
    done = saecli("f1", *arguments, *FEW, "--out", "bad")
    assert done.code == code, done.err
    assert words in done.err
    assert done.err.count("Error:") == 1
    assert not (folder / "bad").exists()


@pytest.mark.usefixtures("no_figures")
def test_games_that_cannot_be_scored_are_listed_and_the_rest_goes_on(folder, saecli):
    from saecli.games import othello

    games = [" ".join(othello.token_name(int(t)) for t in row) for row in othello.random_games(9, 5).tokens()]
    illegal = games[0].replace(games[0].split()[1], "A1", 1)
    (folder / "games.txt").write_text("\n".join([*games, illegal]) + "\n")
    done = saecli("f1", "suite", *FEW, *MOVES, "--games", "5", "--data", "games.txt", "--json")
    assert done.code == 5, done.err
    document = json.loads(done.out)
    assert (document["games"], document["asked_games"], len(document["left_out"])) == (4, 5, 1)
    assert "1 games of games.txt were left out" in done.err
    done = saecli("f1", "suite", *FEW, *MOVES, "--games", "4", "--data", "games.txt", "--json")
    assert done.code == 0, done.err


def test_where_nothing_could_be_evaluated_no_other_is_spoken_of(folder, saecli):
    save_suite(folder / "dead", folder / "lm", ("1.resid_pre",), dead=True)
    done = saecli("f1", "dead", *FEW, *MOVES, "--out", "run")
    assert done.code == 5, done.err
    assert "dead 1 failed: None of the 32 features is active" in done.err
    assert "The others" not in done.err
    assert "Next:" not in done.err
    assert (folder / "run" / "result.json").is_file()


@pytest.mark.slow
def test_figures_are_drawn_again_without_a_model_and_without_torch(folder, saecli):
    assert saecli("f1", "suite", *FEW, *MOVES, "--out", "run").code == 0
    done = saecli("f1", "--plot", "run/scores.csv", "run/scores.parquet", "--json", "--out", "plots")
    assert done.code == 0, done.err
    names = json.loads(done.out)["files"]
    assert {"properties.svg", "properties.png"} <= set(names)
    assert all((folder / "plots" / name).stat().st_size for name in names)
    code = (
        "import sys; from saecli.cli.app import run; "
        "code = run(['f1', '--plot', 'run/scores.csv', '--out', 'more']); "
        "sys.exit(code or ('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, check=False).returncode == 0


def test_plan_says_what_would_be_scored(folder, saecli):
    done = saecli("f1", "suite", *FEW, "--plan", "--layers", "1:")
    assert done.code == 0, done.err
    assert "Scores 2 dictionaries on 12 + 12 games" in done.out
    assert "suite 2: 32 features of" in done.out
    assert "Draws the figures of x.csv" in saecli("f1", "--plot", "x.csv", "--plan").out
