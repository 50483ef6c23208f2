"""What goes wrong in training leaves the last checkpoint and one sentence; a kill at any moment loses no bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saecli.core.errors import Failure
from saecli.train import lm
from tests.processes import assert_same_bytes, command, exit_with, kill_and_continue, start
from tests.train.test_lm_recipes import KEPT, Source

FLAGS = ("--n-layer", "1", "--n-head", "1", "--d-model", "16", "--batch-size", "4", "--held-out", "4", "--warmup", "2")


def run_command(folder: Path, *argv: str) -> Any:
    return start(exit_with, command, folder, *argv)


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_kill_at_random_moments_loses_no_bit(kills: int, tmp_path: Path):
    flags = ("--steps", "16", "--log-every", "3", "--eval-every", "7", "--keep", "best", "--checkpoint-seconds", "0")
    runs = kill_and_continue(tmp_path, ("train", "lm", *FLAGS, *flags), kills)
    assert_same_bytes(runs, "model/*", "metrics.jsonl", "result.json")


class Breaking(Source):
    """Data whose step 4 breaks something."""

    def __init__(self, fault: Any):
        super().__init__(ces=(1.0,) * 9)
        self.fault = fault

    def batch(self, step: int) -> Any:
        if step == 4:
            self.fault()
        return super().batch(step)


def _spoil(training: list[Any], value: float) -> None:
    with torch.no_grad():
        training[0].model.transformer.wte.weight[0, 0] = value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_end_the_run_and_keep_the_checkpoint(
    value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made: list[Any] = []
    original = lm._Training.__init__

    def remember(self: Any, *args: Any) -> None:
        original(self, *args)
        made.append(self)

    monkeypatch.setattr(lm._Training, "__init__", remember)
    with pytest.raises(Failure, match=r"at step 4.*the last checkpoint is kept") as caught:
        lm.train_lm(KEPT, tmp_path, source=Breaking(lambda: _spoil(made, value)))
    assert caught.value.exit_code == 1
    state = torch.load(tmp_path / lm.CHECKPOINT)
    assert state["step"] == 4
    assert all(tensor.isfinite().all() for tensor in state["model"].values())


def test_weights_that_are_not_finite_are_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    original = lm._Training._update

    def update(self: Any, loss: float) -> None:
        original(self, loss)
        if self.step == 2:
            _spoil([self], float("nan"))

    monkeypatch.setattr(lm._Training, "_update", update)
    with pytest.raises(Failure, match="The weights are no longer finite after step 3"):
        lm.train_lm(KEPT, tmp_path, source=Source(ces=(1.0,) * 9))
    assert torch.load(tmp_path / lm.CHECKPOINT)["step"] == 2


def _fill(folder: Path, *argv: str) -> int:
    import resource

    from saecli.learning import checkpoint

    original, written = checkpoint.Checkpoint.write, []

    def write(self: Any, state: Any) -> None:
        if written:  # what is longer fails as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        original(self, state)
        written.append(state)

    checkpoint.Checkpoint.write = write  # type: ignore[method-assign]
    return command(folder, *argv)


def test_a_full_disk_keeps_the_last_checkpoint_and_the_run_continues(tmp_path: Path):
    argv = ("train", "lm", *FLAGS, "--steps", "5", "--checkpoint-seconds", "0", "--out", "lm")
    failed = start(exit_with, _fill, tmp_path, *argv)
    failed.join()
    said = (tmp_path / "0.err").read_text()
    assert failed.exitcode == 1, said
    assert said.count("Error:") == 1
    assert "The checkpoint cannot be written to lm/.work: File too large." in said
    assert torch.load(tmp_path / "lm" / ".work" / lm.CHECKPOINT)["step"] == 1
    again = run_command(tmp_path, *argv)
    again.join()
    assert again.exitcode == 0, (tmp_path / "0.err").read_text()
    assert "Continuing the unfinished run" in (tmp_path / "0.err").read_text()


@pytest.fixture
def shards(tmp_path: Path, saecli: Any) -> Path:
    (tmp_path / "text.txt").write_text("a text to cut off. " * 400)
    assert saecli("convert", "text.txt", "shards", "--to", "shards").code == 0
    return tmp_path / "shards"


def shorten(folder: Path) -> None:
    path = folder / "train_000000.npy"
    path.write_bytes(path.read_bytes()[:-1000])


def empty(folder: Path) -> None:
    (folder / "train_000000.npy").write_bytes(b"")


def remove(folder: Path) -> None:
    (folder / "val_000000.npy").unlink()


def other_tokens(folder: Path) -> None:
    tokens = np.load(folder / "train_000000.npy")
    np.save(folder / "train_000000.npy", np.full_like(tokens, 60000))


def no_list(folder: Path) -> None:
    (folder / "shards.json").write_text("{")


@pytest.mark.parametrize("fault", [shorten, empty, remove, other_tokens, no_list], ids=lambda fault: fault.__name__)
def test_shards_that_cannot_be_read_are_one_sentence(fault: Any, shards: Path, tmp_path: Path, saecli: Any):
    fault(shards)
    done = saecli("train", "lm", "--data", "shards", *FLAGS, "--n-ctx", "16", "--steps", "3", "--out", "lm")
    assert (done.code, done.out) == (3, ""), done.err
    assert "shards" in done.err
    assert done.err.count("Error:") == 1
    assert "unexpectedly" not in done.err
    assert not (tmp_path / "lm").exists()
