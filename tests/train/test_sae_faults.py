"""A kill of ``train sae`` at any moment loses no bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import assert_same_bytes, kill_and_continue

FLAGS = ("--layers", "3:4", "--latents", "256", "--k", "4", "--k", "8", "--tokens", "6000", "--batch", "256")
MORE = ("--buffer", "1024", "--sequences", "8", "--held-out", "0", "--log-every", "5", "--checkpoint-seconds", "0")


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.timeout(3600))])
def test_kill_at_random_moments_loses_no_bit(kills: int, tmp_path: Path):
    runs = kill_and_continue(tmp_path, ("train", "sae", "othello-mini", *FLAGS, *MORE, "--threads", "1"), kills)
    assert_same_bytes(runs, "suite-*/**/*", "metrics.jsonl", "result.json")
