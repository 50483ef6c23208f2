"""What `saecli download` tells: the zoo's list, what ships with the program, and which of several names failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_without_names_it_shows_what_the_zoo_lists(saecli, cache):
    zoo = saecli("zoo", "list")
    assert "* data:othello " in zoo.out
    assert saecli("download").out == saecli("download", "--list").out == zoo.out
    assert saecli("download", "--search", "pythia dedup").out == saecli("zoo", "list", "--search", "pythia dedup").out
    entries = json.loads(saecli("zoo", "list", "--json").out)["entries"]
    assert json.loads(saecli("download", "--json").out)["listed"] == entries
    nothing = saecli("download", "--search", "nothing like it", "--json")
    assert (nothing.code, json.loads(nothing.out)["listed"]) == (0, [])


@pytest.mark.parametrize("flag", [["--list"], ["--search", "gpt2"]])
def test_a_list_with_a_name_fetches_nothing_and_says_so(saecli, cache, flag):
    outcome = saecli("download", "gpt2", *flag)
    assert (outcome.code, "fetch no NAME" in outcome.err) == (2, True)


def test_what_ships_with_the_program_has_a_row(saecli, cache):
    outcome = saecli("download", "othello-mini", "--json")
    (row,) = json.loads(outcome.out)["names"]
    assert (row["name"], row["files"], row["error"]) == ("othello-mini", [], "")
    assert row["path"].endswith("assets/othello-mini")
    assert Path(row["path"]).is_dir()


def test_of_several_names_each_says_what_became_of_it(saecli, hub, cache):
    hub.repository("org/repo", {"config.json": b"{}"})
    outcome = saecli("download", "hf:org/repo", "hf:org/nothing", "--json")
    good, bad = json.loads(outcome.out)["names"]
    assert outcome.code == 5
    assert outcome.err.splitlines()[-1].startswith("Error: 1 of 2 names could not be fetched. hf:org/nothing: ")
    assert (good["name"], good["error"], len(good["files"])) == ("hf:org/repo", "", 1)
    assert (bad["name"], bad["files"]) == ("hf:org/nothing", [])
    assert "has no hf:org/nothing" in bad["error"]
    text = saecli("download", "hf:org/nothing", "hf:org/repo", "--plan")
    assert text.code == 5
    assert "hf:org/nothing  could not be planned" in text.out
    assert "1 of 2 names could not be planned" in text.err


def test_the_next_command_shows_what_came(saecli, hub, cache, tmp_path):
    import torch

    from saecli.core.dictionary import DictionaryConfig
    from saecli.core.site import Site
    from saecli.dictionaries import make_dictionary
    from saecli.formats import sparsify

    site = Site(1, "resid_post")
    made = make_dictionary(DictionaryConfig("topk", 6, 10, site, site, 6, {"k": 2})).requires_grad_(False)
    torch.nn.init.normal_(made.W_enc_DF)
    torch.nn.init.normal_(made.W_dec_FD)
    sparsify.write({"one": made}, tmp_path / "made")
    files = {p.relative_to(tmp_path / "made").as_posix(): p for p in (tmp_path / "made").rglob("*") if p.is_file()}
    hub.repository("org/sae", {name: path.read_bytes() for name, path in files.items()})
    early = saecli("zoo", "show", "hf:org/sae")
    assert (early.code, "saecli download hf:org/sae" in early.err) == (3, True)
    came = saecli("download", "hf:org/sae")
    assert came.err.splitlines()[-1] == "Next: saecli zoo show 'hf:org/sae'"
    shown = saecli("zoo", "show", "hf:org/sae")
    assert (shown.code, shown.out.splitlines()[0]) == (0, "hf:org/sae: dictionaries, sparsify")


def test_a_name_with_brackets_is_a_name_before_it_is_a_pattern(saecli, hub, cache):
    hub.repository("org/odd", {"x[1].txt": b"1", "x1.txt": b"2"})
    (row,) = json.loads(saecli("download", "hf:org/odd", "--include", "x[1].txt", "--json").out)["names"]
    assert [file["path"] for file in row["files"]] == ["x1.txt", "x[1].txt"]
    (row,) = json.loads(saecli("download", "hf:org/odd/x[1].txt", "--json").out)["names"]
    assert "x[1].txt" in [file["path"] for file in row["files"]]


def test_a_pattern_that_fits_nothing_says_so_when_all_is_here(saecli, hub, cache):
    hub.repository("org/repo", {"config.json": b"{}"})
    assert saecli("download", "hf:org/repo").code == 0
    outcome = saecli("download", "hf:org/repo", "--include", "*.npz")
    assert (outcome.code, "has no file like *.npz. It has 1, such as config.json." in outcome.err) == (3, True)


def test_a_cache_that_is_a_file(saecli, tmp_path):
    (tmp_path / "file").touch()
    outcome = saecli("download", "gpt2", "--cache-dir", tmp_path / "file")
    assert (outcome.code, f"{tmp_path / 'file'} is no folder" in outcome.err) == (3, True)


def test_files_of_one_content_wait_for_no_other_program(saecli, hub, cache):
    body = bytes(range(256)) * 4000
    hub.repository("org/twins", {f"{number}/cfg.json": body for number in range(8)})
    outcome = saecli("download", "hf:org/twins")
    assert (outcome.code, "Waiting" in outcome.err) == (0, False)
