"""Folders of gpt-circuits: what is read computes what their own classes compute, from files as they write them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.formats import gpt_circuits
from saecli.formats.registry import open_dictionaries, open_suite, sniff
from tests.hand_models import random_model

D, LAYERS = 8, 2
DEFAULT = {"standard": {}, "gated": {}, "jumprelu": {}, "topk": {"top_k": (3, 2, 4)}}


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1000 * seed + sum(shape)))


def own_tensors(arch: str, width: int, seed: int, *, tied: bool = False, d: int = D) -> dict[str, torch.Tensor]:
    tensors = {"W_dec": rand(width, d, seed=seed), "b_dec": rand(d, seed=seed)}
    if arch == "gated":
        tensors |= {"b_gate": rand(width, seed=seed), "b_mag": rand(width, seed=seed + 50)}
        return (
            tensors if tied else tensors | {"W_gate": rand(d, width, seed=seed), "r_mag": rand(width, seed=seed + 90)}
        )
    tensors["b_enc"] = rand(width, seed=seed)
    if arch == "jumprelu":
        tensors["jumprelu.log_threshold"] = rand(width, seed=seed + 50) * 0.5
    return tensors if tied else tensors | {"W_enc": rand(d, width, seed=seed)}


def write(folder: Path, variant: str, widths, *, d: int = D, keys=None, model_layers=LAYERS, **more) -> Path:
    """A folder whose dictionaries share nothing."""
    folder.mkdir(exist_ok=True)
    arch = "topk" if variant.startswith("jsae") else variant.removesuffix("_v2")
    document = {"n_features": list(widths), "sae_variant": variant, **{k: list(v) for k, v in DEFAULT[arch].items()}}
    document |= {"sae_keys": list(keys)} if keys else {}
    (folder / "sae.json").write_text(json.dumps(document | more))
    if model_layers:
        shape = {"block_size": 16, "vocab_size": 9, "n_layer": model_layers, "n_head": 2, "n_embd": d}
        (folder / "model.json").write_text(json.dumps(shape))
    for index, width in enumerate(widths):
        save_file(
            own_tensors(arch, width, index, tied=variant.endswith("_v2"), d=d), folder / f"sae.{index}.safetensors"
        )
    return folder


def write_staircase(folder: Path, variant="topk_staircase", widths=(4, 8, 12), *, file="sae.shared.0"):
    """A staircase: one pair of matrices, biases of each layer's own."""
    folder.mkdir(exist_ok=True)
    document = {"n_features": list(widths), "sae_variant": variant, "top_k": [2] * len(widths)}
    (folder / "sae.json").write_text(json.dumps(document))
    shared = {"W_enc": rand(D, max(widths)), "W_dec": rand(max(widths), D)}
    if variant == "jumprelu_staircase":
        shared |= {"log_threshold": rand(max(widths)), "b_enc": torch.ones(max(widths)), "b_dec": torch.ones(D)}
    save_file(shared, folder / f"{file}.safetensors")
    for index, width in enumerate(widths):
        own = {"b_enc": rand(width, seed=index), "b_dec": rand(D, seed=index)}
        save_file(own, folder / f"sae.{index}.safetensors")
    return shared


def by_hand(arch: str, x: torch.Tensor, t: dict[str, torch.Tensor], k: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Activations and reconstruction, vector by vector and feature by feature."""
    encoder = t.get("W_enc", t.get("W_gate", t["W_dec"].T))
    acts = torch.zeros(len(x), t["W_dec"].shape[0], dtype=torch.float64)
    for row, vector in enumerate(x.double()):
        centred = vector - t["b_dec"].double()
        for j in range(acts.shape[1]):
            u = float(centred @ encoder[:, j].double())
            if arch == "gated":
                gain = float(t["r_mag"][j].double().exp()) if "r_mag" in t else 1.0
                acts[row, j] = max(u * gain + float(t["b_mag"][j]), 0.0) if u + float(t["b_gate"][j]) > 0 else 0.0
                continue
            pre = max(u + float(t["b_enc"][j]), 0.0)
            floor = float(t["jumprelu.log_threshold"][j].double().exp()) if arch == "jumprelu" else 0.0
            acts[row, j] = pre if pre > floor else 0.0
        if arch == "topk":
            kept = acts[row].argsort(descending=True)[:k]
            acts[row] = torch.zeros_like(acts[row]).index_put((kept,), acts[row, kept])
    return acts, acts @ t["W_dec"].double() + t["b_dec"].double()


def agree(dictionary, arch: str, tensors, k: int = 0) -> None:
    x = rand(20, tensors["W_dec"].shape[1], seed=77)
    acts, out = by_hand(arch, x, tensors, k)
    assert (acts > 0).any()
    for value, expected in (
        (dictionary.encode(x.double()), acts),
        (dictionary(x.double()), out),
        (dictionary.reconstruct(x.double()), out),
    ):
        torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("variant", ["standard", "standard_v2", "gated", "gated_v2", "jumprelu", "topk", "jsae_layer"])
@pytest.mark.parametrize("width", [5, D])
def test_every_variant_computes_what_its_own_class_computes(tmp_path, variant, width):
    """At width d a matrix read the wrong way round has the right shape."""
    jsae = variant.startswith("jsae")
    keys = [f"{layer}_{kind}" for layer in range(2) for kind in ("mlpin", "mlpout")][:3] if jsae else None
    write(tmp_path, variant, (width, 2 * width, width), keys=keys)
    found = open_dictionaries(tmp_path)
    assert (found.format, sniff(tmp_path), len(found.items)) == ("gpt-circuits", "gpt-circuits", 3)
    arch = "topk" if jsae else variant.removesuffix("_v2")
    for index, item in enumerate(found.items):
        tensors = load_file(tmp_path / f"sae.{index}.safetensors")
        agree(item.load(torch.float64), arch, tensors, DEFAULT["topk"]["top_k"][index])
        assert (item.processing, item.context, item.prepends_bos) == ("raw", 16, False)


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_jumprelu_of_any_size(tmp_path_factory, d, width, seed):
    folder = tmp_path_factory.mktemp("any")
    write(folder, "jumprelu", (width,), d=d, model_layers=0)
    tensors = own_tensors("jumprelu", width, seed, d=d)
    save_file(tensors, folder / "sae.0.safetensors")
    x = rand(6, d, seed=seed + 1)
    _, out = by_hand("jumprelu", x, tensors)
    made = open_dictionaries(folder).items[0].load(torch.float64)
    torch.testing.assert_close(made(x.double()), out, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("variant", "file"),
    [
        ("topk_staircase", "sae.shared.0"),
        ("topk_staircase_detach", "sae.shared"),
        ("jumprelu_staircase", "sae.shared"),
    ],
)
def test_a_staircase_is_slices_of_one_tensor(tmp_path, variant, file):
    shared = write_staircase(tmp_path, variant, file=file)
    found = open_dictionaries(tmp_path)
    loaded = [item.load(torch.float32) for item in found.items]
    assert len({one.W_enc_DF.untyped_storage().data_ptr() for one in loaded}) == 1
    assert len({one.W_dec_FD.untyped_storage().data_ptr() for one in loaded}) == 1
    assert [item.metadata["chunks"] for item in found.items] == [[4], [4, 8], [4, 8, 12]]
    for index, (item, width) in enumerate(zip(found.items, (4, 8, 12), strict=True)):
        own = load_file(tmp_path / f"sae.{index}.safetensors")
        tensors = {"W_enc": shared["W_enc"][:, :width], "W_dec": shared["W_dec"][:width], **own}
        arch = "topk"
        if variant == "jumprelu_staircase":
            arch, tensors["jumprelu.log_threshold"] = "jumprelu", shared["log_threshold"][:width]
        agree(item.load(torch.float64), arch, tensors, 2)


def test_all_layers_may_share_everything_also_b_dec(tmp_path):
    shared = write_staircase(tmp_path, widths=(6, 6, 6))
    save_file(shared | {"b_dec": rand(D, seed=9)}, tmp_path / "sae.shared.0.safetensors")
    for index in range(3):
        save_file({"b_enc": rand(6, seed=index)}, tmp_path / f"sae.{index}.safetensors")
    for index, item in enumerate(open_dictionaries(tmp_path).items):
        agree(item.load(torch.float64), "topk", shared | {"b_enc": rand(6, seed=index), "b_dec": rand(D, seed=9)}, 2)


def test_pairs_share_layer_by_layer(tmp_path):
    write_staircase(tmp_path, "staircase_block", (4, 8, 4, 8))
    second = {"W_enc": rand(D, 8, seed=5), "W_dec": rand(8, D, seed=5)}
    save_file(second, tmp_path / "sae.shared.1.safetensors")
    items = open_dictionaries(tmp_path).items
    assert [str(item.config.reads) for item in items] == ["0.resid_mid", "0.resid_post", "1.resid_mid", "1.resid_post"]
    assert [item.metadata["chunks"] for item in items] == [[4], [4, 8]] * 2
    own = load_file(tmp_path / "sae.2.safetensors")
    tensors = {"W_enc": second["W_enc"][:, :4], "W_dec": second["W_dec"][:4], **own}
    agree(items[2].load(torch.float64), "topk", tensors, 2)


@pytest.mark.parametrize(
    ("variant", "count", "keys", "sites"),
    [
        ("standard", 3, None, ["0.resid_pre", "1.resid_pre", "2.resid_pre"]),
        ("standard", 3, ["0", "1", "2"], ["0.resid_pre", "1.resid_pre", "2.resid_pre"]),
        ("standard", 2, ["1_mlpout", "0_residmid", "7_act"], ["1.mlp_out", "0.resid_mid"]),
        ("jsae", 4, None, ["0.mlp_in", "0.mlp_out", "1.mlp_in", "1.mlp_out"]),
        ("jsae_layer", 2, None, ["0.mlp_in", "0.mlp_out"]),
        ("jsae_block", 4, None, ["0.resid_mid", "0.resid_post", "1.resid_mid", "1.resid_post"]),
        ("jsae", 2, ["1_residmid", "1_residpost"], ["1.resid_mid", "1.resid_post"]),
    ],
)
def test_hook_points(tmp_path, variant, count, keys, sites):
    more: dict[str, Any] = {"top_k": [2] * 4} if "jsae" in variant else {}
    write(tmp_path, variant, [5] * count, keys=keys, **more)
    assert [str(item.config.reads) for item in open_dictionaries(tmp_path).items] == sites


def test_files_that_are_not_there_are_named_and_the_others_read(tmp_path):
    write(tmp_path, "standard", (5, 5, 5))
    (tmp_path / "sae.1.safetensors").unlink()
    found = open_dictionaries(tmp_path)
    assert [item.name for item in found.items] == ["0_act", "2_act"]
    assert "1_act" in found.notes[0]


def test_topk_says_that_two_versions_differ(tmp_path):
    assert "no ReLU" in open_dictionaries(write(tmp_path, "topk", (5, 5, 5))).notes[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sae_variant": "vq"}, "sae_variant 'vq'; known: standard,"),
        ({"n_features": []}, r"n_features \[\]"),
        ({"n_features": [5, "5", 5]}, "n_features"),
        ({"n_features": [5, 6, 5]}, r"of shape \(5, 8\), expected \(6, 8\)|of shape .*, expected"),
        ({"sae_keys": ["0_act", "1_act"]}, "expected 3 hook points"),
        ({"sae_keys": ["0_act", "1_act", "2_mlpactgrads"]}, "names no site"),
        ({"sae_variant": "topk", "top_k": [2]}, "expected 3 whole numbers"),
        ({"sae_variant": "topk", "top_k": [2, 2, 99]}, "needs k from 1 to that"),
        ({"sae_variant": "standard_v2"}, "unknown tensor W_enc"),
        ({"sae_variant": "jumprelu"}, r"no tensor jumprelu\.log_threshold"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(tmp_path, changes, message):
    write(tmp_path, "standard", (5, 5, 5), keys=["0_act", "1_act", "2_act"])
    path = tmp_path / "sae.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(InputError, match=message):
        [item.load(torch.float32) for item in open_dictionaries(tmp_path).items]


def test_places_that_cannot_be_told_are_refused(tmp_path):
    write(tmp_path, "standard", (5, 5, 5, 5))
    with pytest.raises(InputError, match="4 dictionaries for a model of 2 layers and no sae_keys"):
        open_dictionaries(tmp_path)


def test_damaged_and_missing_files_are_named(tmp_path):
    write_staircase(tmp_path)
    whole = (tmp_path / "sae.1.safetensors").read_bytes()
    (tmp_path / "sae.1.safetensors").write_bytes(whole[:-4])
    with pytest.raises(InputError, match=r"sae\.1\.safetensors"):
        open_dictionaries(tmp_path)
    (tmp_path / "sae.1.safetensors").write_bytes(whole)
    (tmp_path / "sae.shared.0.safetensors").unlink()
    with pytest.raises(InputError, match=r"sae\.shared\.0\.safetensors cannot be read"):
        open_dictionaries(tmp_path)
    for path in tmp_path.glob("sae.*.safetensors"):
        path.unlink()
    with pytest.raises(InputError, match=r"no sae\.0\.safetensors"):
        open_dictionaries(tmp_path)


def test_a_folder_attaches_to_its_model(tmp_path):
    write(tmp_path, "topk", (5, 6, 7))
    suite = open_suite(tmp_path, "mine").attach(random_model(n_layers=LAYERS, d_model=D))
    assert [str(site) for site in suite] == ["0.resid_pre", "1.resid_pre", "2.resid_pre"]
    assert (suite.info.name, suite.info.processing, suite.info.context) == ("mine", "raw", 16)
    assert suite[Site(2, "resid_pre")].n_latents == 7
    with pytest.raises(InputError, match="of width 8"):
        open_suite(tmp_path).attach(random_model(n_layers=LAYERS, d_model=6))


# --- written ------------------------------------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("variant", "count"), [("topk_staircase", 5), ("jumprelu_staircase", 5), ("staircase_block", 4)]
)
def test_a_staircase_is_written_as_it_was(tmp_path, variant, count):
    widths = (4, 8, 4, 8) if variant == "staircase_block" else (4, 8, 12, 12, 16)
    write_staircase(tmp_path / "old", variant, widths)
    if variant == "staircase_block":
        save_file({"W_enc": rand(D, 8, seed=5), "W_dec": rand(8, D, seed=5)}, tmp_path / "old/sae.shared.1.safetensors")
    loaded = {item.name: item.load(torch.float32) for item in open_dictionaries(tmp_path / "old").items}
    gpt_circuits.write(loaded, tmp_path / "new")
    contexts = 2 if variant == "staircase_block" else 1
    files = [
        *(f"sae.{index}.safetensors" for index in range(count)),
        *(f"sae.shared.{j}.safetensors" for j in range(contexts)),
    ]
    assert names(tmp_path / "new") == sorted([*files, "sae.json"])
    assert json.loads((tmp_path / "new/sae.json").read_text())["sae_variant"] == variant
    for file in files:
        before, after = load_file(tmp_path / "old" / file), load_file(tmp_path / "new" / file)
        for name, value in after.items():
            off = 1e-6 if name == "log_threshold" else 0
            torch.testing.assert_close(value, before[name], rtol=off, atol=off)
    again = {item.name: item.load(torch.float32) for item in open_dictionaries(tmp_path / "new").items}
    assert again.keys() == loaded.keys()
    for name, one in again.items():
        assert one.config == loaded[name].config
        agreed = 1e-6 if variant == "jumprelu_staircase" else 0
        for key, value in one.state_dict().items():
            torch.testing.assert_close(value, loaded[name].state_dict()[key], rtol=agreed, atol=0)


@pytest.mark.parametrize("variant", ["standard", "standard_v2", "gated", "gated_v2", "jumprelu", "topk"])
def test_every_variant_is_written_as_it_was(tmp_path, variant):
    write(tmp_path / "old", variant, (5, 6, 7))
    loaded = {item.name: item.load(torch.float32) for item in open_dictionaries(tmp_path / "old").items}
    gpt_circuits.write(loaded, tmp_path / "new")
    old, new = (json.loads((tmp_path / folder / "sae.json").read_text()) for folder in ("old", "new"))
    assert new == old | {"sae_keys": ["0_act", "1_act", "2_act"]}
    for index in range(3):
        before, after = (load_file(tmp_path / folder / f"sae.{index}.safetensors") for folder in ("old", "new"))
        assert before.keys() == after.keys()
        for name, value in after.items():
            torch.testing.assert_close(value, before[name], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("variant", "written"), [("jsae", "jsae_layer"), ("jsae_layer",) * 2, ("jsae_block",) * 2])
def test_jacobian_sparse_pairs_stay_what_they_are(tmp_path, variant, written):
    write(tmp_path / "old", variant, (5, 6, 5, 6), top_k=[2, 3, 2, 3])
    loaded = {item.name: item.load(torch.float32) for item in open_dictionaries(tmp_path / "old").items}
    assert [one.config.options["jacobian"] for one in loaded.values()] == [{"reduction": "sum", "at": "clean"}] * 4
    gpt_circuits.write(loaded, tmp_path / "new")
    document = json.loads((tmp_path / "new/sae.json").read_text())
    assert (document["sae_variant"], document["top_k"]) == (written, [2, 3, 2, 3])
    again = [item.load(torch.float32) for item in open_dictionaries(tmp_path / "new").items]
    for before, after in zip(loaded.values(), again, strict=True):
        assert before.config == after.config
        for name, value in after.state_dict().items():
            assert torch.equal(value, before.state_dict()[name])


@pytest.mark.parametrize(
    ("kind", "writes", "arch", "message"),
    [
        ("resid_pre", "resid_pre", "identity", "gpt-circuits has no identity dictionaries"),
        ("mlp_in", "mlp_out", "topk", "it writes 0.mlp_out"),
        ("resid_pre", "resid_pre", "both", "of one architecture, and these are topk and standard"),
    ],
)
def test_what_gpt_circuits_does_not_have_is_refused_and_nothing_written(tmp_path, kind, writes, arch, message):
    archs = ["topk", "standard"] if arch == "both" else [arch]
    made = {}
    for layer, one in enumerate(archs):
        options = {"k": 2} if one == "topk" else {}
        config = DictionaryConfig(one, D, D, Site(layer, kind), Site(layer, writes), D, options)
        made[str(layer)] = make_dictionary(config)
    with pytest.raises(UsageError, match=message):
        gpt_circuits.write(made, tmp_path / "new")
    assert not (tmp_path / "new").exists()
