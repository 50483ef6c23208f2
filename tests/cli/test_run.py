"""Life and death of a run directory, with real processes where a signal or a terminal matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from saecli.core import manifest
from saecli.core.errors import InputError
from saecli.core.run import Run
from tests.cli.example import TABLE, WorkConfig, WorkResult
from tests.cli.terminal import Terminal

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "tests.cli.example"]
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}
RESULT = WorkResult(total=1, rows=(), note=None)


@pytest.fixture
def work(saecli):
    return lambda *argv: saecli("work", *argv, table=TABLE)


def start(tmp_path: Path, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, "work", *argv],
        cwd=tmp_path,
        env=ENV,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"{text!r} was not said")


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def status(directory: Path) -> str:
    return json.loads((directory / "manifest.json").read_text())["status"]


def test_a_repeated_call_computes_nothing_and_prints_the_same(work):
    first, second = work("--out", "a"), work("--out", "a")
    assert second.code == 0
    assert second.out == first.out
    assert "Already complete: a (add --overwrite to compute it again)." in second.err
    assert "starts at" not in second.err


def test_results_are_the_same_bytes_when_repeated(work, tmp_path):
    work("--out", "a")
    work("--out", "b")
    one, two = files(tmp_path / "a"), files(tmp_path / "b")
    assert one.pop("manifest.json") != two.pop("manifest.json")
    assert one == two


def test_overwrite_computes_again_and_removes_what_is_no_longer_made(work, tmp_path):
    work("--out", "a", "--steps", "5")
    (tmp_path / "a/mine.txt").write_text("a user's note")
    refused = work("--out", "a", "--steps", "2")
    assert refused.code == 3
    assert "a holds another run (steps 5 there, 2 here)." in refused.err
    assert work("--out", "a", "--steps", "2", "--overwrite").code == 0
    assert sorted(p.name for p in (tmp_path / "a/parts").iterdir()) == ["0.txt", "1.txt"]
    assert (tmp_path / "a/mine.txt").read_text() == "a user's note"


def test_a_failing_overwrite_brings_the_earlier_run_back(work, tmp_path):
    work("--out", "a", "--steps", "5")
    before = files(tmp_path / "a")
    assert work("--out", "a", "--fail", "input", "--overwrite", "--tags", "no-checkpoint").code == 3
    assert files(tmp_path / "a") == before


@pytest.fixture
def interrupted_while_setting_aside(monkeypatch):
    """Lets one file be set aside and then interrupts; gives what the manifest said meanwhile."""
    seen: list[str] = []
    move = Run._move

    def moves_once(run: Run, source: Path, target: Path) -> None:
        seen.append(status(run.directory))
        if len(seen) == 2:
            raise KeyboardInterrupt
        move(run, source, target)

    monkeypatch.setattr(Run, "_move", moves_once)
    return seen


def test_ctrl_c_while_the_earlier_run_is_set_aside_brings_it_back(work, tmp_path, interrupted_while_setting_aside):
    work("--out", "a")
    before = files(tmp_path / "a")
    outcome = work("--out", "a", "--overwrite")
    assert (outcome.code, outcome.err) == (130, "Error: Interrupted.\n")
    assert files(tmp_path / "a") == before


def test_a_kill_while_the_earlier_run_is_set_aside_leaves_no_complete_run_without_files(
    work, tmp_path, monkeypatch, interrupted_while_setting_aside
):
    work("--out", "a", "--steps", "5")
    with monkeypatch.context() as killed:
        killed.setattr(Run, "_abandon", Run._release)  # a kill tidies nothing up
        work("--out", "a", "--steps", "2", "--overwrite")
    assert interrupted_while_setting_aside == ["running", "running"]
    assert status(tmp_path / "a") == "running"
    assert work("--out", "a", "--steps", "2").code == 0
    assert sorted(p.name for p in (tmp_path / "a/parts").iterdir()) == ["0.txt", "1.txt"]


def test_foreign_folders_and_files_are_left_alone_even_with_overwrite(work, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    for out in ("a", "file"):
        outcome = work("--out", out, "--overwrite")
        assert outcome.code == 3
        assert f"{out} is not empty and was not made by saecli" in outcome.err
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["a", "a/thesis.tex", "file"]


def test_a_foreign_manifest_is_no_licence(work, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "victim").write_text("x")
    (tmp_path / "a/manifest.json").write_text(
        json.dumps({"schema": "saecli.run/1", "command": "work", "status": "failed", "files": {"../victim": {}}})
    )
    outcome = work("--out", "a", "--overwrite")
    assert outcome.code == 3
    assert (tmp_path / "victim").exists()
    (tmp_path / "a/manifest.json").write_text(json.dumps({"schema": "saecli.run/2"}))
    newer = work("--out", "a", "--overwrite")
    assert newer.code == 3
    assert "newer saecli" in newer.err


def test_links_out_of_the_directory_are_not_followed(work, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/0.txt").write_text("x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/parts").symlink_to(tmp_path / "outside")
    (tmp_path / "a/manifest.json").write_text(
        json.dumps({"schema": "saecli.run/1", "command": "work", "status": "failed", "files": {"parts/0.txt": {}}})
    )
    assert work("--out", "a", "--overwrite").code == 3
    assert (tmp_path / "outside/0.txt").read_text() == "x"


@pytest.mark.parametrize("out", ["file/inside", "/proc/nowhere"])
def test_unwritable_places_are_one_sentence(work, tmp_path, out):
    (tmp_path / "file").write_text("x")
    outcome = work("--out", out)
    assert outcome.code == 3
    assert outcome.err.startswith(f"Error: Cannot write to {out}: ")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_bad_input_leaves_nothing_behind(work, tmp_path):
    assert work("--fail", "early").code == 3
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "made").mkdir()
    assert work("--fail", "early", "--out", "made/deep/er").code == 3
    assert list((tmp_path / "made").iterdir()) == []


def test_a_failure_with_a_checkpoint_is_kept_and_continued(work, tmp_path):
    outcome = work("--fail", "failure", "--out", "a")
    assert outcome.code == 1
    document = json.loads((tmp_path / "a/manifest.json").read_text())
    assert document["status"] == "failed"
    assert document["error"] == {"code": "failure", "message": "Something is wrong."}
    again = work("--fail", "failure", "--out", "a")
    assert "Continuing the unfinished run in a." in again.err
    assert "starts at 3" in again.err


@pytest.mark.parametrize(("left", "kept"), [("metrics.jsonl", False), ("sae-checkpoint.pt", True)])
def test_only_a_checkpoint_makes_an_ended_run_worth_keeping(tmp_path, left, kept):
    run = Run.open(WorkConfig(out=str(tmp_path / "a")))
    (run.work / left).write_text("x")
    assert run.fail("interrupted", "interrupted") is kept
    assert (tmp_path / "a").exists() is kept


def test_resume_insists(work):
    outcome = work("--resume", "--out", "a")
    assert outcome.code == 3
    assert outcome.err == "Error: There is nothing to continue in a. Leave out --resume to start.\n"
    assert not Path("a").exists()


def test_kill_leaves_a_running_manifest_and_the_next_call_continues(tmp_path, work):
    process = start(tmp_path, "--out", "a", "--pause", "--threads", "1")
    wait_for(process, "paused")
    process.kill()
    process.wait()
    assert status(tmp_path / "a") == "running"
    assert (tmp_path / "a/.work/checkpoint").is_file()
    with pytest.raises(InputError, match="is not complete"):
        manifest.require_complete(tmp_path / "a")
    outcome = work("--out", "a", "--threads", "5")
    assert outcome.code == 0
    assert "starts at 2" in outcome.err
    document = json.loads((tmp_path / "a/manifest.json").read_text())
    assert (document["status"], document["threads"], document["resumed"]) == ("complete", 1, 1)
    assert work("--out", "b").code == 0
    one, two = files(tmp_path / "a"), files(tmp_path / "b")
    assert one.pop("manifest.json") != two.pop("manifest.json")
    assert one == two, "continued and uninterrupted runs are the same bytes"


def test_kill_without_a_checkpoint_starts_over_cleanly(tmp_path, work):
    process = start(tmp_path, "--out", "a", "--pause", "--tags", "no-checkpoint")
    wait_for(process, "paused")
    process.kill()
    process.wait()
    outcome = work("--out", "a", "--tags", "no-checkpoint")
    assert outcome.code == 0
    assert "starts at 0" in outcome.err


def test_two_at_once_do_not_mix(tmp_path, work):
    process = start(tmp_path, "--out", "a", "--pause")
    wait_for(process, "paused")
    for extra in ([], ["--overwrite"]):
        outcome = work("--out", "a", *extra)
        assert outcome.code == 3
        assert "Another saecli is writing to a." in outcome.err
    process.terminate()
    process.wait()


def test_sigterm_says_how_to_continue(tmp_path):
    process = start(tmp_path, "--out", "a", "--pause")
    wait_for(process, "paused")
    process.terminate()
    assert process.wait() == 143
    assert process.stderr is not None
    assert process.stderr.read() == (
        "Error: Interrupted; what is done so far is kept in a. The same command continues from there.\n"
    )
    assert status(tmp_path / "a") == "failed"


def test_ctrl_c_in_a_terminal(tmp_path):
    with Terminal([*PROGRAM, "work", "--pause", "--tags", "no-checkpoint"], cwd=tmp_path, env=ENV) as terminal:
        terminal.expect("working")
        terminal.expect("paused")
        terminal.type("\x03")
        terminal.expect("Error: Interrupted; nothing was left behind.")
        assert terminal.wait() == 130
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_a_terminal_keeps_a_checkpoint(tmp_path):
    with Terminal([*PROGRAM, "work", "--pause", "--out", "a"], cwd=tmp_path, env=ENV) as terminal:
        terminal.expect("paused")
        terminal.type("\x03")
        terminal.expect("The same command continues from there.")
        assert terminal.wait() == 130
    assert status(tmp_path / "a") == "failed"


def test_a_broken_pipe_is_quiet(tmp_path):
    process = start(tmp_path, "--json", "--quiet")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait() == 0
    assert process.stderr.read() == ""


def test_a_full_disk_is_one_sentence(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROGRAM, "work"], cwd=tmp_path, env=ENV, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_files_appear_whole_or_not_at_all(tmp_path):
    run = Run.open(WorkConfig(out=str(tmp_path / "a")))
    run.write_text("x.txt", "old")

    def write_half() -> None:
        with run.writing("x.txt") as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert (tmp_path / "a/x.txt").read_text() == "old"
    run.finish(RESULT)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["manifest.json", "result.json", "x.txt"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", "a\\..\\x"])
def test_names_stay_inside(tmp_path, name):
    run = Run.open(WorkConfig(out=str(tmp_path / "a")))
    with pytest.raises(InputError, match="no file name inside"):
        run.write_text(name, "x")


@pytest.mark.parametrize("name", ["manifest.json", ".work/checkpoint"])
def test_the_runs_own_names_are_its_own(tmp_path, name):
    run = Run.open(WorkConfig(out=str(tmp_path / "a")))
    with pytest.raises(ValueError, match="keeps for itself"):
        run.write_text(name, "x")


def test_latest_points_to_complete_runs_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert manifest.latest("work") is None
    first = Run.open(WorkConfig())
    first.finish(RESULT)
    Run.open(WorkConfig(seed=1))
    assert manifest.latest("work") == first.directory.resolve()
    second = Run.open(WorkConfig(seed=2))
    second.finish(RESULT)
    assert manifest.latest("work") == second.directory.resolve()
    assert manifest.require_complete(manifest.latest("work"), "work")["seed"] == 2
    assert Run.open(WorkConfig()).complete
    assert manifest.latest("work") == first.directory.resolve(), "a reused run is the latest again"
    with pytest.raises(InputError, match="expected `saecli trace`"):
        manifest.require_complete(second.directory, "trace")


def test_secrets_do_not_reach_the_manifest(tmp_path):
    config = WorkConfig(out=str(tmp_path / "a"), model="https://me:hunter2@host.invalid/m?token=abc123&x=1")
    run = Run.open(config, argv=["saecli", "work", config.model, "hf_" + "a" * 30])
    run.record(source=config.model)
    text = (tmp_path / "a/manifest.json").read_text()
    for secret in ("hunter2", "abc123", "hf_a"):
        assert secret not in text
    assert "x=1" in text


def test_damaged_results_are_named(work, tmp_path):
    work("--out", "a")
    (tmp_path / "a/result.json").write_text("{")
    outcome = work("--out", "a", "--json")
    assert outcome.code == 3
    assert "Add --overwrite to compute it again." in outcome.err
