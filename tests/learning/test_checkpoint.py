"""Checkpoints are whole or absent, of one recipe and one number of processes; metrics are cut back to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from saecli.core.errors import Failure, InputError
from saecli.core.ranks import Group, ranks_here
from saecli.learning.checkpoint import Checkpoint, MetricsFile
from tests.processes import run_ranks, start

SCHEMA = "example-checkpoint/1"
STATE = {"step": 3, "weights": torch.arange(6.0).reshape(2, 3), "records": [{"step": 1, "loss": 0.1}]}


def make(folder: Path, **recipe: object) -> Checkpoint:
    return Checkpoint(folder / "checkpoint.pt", SCHEMA, recipe)


def test_what_was_written_is_read(tmp_path: Path):
    assert make(tmp_path, steps=8).read("cpu") is None
    make(tmp_path, steps=8).write(STATE)
    state = make(tmp_path, steps=8).read("cpu")
    assert state is not None
    assert torch.equal(state["weights"], STATE["weights"])
    assert (state["step"], state["records"]) == (3, STATE["records"])


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"steps": 9}, "made with steps = 8, not 9. Resume with 8"),
        ({"steps": 8, "norm": "layer"}, "made with norm = None, not layer"),
        ({"steps": "x" * 90}, "made with another steps"),
    ],
)
def test_another_recipe_is_refused(recipe: dict[str, object], message: str, tmp_path: Path):
    make(tmp_path, steps=8).write(STATE)
    with pytest.raises(InputError, match=message):
        make(tmp_path, **recipe).read("cpu")


def test_another_number_of_processes_is_refused(tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    Checkpoint(path, SCHEMA, {}, Group(0, 2, 0, "", 0)).write(STATE)
    with pytest.raises(InputError, match=r"made by 2 processes, not 1\. Start it with torchrun --nproc-per-node 2"):
        make(tmp_path).read("cpu")


@pytest.mark.parametrize("content", [b"", b"nothing of the kind"])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"checkpoint\.pt cannot be read.*--overwrite"):
        make(tmp_path).read("cpu")


def test_a_file_of_something_else_is_refused(tmp_path: Path):
    torch.save({"schema": "example-checkpoint/2"}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="is not a example-checkpoint/1 file"):
        make(tmp_path).read("cpu")


def _fill(folder: Path) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # what is longer fails as on a full disk
    try:
        make(folder).write({"weights": torch.zeros(5000)})
    except Failure as error:
        (folder / "told").write_text(str(error))


def test_a_disk_that_takes_no_more_keeps_the_last_checkpoint(tmp_path: Path):
    make(tmp_path).write(STATE)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    start(_fill, tmp_path).join()
    assert "cannot be written" in (tmp_path / "told").read_text()
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "told"]


def test_metrics_after_a_checkpoint_are_dropped(tmp_path: Path):
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    metrics.start([])
    metrics.append({"step": 1}, {"step": 2})
    kept = list(metrics.records)
    metrics.append({"step": 3})
    again = MetricsFile(tmp_path / "metrics.jsonl")
    again.start(kept)
    again.append({"step": 4})
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").open()] == [1, 2, 4]
    assert again.records == [{"step": 1}, {"step": 2}, {"step": 4}]


def _read_on_all(folder: Path) -> tuple[int, float]:
    ranks = ranks_here()
    ranks.join("cpu")
    mine = folder if ranks.first else folder / "elsewhere"  # the others need not see the first one's disk
    checkpoint = Checkpoint(mine / "checkpoint.pt", SCHEMA, {}, ranks)
    assert checkpoint.read("cpu") is None
    checkpoint.write(STATE)
    metrics = MetricsFile(mine / "metrics.jsonl", ranks)
    metrics.start([])
    metrics.append({"step": 1})
    state = checkpoint.read("cpu")
    assert state is not None
    ranks.part_ways()
    return state["step"], state["weights"].sum().item()


def test_every_process_reads_what_the_first_wrote(tmp_path: Path):
    assert run_ranks(2, _read_on_all, tmp_path) == [(3, 15.0), (3, 15.0)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "metrics.jsonl"]
