"""Several processes train what one process trains, continue to the same bits, and end together."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from saecli.core.ranks import ranks_here
from saecli.train import lm
from saecli.train.lm_config import TrainLMConfig
from tests.processes import become, command, exit_with, free_port, run_ranks, start

TINY = TrainLMConfig(
    n_layer=2,
    n_head=2,
    d_model=16,
    steps=6,
    batch_size=7,
    warmup=2,
    log_every=2,
    eval_every=3,
    held_out=6,
    precision="fp64",
    checkpoint_seconds=1e9,
)
SIZES = ("--n-layer", "1", "--n-head", "2", "--d-model", "16", "--batch-size", "6", "--held-out", "4")
FLAGS = (*SIZES, "--log-every", "1", "--warmup", "0")


def _train(config: TrainLMConfig, folder: Path, stop_after: dict[int, int] | None = None) -> list[float]:
    torch.set_num_threads(1)
    ranks = ranks_here()
    ranks.join("cpu")
    steps = iter(range(1, 1000))
    last = (stop_after or {}).get(ranks.rank, 0)
    result = lm.train_lm(config, folder, stop=lambda: next(steps) == last, ranks=ranks)
    ranks.barrier()
    ranks.part_ways()
    return weights(result.model)


def weights(model: torch.nn.Module) -> list[float]:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).tolist()


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in map(json.loads, (folder / lm.METRICS).open()) if line["kind"] == "train"]


@pytest.mark.parametrize(
    ("size", "changes"),
    [
        pytest.param(2, {}, marks=pytest.mark.slow),
        (3, {"optimizer": "adamw", "weight_decay": 0.1, "micro_batch": 2}),
        pytest.param(2, {"targets": "sampled", "norm": "dynamic-tanh", "grad_clip": 0.0}, marks=pytest.mark.slow),
    ],
    ids=["muon", "adamw-pieces", "sampled"],
)
def test_several_processes_train_what_one_trains(size: int, changes: dict[str, Any], tmp_path: Path):
    config = dataclasses.replace(TINY, **changes)
    alone = torch.tensor(weights(lm.train_lm(config, tmp_path / "alone").model), dtype=torch.float64)
    together = [torch.tensor(one, dtype=torch.float64) for one in run_ranks(size, _train, config, tmp_path / "all")]
    assert all(torch.equal(together[0], other) for other in together[1:])
    assert (alone - together[0]).abs().max() < 1e-10
    assert losses(tmp_path / "all") == pytest.approx(losses(tmp_path / "alone"), abs=1e-10)


def test_pieces_of_a_batch_add_up(tmp_path: Path):
    whole, pieces = (
        torch.tensor(weights(lm.train_lm(dataclasses.replace(TINY, micro_batch=n), tmp_path / str(n)).model))
        for n in (0, 3)
    )
    assert (whole - pieces).abs().max() < 1e-10


def test_in_fp32_they_agree_but_for_rounding(tmp_path: Path):
    config = dataclasses.replace(TINY, precision="fp32")
    lm.train_lm(config, tmp_path / "alone")
    run_ranks(2, _train, config, tmp_path / "all")
    assert losses(tmp_path / "all") == pytest.approx(losses(tmp_path / "alone"), rel=1e-5)


@pytest.mark.slow
def test_a_stopped_run_continues_to_the_same_bits(tmp_path: Path):
    whole = run_ranks(2, _train, TINY, tmp_path / "whole")
    run_ranks(2, _train, TINY, tmp_path / "parts", {1: 3})  # only the second process is told to stop
    assert torch.load(tmp_path / "parts" / lm.CHECKPOINT)["step"] == 3
    assert run_ranks(2, _train, TINY, tmp_path / "parts") == whole
    assert (tmp_path / "whole" / lm.METRICS).read_bytes() == (tmp_path / "parts" / lm.METRICS).read_bytes()


def test_the_command_line_speaks_once_and_writes_one_run(tmp_path: Path):
    flags = ("train", "lm", *FLAGS, "--steps", "3", "--out", "lm", "--json")
    assert run_ranks(2, command, tmp_path, *flags) == [0, 0]
    assert (tmp_path / "1.out").read_text() + (tmp_path / "1.err").read_text() == ""
    document = json.loads((tmp_path / "0.out").read_text())
    assert document["sequences"] == 18
    manifest = json.loads((tmp_path / "lm" / "manifest.json").read_text())
    assert (manifest["status"], manifest["processes"]) == ("complete", 2)
    assert run_ranks(2, command, tmp_path, *flags) == [0, 0]
    assert "Already complete" in (tmp_path / "0.err").read_text()


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--lr", "1e30", "--grad-clip", "0", "--steps", "9"), 1, "is nan at step"),
        (("--batch-size", "1"), 2, "less than a sequence for each of 2 processes"),
        (("--data", "nowhere"), 2, "nowhere"),
        (("--n-head", "3"), 2, "not a multiple"),
    ],
    ids=["nan", "few", "data", "flags"],
)
def test_a_failure_is_said_once_and_ends_all(flags: tuple[str, ...], code: int, words: str, tmp_path: Path):
    assert run_ranks(2, command, tmp_path, "train", "lm", *FLAGS, "--out", "lm", *flags) == [code, code]
    said = (tmp_path / "0.err").read_text()
    assert said.count("Error:") == 1
    assert words in said
    assert (tmp_path / "1.err").read_text() == ""


def test_a_command_of_one_process_says_so(tmp_path: Path):
    assert run_ranks(2, command, tmp_path, "zoo", "list") == [2, 2]
    assert "Start it without torchrun" in (tmp_path / "0.err").read_text()


def _failing(folder: Path, how: str, *argv: str) -> int:
    if not ranks_here().first:
        original = lm.make_optimizers

        def make(*args: Any) -> Any:
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "disk":
                raise OSError(28, "No space left on device")
            return original(*args)

        lm.make_optimizers = make
    return command(folder, *argv)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "words"), [("disk", "Process 1 of 2: No space left"), ("killed", "without a word")])
def test_one_process_that_fails_takes_the_others_down(how: str, words: str, tmp_path: Path):
    port = free_port()
    argv = ("train", "lm", *FLAGS, "--steps", "3", "--out", "lm")
    processes = [start(_as_rank, rank, port, tmp_path, how, *argv) for rank in range(2)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [1, -signal.SIGKILL if how == "killed" else 1]
    said = (tmp_path / "0.err").read_text()
    assert said.count("Error:") == 1
    assert words in said


def _as_rank(rank: int, port: int, folder: Path, how: str, *argv: str) -> None:
    become(rank, 2, port)
    exit_with(_failing, folder, how, *argv)


def torchrun(folder: Path, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "saecli", *argv],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_torchrun_leaves_a_checkpoint_that_is_continued(number: signal.Signals, tmp_path: Path):
    flags = ("train", "lm", *FLAGS, "--steps", "400", "--eval-every", "400", "--out", "lm")
    first = torchrun(tmp_path, *flags, "--checkpoint-seconds", "0")
    until = time.monotonic() + 120
    while not (tmp_path / "lm" / ".work" / lm.CHECKPOINT).exists() and time.monotonic() < until:
        assert first.poll() is None, first.communicate()
        time.sleep(0.01)
    first.send_signal(number)
    said = first.communicate(timeout=120)[1]
    assert said.count("Error: Interrupted; what is done so far is kept in lm.") == 1, said
    step = torch.load(tmp_path / "lm" / ".work" / lm.CHECKPOINT)["step"]
    assert 0 < step < 400
    again = torchrun(tmp_path, *flags, "--json")
    out, said = again.communicate(timeout=200)
    assert again.returncode == 0, said
    assert json.loads(out)["steps"] == 400
    assert "Continuing the unfinished run" in said
