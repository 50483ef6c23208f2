"""What models read if nobody says, made where it is missing, and told where it is not what they were trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saecli.core.gpt import GPT, GPTConfig
from saecli.data.shards import fingerprint, open_shards
from saecli.formats.hf_gpt2 import save_gpt
from zoo.reading import data_of, make_data, other_data


@pytest.mark.parametrize(
    ("model", "vocabulary", "data"),
    [
        ("othello-mini", "othello", "othello"),
        ("random:othello-mini@3", "", "othello"),
        ("gpt2", "gpt2", "data:openwebtext"),
        ("a/folder", "chess", "chess-random"),
        ("a/folder", "othello", "othello"),
        ("a/folder", "ascii", ""),
    ],
)
def test_what_is_read_if_nobody_says(model: str, vocabulary: str, data: str) -> None:
    assert data_of(model, vocabulary) == data


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A standard library of two packages, and an empty cache."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "ast.py").write_text("import sys\n" * 40)
    (folder / "json.py").write_text("x = 1\n" * 40)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(folder))
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_standard_library_is_made_when_it_is_needed(library: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        make_data("data:python", lambda text, *more: said.append(text))
    shards = open_shards(library / "cache" / "data" / "python")
    assert (shards.tokens("train"), shards.tokens("val")) == (440, 240)
    assert said.count("data:python is made, once for this machine.") == 1


@pytest.mark.parametrize("spec", ["othello", "data:chess-random", "data:openwebtext", "data:nothing", "some/folder"])
def test_nothing_else_is_made(library: Path, spec: str) -> None:
    make_data(spec)
    assert not (library / "cache" / "data").exists()


def test_another_standard_library_is_told(library: Path) -> None:
    make_data("data:python")
    known = fingerprint(open_shards(library / "cache" / "data" / "python"))
    model = library / "model"
    shape = GPT(GPTConfig(vocab_size=128, n_ctx=8, n_layer=1, n_head=1, d_model=4))
    save_gpt(shape, model, vocabulary="ascii", extras={"data": {"name": "data:python", "sha256": known}})
    assert other_data(str(model), "data:python") == ""
    config = json.loads((model / "config.json").read_text())
    config["saecli"]["data"]["sha256"] = "0" * 64
    (model / "config.json").write_text(json.dumps(config))
    assert "standard library is another one" in other_data(str(model), "data:python")
    assert other_data(str(model), "othello") == ""
    del config["saecli"]["data"]
    (model / "config.json").write_text(json.dumps(config))
    assert other_data(str(model), "data:python") == ""
