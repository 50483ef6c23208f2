"""sparsify's coders: against its formula written out, and what is written reads back."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.formats import sparsify
from saecli.formats.registry import Hints, open_dictionaries, sniff

D = F = 6  # a square encoder: only names can tell its orientation
CONFIG = {
    "activation": "topk",
    "expansion_factor": 1,
    "normalize_decoder": True,
    "num_latents": F,
    "k": 2,
    "multi_topk": False,
    "skip_connection": False,
    "transcode": False,
    "d_in": D,
}


def tensors(latents=F, skip=False, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"encoder.weight": (latents, D), "encoder.bias": (latents,), "W_dec": (latents, D), "b_dec": (D,)}
    shapes |= {"W_skip": (D, D)} if skip else {}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def coder(folder: Path, made=None, **changes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    document = {key: value for key, value in (CONFIG | changes).items() if value is not None}
    (folder / "cfg.json").write_text(json.dumps(document))
    save_file(made or tensors(skip=bool(changes.get("skip_connection"))), folder / "sae.safetensors")
    return folder


def one(path, hints=None):
    (item,) = open_dictionaries(path, hints).items
    return item


def formula(made, x, *, k=2, activation="topk", subtract=True, signed=False):
    """Row by row what SparseCoder computes."""
    out = torch.zeros(len(x), D)
    for row, value in enumerate(x):
        pre = made["encoder.weight"] @ (value - made["b_dec"] if subtract else value) + made["encoder.bias"]
        pre = pre if signed else pre.relu()
        if activation == "topk":
            chosen = sorted(range(len(pre)), key=lambda f: -abs(float(pre[f])))[:k]
        else:
            size = len(pre) // k
            chosen = [g * size + int(pre[g * size : (g + 1) * size].argmax()) for g in range(k)]
        out[row] = made["b_dec"] + sum(pre[f] * made["W_dec"][f] for f in chosen)
        if "W_skip" in made:
            out[row] += made["W_skip"] @ value
    return out


X = torch.randn(5, D, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("activation", ["topk", "groupmax"])
@pytest.mark.parametrize("transcode", [False, True])
@pytest.mark.parametrize("skip", [False, True])
def test_every_option(tmp_path, activation, transcode, skip):
    made = tensors(skip=skip)
    folder = coder(tmp_path / "layers.3.mlp", made, activation=activation, transcode=transcode, skip_connection=skip)
    item = one(folder)
    reads = Site(3, "mlp_in") if transcode else Site(3, "mlp_out")
    assert (item.config.reads, item.config.writes) == (reads, Site(3, "mlp_out"))
    assert item.processing == "raw"
    loaded = item.load(torch.float32)
    expected = formula(made, X, activation=activation, subtract=not transcode)
    torch.testing.assert_close(loaded(X), expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(loaded.reconstruct(X), expected, atol=2e-6, rtol=1e-6)


def test_signed_coders_keep_the_largest_of_either_sign(tmp_path):
    made = tensors()
    item = one(coder(tmp_path / "layers.1", made, signed=True, activation=None))
    assert item.config.arch == "abstopk"
    torch.testing.assert_close(item.load(torch.float32)(X), formula(made, X, signed=True), atol=1e-6, rtol=1e-6)


def test_latents_by_expansion_and_brain_floats(tmp_path):
    made = {name: value.bfloat16() for name, value in tensors(latents=3 * D).items()}
    item = one(coder(tmp_path / "layers.1", made, num_latents=0, expansion_factor=3))
    assert item.config.n_latents == 18
    exact = {name: value.float() for name, value in made.items()}
    torch.testing.assert_close(item.load(torch.float32)(X), formula(exact, X), atol=1e-6, rtol=1e-6)
    assert item.load(torch.bfloat16).W_enc_DF.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("hookpoint", "transcode", "reads", "writes"),
    [
        ("layers.5", False, "5.resid_post", "5.resid_post"),
        ("gpt_neox.layers.5", False, "5.resid_post", "5.resid_post"),
        ("transformer.h.5", True, "5.resid_pre", "5.resid_post"),
        ("h.5.mlp", False, "5.mlp_out", "5.mlp_out"),
        ("layers.5.attention", False, "5.attn_out", "5.attn_out"),
        ("h.5.attn", True, "5.attn_in", "5.attn_out"),
        ("model.layers.5.self_attn", False, "5.attn_out", "5.attn_out"),
        ("layers.5.mlp/seed2", True, "5.mlp_in", "5.mlp_out"),
        ("embed_tokens", False, "0.resid_pre", "0.resid_pre"),
    ],
)
def test_hookpoints(tmp_path, hookpoint, transcode, reads, writes):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps({"model": "EleutherAI/pythia-70m", "ctx_len": 2048}))
    item = one(coder(tmp_path / "run" / hookpoint, transcode=transcode))
    assert (item.config.reads, item.config.writes) == (Site.parse(reads), Site.parse(writes))
    assert (item.model, item.context) == ("EleutherAI/pythia-70m", 2048)


def test_a_run_is_opened_as_one(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model": "gpt2"}))
    for hookpoint in ("h.0", "h.1", "h.1.mlp"):
        coder(tmp_path / hookpoint)
    found = open_dictionaries(tmp_path)
    assert found.format == "sparsify"
    assert [item.name for item in found.items] == ["h.0", "h.1", "h.1.mlp"]
    assert found.suite("run").sites == (Site(1, "resid_pre"), Site(1, "mlp_out"), Site(2, "resid_pre"))


def test_old_transcoders_are_known_by_their_run_and_subtract_b_dec(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model": "meta-llama/Llama-3.2-1B", "transcode": True}))
    made = tensors(skip=True)
    item = one(coder(tmp_path / "layers.5.mlp", made, skip_connection=True, transcode=None))
    assert (item.config.reads, item.config.writes) == (Site(5, "mlp_in"), Site(5, "mlp_out"))
    assert "subtracts b_dec" in item.notes[0]
    torch.testing.assert_close(item.load(torch.float32)(X), formula(made, X), atol=1e-6, rtol=1e-6)


def test_a_skip_connection_without_a_word_is_noted(tmp_path):
    folder = coder(tmp_path / "layers.5.mlp", skip_connection=True, transcode=None)
    assert "does not say whether" in one(folder).notes[0]
    assert one(folder).config.reads == Site(5, "mlp_out")
    assert one(folder, Hints(Site(5, "mlp_out"), Site(5, "mlp_out"))).config.writes == Site(5, "mlp_out")
    told = one(folder, Hints(reads=Site(5, "mlp_in"), writes=Site(5, "mlp_out"))).config
    assert (told.reads, told.writes) == (Site(5, "mlp_in"), Site(5, "mlp_out"))


def test_outputs_before_a_post_norm_are_at_no_site(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model": "google/gemma-2-2b"}))
    assert one(coder(tmp_path / "layers.5")).config.reads == Site(5, "resid_post")
    with pytest.raises(InputError, match="does not say at which site"):
        one(coder(tmp_path / "layers.6.mlp"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "batchtopk"}, "activation 'batchtopk'; topk and groupmax are read"),
        ({"activation": "groupmax", "signed": True}, "signed with activation 'groupmax'"),
        ({"activation": "groupmax", "k": 4}, "needs k that divides them, not 4"),
        ({"k": None}, "needs k from 1"),
        ({"d_in": None}, "d_in = None"),
        ({"num_latents": 7}, r"W_dec of shape \(6, 6\), expected \(7, 6\)"),
        ({"num_latents": 0, "expansion_factor": None}, "expansion_factor = None"),
        ({"num_latents": "6"}, "num_latents = '6'"),
        ({"embed_skip": True}, "embed_skip, which needs the model's tokens"),
        ({"gram_lookup": True}, "gram_lookup"),
    ],
)
def test_configurations_that_are_not_read_are_refused(tmp_path, changes, message):
    folder = coder(tmp_path / "layers.1", **changes)
    with pytest.raises(InputError, match=message):
        one(folder).load(torch.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W_dec": None}, "no tensor W_dec"),
        ({"W_skip": torch.zeros(D, D)}, "unknown tensor W_skip"),
        ({"b_dec": torch.zeros(D + 1)}, r"b_dec of shape \(7,\), expected \(6,\)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(tmp_path, change, message):
    made = {name: value for name, value in (tensors() | change).items() if value is not None}
    with pytest.raises(InputError, match=message):
        one(coder(tmp_path / "layers.1", made))


def test_a_damaged_file_and_an_unknown_hookpoint_are_refused(tmp_path):
    folder = coder(tmp_path / "layers.1")
    file = folder / "sae.safetensors"
    whole = file.read_bytes()
    for damaged in (whole[:-4], (1 << 60).to_bytes(8, "little") + whole[8:], b""):
        file.write_bytes(damaged)
        with pytest.raises(InputError, match=r"sae\.safetensors"):
            one(folder)
    with pytest.raises(InputError, match="does not say at which site"):
        one(coder(tmp_path / "mine"))
    with pytest.raises(InputError, match="does not say what the transcoder writes"):
        one(coder(tmp_path / "other", transcode=True), Hints(Site(1, "mlp_in"), Site(1, "mlp_in")))


# --- writing ----------------------------------------------------------------------------------------------------------


def dictionary(reads="2.mlp_out", writes="", arch="topk", seed=0, latents=12, d_out=D, **options):
    site, out = Site.parse(reads), Site.parse(writes or reads)
    made = make_dictionary(DictionaryConfig(arch, D, latents, site, out, d_out, {"k": 3} | options))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made.requires_grad_(False)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arch=st.sampled_from(["topk", "groupmax"]),
    module=st.sampled_from([("resid_pre", "resid_post"), ("mlp_in", "mlp_out"), ("attn_in", "attn_out")]),
    layer=st.integers(0, 12),
    transcoder=st.booleans(),
    skip=st.booleans(),
    model=st.sampled_from(["gpt2", "EleutherAI/pythia-70m", "meta-llama/Llama-3.2-1B", ""]),
    seed=st.integers(0, 1 << 30),
)
def test_what_is_written_reads_back(tmp_path_factory, arch, module, layer, transcoder, skip, model, seed):
    reads, writes = (f"{layer}.{kind}" for kind in module)
    options = {"skip": True} if skip else {}
    made = dictionary(reads if transcoder else writes, writes, arch, seed, **options)
    folder = tmp_path_factory.mktemp("run")
    sparsify.write({"": made}, folder, model=model, context=128)
    item = one(folder)
    assert item.config == made.config
    assert (item.model, item.context) == (model, 128)
    back = item.load(torch.float32)
    assert all(torch.equal(value, back.state_dict()[name]) for name, value in made.state_dict().items())


def test_the_layout_is_the_one_sparsify_reads(tmp_path):
    made = dictionary("2.mlp_in", "2.mlp_out", skip=True)
    sparsify.write({"a": made, "b": dictionary("3.resid_pre")}, tmp_path, dtype=torch.bfloat16, model="gpt2")
    assert sniff(tmp_path / "h.2.mlp") == sniff(tmp_path / "h.2") == "sparsify"
    document = json.loads((tmp_path / "h.2.mlp" / "cfg.json").read_text())
    assert document == CONFIG | {
        **{"expansion_factor": 2, "normalize_decoder": False, "num_latents": 12, "k": 3},
        **{"skip_connection": True, "transcode": True},
    }
    stored = load_file(tmp_path / "h.2.mlp" / "sae.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}
    assert torch.equal(stored["encoder.weight"], made.W_enc_DF.T.bfloat16())
    assert torch.equal(stored["W_dec"], made.W_dec_FD.bfloat16())
    assert torch.equal(stored["W_skip"], made.W_skip_DO.T.bfloat16())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: dictionary(arch="standard"), "not standard"),
        (lambda: dictionary(normalize="layer_norm"), "no option normalize"),
        (lambda: dictionary(apply_b_dec_to_input=False), "autoencoder subtracts b_dec from its input"),
        (lambda: dictionary("2.mlp_in", "2.mlp_out", d_out=4), "one width, not 6 and 4"),
        (lambda: dictionary("1.mlp_out"), r"two are of layers\.1\.mlp"),
        (lambda: dictionary("2.resid_mid"), r"no hookpoint that reads 2\.resid_mid"),
        (lambda: dictionary("2.mlp_in", "3.mlp_out"), r"no hookpoint that reads 2\.mlp_in and writes 3\.mlp_out"),
    ],
)
def test_what_sparsify_cannot_express_is_refused_before_anything_is_written(tmp_path, made, message):
    with pytest.raises(UsageError, match=message):
        sparsify.write({"a": dictionary("1.mlp_out"), "b": made()}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_numbers_that_do_not_fit_are_refused(tmp_path):
    made = dictionary()
    made.b_dec_D[0] = 1e6
    with pytest.raises(UsageError, match=r"b_dec of the dictionary at 2\.mlp_out does not fit into torch\.float16"):
        sparsify.write({"": made}, tmp_path, dtype=torch.float16)
