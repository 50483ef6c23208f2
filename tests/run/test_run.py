"""Steps one after the other: what is done is not repeated, what failed is named, what was stopped continues."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saecli.cli import app
from tests.run.program import COMMANDS

ROOT = Path(__file__).parents[2]
TWO = """
description = "Two steps.\\nThe second reads the first."

[[step]]
command = "work"
name = "first"
steps = 2

[[step]]
command = "work"
name = "second"
text = "{first}/parts/1.txt"
widths = [4, 5]
part = [{ size = 3 }]
"""


@pytest.fixture
def run(saecli, monkeypatch, tmp_path):
    """Runs `saecli run FILE …` with the file's text given; without text, any command line."""
    monkeypatch.setattr(app, "COMMANDS", COMMANDS)

    def call(text: str | None, *argv: str):
        if text is None:
            return saecli(*argv, table=COMMANDS)
        (tmp_path / "steps.toml").write_text(text)
        return saecli("run", "steps.toml", *argv, table=COMMANDS)

    return call


def files(folder: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: content for name, content in found.items() if not name.endswith("manifest.json")}


def status(folder: Path) -> str:
    return json.loads((folder / "manifest.json").read_text())["status"]


def test_steps_are_ordinary_runs_inside_one_run(run, tmp_path):
    outcome = run(TWO, "--out", "out")
    assert outcome.code == 0
    assert [status(tmp_path / "out" / one) for one in ("", "01-first", "02-second")] == ["complete"] * 3
    second = json.loads((tmp_path / "out/02-second/manifest.json").read_text())
    assert second["command"] == "work"
    assert second["config"]["text"] == "out/01-first/parts/1.txt"
    assert second["config"]["widths"] == [4, 5]
    assert second["inputs"]["text"]["path"] == "out/01-first/parts/1.txt"
    assert second["sources"]["widths"] == "steps.toml, step second"
    assert outcome.out.splitlines()[:2] == ["01-first:", "  2 steps"]
    assert "Step 2 of 2, second: begins." in outcome.err


def test_a_template_has_a_place_of_its_own_by_what_it_computes(run, tmp_path):
    first = run(TWO)
    again = run("# a comment\n" + TWO)
    other = run(TWO.replace("steps = 2", "steps = 3"))
    assert (first.code, again.code, other.code) == (0, 0, 0)
    assert "Already complete: saecli-runs/run-" in again.err
    folders = [p for p in (tmp_path / "saecli-runs").iterdir() if p.name.startswith("run-")]
    assert len(folders) == 2
    assert (tmp_path / "saecli-runs/latest-run").is_symlink()


def test_json_is_one_document_with_every_result(run, tmp_path):
    outcome = run(TWO, "--json", "--out", "out")
    document = json.loads(outcome.out)
    assert [(step["name"], step["command"], step["folder"]) for step in document["steps"]] == [
        ("first", "work", "01-first"),
        ("second", "work", "02-second"),
    ]
    assert document["steps"][0]["result"]["total"] == 2
    assert document["run_directory"] == "out"
    assert not document["reused"]
    schema = json.loads(run(None, "schema", "run").out)
    assert set(document) == set(schema["properties"])
    assert set(document["steps"][0]) == set(schema["properties"]["steps"]["items"]["properties"])
    again = json.loads(run(TWO, "--json", "--out", "out").out)
    assert again == {**document, "reused": True}


def test_what_a_step_says_to_do_next_is_what_the_run_says(run):
    assert "Next: saecli schema out/02-second" in run(TWO, "--out", "out").err


def test_a_failed_step_is_named_and_the_done_ones_are_not_repeated(run, tmp_path):
    broken = TWO + 'fail = "input"\n[[step]]\ncommand = "work"\n'
    outcome = run(broken, "--out", "out")
    assert outcome.code == 3
    assert outcome.err.endswith("Error: Step second: Something is wrong. Do something else.\n")
    assert status(tmp_path / "out") == "failed"
    again = run(broken, "--out", "out", "--resume")
    assert again.code == 3
    assert "Step 1 of 3, first: already complete." in again.err
    assert "Step 2 of 3, second: continues." in again.err


@pytest.mark.parametrize(("fail", "code"), [("usage", 2), ("failure", 1), ("disk", 1), ("early", 3)])
def test_exit_codes_come_through_and_a_first_step_leaves_nothing(run, tmp_path, fail, code):
    outcome = run(f'[[step]]\ncommand = "work"\nfail = "{fail}"\ntags = ["no checkpoint"]')
    assert outcome.code == code
    assert "Error: Step work: " in outcome.err
    assert sorted(p.name for p in tmp_path.rglob("*")) in (["steps.toml"], ["saecli-runs", "steps.toml"])


def test_a_check_that_fails_inside_stores_all_results(run, tmp_path):
    outcome = run(TWO.replace("steps = 2", 'fail = "partly"'), "--out", "out", "--json")
    assert outcome.code == 5
    assert "Error: Step first: 1 of 2 is wrong. Look at it." in outcome.err
    document = json.loads(outcome.out)
    assert document["steps"][0]["failure"]["code"] == "partial"
    assert document["steps"][1]["result"]["total"] == 3
    assert run(TWO.replace("steps = 2", 'fail = "partly"'), "--out", "out").code == 5


def test_resume_insists_and_overwrite_repeats(run, tmp_path):
    assert run(TWO, "--out", "out", "--resume").code == 3
    assert not (tmp_path / "out").exists()
    run(TWO, "--out", "out")
    (tmp_path / "out/01-first/mine.txt").write_text("a user's note")
    refused = run(TWO.replace("second", "third"), "--out", "out")
    assert refused.code == 3
    assert "out holds another run" in refused.err
    outcome = run(TWO.replace("second", "third"), "--out", "out", "--overwrite")
    assert outcome.code == 0
    assert "Step 1 of 2, first: begins." in outcome.err
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["01-first", "02-third", "manifest.json", "result.json"]
    assert (tmp_path / "out/01-first/mine.txt").exists()


def test_overwrite_leaves_what_is_not_ours(run, tmp_path):
    run(TWO, "--out", "out")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/0.txt").write_text("x")
    (tmp_path / "out/02-second/notes.txt").write_text("x")
    parts = tmp_path / "out/02-second/parts"
    for part in parts.iterdir():
        part.unlink()
    parts.rmdir()
    parts.symlink_to(tmp_path / "outside")
    (tmp_path / "out/07-mine").mkdir()
    assert run(TWO.replace("second", "third"), "--out", "out", "--overwrite").code == 0
    assert (tmp_path / "outside/0.txt").exists()
    assert (tmp_path / "out/02-second/notes.txt").exists()
    assert (tmp_path / "out/07-mine").exists()


def test_a_complete_run_whose_steps_changed_is_not_taken_for_complete(run, tmp_path):
    given = TWO.replace('text = "{first}/parts/1.txt"', 'text = "given.txt"')
    (tmp_path / "given.txt").write_text("one")
    run(given, "--out", "out")
    assert "Already complete" in run(given, "--out", "out").err
    (tmp_path / "given.txt").write_text("two")
    outcome = run(given, "--out", "out")
    assert outcome.code == 3
    assert "what it read has changed. Add --overwrite" in outcome.err
    assert run(given, "--out", "out", "--overwrite").code == 0


def test_set_changes_one_step_or_all_that_have_the_key(run, tmp_path):
    settings = ["--set", "second.widths=[7]", "--set", "steps=4", "--set", "first.color=blue"]
    assert run(TWO, "--out", "out", *settings).code == 0
    first, second = (
        json.loads((tmp_path / f"out/{one}/manifest.json").read_text())["config"] for one in ("01-first", "02-second")
    )
    assert (first["steps"], second["steps"]) == (4, 4)
    assert (first["color"], second["color"]) == ("blue", "red")
    assert (first["widths"], second["widths"]) == ([1, 2], [7])


def test_a_plan_is_every_steps_command_and_makes_nothing(run, saecli, tmp_path):
    outcome = run(TWO, "--plan", "--out", "out")
    assert outcome.code == 0
    assert outcome.out.splitlines()[:4] == [
        "Two steps.",
        "The second reads the first.",
        "1. saecli work --steps 2 --out out/01-first",
        "2. saecli work --text out/01-first/parts/1.txt --widths 4 --widths 5 --out out/02-second"
        "  part = [{'size': 3, 'name': 'a'}]",
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["steps.toml"]
    document = json.loads(run(TWO, "--plan", "--json").out)
    assert document["steps"][0] == "Two steps."
    argv = shlex.split(outcome.out.splitlines()[2].removeprefix("1. "))
    assert saecli(*argv[1:], table=COMMANDS).code == 0


WRONG = {
    "nothing": ("", 2, "steps.toml is empty."),
    "a description only": ('description = "x"', 2, "step 1 names no command."),
    "no table": ("step = 3", 2, "step is 3, expected tables: [[step]]."),
    "no list": ('[step]\ncommand = "work"', 2, "expected tables: [[step]]."),
    "no toml": ("step = [", 3, "steps.toml is no valid TOML"),
    "steps": ('[[steps]]\ncommand = "work"', 2, "step 1 names no command."),
    "beside": ('seed = 1\n[[step]]\ncommand = "work"', 2, "'seed' stands beside the steps."),
    "unknown command": ('[[step]]\ncommand = "wrok"', 2, "step wrok: there is no command 'wrok'. Did you mean 'work'?"),
    "no step": ('[[step]]\ncommand = "schema"', 2, "there is no command 'schema'."),
    "in itself": ('[[step]]\ncommand = "run"', 2, "run keeps no results and cannot be a step."),
    "keeps nothing": ('[[step]]\ncommand = "convert"', 2, "convert keeps no results and cannot be a step."),
    "unknown key": ('[[step]]\ncommand = "work"\nstesp = 1', 2, "steps.toml, step work: unknown key 'stesp'. Did you"),
    "wrong value": ('[[step]]\ncommand = "work"\nsteps = 0', 2, "steps.toml, step work: steps must be at least 1"),
    "a flag": ('[[step]]\ncommand = "work"\nout = "x"', 2, "'out' is a flag of one call"),
    "of the command": ('[[step]]\ncommand = "work"\nbatch_size = "x"', 2, "step work: --batch-size x is neither"),
    "later": (TWO.replace("{first}", "{third}"), 2, "step second: {third} names no step before it. Before it: first."),
    "itself": (TWO.replace("{first}", "{second}"), 2, "{second} names no step before it."),
    "mistyped": (TWO.replace("{first}", "{frist}"), 2, "Did you mean 'first'?"),
    "of a number": (TWO.replace("widths = [4, 5]", 'steps = "{first}"'), 2, "steps expects a whole number"),
    "twice": (TWO.replace('"second"', '"first"'), 2, "two steps are named first."),
    "a path": (TWO.replace('"second"', '"../x"'), 2, "step 2 is named '../x', expected small letters"),
    "of a download": (
        '[[step]]\ncommand = "download"\nnames = ["gpt2"]\n[[step]]\ncommand = "work"\ntext = "{download}/x"',
        2,
        "{download} is a step that keeps no results.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_found_before_anything_starts(run, tmp_path, case):
    text, code, sentence = WRONG[case]
    outcome = run(text)
    assert (outcome.code, outcome.out) == (code, "")
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
    assert "steps.toml" in outcome.err
    assert [p.name for p in tmp_path.iterdir()] == ["steps.toml"]


@pytest.mark.parametrize(
    ("argv", "code", "sentence"),
    [
        (["othelo-mini"], 2, "saecli run othelo-mini: there is no such template. Did you mean 'othello-mini'?"),
        (["no/such.toml"], 3, "Cannot read no/such.toml"),
        (["no/manifest.json"], 3, "no/manifest.json is not there."),
        (["--list", "othello-mini"], 2, "--list shows the templates and runs none."),
        (["--plan"], 2, "--plan is about a run, and none is named."),
        (["othello-mini", "--check"], 2, "--check needs the manifest.json of a finished run"),
        (["othello-mini", "--check", "--plan"], 2, "--plan has no place in --check"),
        (["othello-mini", "--set", "steps"], 2, "--set steps: expected STEP.KEY=VALUE."),
    ],
)
def test_calls_that_make_no_sense_are_one_sentence(saecli, tmp_path, argv, code, sentence):
    outcome = saecli("run", *argv)
    assert (outcome.code, outcome.out) == (code, "")
    assert sentence in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("frist.steps=1", "steps.toml has no step 'frist'. Did you mean 'first'?"),
        ("first.stesp=1", "step first has no key 'stesp'. Did you mean 'steps'?"),
        ("stesp=1", "no step has a key 'stesp'. Did you mean 'steps'?"),
        ("first.steps=many", "--set: steps expects a whole number, got 'many'."),
        ("first.text={second}/x", "{second} names no step before it."),
    ],
)
def test_settings_are_checked(run, setting, sentence):
    outcome = run(TWO, "--set", setting)
    assert (outcome.code, outcome.out) == (2, "")
    assert sentence in outcome.err


def test_one_step_of_a_template_says_what_it_lacks(run, saecli, tmp_path):
    (tmp_path / "one.toml").write_text(TWO.replace('command = "work"\nname = "first"', 'command = "download"'))
    lacks = saecli("work", "--config", "one.toml", table=COMMANDS)
    assert lacks.code == 2
    assert "text is '{first}/parts/1.txt', in the results of another step. Say which text" in lacks.err
    given = saecli("work", "--config", "one.toml", "--text", "one.toml", "--out", "given", table=COMMANDS)
    assert given.code == 0


def test_without_a_name_there_is_the_list(saecli):
    listed = saecli("run")
    assert listed.code == 0
    assert any(line.startswith("othello-mini ") and "25 dictionaries" in line for line in listed.out.splitlines())
    assert saecli("run", "--list").out == listed.out
    document = json.loads(saecli("run", "--json").out)
    assert [row["name"] for row in document["templates"]] == [line.split()[0] for line in listed.out.splitlines()]


# -- stopping ---------------------------------------------------------------------------------------------------------

LONG = TWO.replace("widths = [4, 5]", "steps = 80")


def stopped_in_the_second_step(tmp_path: Path) -> subprocess.Popen[str]:
    """Starts the two steps and gives the process once the second has a checkpoint."""
    (tmp_path / "steps.toml").write_text(LONG)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.run.program", "run", "steps.toml", "--out", "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    checkpoint = tmp_path / "out/02-second/.work/checkpoint"
    while not checkpoint.exists() or not checkpoint.read_text():
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.001)
    return process


@pytest.mark.parametrize("signal", ["kill", "terminate"])
def test_what_was_stopped_continues_where_it_was(run, tmp_path, signal):
    process = stopped_in_the_second_step(tmp_path)
    getattr(process, signal)()
    _, told = process.communicate()
    assert process.returncode == (143 if signal == "terminate" else -9)
    if signal == "terminate":
        assert told.endswith(
            "Error: Step second: Interrupted; what is done so far is kept in out/02-second. "
            "The same command continues from there.\n"
        )
    assert status(tmp_path / "out") == ("failed" if signal == "terminate" else "running")
    outcome = run(LONG, "--out", "out", "--resume")
    assert outcome.code == 0
    assert "first: already complete." in outcome.err
    assert "second: continues." in outcome.err
    assert run(LONG, "--out", "whole").code == 0
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_two_at_once_do_not_mix(run, tmp_path):
    process = stopped_in_the_second_step(tmp_path)
    try:
        outcome = run(LONG, "--out", "out")
        assert outcome.code == 3
        assert "Another saecli is writing to out." in outcome.err
    finally:
        process.kill()
        process.communicate()
