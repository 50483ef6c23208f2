"""``saecli zoo show``: what anything is, and nothing of it is run."""

import json
import os
import pickle

import pytest
import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.formats import dictionary_learning, saelens

SITE = Site(2, "resid_post")


def dictionary(arch="jumprelu", seed=0, site=SITE, **options):
    torch.manual_seed(seed)
    made = make_dictionary(DictionaryConfig(arch, 6, 10, site, site, 6, options))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.normal_()
            if "threshold" in name:
                parameter.uniform_(0.5, 1.5)
    return made.requires_grad_(False)


def shown(saecli, *argv):
    got = saecli("zoo", "show", *argv, "--json")
    assert got.code == 0, got.err
    return json.loads(got.out)


def test_a_dictionary_and_what_is_odd_about_it(saecli, tmp_path):
    made = dictionary()
    made.W_dec_FD[3] = 0
    made.threshold_F[:2] = -1
    saelens.write({"": made}, tmp_path / "one", model="gpt2", context=64)
    found = shown(saecli, tmp_path / "one")
    (one,) = found["dictionaries"]
    assert (found["kind"], found["format"], found["facts"]["model"]) == ("dictionaries", "saelens", "gpt2")
    assert (one["architecture"], one["reads"], one["d_in"], one["n_latents"]) == ("jumprelu", "2.resid_post", 6, 10)
    norms = made.W_dec_FD.norm(dim=1)
    for key, value in (("least", norms.min()), ("median", norms.median()), ("largest", norms.max())):
        assert one["decoder_norms"][key] == pytest.approx(float(value))
    assert any("1 decoder rows are zero" in note for note in one["notes"])
    assert any("2 thresholds are not positive" in note for note in one["notes"])
    text = saecli("zoo", "show", tmp_path / "one").out
    assert "2.resid_post" in text
    assert "note: 1 decoder rows are zero" in text


def test_a_folder_of_several_and_a_choice(saecli, tmp_path):
    saelens.write({"a": dictionary("topk", k=2)}, tmp_path)
    dictionary_learning.write({"b": dictionary("standard", 1, Site(1, "resid_post"))}, tmp_path)
    found = shown(saecli, tmp_path)
    assert found["format"] == "mixed"
    assert [one["name"] for one in found["dictionaries"]] == ["a", "b"]
    assert [one["name"] for one in shown(saecli, tmp_path, "--include", "b")["dictionaries"]] == ["b"]


def test_a_site_that_no_file_tells(saecli, tmp_path):
    made = dictionary("standard")
    torch.save(
        {
            "bias": made.b_dec_D,
            "encoder.weight": made.W_enc_DF.T,
            "encoder.bias": made.b_enc_F,
            "decoder.weight": made.W_dec_FD.T,
        },
        tmp_path / "ae.pt",
    )
    refused = saecli("zoo", "show", tmp_path / "ae.pt")
    assert refused.code == 3
    assert "--site" in refused.err
    assert shown(saecli, tmp_path / "ae.pt", "--site", "4.mlp_out")["dictionaries"][0]["reads"] == "4.mlp_out"


def test_the_embedded_model_and_its_suite(saecli):
    found = shown(saecli, "othello-mini")
    assert found["kind"] == "model"
    assert len(found["dictionaries"]) == 25
    assert found["facts"]["vocabulary"] == "othello"
    assert found["facts"]["layers"] == 8
    assert found["facts"]["parameters"] == "1,601,792"


def test_names_that_are_not_here_say_how_to_get_them(saecli, monkeypatch, tmp_path):
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    found = shown(saecli, "gpt2-small-res-jb")
    assert found["facts"]["source"] == "hf:jbloom/GPT2-Small-SAEs-Reformatted"
    assert "saecli download gpt2-small-res-jb" in " ".join(found["notes"])
    wrong = saecli("zoo", "show", "gpt2-smal-res-jb")
    assert wrong.code == 2
    assert "Did you mean 'gpt2-small-res-jb'?" in wrong.err


def test_graphs_and_shards(saecli, tmp_path):
    run = json.loads(saecli("trace", "--layers", "8:9", "--top-nodes", "2", "--json").out)
    graph = shown(saecli, f"{run['run_directory']}/graph.json")
    assert (graph["kind"], graph["format"], graph["facts"]["nodes"]) == ("graph", "saecli", run["nodes"])
    (tmp_path / "text.txt").write_text("to be or not to be\n" * 400)
    assert saecli("convert", "text.txt", "shards", "--to", "shards").code == 0
    assert shown(saecli, "shards")["facts"]["vocabulary"] == "ascii"


def test_the_probe_compares_with_what_is_recorded(saecli):
    rows = shown(saecli, "othello-mini", "--probe")["probe"]
    assert len(rows) == 25
    assert all(abs(row["variance_explained"] - row["recorded_variance_explained"]) < 0.05 for row in rows)
    wrong = saecli("zoo", "show", "othello-mini", "--probe", "--model", "random:othello-mini")
    assert wrong.code == 3  # other weights than the suite was made for
    assert "weights" in wrong.err


def test_the_probe_finds_a_foreign_suite_at_the_wrong_layer(saecli, tmp_path):
    from zoo.load import load_suite

    suite = load_suite("othello-mini")
    moved = {}
    for layer in (3, 5):
        made = suite[Site(layer, "resid_pre")]
        site = Site(layer + 1, "resid_pre")
        moved[str(layer)] = type(made)(DictionaryConfig("topk", 128, 1024, site, site, 128, {"k": 32}))
        moved[str(layer)].load_state_dict(made.state_dict())
    saelens.write(moved, tmp_path / "moved", model="othello-mini", context=59)
    got = saecli("zoo", "show", tmp_path / "moved", "--probe")
    assert got.code == 4
    assert "did you mean" in got.err.lower()
    traced = saecli("trace", "--suite", tmp_path / "moved", "--probe", "--out", tmp_path / "run")
    assert traced.code == 4
    assert not (tmp_path / "run" / "result.json").exists()


class Evil:
    def __reduce__(self):
        return os.system, ("touch owned",)


@pytest.mark.parametrize("name", ["ae.pt", "top_connections_10.pkl", "checkpoint.pt"])
def test_nothing_is_run(saecli, tmp_path, name):
    with (tmp_path / name).open("wb") as file:
        pickle.dump({"a": Evil()}, file)
    (tmp_path / "config.json").write_text('{"k": 4}')
    got = saecli("zoo", "show", tmp_path / name)
    assert got.code == 3
    assert name in got.err
    assert not (tmp_path / "owned").exists()


def test_what_is_nothing_is_refused(saecli, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    for name in ("empty", "notes.txt"):
        got = saecli("zoo", "show", tmp_path / name)
        assert got.code == 3
        assert "Known formats" in got.err
