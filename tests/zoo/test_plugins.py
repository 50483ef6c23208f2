"""Families of other packages: installed, listed, loaded by name, and left out when they cannot be used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from saecli.core.gpt import GPT, GPTConfig
from saecli.formats.hf_gpt2 import save_gpt

ROOT = Path(__file__).parents[2]
FAMILY = """
import json, os, pathlib, sys
log = os.environ.get("PLUGIN_LOG")
if log:
    with open(log, "a") as file:
        file.write("imported\\n")
from zoo import gpt2
from zoo.family import Family, ModelEntry, ReleaseEntry
HERE = pathlib.Path(__file__).parent
FAMILY = Family(
    name="{family}",
    description="A family of another package.",
    models={{"{model}": ModelEntry(f"file:{{HERE / 'weights'}}", "Two layers of it.")}},
    vocabulary="othello",
    load=gpt2.load,
)
"""


def install(site: Path, package: str, code: str, *, version: str = "1.0", value: str = "FAMILY") -> Path:
    """A package as an installer leaves it: its module, and metadata with an entry point."""
    (site / package).mkdir(parents=True, exist_ok=True)
    (site / package / "__init__.py").write_text(code)
    for old in site.glob(f"{package}-*.dist-info"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    info = site / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[saecli.zoo]\n{package} = {package}:{value}\n")
    return site / package


def mine(site: Path, version: str = "1.0", model: str = "toy-of-mine") -> None:
    folder = install(site, "mine", FAMILY.format(family="mine", model=model), version=version)
    torch.manual_seed(1)
    save_gpt(GPT(GPTConfig(61, 59, 2, 2, 16)), folder / "weights", vocabulary="othello")


@pytest.fixture
def call(tmp_path):
    """Runs Python with a folder of packages and a cache of its own."""
    site = tmp_path / "site"
    site.mkdir()

    def run(*argv: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
            "SAECLI_CACHE": str(tmp_path / "cache"),
            "PLUGIN_LOG": str(tmp_path / "log"),
            "OMP_NUM_THREADS": "1",
            **more,
        }
        return subprocess.run(
            [sys.executable, *argv],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=120,
            check=False,
        )

    run.site = site
    run.log = tmp_path / "log"
    return run


def imports(call) -> int:
    return len(call.log.read_text().splitlines()) if call.log.exists() else 0


def names(call, kind: str = "models") -> list[str]:
    done = call("-m", "saecli", "zoo", "list", kind, "--json")
    assert done.returncode == 0, done.stderr
    return [entry["name"] for entry in json.loads(done.stdout)["entries"]]


def completed(call) -> set[str]:
    script = "import json, sys; from saecli.cli.complete import names; print(json.dumps(names('models')))"
    return set(json.loads(call("-c", script).stdout))


def test_a_package_adds_a_model_that_the_command_line_loads_by_name(call):
    mine(call.site)
    size = ["--layers", "1:2", "--kind", "resid_pre", "--latents", "32", "--k", "4", "--tokens", "1000"]
    done = call("-m", "saecli", "train", "sae", "toy-of-mine", *size, "--quiet", "--out", "run")
    assert done.returncode == 0, done.stderr
    suite = json.loads(next(Path(call.log).parent.rglob("suite.json")).read_text())
    assert suite["model"] == "toy-of-mine"
    assert suite["vocabulary"] == "othello"
    assert imports(call) == 1


def test_a_list_imports_a_plugin_once_and_completion_never(call):
    mine(call.site)
    assert "toy-of-mine" not in completed(call)
    assert imports(call) == 0
    assert "toy-of-mine" in names(call)
    assert "toy-of-mine" in names(call)
    assert imports(call) == 1
    assert "toy-of-mine" in completed(call)
    assert imports(call) == 1
    mine(call.site, version="1.1", model="newer-toy")
    assert "toy-of-mine" not in completed(call)
    listed = names(call)
    assert "newer-toy" in listed
    assert "toy-of-mine" not in listed
    assert imports(call) == 2


def test_other_models_are_found_without_importing_it(call):
    mine(call.site)
    code = "from zoo.index import find_model; assert find_model('gpt2') and find_model('toy-of-mine')"
    assert call("-c", code.replace(" and find_model('toy-of-mine')", "")).returncode == 0
    assert imports(call) == 0
    assert call("-c", code).returncode == 0
    assert imports(call) == 1


@pytest.mark.parametrize(
    ("code", "value", "reason"),
    [
        ("raise RuntimeError('\\x1b[31mbroken')", "FAMILY", r"RuntimeError: \\x1b[31mbroken"),
        pytest.param("import no_such_module_anywhere", "FAMILY", "ModuleNotFoundError", marks=pytest.mark.slow),
        ("FAMILY = {'name': 'mine'}", "FAMILY", "mine:FAMILY is dict, expected zoo.family.Family"),
        pytest.param("", "FAMILY", "AttributeError", marks=pytest.mark.slow),
        (FAMILY.format(family="gpt2", model="my-gpt"), "FAMILY", "there is a family 'gpt2' already"),
        (FAMILY.format(family="mine", model="gpt2"), "FAMILY", "there is 'gpt2' among the models already"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named_once_and_left_out(call, code, value, reason):
    install(call.site, "mine", code, value=value)
    done = call("-m", "saecli", "zoo", "list", "models")
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("The zoo plugin 'mine' of mine 1.0 is left out: ")
    assert reason.replace("\\\\", "\\") in done.stderr
    assert "othello-mini" in done.stdout
    assert "my-gpt" not in done.stdout
    again = call("-c", "from zoo.load import load_model; load_model('othello-mini')")
    assert (again.returncode, again.stderr) == (0, "")


def test_two_plugins_with_one_name(call):
    mine(call.site)
    install(call.site, "second", FAMILY.format(family="mine", model="other"))
    done = call("-m", "saecli", "zoo", "list", "models")
    assert "toy-of-mine" in done.stdout
    assert "The zoo plugin 'second' of second 1.0 is left out: there is a family 'mine' already." in done.stderr


def test_a_damaged_or_read_only_cache_is_no_error(call, tmp_path):
    mine(call.site)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/zoo-plugins.json").write_text('{"schema": "saecli.zoo-plugins/1", "plugins": [3]}')
    assert "toy-of-mine" in names(call)
    done = call("-m", "saecli", "zoo", "list", "models", SAECLI_CACHE="/proc/no-such-place")
    assert (done.returncode, done.stderr) == (0, "")
    assert "toy-of-mine" in done.stdout


def test_a_plugin_whose_files_are_gone_says_so(call):
    install(call.site, "mine", FAMILY.format(family="mine", model="toy-of-mine"))
    done = call("-c", "from zoo.load import load_model; load_model('toy-of-mine')")
    assert "toy-of-mine should lie at" in done.stderr
