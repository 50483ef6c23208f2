"""CPU time of what a user waits for at the prompt: help, version, completion.

    python benchmarks/cli_start.py

Prints the least user + system seconds of ten runs each, beside a bare interpreter. Aims: help 0.2 s, completion 0.05 s.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BASH = """
source completions/saecli.bash
compopt() { :; }
COMP_WORDS=(saecli schema tr)
COMP_CWORD=2
_saecli
"""
FISH = "source completions/saecli.fish; complete -C 'saecli --show-completion '"
ZSH = "compdef() { : }; source completions/saecli.zsh"


def cpu_seconds(argv: list[str], repeats: int = 10) -> float:
    """Returns the least user + system time of a command over some runs."""
    best = float("inf")
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime))
    return best


def main() -> None:
    program = [sys.executable, "-m", "saecli"]
    cases = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import typer'": [sys.executable, "-c", "import typer"],
        "saecli --version": [*program, "--version"],
        "saecli --help": [*program, "--help"],
        "saecli trace --help": [*program, "trace", "--help"],
        "saecli train sae --help": [*program, "train", "sae", "--help"],
        "saecli --show-completion bash": [*program, "--show-completion", "bash"],
    }
    shells = {"bash": (["--norc", "-c"], BASH), "zsh": (["-f", "-c"], ZSH), "fish": (["--no-config", "-c"], FISH)}
    for shell, (flags, script) in shells.items():
        if path := shutil.which(shell):
            cases[f"{shell}, bare"] = [path, *flags, "true"]
            what = "load" if shell == "zsh" else "load and complete"
            cases[f"{shell}, {what}"] = [path, *flags, script]
    for name, argv in cases.items():
        print(f"{cpu_seconds(argv):6.3f} s  {name}")


if __name__ == "__main__":
    main()
