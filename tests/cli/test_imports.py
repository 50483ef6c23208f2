"""What must start fast imports nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FORBIDDEN = {"torch", "numpy", "pandas", "huggingface_hub", "transformers", "transformer_lens", "scipy", "matplotlib"}
SCRIPT = """
import json, sys
from saecli.cli.app import run
code = run(json.loads(sys.argv[1]))
sys.stderr.write(json.dumps({"code": code, "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def modules_of(*argv: str) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(argv)], capture_output=True, text=True, check=True, timeout=60
    )
    told = json.loads(done.stderr.splitlines()[-1])
    return told["code"], set(told["modules"])


def command_helps() -> list[tuple[str, ...]]:
    from saecli.cli.app import COMMANDS

    paths: list[tuple[str, ...]] = []
    for name, lazy in COMMANDS.items():
        paths.append((name, "--help"))
        paths += [(name, below, "--help") for below in lazy.below or {}]
    return paths


def test_all_help_version_and_completion_in_one_go():
    script = SCRIPT.replace(
        "code = run(json.loads(sys.argv[1]))", "code = max(run(a) for a in json.loads(sys.argv[1]))"
    )
    calls = [("--help",), ("--version",), ("--show-completion", "bash"), (), *command_helps()]
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(calls)], capture_output=True, text=True, check=True, timeout=60
    )
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 0, done.stdout
    assert not FORBIDDEN & set(told["modules"])


@pytest.mark.parametrize("argv", [("--version",), ("--help",), ("--show-completion", "zsh")])
def test_starting_needs_no_value_converter(argv):
    code, modules = modules_of(*argv)
    assert code == 0
    assert "pydantic" not in modules


def test_the_package_itself_is_light():
    script = "import sys, saecli; print(saecli.__version__); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert not FORBIDDEN & set(done.stdout.split())


def test_the_python_functions_come_when_asked_for():
    import saecli
    from zoo.load import load_suite

    assert saecli.load_suite is load_suite
    assert "load_model" in dir(saecli)
    with pytest.raises(AttributeError, match="has no attribute 'load_sweets'"):
        saecli.load_sweets  # noqa: B018
