"""Commands without a run directory: what they print is all they leave."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

from saecli.cli.app import Lazy
from saecli.cli.door import Door
from saecli.core.config import CallConfig, argument, option
from saecli.core.errors import CheckFailed, InputError
from saecli.core.progress import Progress
from saecli.core.result import Result, field_doc, json_schema


@dataclass(frozen=True, kw_only=True)
class LookConfig(CallConfig):
    """The example's configuration."""

    command: ClassVar[str] = "look"

    names: tuple[str, ...] = argument((), help="What to look at.", input=False)
    fail: str = option("", help="How to fail.")


@dataclass(frozen=True, kw_only=True)
class LookResult(Result):
    """The example's result."""

    schema: ClassVar[str] = "saecli.look/1"

    seen: tuple[str, ...] = field_doc("Seen", "The names.")
    planned: bool = field_doc("Planned", "Whether it was only planned.")

    def summary_lines(self) -> list[str]:
        return [f"saw {name}" for name in self.seen]

    def next_command(self) -> str:
        return "saecli look again"

    def failure(self) -> CheckFailed | None:
        return CheckFailed("Something is odd.", "Look closer.") if "odd" in self.seen else None


def run(config: LookConfig, progress: Progress) -> LookResult:
    if config.fail == "disk":
        raise OSError(28, "No space left on device", "there")
    if config.fail:
        raise InputError("Bad input.", "Give other input.")
    progress(f"looking at {len(config.names)}")
    return LookResult(seen=config.names, planned=config.plan)


DOOR = Door(
    config=f"{__name__}:LookConfig",
    engine=f"{__name__}:run",
    result=f"{__name__}:LookResult",
    summary="Look.",
    keeps_run=False,
)


@pytest.fixture
def look(saecli):
    return lambda *argv: saecli("look", *argv, table={"look": Lazy("Look.", __name__)})


def test_the_result_is_printed_and_nothing_is_left(look, tmp_path):
    outcome = look("a", "b")
    assert (outcome.code, outcome.out) == (0, "saw a\nsaw b\n")
    assert outcome.err == "looking at 2\nNext: saecli look again\n"
    assert list(tmp_path.iterdir()) == []


def test_json_is_what_the_schema_says(look):
    document = json.loads(look("a", "--json").out)
    assert document == {"schema": "saecli.look/1", "command": "look", "seen": ["a"], "planned": False}
    assert list(document) == json_schema(LookResult, keeps_run=False)["required"]


def test_plan_and_configuration(look):
    assert json.loads(look("--plan", "--json").out)["planned"] is True
    assert 'names = ["a"]  # flag' in look("a", "--show-config").out


@pytest.mark.parametrize(
    ("fail", "code", "sentence"),
    [("yes", 3, "Bad input. Give other input."), ("disk", 1, "No space left on device: there.")],
)
def test_failures_are_one_sentence(look, fail, code, sentence):
    outcome = look("--fail", fail)
    assert (outcome.code, outcome.out, outcome.err) == (code, "", f"Error: {sentence}\n")


def test_a_check_that_failed_shows_what_was_seen(look):
    text = look("odd")
    assert (text.code, text.out) == (4, "saw odd\n")
    assert text.err.splitlines()[-1] == "Error: Something is odd. Look closer."
    document = look("odd", "--json")
    assert (document.code, json.loads(document.out)["seen"]) == (4, ["odd"])
