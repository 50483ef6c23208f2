"""Completion, asked in the real shells."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from saecli.cli.app import COMMANDS
from saecli.cli.complete import names
from saecli.cli.completion_scripts import SHELLS, script
from saecli.core.site import KINDS
from saecli.report.grid import _DETAILS
from tests.cli.example import TABLE
from tests.cli.terminal import Terminal

ROOT = Path(__file__).parents[2]


def need(shell: str) -> str:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    return path


@pytest.mark.parametrize("shell", SHELLS)
def test_the_scripts_in_the_repository_are_in_step(shell):
    stored = (ROOT / f"completions/saecli.{shell}").read_text()
    assert stored == script(shell, COMMANDS), "run `make completions`"


def test_show_completion_prints_the_script(saecli):
    assert saecli("--show-completion", "fish").out == script("fish", COMMANDS)
    wrong = saecli("--show-completion", "fsh")
    assert wrong.code == 2
    assert "Did you mean 'fish'?" in wrong.err


@pytest.fixture
def place(tmp_path):
    """A folder with the example's scripts and something to complete as a path."""
    (tmp_path / "scripts").mkdir()
    for shell in SHELLS:
        (tmp_path / f"scripts/saecli.{shell}").write_text(script(shell, TABLE))
    (tmp_path / "mydata.txt").write_text("")
    (tmp_path / "myfolder").mkdir()
    return tmp_path


CASES = [
    ("saecli wo", {"work"}),
    ("saecli ", {"work", "deep", "schema"}),
    ("saecli --ver", {"--version"}),
    ("saecli --show-completion ", {"bash", "zsh", "fish"}),
    ("saecli deep ", {"work"}),
    ("saecli schema d", {"deep"}),
    ("saecli work --ov", {"--overwrite"}),
    ("saecli work --no-", {"--no-shuffle"}),
    ("saecli work --color ", {"red", "green", "blue"}),
    ("saecli work --color g", {"green"}),
    ("saecli work --color=g", {"green"}),
    ("saecli work --kind attn_", {"attn_in", "attn_out", "attn_z"}),
    ("saecli work --kind resid_pre --kind mlp_p", {"mlp_post"}),
    ("saecli work --steps ", set()),
    ("saecli work --text my", {"mydata.txt", "myfolder"}),
    ("saecli work --out my", {"myfolder"}),
    ("saecli work othello-m", {"othello-mini"}),
    ("saecli work --seed 1 othello-m", {"othello-mini"}),
    ("saecli deep work --device c", {"cpu", "cuda"}),
]


def bash_offers(place: Path, line: str) -> set[str]:
    driver = f"""
        source scripts/saecli.bash
        COMP_LINE={line!r}
        COMP_POINT=${{#COMP_LINE}}
        COMP_WORDS=({line.replace("=", " = ")})
        [[ $COMP_LINE == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        compopt() {{ :; }}  # has no meaning outside of a key press
        _saecli
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        [need("bash"), "--norc", "-c", driver], cwd=place, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr == ""
    return set(filter(None, done.stdout.split("\n")))


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_bash_offers(place, line, expected):
    assert bash_offers(place, line) == expected


def test_bash_offers_names_with_blanks_whole(place):
    (place / "my notes.txt").write_text("")
    (place / "my results").mkdir()
    assert bash_offers(place, "saecli work --text my") == {"mydata.txt", "myfolder", "my notes.txt", "my results"}
    assert bash_offers(place, "saecli work --out my") == {"myfolder", "my results"}


def test_every_site_kind_is_completed_and_has_a_name_for_people():
    assert set(names("kinds")) == set(KINDS) == set(_DETAILS)


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_fish_offers(place, line, expected):
    driver = f"source scripts/saecli.fish; complete -C {line!r}"
    done = subprocess.run(
        [need("fish"), "--no-config", "-c", driver],
        cwd=place,
        env={"HOME": str(place), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stderr == ""
    offered = {row.split("\t")[0].removesuffix("/") for row in done.stdout.splitlines()}
    if "=" in line:
        expected = {line.split()[-1].split("=")[0] + "=" + value for value in expected}
    assert offered == expected


def shell_session(shell: str, place: Path) -> tuple[list[str], str]:
    if shell == "bash":
        return [need("bash"), "--norc", "--noprofile", "-i"], "source scripts/saecli.bash"
    if shell == "zsh":
        setup = "autoload -U compinit; compinit -u -D; setopt auto_list; source scripts/saecli.zsh"
        return [need("zsh"), "-f", "-i"], setup
    return [need("fish"), "--no-config", "-i"], "source scripts/saecli.fish"


@pytest.mark.parametrize("shell", SHELLS)
def test_names_with_a_colon_complete_in_a_terminal(place, shell):
    (place / f"scripts/saecli.{shell}").write_text(script(shell, COMMANDS))
    argv, setup = shell_session(shell, place)
    with Terminal(argv, cwd=place, env={"PS1": "READY> ", "PROMPT": "READY> ", "HOME": str(place)}) as terminal:
        terminal.type(f"{setup}; echo set''-up\r")
        terminal.expect("set-up")
        terminal.type("saecli download data:openw\t")
        terminal.expect("ebtext")
        terminal.type("data:openw\t")
        terminal.expect("ebtext")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_tab_key_completes_in_a_terminal(place, shell):
    argv, setup = shell_session(shell, place)
    env = {"PS1": "READY> ", "PROMPT": "READY> ", "HOME": str(place), "fish_features": ""}
    with Terminal(argv, cwd=place, env=env) as terminal:
        terminal.type(f"{setup}; echo set''-up\r")
        terminal.expect("set-up")
        terminal.type("saecli wo\t")
        terminal.expect("saecli work")
        terminal.type("--ov\t")
        terminal.expect("--overwrite")
        terminal.type("--color gr\t")
        terminal.expect("--color green")
        terminal.type("--out myf\t")
        terminal.expect("--out myfolder/")


@pytest.mark.parametrize(
    ("line", "shown"), [("work --color ", "blue +green +red"), ("work --kind mlp_", "mlp_in +mlp_out +mlp_post")]
)
def test_zsh_lists_choices(place, line, shown):
    argv, setup = shell_session("zsh", place)
    with Terminal(argv, cwd=place, env={"PS1": "READY> ", "HOME": str(place)}) as terminal:
        terminal.type(f"{setup}; echo set''-up\r")
        terminal.expect("set-up")
        terminal.type(f"saecli {line}\t")
        terminal.expect(shown)
