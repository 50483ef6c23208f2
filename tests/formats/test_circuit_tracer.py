"""circuit-tracer's sets: against the formulas written out, and what is written reads back."""

from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.formats import circuit_tracer
from saecli.formats.registry import Hints, open_dictionaries, sniff

D = F = 6  # square matrices: only names can tell their orientation
LAYERS = 3
SET = {
    "model_name": "google/gemma-2-2b",
    "model_kind": "transcoder_set",
    "feature_input_hook": "mlp.hook_in",
    "feature_output_hook": "hook_mlp_out",
}
CLT = SET | {"model_kind": "cross_layer_transcoder"}


def transcoder(layer=0, *, skip=False, threshold=False, latents=F):
    generator = torch.Generator().manual_seed(layer)
    shapes = {"W_enc": (latents, D), "W_dec": (latents, D), "b_enc": (latents,), "b_dec": (D,)}
    shapes |= {"W_skip": (D, D)} if skip else {}
    shapes |= {"activation_function.threshold": (latents,)} if threshold else {}
    made = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    if threshold:
        made["activation_function.threshold"].abs_()
    return made


def write_set(folder: Path, layers, document=None, name="layer_{}.safetensors") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for layer, made in enumerate(layers):
        if made is not None:
            save_file(made, folder / name.format(layer))
    if document is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump(document))
    return folder


def formula(made, x, k=None):
    """Row by row what SingleLayerTranscoder computes."""
    out = torch.zeros(len(x), D)
    for row, value in enumerate(x):
        pre = made["W_enc"] @ value + made["b_enc"]
        if k is not None:
            acts = torch.where(pre >= pre.sort(descending=True).values[k - 1], pre.relu(), 0)
        elif "activation_function.threshold" in made:
            acts = pre * (pre > made["activation_function.threshold"])
        else:
            acts = pre.relu()
        out[row] = sum(acts[f] * made["W_dec"][f] for f in range(len(acts))) + made["b_dec"]
        if "W_skip" in made:
            out[row] += made["W_skip"] @ value
    return out


X = torch.randn(5, D, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize(
    ("said", "threshold", "k", "arch"),
    [
        ({}, True, None, "jumprelu"),
        ({}, False, None, "standard"),
        ({"activation": "relu"}, False, None, "standard"),
        ({"activation": "topk", "k": 3}, False, 3, "topk"),
        ({"activation": "jumprelu"}, True, None, "jumprelu"),
    ],
)
def test_a_transcoder_per_layer(tmp_path, skip, said, threshold, k, arch):
    layers = [transcoder(layer, skip=skip, threshold=threshold) for layer in range(LAYERS)]
    found = open_dictionaries(write_set(tmp_path / "set", layers, SET | said))
    assert found.format == "circuit-tracer"
    assert [item.name for item in found.items] == ["layer_0", "layer_1", "layer_2"]
    for layer, item in enumerate(found.items):
        assert (item.config.reads, item.config.writes) == (Site(layer, "mlp_in"), Site(layer, "mlp_out"))
        assert (item.model, item.processing, item.config.arch) == ("google/gemma-2-2b", "raw", arch)
        loaded = item.load(torch.float32)
        torch.testing.assert_close(loaded(X), formula(layers[layer], X, k), atol=2e-6, rtol=1e-6)
        torch.testing.assert_close(loaded.reconstruct(X), formula(layers[layer], X, k), atol=2e-6, rtol=1e-6)


def test_k_and_one_threshold_for_all_may_be_tensors(tmp_path):
    made = transcoder()
    (item,) = open_dictionaries(write_set(tmp_path / "k", [made | {"k": torch.tensor(2)}], SET)).items
    torch.testing.assert_close(item.load(torch.float32)(X), formula(made, X, 2), atol=2e-6, rtol=1e-6)
    assert "negative" in item.notes[0]
    made["activation_function.threshold"] = torch.tensor([0.5])
    (item,) = open_dictionaries(write_set(tmp_path / "t", [made], SET)).items
    torch.testing.assert_close(item.load(torch.float32)(X), formula(made, X), atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("hook", "kind", "processing"),
    [
        ("mlp.hook_in", "mlp_in", "raw"),
        ("ln2.hook_normalized", "mlp_in", "folded"),
        ("hook_resid_mid", "resid_mid", "raw"),
    ],
)
def test_hooks_name_the_site_and_the_processing(tmp_path, hook, kind, processing):
    folder = write_set(tmp_path / "set", [transcoder()], SET | {"feature_input_hook": hook})
    (item,) = open_dictionaries(folder).items
    assert (item.config.reads, item.processing) == (Site(0, kind), processing)


def test_files_without_a_configuration_need_a_site(tmp_path):
    folder = write_set(tmp_path / "set", [transcoder(layer) for layer in range(2)])
    assert sniff(folder) == "circuit-tracer"
    with pytest.raises(InputError, match="does not say at which site of every layer"):
        open_dictionaries(folder)
    found = open_dictionaries(folder, Hints(Site(0, "mlp_in"), Site(0, "mlp_in"), model="tiny", processing="raw"))
    assert [item.config.reads for item in found.items] == [Site(0, "mlp_in"), Site(1, "mlp_in")]
    assert [item.config.writes for item in found.items] == [Site(0, "mlp_out"), Site(1, "mlp_out")]
    assert (found.items[0].model, found.items[0].processing) == ("tiny", "raw")


def test_missing_layers_are_named(tmp_path):
    folder = write_set(tmp_path / "set", [None, transcoder(1), None, None, transcoder(4)], SET)
    with pytest.raises(InputError, match=r"no layer_0\.safetensors, layer_2\.safetensors, layer_3\.safetensors;"):
        open_dictionaries(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no layer_0\.safetensors;"):
        open_dictionaries(write_set(tmp_path / "empty", [], SET))


def test_lists_of_files(tmp_path):
    remote = "hf://google/gemma-scope-2b-pt-transcoders/layer_0/width_16k/average_l0_76/params.npz?revision=main"
    folder = write_set(tmp_path / "set", [], SET | {"transcoders": [remote, remote]})
    with pytest.raises(InputError, match="lists 2 transcoders that are not local yet") as caught:
        open_dictionaries(folder)
    assert caught.value.hint == (
        "Download them: saecli download "
        "hf:google/gemma-scope-2b-pt-transcoders/layer_0/width_16k/average_l0_76/params.npz."
    )
    made = [transcoder(0), transcoder(1)]
    write_set(folder / "files", made, name="my_{}.safetensors")
    write_set(folder, [], SET | {"transcoders": ["files/my_1.safetensors", "files/my_0.safetensors"]})
    items = open_dictionaries(folder).items
    torch.testing.assert_close(items[0].load(torch.float32)(X), formula(made[1], X), atol=2e-6, rtol=1e-6)
    (folder / "files/my_0.safetensors").rename(tmp_path / "blob")  # as the hub's cache keeps it
    (folder / "files/my_0.safetensors").symlink_to(tmp_path / "blob")
    torch.testing.assert_close(
        open_dictionaries(folder).items[1].load(torch.float32)(X), formula(made[0], X), atol=2e-6, rtol=1e-6
    )
    for listed in (["../x.safetensors"], ["/x.safetensors"], ["files/x.npz"], "files", ["files/none.safetensors"], [3]):
        write_set(folder, [], SET | {"transcoders": listed})
        wanted = r"no safetensors file of its folder|is none|cannot be read|transcoders of a form"
        with pytest.raises(InputError, match=wanted):
            open_dictionaries(folder)


@pytest.mark.parametrize(
    ("said", "change", "message"),
    [
        ({"activation": "gelu"}, {}, "activation 'gelu'; relu, topk and jumprelu are read"),
        ({"activation": "jumprelu"}, {}, r"no activation_function\.threshold, which activation 'jumprelu' needs"),
        ({"activation": "relu"}, {"activation_function.threshold": torch.ones(F)}, "says that its activation is relu"),
        ({"activation": "topk"}, {}, "needs k from 1"),
        ({"activation": "topk", "k": 3}, {"k": torch.tensor(2)}, "has k = 2, and .* says 3"),
        ({"activation": "topk"}, {"k": torch.tensor(torch.nan)}, r"k of type torch\.float32"),
        ({"model_kind": "other"}, {}, "model_kind 'other'"),
        ({"feature_input_hook": "hook_nowhere"}, {}, "feature_input_hook = 'hook_nowhere', which names no site"),
        ({}, {"activation_function.threshold": -torch.ones(F)}, "negative thresholds"),
        ({}, {"activation_function.threshold": torch.ones(5)}, r"threshold of shape \(5,\), expected \(6,\)"),
        ({}, {"W_enc": None}, "no tensor W_enc"),
        ({}, {"more": torch.ones(1)}, "unknown tensor more"),
        ({}, {"W_skip": torch.ones(D, 5)}, r"W_skip of shape \(6, 5\)"),
        ({}, {"b_dec": torch.ones(5)}, r"b_dec of shape \(5,\)"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, said, change, message):
    made = {name: value for name, value in (transcoder() | change).items() if value is not None}
    folder = write_set(tmp_path / "set", [made], SET | said)
    with pytest.raises(InputError, match=message):
        open_dictionaries(folder).items[0].load(torch.float32)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_kind: !!python/object/apply:pathlib.Path.touch [ran]", "is not YAML of plain values"),
        ("- model_kind", "is not a mapping of names"),
        ("model_kind: [", "is not YAML"),
        ("[" * 1200, "is nested too deeply"),
        ("a: " + "x" * (1 << 20), "is larger than"),
    ],
)
def test_a_configuration_that_is_none_is_refused_and_nothing_is_made(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    folder = write_set(tmp_path / "set", [transcoder()])
    (folder / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        circuit_tracer.open(folder, Hints())
    assert sniff(folder) == "circuit-tracer"
    assert not (tmp_path / "ran").exists()


def test_references_that_grow_without_end_and_a_layer_far_away_cost_nothing(tmp_path):
    folder = write_set(tmp_path / "set", [transcoder()])
    grown = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40))
    text = f"a0: &a0 [x, x]\n{grown}\nscan: *a39\n" + yaml.safe_dump(SET)
    (folder / "config.yaml").write_text(text)
    (item,) = open_dictionaries(folder).items
    assert (item.config.arch, dict(item.metadata)) == ("standard", {"model_kind": "transcoder_set"})
    (folder / "config.yaml").write_text(f"{text}\nactivation: *a39")
    with pytest.raises(InputError, match="has activation of a form that no set has: list"):
        open_dictionaries(folder)
    (folder / "config.yaml").write_text(text)
    (folder / "layer_0.safetensors").rename(folder / f"layer_{10**15}.safetensors")
    with pytest.raises(InputError, match=r"no layer_0\.safetensors, layer_1\.safetensors, .*layer_7\.safetensors;"):
        open_dictionaries(folder)


def test_a_damaged_file_is_refused(tmp_path):
    folder = write_set(tmp_path / "set", [transcoder()], SET)
    file = folder / "layer_0.safetensors"
    whole = file.read_bytes()
    for damaged in (whole[:-4], (1 << 60).to_bytes(8, "little") + whole[8:], b""):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match=r"layer_0\.safetensors"):
            open_dictionaries(folder)


# --- across layers ----------------------------------------------------------------------------------------------------


def cross_layers(folder: Path, threshold=True, layers=LAYERS, decoders=range(LAYERS), document=CLT):
    """Files of a cross-layer transcoder, and their tensors by layer."""
    stored = []
    for layer in range(layers):
        generator = torch.Generator().manual_seed(layer)
        made = {
            f"W_enc_{layer}": torch.randn(F, D, generator=generator),
            f"b_enc_{layer}": torch.randn(F, generator=generator),
            f"b_dec_{layer}": torch.randn(D, generator=generator),
        }
        if threshold:
            made[f"threshold_{layer}"] = torch.rand(F, generator=generator)
        decoder = {f"W_dec_{layer}": torch.randn(F, layers - layer, D, generator=generator)}
        write_set(folder, [], document)
        save_file(made, folder / f"W_enc_{layer}.safetensors")
        if layer in decoders:
            save_file(decoder, folder / f"W_dec_{layer}.safetensors")
        stored.append({name.rsplit("_", 1)[0]: value for name, value in (made | decoder).items()})
    return stored


@pytest.mark.parametrize("threshold", [False, True])
def test_a_cross_layer_transcoder_as_a_whole(tmp_path, threshold):
    stored = cross_layers(tmp_path / "clt", threshold)
    found = open_dictionaries(tmp_path / "clt")
    suite = found.suite("clt")
    assert suite.sites == tuple(Site(layer, "mlp_in") for layer in range(LAYERS))
    inputs = torch.randn(LAYERS, 4, D)
    together = suite.reconstruct({Site(layer, "mlp_in"): inputs[layer] for layer in range(LAYERS)})
    for target in range(LAYERS):
        for row in range(4):
            expected = stored[target]["b_dec"].clone()
            for source in range(target + 1):
                params = stored[source]
                pre = params["W_enc"] @ inputs[source, row] + params["b_enc"]
                acts = pre * (pre > (params["threshold"] if threshold else 0))
                for f in range(F):
                    expected += acts[f] * params["W_dec"][f, target - source]
            torch.testing.assert_close(together[Site(target, "mlp_out")][row], expected, atol=1e-5, rtol=1e-5)


def test_a_decoder_that_is_not_here_is_noted_and_missed_only_when_it_is_needed(tmp_path):
    cross_layers(tmp_path / "clt", decoders=[0, 2])
    items = open_dictionaries(tmp_path / "clt").items
    assert [bool(item.notes) for item in items] == [False, True, False]
    assert items[0].load(torch.float32).reconstruct(X).shape == (5, LAYERS, D)
    with pytest.raises(InputError, match=r"has no W_dec_1\.safetensors"):
        items[1].load(torch.float32)


def test_parts_of_a_cross_layer_transcoder_that_do_not_fit_are_refused(tmp_path):
    folder = tmp_path / "clt"
    cross_layers(folder)
    save_file({"W_dec_1": torch.zeros(F, 3, D)}, folder / "W_dec_1.safetensors")
    with pytest.raises(InputError, match=r"W_dec_1 of shape \(6, 3, 6\), expected \(6, 2, 6\)"):
        open_dictionaries(folder)
    cross_layers(folder)
    (folder / "W_enc_1.safetensors").unlink()
    with pytest.raises(InputError, match=r"no W_enc_1\.safetensors;"):
        open_dictionaries(folder)
    cross_layers(folder)
    save_file(load_file(folder / "W_enc_0.safetensors"), folder / "W_enc_1.safetensors")
    with pytest.raises(InputError, match="no tensor W_enc_1"):
        open_dictionaries(folder)


# --- writing ----------------------------------------------------------------------------------------------------------


def dictionary(layer=0, arch="topk", layers=LAYERS, latents=12, reads="mlp_in", writes="mlp_out", d_out=D, **options):
    base = {"topk": {"k": 3}, "cross_layer": {"writes": [f"{target}.{writes}" for target in range(layer, layers)]}}
    config = DictionaryConfig(
        arch, D, latents, Site(layer, reads), Site(layer, writes), d_out, base.get(arch, {}) | options
    )
    made = make_dictionary(config)
    generator = torch.Generator().manual_seed(layer)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
            if name == "threshold_F":
                parameter.abs_()
    return made.requires_grad_(False)


@settings(deadline=None, max_examples=25)
@given(
    arch=st.sampled_from(["standard", "topk", "jumprelu", "cross_layer"]),
    skip=st.booleans(),
    folded=st.booleans(),
    threshold=st.booleans(),
    reads=st.sampled_from(["mlp_in", "resid_mid"]),
    layers=st.integers(1, 4),
)
def test_what_is_written_reads_back(tmp_path_factory, arch, skip, folded, threshold, reads, layers):
    options = {"activation": "jumprelu" if threshold else "relu"} if arch == "cross_layer" else {}
    options |= {"skip": True} if skip and arch != "cross_layer" else {}
    made = [dictionary(layer, arch, layers, reads=reads, **options) for layer in range(layers)]
    folder = tmp_path_factory.mktemp("set")
    processing = "folded" if folded and reads == "mlp_in" else "raw"
    circuit_tracer.write(named(made[::-1]), folder, model="gpt2", processing=processing)
    found = open_dictionaries(folder)
    assert [item.config for item in found.items] == [one.config for one in made]
    assert {(item.model, item.processing) for item in found.items} == {("gpt2", processing)}
    for one, item in zip(made, found.items, strict=True):
        back = item.load(torch.float32).state_dict()
        assert all(torch.equal(value, back[name]) for name, value in one.state_dict().items())
    again = folder / "again"
    loaded = named(item.load(torch.float32) for item in found.items)
    circuit_tracer.write(loaded, again, model="gpt2", processing=processing)
    for file in folder.glob("*.safetensors"):
        assert (again / file.name).read_bytes() == file.read_bytes()


def named(made):
    return {str(number): one for number, one in enumerate(made)}


def test_the_layout_is_the_one_circuit_tracer_reads(tmp_path):
    made = dictionary(0, "jumprelu", skip=True)
    circuit_tracer.write({"": made}, tmp_path, model="google/gemma-2-2b", processing="folded")
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == SET | {"feature_input_hook": "ln2.hook_normalized"}
    stored = load_file(tmp_path / "layer_0.safetensors")
    names = {"W_enc", "W_dec", "b_enc", "b_dec", "activation_function.threshold", "W_skip"}
    assert stored.keys() == names
    assert torch.equal(stored["W_enc"], made.W_enc_DF.T)
    assert torch.equal(stored["W_skip"], made.W_skip_DO.T)
    topk = tmp_path / "topk"
    circuit_tracer.write({"": dictionary()}, topk)
    assert yaml.safe_load((topk / "config.yaml").read_text())["k"] == 3
    assert "k" not in load_file(topk / "layer_0.safetensors")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: [], "no dictionary was given"),
        (lambda: [dictionary(0), dictionary(2)], "every layer from 0, not those of 0, 2"),
        (lambda: [dictionary(0), dictionary(1, k=4)], r"the dictionary at 1\.mlp_in is not like that at 0\.mlp_in"),
        (lambda: [dictionary(0), dictionary(1, "standard")], "layers are alike"),
        (lambda: [dictionary(0, "groupmax", k=3)], "the dictionary at 0.mlp_in is groupmax"),
        (lambda: [dictionary(0, normalize="layer_norm")], "no option normalize"),
        (lambda: [dictionary(0, reads="mlp_out")], "subtracts b_dec"),
        (lambda: [dictionary(0, d_out=4)], "one width, and the dictionary at 0.mlp_in has 6 and 4"),
        (lambda: [dictionary(0, "cross_layer", 1, skip=True)], "no skip path"),
        (lambda: [dictionary(0, "cross_layer", 2)], "write all later layers up to the last"),
        (
            lambda: [dictionary(0, "cross_layer", 2), dictionary(1, "cross_layer", 2, activation="jumprelu")],
            "another activation",
        ),
    ],
)
def test_what_circuit_tracer_cannot_express_is_refused_before_anything_is_written(tmp_path, made, message):
    with pytest.raises(UsageError, match=message):
        circuit_tracer.write(named(made()), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_numbers_that_do_not_fit_are_refused(tmp_path):
    made = dictionary()
    made.b_dec_D[0] = 1e6
    with pytest.raises(UsageError, match=r"b_dec_D of the dictionary at 0\.mlp_in does not fit into torch\.float16"):
        circuit_tracer.write({"": made}, tmp_path / "out", dtype=torch.float16)
    assert not (tmp_path / "out").exists()
