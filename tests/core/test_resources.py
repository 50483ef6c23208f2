"""Templates and assets are found in a checkout, an editable install and a wheel."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from saecli.core import resources
from saecli.core.errors import InputError, UsageError

ROOT = Path(__file__).parents[2]
ASK = (
    "import json; from saecli.core.resources import *; require_own_zoo(); "
    "print(json.dumps([str(resource('templates')), str(resource('assets')), template_names()]))"
)


def ask(python: str, *, cwd: Path, path: str = "") -> list:
    done = subprocess.run(
        [python, "-c", ASK], cwd=cwd, env={"PYTHONPATH": path}, capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_checkout(tmp_path):
    """The folder on the path, nothing installed."""
    templates, assets, names = ask(sys.executable, cwd=tmp_path, path=str(ROOT))
    assert Path(templates) == ROOT / "templates"
    assert Path(assets) == ROOT / "zoo/assets"
    assert names == sorted(path.stem for path in (ROOT / "templates").glob("*.toml"))


def test_editable_install(tmp_path):
    """The environment of these tests, where saecli is installed with `pip install --editable`."""
    templates, assets, _ = ask(sys.executable, cwd=tmp_path)
    assert Path(templates) == ROOT / "templates"
    assert Path(assets) == ROOT / "zoo/assets"


@pytest.mark.slow
def test_wheel(tmp_path):
    """A real wheel, unpacked into an environment without the checkout."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)], check=True, timeout=240)
    wheel = next(tmp_path.glob("saecli-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    stray = {name.split("/")[0] for name in names} - {"saecli", "zoo"}
    assert all(name.endswith(".dist-info") for name in stray)
    assert not any("__pycache__" in name for name in names)
    site = tmp_path / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, timeout=240)
    templates, assets, found = ask(sys.executable, cwd=tmp_path, path=str(site))
    assert Path(templates) == site / "saecli/templates"
    assert Path(assets) == site / "zoo/assets"
    assert found == resources.template_names()
    in_checkout = {p.relative_to(ROOT / "zoo/assets") for p in (ROOT / "zoo/assets").rglob("*") if p.is_file()}
    assert {p.relative_to(site / "zoo/assets") for p in (site / "zoo/assets").rglob("*") if p.is_file()} == in_checkout
    script = site / "bin/saecli"
    version = subprocess.run(
        [sys.executable, script, "--version"], env={"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True
    )
    assert version.stdout.startswith("saecli ")


def test_a_missing_asset_is_a_damaged_installation():
    with pytest.raises(InputError, match=r"assets/no-such is missing from this installation\. Install saecli again\."):
        resources.resource("assets", "no-such")


def test_a_template_is_found_by_name_with_a_suggestion(tmp_path, monkeypatch):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/othello-mini.toml").write_text("")
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "saecli")
    assert resources.template_path("othello-mini") == tmp_path / "templates/othello-mini.toml"
    for bad in ("othelo-mini", "../pyproject", "/etc/passwd"):
        with pytest.raises(UsageError, match="there is no such template"):
            resources.template_path(bad)


def test_a_foreign_zoo_is_named(tmp_path):
    (tmp_path / "zoo.py").write_text("raise SystemExit('never imported')\n")
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"Another module named zoo hides the one of saecli: {tmp_path / 'zoo.py'}." in done.stderr
