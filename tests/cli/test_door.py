"""A command line's behaviour, told by a small example command that is made like all others."""

from __future__ import annotations

import inspect
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saecli.cli.app import LazyGroup, root
from saecli.cli.door import input_path, toml_value
from saecli.core.config import config_fields, resolve
from saecli.core.errors import Terminated
from saecli.core.inputs import hash_input
from tests.cli.example import DOOR, TABLE, WorkConfig


@pytest.fixture
def work(saecli):
    return lambda *argv: saecli("work", *argv, table=TABLE)


def test_every_flag_of_the_help_is_a_field_of_the_dataclass_and_the_other_way_round():
    parameters = inspect.signature(DOOR._callback()).parameters
    fields = {item.name: item for item in config_fields(WorkConfig) if item.option.table is None}
    assert list(parameters)[1:] == list(fields)
    command = DOOR.click_command("work")
    assert {p.name for p in command.params} == set(fields)
    for param in command.params:
        item = fields[param.name]
        default = list(item.default) if item.many else item.default
        assert param.default == default, param.name
        assert param.multiple is item.many, param.name
    options = {param.name: (param.opts, param.secondary_opts) for param in command.params}
    assert options["shuffle"] == (["--shuffle"], ["--no-shuffle"])
    assert options["steps"] == (["--steps", "-n"], [])
    assert options["overwrite"] == (["--overwrite"], [])


def test_a_result_is_printed_and_stored(work, tmp_path):
    outcome = work("--seed", "7")
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == "3 steps"
    directory = next((tmp_path / "saecli-runs").glob("work-????????"))
    assert f"Results: {directory.relative_to(tmp_path)}" in outcome.err
    assert f"Next: saecli schema {directory.relative_to(tmp_path)}" in outcome.err
    manifest = json.loads((directory / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["seed"] == 7
    assert manifest["sources"]["seed"] == "flag"
    assert manifest["facts"] == {"sites": ["6.resid_pre"]}
    assert set(manifest["files"]) == {"parts/0.txt", "parts/1.txt", "parts/2.txt", "result.json"}
    assert not (directory / ".work").exists()
    assert (tmp_path / "saecli-runs/latest-work").resolve() == directory


def test_foreign_text_is_never_markup_nor_terminal_control(work):
    assert "note: [bold]\\x1b[31m" in work().out


def test_json_is_one_document_with_its_schema_and_no_nan(work):
    outcome = work("--json")
    document = json.loads(outcome.out)
    assert document["schema"] == "saecli.work/1"
    assert document["command"] == "work"
    assert document["reused"] is False
    assert [row["value"] for row in document["rows"]] == [0.0, None, 1.0]
    assert json.loads(work("--json").out) == {**document, "reused": True}


def test_schema_describes_what_json_prints():
    from saecli.core.result import json_schema, to_json
    from tests.cli.example import Row, WorkResult

    schema = json_schema(WorkResult)
    printed = to_json(WorkResult(total=1, rows=(Row(name="a", value=1.0),), note=None))
    assert set(schema["required"]) == {*printed, "command", "run_directory", "reused"} == set(schema["properties"])
    assert schema["properties"]["total"]["description"] == "Steps done."
    assert schema["properties"]["rows"]["items"]["required"] == ["name", "value"]
    assert schema["properties"]["note"]["anyOf"] == [{"type": "string"}, {"type": "null"}]


def test_quiet_prints_the_result_only(work):
    outcome = work("--quiet")
    assert outcome.out
    assert outcome.err == ""


@pytest.mark.parametrize(
    ("kind", "code"),
    [("failure", 1), ("usage", 2), ("input", 3), ("check", 4), ("partial", 5), ("bug", 1), ("disk", 1)],
)
def test_exit_codes_and_one_sentence(work, tmp_path, kind, code):
    outcome = work("--fail", kind, "--tags", "no-checkpoint")
    assert outcome.code == code
    assert outcome.out == ""
    assert outcome.err.splitlines()[-1].startswith("Error: ")
    assert outcome.err.count("\n") == 2, "the engine's note and one line about the error"
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_result_that_speaks_of_a_failure_is_kept_printed_and_told_again(work):
    for reused in (False, True):
        outcome = work("--fail", "partly", "--json")
        assert outcome.code == 5
        document = json.loads(outcome.out)
        assert (document["note"], document["reused"]) == ("partly", reused)
        assert outcome.err.splitlines()[-1] == "Error: 1 of 2 is wrong. Look at it."
    text = work("--fail", "partly")
    assert (text.code, text.out.splitlines()[-1]) == (5, "note: partly")


def test_a_failure_with_json_is_a_document_too(work):
    outcome = work("--fail", "input", "--json", "--tags", "no-checkpoint")
    assert json.loads(outcome.out) == {
        "error": {"code": "input", "message": "Something is wrong.", "hint": "Do something else."}
    }
    unparsed = work("--json", "--no-such-flag")
    assert unparsed.code == 2
    assert json.loads(unparsed.out)["error"]["code"] == "usage"


def test_debug_shows_the_traceback(work, monkeypatch):
    monkeypatch.setenv("SAECLI_DEBUG", "1")
    assert "RuntimeError: boom [/red]" in work("--fail", "bug").err


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--steps", "0"], "--steps must be at least 1, got 0."),
        (["--steps", "1001"], "--steps must be at most 1000, got 1001."),
        (["--steps", "many"], "'--steps'"),
        (["--color", "gren"], "--color gren: must be one of red, green, blue. Did you mean 'green'?"),
        (["--widths", "3", "--widths", "0"], "--widths must be at least 1, got 0."),
        (["--batch-size", "some"], "--batch-size some is neither a positive number nor auto."),
        (["--max-memory", "4Q"], "--max-memory 4Q: expected a size such as 512M or 4G."),
        (["--template", "no-such"], "--template no-such: there is no such template."),
        (["--rate", "nan"], "--rate must be a number, got nan."),
        (["one", "two"], "unexpected extra argument"),
    ],
)
def test_wrong_values_are_usage_errors(work, tmp_path, argv, sentence):
    outcome = work(*argv)
    assert outcome.code == 2
    assert sentence in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_unknown_commands_are_named_with_the_nearest_known(saecli):
    outcome = saecli("wrok", table=TABLE)
    assert outcome.code == 2
    assert outcome.err == "Error: saecli has no command 'wrok'. Did you mean 'work'?\n"
    assert saecli("deep", "wok", table=TABLE).err == "Error: saecli deep has no command 'wok'. Did you mean 'work'?\n"


@pytest.fixture
def templates(tmp_path, monkeypatch):
    folder = tmp_path / "shipped"
    (folder / "templates").mkdir(parents=True)
    (folder / "templates/quick.toml").write_text('command = "work"\nsteps = 5\nrate = 2\ncolor = "green"\n')
    (folder / "templates/steps.toml").write_text(
        'description = "two"\n[[step]]\ncommand = "other"\nx = 1\n[[step]]\ncommand = "work"\nsteps = 9\n'
    )
    monkeypatch.setattr("saecli.core.resources.PACKAGE", folder / "saecli")
    return folder


def test_flag_beats_config_beats_template_beats_default(templates, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("rate = 3.5\nbatch-size = 8\n[[part]]\nsize = 2\n[[part]]\nname = 'b'\n")
    resolved = resolve(WorkConfig, {"template": "quick", "config": str(file), "color": "blue"})
    config, sources = resolved.config, resolved.sources
    assert (config.steps, config.rate, config.color, config.shuffle) == (5, 3.5, "blue", True)
    assert [(part.size, part.name) for part in config.part] == [(2, "a"), (1, "b")]
    assert config.batch_items == 8
    assert [sources[name] for name in ("steps", "rate", "color", "shuffle")] == [
        "template quick",
        f"config {file}",
        "flag",
        "default",
    ]


def test_a_template_of_steps_gives_each_command_its_own(templates):
    assert resolve(WorkConfig, {"template": "steps"}).config.steps == 9


def test_a_flag_takes_back_what_a_file_switched(templates, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("shuffle = false\n")
    assert resolve(WorkConfig, {"config": str(file)}).config.shuffle is False
    assert resolve(WorkConfig, {"config": str(file), "shuffle": True}).config.shuffle is True


def test_show_config_names_sources_and_reads_back(work, tmp_path):
    (tmp_path / "mine.toml").write_text("steps = 4\ntags = ['a b', 'c']\n[[part]]\nsize = 3\n")
    outcome = work("--config", "mine.toml", "--rate", "0.25", "--show-config")
    assert outcome.code == 0
    assert "steps = 4  # config mine.toml" in outcome.out
    assert "rate = 0.25  # flag" in outcome.out
    (tmp_path / "again.toml").write_text(outcome.out)
    again = json.loads(work("--config", "again.toml", "--show-config", "--json").out)
    first = json.loads(work("--config", "mine.toml", "--rate", "0.25", "--show-config", "--json").out)
    for document in (first, again):
        document["config"].pop("config")
    assert again["config"] == first["config"]
    assert tomllib.loads(outcome.out)["part"] == [{"size": 3, "name": "a"}]


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.floats(allow_nan=False),
    st.booleans(),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
)
def test_any_value_survives_show_config(text, rate, shuffle, tags):
    values = {"model": text, "rate": rate, "shuffle": shuffle, "tags": tags}
    toml = "\n".join(f"{name} = {toml_value(value)}" for name, value in values.items())
    assert tomllib.loads(toml) == values


@pytest.mark.parametrize(
    ("toml", "code", "sentence"),
    [
        ("stesp = 3", 2, "unknown key 'stesp'. Did you mean 'steps'?"),
        ("steps = 'three'", 2, "expects a whole number, got 'three'"),
        ("steps = true", 2, "expects a whole number, got True"),
        ("quiet = true", 2, "'quiet' is a flag of one call"),
        ("command = 'other'", 2, "is for `other`, not for `work`"),
        ("[[part]]\nsiez = 1", 2, "unknown key 'siez'. Did you mean 'size'?"),
        ("[[part]]\nsize = 0", 2, "size must be at least 1, got 0"),
        ("[[step]]\ncommand = 'other'", 2, "has no step for `work`"),
        ("steps = ", 3, "is no valid TOML"),
    ],
)
def test_bad_files(work, tmp_path, toml, code, sentence):
    (tmp_path / "bad.toml").write_text(toml)
    outcome = work("--config", "bad.toml")
    assert outcome.code == code
    assert sentence in outcome.err


def test_a_number_in_a_file_is_good_for_a_text_field(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("max_memory = 4e9\nfail = 0.05\n")
    config = resolve(WorkConfig, {"config": str(file)}).config
    assert (config.fail, config.max_memory_bytes) == ("0.05", 4_000_000_000)


def test_a_missing_config_file_is_missing_input(work):
    outcome = work("--config", "none.toml")
    assert outcome.code == 3
    assert outcome.err == "Error: Cannot read none.toml: No such file or directory.\n"


def test_plan_says_what_would_be_done_and_does_nothing(work, tmp_path):
    outcome = work("--plan", "--steps", "4")
    assert outcome.out.splitlines()[0] == "Counts to 4."
    assert "(would be made)" in outcome.out
    assert list(tmp_path.iterdir()) == []
    work("--steps", "4")
    assert "already holds this run" in work("--plan", "--steps", "4").out
    assert json.loads(work("--plan", "--steps", "4", "--json").out)["state"] == "complete"


def test_bare_call_and_help_list_the_table(saecli):
    bare, asked = saecli(table=TABLE), saecli("--help", table=TABLE)
    assert bare == asked
    assert bare.code == 0
    for name in TABLE:
        assert name in bare.out
    assert "Work deeper." in saecli("deep", table=TABLE).out


def test_command_help_has_panels_defaults_and_examples(saecli):
    text = saecli("work", "--help", table=TABLE).out
    for part in ("Work", "Sites", "Machine", "Run", "Configuration", "Output", "[default: red]", "red|green|blue"):
        assert part in text, part
    assert "saecli work --steps 3" in text
    assert "counts to [three]" in text
    assert "Model [to work on]." in text


def test_version(saecli):
    from saecli import __version__

    assert saecli("--version") == type(saecli("--version"))(0, f"saecli {__version__}\n", "")


def test_listing_commands_imports_none_of_them():
    group = root({"ghost": TABLE["work"].__class__("A ghost.", "no.such.module")})
    assert isinstance(group, LazyGroup)
    assert group.list_commands(None) == ["ghost"]
    assert group.get_command(None, "ghost").help == "A ghost."


def test_results_land_where_out_says(work, tmp_path):
    outcome = work("--out", "here/there")
    assert outcome.code == 0
    assert [p.name for p in tmp_path.iterdir()] == ["here"]
    assert (tmp_path / "here/there/result.json").is_file()


def test_inputs_count_by_content_not_by_name(work, tmp_path):
    Path("a.txt").write_text("one")
    Path("b.txt").write_text("one")
    assert "Already complete" not in work("--text", "a.txt").err
    assert "Already complete" in work("--text", "b.txt").err
    Path("b.txt").write_text("two")
    assert "Already complete" not in work("--text", "b.txt").err
    manifests = [json.loads(p.read_text()) for p in Path("saecli-runs").glob("work-*/manifest.json")]
    assert {m["inputs"]["text"]["bytes"] for m in manifests} == {3}


def test_a_model_of_the_zoo_comes_before_a_folder_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("othello-mini").mkdir()
    monkeypatch.setattr("saecli.cli.complete.zoo_asset", {"othello-mini": tmp_path}.get)
    assert input_path("othello-mini") == tmp_path
    Path("mine").mkdir()
    assert input_path("mine") == Path("mine")
    assert input_path("nowhere") is None


def test_results_in_a_folder_are_no_part_of_it(tmp_path):
    (tmp_path / "weights").write_text("x")
    before = hash_input(tmp_path)
    (tmp_path / "saecli-runs/trace-01234567").mkdir(parents=True)
    (tmp_path / "saecli-runs/trace-01234567/graph.json").write_text("{}")
    assert hash_input(tmp_path) == before
    (tmp_path / "config.json").write_text("{}")
    assert hash_input(tmp_path) != before


@pytest.mark.parametrize(("interrupt", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_an_interrupt_before_the_engine_starts_is_one_sentence(work, tmp_path, monkeypatch, interrupt, code):
    def hashing(path: Path, known: dict[Path, str]) -> None:
        raise interrupt

    monkeypatch.setattr("saecli.core.inputs.hash_input", hashing)
    (tmp_path / "a.txt").write_text("one")
    outcome = work("--text", "a.txt")
    assert (outcome.code, outcome.out, outcome.err) == (code, "", "Error: Interrupted.\n")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
