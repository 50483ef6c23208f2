"""`saecli train lm` as a command: its files, its checkpoint, and an interrupt in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

TINY = [
    "--n-layer=1",
    "--n-head=1",
    "--d-model=8",
    "--batch-size=2",
    "--eval-every=20",
    "--held-out=2",
    "--log-every=5",
]


@pytest.mark.slow
def test_an_interrupt_keeps_the_step_and_the_same_command_goes_on_to_the_same_bits(tmp_path: Path):
    command = [sys.executable, "-m", "saecli", "train", "lm", *TINY, "--steps", "200", "--threads", "1"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, "--out", "a"], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "held-out data after step 20" not in (line := process.stderr.readline()):
        assert line, "it ended early"
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait() == 130, said
    assert "The same command continues from there." in said
    step = torch.load(tmp_path / "a/.work/checkpoint.pt", weights_only=True)["step"]
    assert 20 <= step < 200
    for out in ("a", "b"):
        subprocess.run([*command, "--out", out], cwd=tmp_path, env=env, check=True, timeout=120)
    for name in ("model/model.safetensors", "model/config.json", "metrics.jsonl", "result.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
