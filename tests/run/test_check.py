"""`saecli run MANIFEST`: a finished run again, and whether it gives the same bytes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from saecli.cli import app
from saecli.run.recorded import Recorded
from tests.cli.example import WorkConfig
from tests.run.program import COMMANDS
from tests.run.test_run import TWO


@pytest.fixture
def program(saecli, monkeypatch, tmp_path):
    monkeypatch.setattr(app, "COMMANDS", COMMANDS)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    yield lambda *argv: saecli(*argv, table=COMMANDS)
    assert list((tmp_path / "tmp").iterdir()) == [], "a check leaves nothing behind"


@pytest.fixture
def finished(program, tmp_path) -> Path:
    """A finished run that read a file."""
    (tmp_path / "in.txt").write_text("content")
    assert program("work", "--text", "in.txt", "--steps", "4", "--threads", "2", "--out", "out").code == 0
    return tmp_path / "out"


def change(directory: Path, **values: object) -> None:
    path = directory / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize("named", ["out/manifest.json", "out", "out/"])
def test_a_run_that_repeats_says_so(program, finished, named):
    before = {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()}
    outcome = program("run", named, "--check")
    assert (outcome.code, outcome.out) == (0, "out: as it was\n")
    assert {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()} == before


def test_what_differs_is_listed_and_the_exit_code_is_4(program, finished):
    files = json.loads((finished / "manifest.json").read_text())["files"]
    files["parts/1.txt"]["sha256"] = "0" * 64
    files["parts/9.txt"] = files.pop("parts/2.txt")
    change(finished, files=files)
    outcome = program("run", "out", "--check")
    assert outcome.code == 4
    assert outcome.out.splitlines() == [
        "out: differs",
        "  parts/1.txt: 2 bytes, 2 before",
        "  parts/2.txt: was not written before",
        "  parts/9.txt: no longer written",
    ]
    assert outcome.err.endswith("Error: out does not repeat: parts/1.txt: 2 bytes, 2 before and 2 more.\n")
    document = json.loads(program("run", "out", "--check", "--json").out)
    assert len(document["steps"][0]["differs"]) == 3
    assert document["run_directory"] == "out"
    schema = json.loads(program("schema", "run").out)
    assert set(document) == set(schema["properties"])


def test_every_step_of_a_template_is_checked(program, tmp_path):
    (tmp_path / "steps.toml").write_text(TWO)
    program("run", "steps.toml", "--out", "out")
    outcome = program("run", "out/manifest.json", "--check")
    assert (outcome.code, outcome.out) == (0, "01-first: as it was\n02-second: as it was\n")
    (tmp_path / "out/01-first/parts/1.txt").write_text("another")
    changed = program("run", "out", "--check")
    assert changed.code == 3
    assert "out/01-first/parts/1.txt is not what the run in out/02-second read" in changed.err


def test_a_manifest_is_also_steps(program, finished, tmp_path):
    assert program("run", "out/manifest.json", "--out", "again").code == 0
    assert (tmp_path / "again/01-work/parts/3.txt").read_text() == "3\n"
    assert program("run", "again", "--out", "third", "--set", "steps=2").code == 0
    assert not (tmp_path / "third/01-work/parts/3.txt").exists()


def test_the_recorded_thread_count_is_used(finished):
    recorded = Recorded.find(str(finished))
    assert recorded is not None
    assert recorded.resolved(WorkConfig).config.threads == 2
    change(finished, threads=3, config={**recorded.manifest["config"], "threads": 0})
    again = Recorded.find(str(finished))
    assert again is not None
    assert again.resolved(WorkConfig).config.threads == 3


def test_another_version_is_said(program, finished):
    change(finished, versions={"saecli": "0.0.1"})
    outcome = program("run", "out", "--check")
    assert outcome.code == 0
    assert "out was made by saecli 0.0.1, this is " in outcome.err


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"schema": "saecli.run/2"}, "out was written by a newer saecli (saecli.run/2). Upgrade saecli"),
        ({"schema": "someone.else/1"}, "out holds no run of saecli."),
        ({"status": "failed"}, "The run in out is not complete (status failed)."),
        ({"command": "wrok"}, "out/manifest.json: there is no command 'wrok'. Did you mean 'work'?"),
        ({"command": "run"}, "out/manifest.json is damaged: it lists no steps."),
        ({"command": None}, "out/manifest.json is damaged: command is missing."),
        ({"config": {"stesp": 1}}, "out/manifest.json: unknown key 'stesp'. It was made by saecli "),
        ({"config": {"steps": 1}}, "in.txt, which the run in out read, is not here. Start from the folder"),
    ],
)
def test_manifests_that_cannot_be_repeated_are_refused(program, finished, values, sentence):
    change(finished, **values)
    outcome = program("run", "out/manifest.json", "--check")
    assert (outcome.code, outcome.out) == (3, "")
    assert sentence in outcome.err
    assert outcome.err.count("Error: ") == 1


def test_inputs_must_be_what_they_were(program, finished, tmp_path):
    (tmp_path / "in.txt").write_text("other")
    outcome = program("run", "out", "--check")
    assert outcome.code == 3
    assert "in.txt is not what the run in out read: its content has changed." in outcome.err
    (tmp_path / "in.txt").unlink()
    assert "in.txt, which the run in out read, is not here." in program("run", "out", "--check").err


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema": 3}'])
def test_a_foreign_manifest_is_no_run(program, tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    for argv in (["--check"], []):
        outcome = program("run", "manifest.json", *argv)
        assert (outcome.code, outcome.out) == (3, "")
        assert "holds no run of saecli." in outcome.err


def test_a_failure_while_computing_again_leaves_nothing(program, tmp_path):
    assert program("work", "--out", "out").code == 0
    change(
        tmp_path / "out", config={**json.loads((tmp_path / "out/manifest.json").read_text())["config"], "fail": "input"}
    )
    outcome = program("run", "out", "--check")
    assert outcome.code == 3
    assert "Something is wrong." in outcome.err
