"""Gemma Scope 1 and 2: against their formula written out, with as many latents as dimensions."""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from saecli.core.errors import InputError
from saecli.core.site import Site
from saecli.formats.registry import Hints, open_dictionaries, sniff
from saecli.formats.safe import load_npz, npz_shapes

D = F = 6
X = torch.randn(4, D, generator=torch.Generator().manual_seed(9))


def arrays(d_in=D, latents=F, d_out=D, seed=0):
    generator = np.random.default_rng(seed)
    shapes = {
        "W_enc": (d_in, latents),
        "b_enc": (latents,),
        "W_dec": (latents, d_out),
        "b_dec": (d_out,),
        "threshold": (latents,),
    }
    made = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    made["threshold"] = np.abs(made["threshold"])
    return made


def formula(params, x):
    """What Gemma Scope's own class computes, feature by feature."""
    out = torch.zeros(len(x), len(params["b_dec"]))
    for row, value in enumerate(x):
        out[row] = torch.as_tensor(params["b_dec"])
        for f in range(len(params["b_enc"])):
            pre = value @ torch.as_tensor(params["W_enc"][:, f]) + float(params["b_enc"][f])
            if pre > float(params["threshold"][f]):
                out[row] += pre.relu() * torch.as_tensor(params["W_dec"][f])
    return out


def npz(folder: Path, **made) -> Path:
    folder.mkdir(parents=True)
    np.savez(folder / "params.npz", **made)
    return folder


def one(path, hints=None):
    (item,) = open_dictionaries(path, hints).items
    return item


@pytest.mark.parametrize(
    ("place", "reads", "writes", "model", "processing"),
    [
        ("gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71", "20.resid_post", "", "google/gemma-2-2b", ""),
        ("gemma-scope-9b-it-res/layer_9/width_131k/average_l0_71", "9.resid_post", "", "google/gemma-2-9b-it", ""),
        ("gemma-scope-27b-pt-mlp/layer_3/width_1m/average_l0_71", "3.mlp_out", "", "google/gemma-2-27b", ""),
        (
            "hub/models--google--gemma-scope-2b-pt-att/snapshots/01ab/layer_5/width_16k/average_l0_71",
            *("5.attn_z", "", "google/gemma-2-2b", ""),
        ),
        (
            "gemma-scope-2b-pt-transcoders/layer_7/width_16k/average_l0_71",
            *("7.mlp_in", "7.mlp_out", "google/gemma-2-2b", "folded"),
        ),
    ],
)
def test_the_site_is_told_by_the_repository_and_the_numbers_are_right(
    tmp_path, place, reads, writes, model, processing
):
    params = arrays()
    item = one(npz(tmp_path / place, **params))
    assert (item.config.reads, item.config.writes) == (Site.parse(reads), Site.parse(writes or reads))
    assert (item.model, item.processing, item.measured) == (model, processing, {"l0": 71.0})
    assert (item.context, item.prepends_bos) == (1024, True)
    loaded = item.load(torch.float32)
    assert loaded.config == item.config
    assert not loaded.subtracts_b_dec
    torch.testing.assert_close(loaded(X), formula(params, X), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(loaded.reconstruct(X), formula(params, X), atol=1e-6, rtol=1e-6)


def test_the_embedding_reads_the_scaled_residual_stream(tmp_path):
    params = arrays()
    item = one(npz(tmp_path / "gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6", **params))
    assert item.config.reads == Site(0, "resid_pre")
    assert "multiplied" in item.notes[0]
    scale = D**0.5
    torch.testing.assert_close(item.load(torch.float32)(X * scale), formula(params, X) * scale, atol=2e-6, rtol=1e-5)


def test_both_spellings_hints_and_widths(tmp_path):
    params = arrays(d_in=4, latents=8, d_out=3)
    lower = {"w_enc": params.pop("W_enc"), "w_dec": params.pop("W_dec"), **params}
    folder = npz(tmp_path / "somewhere", **lower)
    hints = Hints(reads=Site(2, "mlp_in"), writes=Site(2, "mlp_out"), model="mine", processing="raw")
    item = one(folder / "params.npz", hints)
    assert (item.config.d_in, item.config.n_latents, item.config.d_out) == (4, 8, 3)
    assert (item.model, item.processing, item.measured) == ("mine", "raw", {})
    x = torch.randn(3, 4)
    assert one(folder, Hints(Site(2, "mlp_in"), Site(2, "mlp_in"))).config.writes == Site(2, "mlp_out")
    upper = {"W_enc": lower["w_enc"], "W_dec": lower["w_dec"], **params}
    torch.testing.assert_close(item.load(torch.float32)(x), formula(upper, x), atol=1e-6, rtol=1e-6)
    with pytest.raises(InputError, match="does not say at which site"):
        one(folder)
    with pytest.raises(InputError, match="reads 4 numbers and writes 3"):
        one(folder, Hints(reads=Site(2, "resid_post")))
    params |= {"W_enc": lower["w_enc"]} | lower
    with pytest.raises(InputError, match="both spellings of w_dec, w_enc"):
        one(npz(tmp_path / "twice", **params), hints)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": None, "log_threshold": np.zeros(F, np.float32)}, "no tensor threshold"),
        ({"more": np.zeros(1, np.float32)}, "unknown tensor more"),
        ({"b_enc": np.zeros(5, np.float32)}, r"b_enc of shape \(5,\), expected \(6,\)"),
        ({"W_enc": np.zeros(6, np.float32)}, r"W_enc of shape \(6,\), expected 2 axes"),
        ({"W_dec": np.zeros((6, 6, 1), np.float32)}, r"W_dec of shape \(6, 6, 1\), expected 2 axes"),
        ({"W_enc": np.array([{}], dtype=object)}, "objects"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, change, message):
    made = {name: value for name, value in (arrays() | change).items() if value is not None}
    folder = npz(tmp_path / "gemma-scope-2b-pt-res/layer_1", **made)
    from saecli.formats import gemma_scope

    with pytest.raises(InputError, match=message):
        gemma_scope.open(folder, Hints())


def test_a_header_that_claims_more_than_the_file_has_is_refused(tmp_path):
    folder = tmp_path / "gemma-scope-2b-pt-res/layer_1"
    folder.mkdir(parents=True)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1048576, 1048576), }"
    header = header.ljust(117) + b"\n"
    with zipfile.ZipFile(folder / "params.npz", "w") as archive:
        for name, value in arrays().items():
            buffer = io.BytesIO()
            np.save(buffer, value)
            data = buffer.getvalue()
            if name == "W_enc":
                data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data[-144:]
            archive.writestr(f"{name}.npy", data)
    assert sniff(folder) == "gemma-scope"
    with pytest.raises(InputError, match=r"W_enc\.npy', which claims shape \(1048576, 1048576\)"):
        one(folder)


def test_a_cut_file_is_no_gemma_scope(tmp_path):
    folder = npz(tmp_path / "gemma-scope-2b-pt-res/layer_1", **arrays())
    file = folder / "params.npz"
    file.write_bytes(file.read_bytes()[:-40])
    assert sniff(folder) == ""
    with pytest.raises(InputError, match=r"params\.npz"):
        npz_shapes(file)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.dictionaries(
        st.text("abcW_", min_size=1, max_size=6), st.lists(st.integers(0, 4), max_size=3).map(tuple), max_size=4
    ),
    compressed=st.booleans(),
)
def test_shapes_of_an_npz_are_those_of_its_arrays(tmp_path, shapes, compressed):
    file = tmp_path / "any.npz"
    save = np.savez_compressed if compressed else np.savez
    save(file, **{name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    assert npz_shapes(file) == shapes == {name: tuple(value.shape) for name, value in load_npz(file).items()}


# --- Gemma Scope 2 ----------------------------------------------------------------------------------------------------


def config(layer: object, into: str, out: str, **more):
    return {
        "hf_hook_point_in": f"model.layers.{layer}.{into}",
        "hf_hook_point_out": f"model.layers.{layer}.{out}",
        "width": F,
        "model_name": "google/gemma-3-4b-pt",
        "architecture": "jump_relu",
        "l0": 150,
        "affine_connection": False,
        "type": "sae",
        **more,
    }


def folder_2(folder: Path, document, tensors=None, name="params.safetensors") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(document))
    made = tensors or {key.lower(): torch.from_numpy(value) for key, value in arrays().items()}
    save_file(made, folder / name)
    return folder


@pytest.mark.parametrize(
    ("into", "out", "reads", "writes"),
    [
        ("output", "output", "17.resid_post", "17.resid_post"),
        ("post_feedforward_layernorm.output", "post_feedforward_layernorm.output", "17.mlp_out", "17.mlp_out"),
        ("self_attn.o_proj.input", "self_attn.o_proj.input", "17.attn_z", "17.attn_z"),
        ("pre_feedforward_layernorm.output", "post_feedforward_layernorm.output", "17.mlp_in", "17.mlp_out"),
    ],
)
@pytest.mark.parametrize("affine", [False, True])
def test_gemma_scope_2(tmp_path, into, out, reads, writes, affine):
    params = arrays()
    tensors = {key.lower(): torch.from_numpy(value) for key, value in params.items()}
    skip = torch.randn(D, D) if affine else torch.zeros(D, D)
    if affine:
        tensors["affine_skip_connection"] = skip
    item = one(folder_2(tmp_path / "x", config(17, into, out), tensors))
    assert (item.config.reads, item.config.writes) == (Site.parse(reads), Site.parse(writes))
    assert (item.model, item.processing, item.measured) == ("google/gemma-3-4b-pt", "raw", {"l0": 150.0})
    expected = formula(params, X) + X @ skip
    torch.testing.assert_close(item.load(torch.float32)(X), expected, atol=1e-6, rtol=1e-6)
    same = Hints(Site.parse(reads), Site.parse(reads))  # one site is said, as for an autoencoder
    assert one(tmp_path / "x", same).config == item.config


def clt_tensors(layer: int, layers: int, affine: bool = False):
    generator = torch.Generator().manual_seed(layer)
    made = {key.lower(): torch.from_numpy(value) for key, value in arrays(seed=layer).items()}
    made["w_dec"] = torch.randn(F, layers, D, generator=generator)
    if affine:
        made["affine_skip_connection"] = torch.randn(D, D, generator=generator)
    return made


@pytest.mark.parametrize("affine", [False, True])
def test_a_cross_layer_transcoder_of_gemma_scope_2(tmp_path, affine):
    layers = 3
    document = config("{all}", "pre_feedforward_layernorm.output", "post_feedforward_layernorm.output", type="clt")
    stored = [clt_tensors(layer, layers, affine) for layer in range(layers)]
    for layer, tensors in enumerate(stored):
        folder_2(tmp_path / "clt", document, tensors, f"params_layer_{layer}.safetensors")
    found = open_dictionaries(tmp_path / "clt")
    assert [item.name for item in found.items] == ["layer_0", "layer_1", "layer_2"]
    suite = found.suite("clt")
    inputs = {Site(layer, "mlp_in"): torch.randn(4, D) for layer in range(layers)}
    together = suite.reconstruct(inputs)
    for target in range(layers):
        expected = stored[target]["b_dec"].expand(4, D).clone()
        for source in range(target + 1):
            params = stored[source]
            pre = inputs[Site(source, "mlp_in")] @ params["w_enc"] + params["b_enc"]
            expected += (pre.relu() * (pre > params["threshold"])) @ params["w_dec"][:, target]
        if affine:
            expected += inputs[Site(target, "mlp_in")] @ stored[target]["affine_skip_connection"]
        torch.testing.assert_close(together[Site(target, "mlp_out")], expected, atol=1e-5, rtol=1e-5)


def test_a_missing_layer_and_a_decoder_for_too_few_layers_are_refused(tmp_path):
    document = config("{all}", "pre_feedforward_layernorm.output", "post_feedforward_layernorm.output", type="clt")
    for layer in (0, 2):
        folder_2(tmp_path / "clt", document, clt_tensors(layer, 3), f"params_layer_{layer}.safetensors")
    with pytest.raises(InputError, match=r"has no params_layer_1\.safetensors"):
        open_dictionaries(tmp_path / "clt")
    folder_2(tmp_path / "clt", document, clt_tensors(1, 2), "params_layer_1.safetensors")
    with pytest.raises(InputError, match=r"w_dec of shape \(6, 2, 6\), expected \(6, 3, 6\)"):
        open_dictionaries(tmp_path / "clt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "crosscoder"}, "is a crosscoder"),
        (
            {"hf_hook_point_in": "model.layers.{5,9,12}.output", "type": None},
            r"is a crosscoder, which reads .*\{5,9,12\}",
        ),
        ({"hf_hook_point_in": f"model.layers.{'9' * 5000}.output"}, "has hf_hook_point_in = 'model"),
        ({"architecture": "topk"}, "of architecture 'topk'; expected jump_relu"),
        ({"hf_hook_point_in": "model.layers.3.mlp.output"}, r"hf_hook_point_in = 'model\.layers\.3\.mlp\.output'"),
    ],
)
def test_configurations_that_are_not_read_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        open_dictionaries(folder_2(tmp_path / "x", config(3, "output", "output") | changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": None}, "no tensor threshold"),
        ({"more": torch.zeros(1)}, "unknown tensor more"),
        ({"w_dec": torch.zeros(F, D + 1)}, r"b_dec of shape \(6,\), expected \(7,\)"),
        ({"w_enc": torch.zeros(D, F + 1)}, "of shape"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, change, message):
    tensors = {key.lower(): torch.from_numpy(value) for key, value in arrays().items()} | change
    tensors = {name: value for name, value in tensors.items() if value is not None}
    with pytest.raises(InputError, match=message):
        open_dictionaries(folder_2(tmp_path / "x", config(3, "output", "output"), tensors))


def test_a_safetensors_header_that_claims_more_than_the_file_has_is_refused(tmp_path):
    folder = folder_2(tmp_path / "x", config(3, "output", "output"))
    file = folder / "params.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"params\.safetensors has a damaged safetensors header"):
        open_dictionaries(folder)


def test_what_the_zoo_knows_of_a_release_does_not_win_over_its_files(tmp_path):
    """The transcoders read the normed MLP input without the norm's gain, which only folded weights have."""
    from zoo.index import find_release
    from zoo.load import _hints
    from zoo.resolve import Dictionaries

    place = npz(tmp_path / "gemma-scope-2b-pt-transcoders/layer_7/width_16k/average_l0_71", **arrays())
    family, entry = find_release("gemma-scope-2b-pt-transcoders")
    suite = open_dictionaries(place, _hints(Dictionaries(place, family, entry))).suite("")
    assert (suite.info.processing, suite.info.model) == ("folded", "gemma-2-2b")
    place = npz(tmp_path / "gemma-scope-2b-pt-res/layer_7/width_16k/average_l0_71", **arrays())
    family, entry = find_release("gemma-scope-2b-pt-res")
    assert open_dictionaries(place, _hints(Dictionaries(place, family, entry))).suite("").info.processing == "raw"
