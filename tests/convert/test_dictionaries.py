"""Dictionaries and connections through the command: equal to the source, or refused and nothing made."""

import json

import pytest
import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.formats import saelens, sparsify
from saecli.formats.registry import open_dictionaries

D, F = 8, 24
POST, IN, OUT = Site(2, "resid_post"), Site(1, "mlp_in"), Site(1, "mlp_out")


def random(arch, reads=POST, writes=None, **options):
    generator = torch.Generator().manual_seed(len(arch) + len(options))
    made = make_dictionary(DictionaryConfig(arch, D, F, reads, writes or reads, D, options))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
            if "threshold" in name:
                parameter.abs_()
    return made.requires_grad_(False)


def written(folder, **dictionaries):
    """As SAELens has them; as sparsify has them where sae-lens has none like it."""
    transcoders = any(one.config.reads != one.config.writes for one in dictionaries.values())
    (sparsify if transcoders else saelens).write(dictionaries, folder, model="gpt2", context=64)
    return folder


SOURCES = {
    "standard": {"arch": "standard"},
    "topk": {"arch": "topk", "k": 4},
    "gated": {"arch": "gated"},
    "jumprelu": {"arch": "jumprelu"},
    "transcoder": {"arch": "topk", "reads": IN, "writes": OUT, "k": 4},
}
PAIRS = [
    ("standard", "saelens"),
    ("gated", "saelens"),
    ("jumprelu", "saelens"),
    ("standard", "dictionary_learning"),
    ("topk", "dictionary_learning"),
    ("topk", "gpt-circuits"),
    ("gated", "gpt-circuits"),
    ("gated", "dictionary_learning"),
    ("jumprelu", "dictionary_learning"),
    ("topk", "sparsify"),
    ("transcoder", "sparsify"),
    ("transcoder", "circuit-tracer"),
]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_conversion_computes_what_its_source_does(source, target, tmp_path, saecli):
    spec = dict(SOURCES[source])
    if target == "circuit-tracer":  # a set has every layer from 0
        made = {f"l{i}": random(spec["arch"], Site(i, "mlp_in"), Site(i, "mlp_out"), k=4) for i in range(2)}
    else:
        made = {"one": random(spec.pop("arch"), **spec)}
    written(tmp_path / "source", **made)
    got = saecli("convert", tmp_path / "source", tmp_path / "made", "--to", target, "--json")
    assert got.code == 0, got.err
    report = json.loads(got.out)["dictionaries"]
    assert len(report) == len(made)
    assert all(max(one["encode_difference"], one["decode_difference"]) < 1e-5 for one in report)
    x = 3 * torch.randn(64, D, generator=torch.Generator().manual_seed(5))
    items = {item.config.reads: item for item in open_dictionaries(tmp_path / "made").items}
    for dictionary in made.values():
        again = items[dictionary.config.reads].load(torch.float32)
        assert (dictionary.encode(x) != 0).any()
        torch.testing.assert_close(again.encode(x), dictionary.encode(x), rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(again(x), dictionary(x), rtol=1e-5, atol=1e-5)
    assert json.loads((tmp_path / "made" / "converted.json").read_text())["to"] == target


def test_what_loses_is_refused_until_it_is_accepted(tmp_path, saecli):
    source = written(tmp_path / "source", one=random("topk", k=4))
    half = ("convert", source, tmp_path / "half", "--to", "saelens", "--dtype", "float16")
    got = saecli(*half)
    assert got.code == 3
    assert "would differ" in got.err
    assert "--lossy" in got.err
    assert not (tmp_path / "half").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    assert saecli(*half, "--lossy").code == 0
    again = saecli(*half, "--lossy")
    assert again.code == 3
    assert "is there already" in again.err
    assert saecli(*half, "--lossy", "--overwrite").code == 0


def test_what_a_format_cannot_hold_is_named(tmp_path, saecli):
    source = written(tmp_path / "source", one=random("standard"))
    for target, named in (("sparsify", "not standard"), ("circuit-tracer", "every layer from 0, not those of 2")):
        got = saecli("convert", source, tmp_path / "made", "--to", target)
        assert got.code == 2, got.err
        assert named in got.err
        assert not (tmp_path / "made").exists()


def test_a_choice_of_dictionaries(tmp_path, saecli):
    source = written(tmp_path / "source", a=random("topk", k=4), b=random("standard", Site(3, "resid_post")))
    got = saecli("convert", source, tmp_path / "made", "--to", "dictionary_learning", "--include", "b", "--json")
    assert [one["architecture"] for one in json.loads(got.out)["dictionaries"]] == ["standard"]
    missing = saecli("convert", source, tmp_path / "more", "--to", "saelens", "--include", "c*")
    assert missing.code == 2
    assert "fits no dictionary" in missing.err


@pytest.mark.parametrize("target", ["saelens", "dictionary_learning"])
def test_several_dictionaries_of_one_site_are_compared_each_with_itself(target, tmp_path, saecli):
    source = written(tmp_path / "source", a=random("topk", k=4), b=random("topk", k=5), c=random("standard"))
    got = saecli("convert", source, tmp_path / "made", "--to", target, "--json")
    assert got.code == 0, got.err
    report = json.loads(got.out)["dictionaries"]
    assert [(one["name"], one["architecture"], one["becomes"]) for one in report] == [
        ("a", "topk", "topk"),
        ("b", "topk", "topk"),
        ("c", "standard", "standard"),
    ]


def test_dictionaries_of_raw_and_of_folded_weights_are_not_mixed(tmp_path, saecli):
    for processing in ("raw", "folded"):
        saelens.write({processing: random("topk", k=4)}, tmp_path / "source", processing=processing)
    got = saecli("convert", tmp_path / "source", tmp_path / "made", "--to", "saelens")
    assert got.code == 3
    assert "more than one processing: folded and raw" in got.err
    assert saecli("convert", tmp_path / "source", tmp_path / "made", "--to", "saelens", "--include", "raw").code == 0


def test_the_plan_makes_nothing(tmp_path, saecli):
    source = written(tmp_path / "source", one=random("topk", k=4))
    got = saecli("convert", source, tmp_path / "made", "--to", "sparsify", "--plan")
    assert got.code == 0
    assert "topk, from saelens to sparsify" in got.out
    assert not (tmp_path / "made").exists()


def test_connections(tmp_path, saecli):
    import pickle

    rows = torch.tensor([[2, 0, -1], [1, -1, -1], [-1, -1, -1]])
    with (tmp_path / "top.pkl").open("wb") as file:
        pickle.dump({"attn_0": {}, "mlp_0": {"attn_0": rows}}, file)
    got = saecli("convert", tmp_path / "top.pkl", tmp_path / "connections.safetensors", "--to", "connections")
    assert got.code == 0, got.err
    assert "3 connections" in got.out
    shown = saecli("zoo", "show", tmp_path / "connections.safetensors", "--json")
    assert json.loads(shown.out)["facts"]["connections"] == "3"


@pytest.mark.parametrize("target", ["saelens", "connections"])
def test_bad_input_leaves_nothing(target, tmp_path, saecli):
    (tmp_path / "junk.json").write_text("{}")
    for source in ("junk.json", "not-there"):
        got = saecli("convert", source, tmp_path / "made", "--to", target)
        assert got.code in (2, 3)
        assert got.err.count("\n") == 1
        assert not (tmp_path / "made").exists()
