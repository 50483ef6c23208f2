"""``saecli zoo show``: names before paths, what is damaged, and the rows of a probe that failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saecli.core.cache import VARIABLE
from saecli.core.dictionary import DictionaryConfig
from saecli.core.site import Site
from saecli.formats import saelens


@pytest.fixture(scope="module")
def suite_at_wrong_layers(tmp_path_factory) -> Path:
    """Two dictionaries of othello-mini: one where it belongs, one a layer later."""
    from zoo.load import load_suite

    suite, made = load_suite("othello-mini"), {}
    for layer, named in ((3, 3), (5, 7)):
        one, site = suite[Site(layer, "resid_pre")], Site(named, "resid_pre")
        made[f"layer{named}"] = type(one)(DictionaryConfig("topk", 128, 1024, site, site, 128, {"k": 32}))
        made[f"layer{named}"].load_state_dict(one.state_dict())
    folder = tmp_path_factory.mktemp("suite")
    saelens.write(made, folder, model="othello-mini", context=59)
    return folder


def test_a_failed_probe_shows_every_row(saecli, suite_at_wrong_layers):
    outcome = saecli("zoo", "show", suite_at_wrong_layers, "--probe", "--json")
    assert outcome.code == 4
    document = json.loads(outcome.out)
    assert document["probed_on"] == "othello-mini"
    assert {row["site"]: row["ok"] for row in document["probe"]} == {"3": True, "7": False}
    assert outcome.err.splitlines()[-1].startswith("Error: 1 of 2 dictionaries of ")
    text = saecli("zoo", "show", suite_at_wrong_layers, "--probe")
    assert (text.code, "    failed: 7: " in text.out) == (4, True)


def test_only_what_is_shown_is_probed(saecli, suite_at_wrong_layers):
    outcome = saecli("zoo", "show", suite_at_wrong_layers, "--include", "layer3", "--probe", "--json")
    assert outcome.code == 0, outcome.err
    assert [row["site"] for row in json.loads(outcome.out)["probe"]] == ["3"]
    ours = saecli("zoo", "show", "othello-mini", "--include", "8.resid_pre", "--probe", "--json")
    assert [row["site"] for row in json.loads(ours.out)["probe"]] == ["8"]


def test_a_name_of_the_zoo_comes_before_a_folder_of_that_name(saecli, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    (tmp_path / "gpt2").mkdir()
    outcome = saecli("zoo", "show", "gpt2")
    assert outcome.code == 0
    assert "hf:openai-community/gpt2" in outcome.out
    assert "the folder is ./gpt2" in outcome.out


def test_what_came_damaged_is_no_note(saecli, monkeypatch, tmp_path):
    from zoo import resolve

    (tmp_path / "came").mkdir()
    (tmp_path / "came" / "config.json").write_text("{")
    monkeypatch.setattr(resolve, "locate", lambda name: tmp_path / "came")
    outcome = saecli("zoo", "show", "gpt2")
    assert (outcome.code, "config.json" in outcome.err) == (3, True)


@pytest.mark.parametrize(("name", "code"), [("", 2), ("unsaid", 3)])
def test_what_says_nothing_is_no_model(saecli, tmp_path, name, code):
    (tmp_path / "unsaid").mkdir()
    (tmp_path / "unsaid/config.json").write_text("{}")
    assert saecli("zoo", "show", name).code == code


def test_data_sets_by_name(saecli, monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    assert "data:shakespeare: data" in saecli("zoo", "show", "data:shakespeare").out
    (tmp_path / "text.txt").write_text("to be or not to be\n" * 400)
    assert saecli("convert", "text.txt", tmp_path / "cache/data/shakespeare", "--to", "shards").code == 0
    document = json.loads(saecli("zoo", "show", "data:shakespeare", "--json").out)
    assert (document["kind"], document["facts"]["train tokens"]) == ("shards", "6,656")


def test_a_model_that_only_the_files_know(saecli, tmp_path):
    from tests.zoo.test_show import dictionary

    saelens.write({"": dictionary()}, tmp_path / "one", model="unheard-of")
    outcome = saecli("zoo", "show", tmp_path / "one", "--probe")
    assert (outcome.code, "says its model is 'unheard-of'" in outcome.err, "--model" in outcome.err) == (2, True, True)
