"""The program with a command that computes next to nothing: `python -m tests.run.program run steps.toml`."""

from __future__ import annotations

import sys

from saecli.cli import app
from tests.cli.example import TABLE

COMMANDS = {"work": TABLE["work"], **{name: app.COMMANDS[name] for name in ("run", "schema", "download", "convert")}}

if __name__ == "__main__":
    app.COMMANDS = COMMANDS
    sys.argv[0] = "saecli"
    app.main()
