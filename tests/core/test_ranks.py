"""Several processes: shares, sums, ragged rows, words, and the first failure becomes everybody's."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saecli.core.errors import Failure, InputError, Interrupted, SaecliError, UsageError
from saecli.core.ranks import ONE, Group, RankLost, ranks_here
from tests.processes import free_port, run_ranks


@given(st.integers(0, 50), st.integers(1, 7))
def test_parts_are_contiguous_and_differ_by_one_row_at_most(rows: int, size: int):
    parts = [Group(rank, size, rank, "", 0).part(rows) for rank in range(size)]
    assert [number for part in parts for number in range(rows)[part]] == list(range(rows))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_one_process_is_left_alone():
    values = torch.tensor([1.0, 2.0])
    ONE.sum_(values)
    assert values.tolist() == [1, 2]
    assert ONE.gather_rows(values) is values
    assert ONE.send_bytes(b"x") == b"x"
    assert ONE.part(5) == slice(0, 5)
    error = Failure("f")
    assert ONE.settle(error) is error


def _exchange() -> tuple[list[float], list[list[int]], bytes, list[float], dict[str, int]]:
    ranks = ranks_here()
    ranks.join("cpu")
    values = torch.tensor([0.1, 10.0], dtype=torch.float64) * (ranks.rank + 1)
    ranks.sum_(values)
    rows = torch.arange(2 * 2 * ranks.rank).reshape(-1, 2)
    sent = ranks.send_bytes(b"from the first" if ranks.first else None)
    ranks.barrier()
    if ranks.first:
        ranks.say("word", {"a": 1})
    gathered = ranks.gather_rows(rows.float())
    heard = ranks.hear("word")
    ranks.part_ways()
    return values.tolist(), ranks.gather_rows(rows).tolist(), sent, gathered.flatten().tolist(), heard


def test_tensors_and_words_are_exchanged():
    first, second, third = run_ranks(3, _exchange)
    assert first == second == third
    sums, rows, sent, floats, heard = first
    assert sums == pytest.approx([0.6, 60.0], abs=1e-15)
    assert rows == [[0, 1], [2, 3], *[[2 * n, 2 * n + 1] for n in range(4)]]
    assert floats == [value for row in rows for value in row]
    assert (sent, heard) == (b"from the first", {"a": 1})


def _fail_on(failing: int) -> tuple[str, str, int]:
    ranks = ranks_here()
    ranks.join("cpu")
    error: SaecliError
    try:
        if ranks.rank == failing:
            raise InputError("A file is missing.", "Look for it.")
        ranks.hear("never said")
    except SaecliError as raised:
        error = ranks.settle(raised)
    ranks.part_ways()
    return error.message, error.hint, error.exit_code


@pytest.mark.parametrize("failing", [0, 1])
def test_the_first_failure_is_everybodys(failing: int):
    found = run_ranks(2, _fail_on, failing)
    assert found[failing] == ("A file is missing.", "Look for it.", 3)
    assert found[1 - failing] == (f"Process {failing} of 2: A file is missing.", "Look for it.", 3)


def _interrupt() -> tuple[str, int]:
    ranks = ranks_here()
    ranks.connect()
    if ranks.first:
        error = ranks.settle(Interrupted("Kept in a folder.", exit_code=143))
        ranks.say("settled", True)
    else:
        ranks.hear("settled")
        error = ranks.settle(Interrupted("Interrupted.", exit_code=130))
    ranks.part_ways()
    return error.message, error.exit_code


def test_an_interrupt_keeps_its_words_and_has_one_exit_code():
    assert run_ranks(2, _interrupt) == [("Kept in a folder.", 143), ("Interrupted.", 143)]


def _vanish(port: int) -> tuple[str, float]:
    import os
    import time

    ranks = Group(int(os.environ["RANK"]), 2, 0, "127.0.0.1", port, timeout_s=2.0)
    ranks.join("cpu")
    if not ranks.first:
        return "", 0.0
    started = time.monotonic()
    with pytest.raises(RankLost) as caught:
        ranks.sum_(torch.zeros(1))
    return str(ranks.settle(caught.value)), time.monotonic() - started


def test_a_process_that_is_gone_or_silent_ends_the_wait():
    message, seconds = run_ranks(2, _vanish, free_port())[0]
    assert "ended without a word" in message
    assert seconds < 30


@pytest.mark.parametrize(
    "variables", [{"RANK": "0"}, {"RANK": "2", "MASTER_ADDR": "x"}, {"RANK": "0", "MASTER_PORT": "y"}]
)
def test_variables_that_make_no_sense_are_a_usage_error(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    given = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", **variables}
    if len(variables) == 1:
        del given["MASTER_ADDR"]
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    ranks_here.cache_clear()
    try:
        with pytest.raises(UsageError, match="torchrun"):
            ranks_here()
    finally:
        ranks_here.cache_clear()


def test_one_process_imports_no_torch():
    code = "import sys, saecli.core.ranks as r; r.ranks_here().connect(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
