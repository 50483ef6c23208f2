"""What the README tells a newcomer to type works, and what it shows is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [
    line.split("  #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in block.splitlines()
    if line.startswith("saecli")
]
TRAINING = [line for line in LINES if "my-model" in line]
LONG = ("cooc --sequences", "trace --game", "--method search", "--layers 8 --sequences")
"""Words of commands that take many seconds: they are in the slow lane."""


def check(line: str, saecli) -> str:
    done = saecli(*shlex.split(line)[1:])
    assert done.code == 0, f"{line}\n{done.err}"
    return done.out


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=pytest.mark.slow if any(words in line for words in LONG) else ())
        for line in LINES
        if line not in TRAINING
    ],
)
def test_every_command_of_the_tour_works(line: str, saecli) -> None:
    assert check(line, saecli)


@pytest.mark.slow
def test_ones_own_model_from_games_to_graph(saecli) -> None:
    assert len(TRAINING) == 3
    for line in TRAINING:
        assert check(line, saecli)


def test_links_and_pictures_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_commands_named_are_those_that_exist() -> None:
    from saecli.cli.app import COMMANDS

    table = set(re.findall(r"^\| `saecli ([a-z0-9]+)", TEXT, flags=re.MULTILINE))
    assert table == set(COMMANDS)


def test_the_table_of_formats_has_every_format() -> None:
    from saecli.convert.config import TARGETS
    from saecli.formats.registry import FORMATS

    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z].*?) \|.*?\| (\S+).*$", text, flags=re.MULTILINE)
    named = {name: row for row in rows for name in re.findall(r"`([a-z0-9_-]+)`", row[0])}
    assert set(FORMATS) <= set(named)
    written = {name for name, module in FORMATS.items() if name in TARGETS}
    assert written == {name for name, row in named.items() if row[1] == "yes"}
    assert not [link for link in re.findall(r"convert --to ([a-z-]+)", text) if link not in TARGETS]
