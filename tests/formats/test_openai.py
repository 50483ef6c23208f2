"""OpenAI's autoencoders: against their formula written out, layer norm included."""

import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.errors import InputError
from saecli.core.site import Site
from saecli.formats.registry import Hints, open_dictionaries, sniff

D = F = 6
X = 3 * torch.randn(5, D, generator=torch.Generator().manual_seed(4)) + 1


def state(seed=0, activation="TopK", tied=False, k=2, **more):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"encoder.weight": (F, D), "decoder.weight": (D, F), "pre_bias": (D,), "latent_bias": (F,)}
    made = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    if tied:
        del made["decoder.weight"]
        made["decoder.linear.weight"] = made["encoder.weight"]
    made |= {
        "stats_last_nonzero": torch.zeros(F, dtype=torch.long),
        "latents_activation_frequency": torch.ones(F),
        "latents_mean_square": torch.zeros(F),
        "activation": activation,
    }
    if activation == "TopK":
        made["activation_state_dict"] = {"k": k, "postact_fn": "ReLU"}
    return made | more


def formula(made, x, activation="TopK", k=2):
    """Row by row what Autoencoder computes."""
    decoder = made.get("decoder.weight", made["encoder.weight"].T)
    out = torch.zeros_like(x)
    for row, value in enumerate(x):
        mean = value.sum() / D
        std = ((value - mean) ** 2).sum().div(D - 1).sqrt()
        normed = (value - mean) / (std + 1e-5) if activation == "TopK" else value
        pre = made["encoder.weight"] @ (normed - made["pre_bias"]) + made["latent_bias"]
        acts = pre if activation == "Identity" else pre.relu()
        if activation == "TopK":
            acts = torch.where(pre >= pre.sort(descending=True).values[k - 1], acts, 0)
        y = decoder @ acts + made["pre_bias"]
        out[row] = y * std + mean if activation == "TopK" else y
    return out


def saved(path: Path, values, *, modern=True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(values, path, _use_new_zipfile_serialization=modern)
    return path


def one(path, hints=None):
    (item,) = open_dictionaries(path, hints).items
    return item


@settings(deadline=None, max_examples=20)
@given(
    activation=st.sampled_from(["TopK", "ReLU", "Identity"]),
    tied=st.booleans(),
    modern=st.booleans(),
    seed=st.integers(0, 1 << 30),
)
def test_every_activation(tmp_path_factory, activation, tied, modern, seed):
    made = state(seed, activation, tied)
    path = saved(tmp_path_factory.mktemp("az") / "resid_delta_mlp/autoencoders/8.pt", made, modern=modern)
    assert sniff(path) == "openai"
    item = one(path)
    assert item.config.reads == item.config.writes == Site(8, "mlp_out")
    loaded = item.load(torch.float32)
    expected = formula(made, X, activation)
    rounding = 1e-6 * float(expected.abs().max())
    torch.testing.assert_close(loaded(X), expected, atol=rounding, rtol=0)
    torch.testing.assert_close(loaded.reconstruct(X), expected, atol=rounding, rtol=0)


@pytest.mark.parametrize(
    ("place", "site"),
    [
        ("gpt2-small/resid_post_mlp_v5_32k/autoencoders/11.pt", "11.resid_post"),
        ("gpt2-small/resid_post_attn_v5_128k/autoencoders/0.pt", "0.resid_mid"),
        ("gpt2-small/resid_delta_attn_v5_32k/autoencoders/3.pt", "3.attn_out"),
        ("gpt2-small/resid_delta_mlp_v4/autoencoders/3.pt", "3.mlp_out"),
        ("gpt2-small/mlp_post_act/autoencoders/3.pt", "3.mlp_post"),
        ("gpt2-small/resid_post_mlp_v5_32k_7.pt", "7.resid_post"),
    ],
)
def test_the_site_is_told_by_the_path(tmp_path, place, site):
    item = one(saved(tmp_path / place, state()))
    assert item.config.reads == Site.parse(site)
    assert (item.model, item.processing, item.context) == ("gpt2", "raw", 64)


def test_a_folder_of_layers(tmp_path):
    folder = tmp_path / "resid_post_mlp_v5_32k" / "autoencoders"
    for layer in (10, 2):
        saved(folder / f"{layer}.pt", state(layer))
    torch.save({"other": 1}, folder / "3.pt")
    for path in (folder, tmp_path):
        found = open_dictionaries(path)
        assert [item.config.reads.layer for item in found.items] == [2, 10]
    assert [item.name for item in open_dictionaries(folder).items] == ["2", "10"]


def test_a_path_that_says_nothing_needs_a_hint(tmp_path):
    path = saved(tmp_path / "mine.pt", state())
    with pytest.raises(InputError, match="does not say at which site"):
        one(path)
    item = one(path, Hints(reads=Site(2, "resid_post"), model="gpt2-xl"))
    assert (item.config.reads, item.model) == (Site(2, "resid_post"), "gpt2-xl")
    assert item.config.options == {"k": 2, "normalize": "layer_norm"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (state(activation="GELU"), "activation 'GELU'; ReLU, TopK and Identity are read"),
        (state(activation_state_dict={"k": 2, "postact_fn": "Identity"}), "TopK followed by 'Identity'"),
        (state(k=7), "needs k from 1"),
        (state(more=torch.zeros(1)), "unknown tensor more"),
        (state(note="x"), "unknown entry 'note'"),
        ({**state(), "decoder.weight": torch.zeros(D, F + 1)}, r"decoder\.weight of shape \(6, 7\), expected \(6, 6\)"),
        ({**state(), "encoder.weight": torch.zeros(F)}, r"encoder\.weight of shape \(6,\), expected 2 axes"),
        ({**state(tied=True), "decoder.linear.weight": torch.zeros(F, D)}, "tied to the encoder, and the two differ"),
        ([state()], "holds list, expected named tensors"),
    ],
)
def test_what_is_not_read_is_refused(tmp_path, values, message):
    path = saved(tmp_path / "resid_post_mlp_3.pt", values)
    with pytest.raises(InputError, match=message):
        one(path).load(torch.float32)


def test_missing_tensors_are_named(tmp_path):
    made = state()
    made["no_pre_bias"] = made.pop("pre_bias")
    with pytest.raises(InputError, match="no tensor pre_bias"):
        one(saved(tmp_path / "resid_post_mlp_3.pt", made))


class _Runs:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_code_in_a_file_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "resid_post_mlp_3.pt", state(note=_Runs()))
    with pytest.raises(InputError, match=r"resid_post_mlp_3\.pt"):
        one(path)
    path.write_bytes(pickle.dumps({"pre_bias": _Runs(), "latent_bias": 0}))
    with pytest.raises(InputError, match=r"resid_post_mlp_3\.pt"):
        one(path)
    assert not (tmp_path / "ran").exists()


def test_cut_files_are_refused(tmp_path):
    path = saved(tmp_path / "resid_post_mlp_3.pt", state())
    whole = path.read_bytes()
    for size in (len(whole) - 30, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"resid_post_mlp_3\.pt"):
            one(path)
