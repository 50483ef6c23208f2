"""Streams that fail: a full or closed stdout never shows a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")


def told(shell: str) -> tuple[int, str]:
    """Exit code and stderr of the example with its stdout redirected."""
    command = f"{sys.executable} -m tests.cli.example {shell}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, env=os.environ)
    return done.returncode, done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
@pytest.mark.parametrize("argv", ["work --show-config", "work --show-config --json"])
def test_a_full_stdout_is_one_sentence(argv):
    assert told(f"{argv} >/dev/full") == (1, "Error: No space left on device.\n")


def test_a_closed_stdout_is_quiet():
    assert told("work --show-config --json >&-") == (0, "")
    code, err = told("nope --json >&-")
    assert (code, err.count("\n"), err[:7]) == (2, 1, "Error: ")
