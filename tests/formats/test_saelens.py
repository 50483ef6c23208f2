"""SAELens' folders: every architecture as its formula says, every older layout, what is folded, what is refused."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from saecli.formats.registry import Hints, open_dictionaries
from saecli.formats.saelens import read_saelens, same, to_files, write
from saecli.formats.suite import read_suite, write_suite

D = 6
HOOK = {"hook_name": "blocks.3.hook_resid_post"}
TRANSCODER = {"hook_name": "blocks.3.ln2.hook_normalized", "hook_name_out": "blocks.3.hook_mlp_out"}


def rand(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def base(f: int = 8, out: int = D) -> dict[str, Tensor]:
    return {"W_enc": rand(1, D, f), "b_enc": rand(2, f), "W_dec": rand(3, f, out), "b_dec": rand(4, out)}


def folder(path: Path, tensors: dict[str, Tensor], **document: object) -> Path:
    path.mkdir(exist_ok=True)
    f = next(tensors[name].shape[0] for name in ("W_dec",))
    said = {"architecture": "standard", "d_in": D, "d_sae": f, "apply_b_dec_to_input": True, "metadata": HOOK}
    (path / "cfg.json").write_text(json.dumps({**said, **document}))
    save_file({name: value.contiguous() for name, value in tensors.items()}, path / "sae_weights.safetensors")
    return path


def only(path: Path, hints: Hints | None = None):
    (item,) = open_dictionaries(path, hints).items
    return item


def check(path: Path, encode, decode, hints: Hints | None = None, x: Tensor | None = None) -> None:
    """Compare with formulas of one input vector."""
    made = only(path, hints).load(torch.float64)
    for row in rand(9, 12, D) if x is None else x:
        codes = encode(row)
        torch.testing.assert_close(made.encode(row), codes, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(made(row), decode(codes, row), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("f", [8, D, 4])
@pytest.mark.parametrize("subtract", [True, False])
def test_standard_and_jumprelu(tmp_path, f, subtract):
    t = {**base(f), "threshold": rand(5, f)}

    def pre(x: Tensor) -> Tensor:
        return torch.stack([(x - subtract * t["b_dec"]) @ t["W_enc"][:, j] + t["b_enc"][j] for j in range(f)])

    def out(codes: Tensor, _: Tensor) -> Tensor:
        return sum((codes[j] * t["W_dec"][j] for j in range(f)), t["b_dec"].clone())

    plain = {name: value for name, value in t.items() if name != "threshold"}
    check(folder(tmp_path / "s", plain, apply_b_dec_to_input=subtract), lambda x: pre(x).relu(), out)
    path = folder(tmp_path / "j", t, architecture="jumprelu", apply_b_dec_to_input=subtract)
    check(path, lambda x: pre(x).relu() * (pre(x) > t["threshold"]), out)
    t["log_threshold"] = t.pop("threshold")
    path = folder(tmp_path / "l", t, architecture="jumprelu", apply_b_dec_to_input=subtract)
    check(path, lambda x: pre(x).relu() * (pre(x) > t["log_threshold"].exp()), out)


def test_gated(tmp_path):
    t = base()
    t |= {"b_gate": t.pop("b_enc"), "b_mag": rand(5, 8), "r_mag": rand(6, 8)}

    def encode(x: Tensor) -> Tensor:
        gate = (x - t["b_dec"]) @ t["W_enc"]
        magnitude = ((x - t["b_dec"]) @ (t["W_enc"] * t["r_mag"].exp()) + t["b_mag"]).relu()
        return magnitude * (gate + t["b_gate"] > 0)

    check(folder(tmp_path, t, architecture="gated"), encode, lambda f, _: f @ t["W_dec"] + t["b_dec"])


@pytest.mark.parametrize("architecture", ["topk", "abstopk"])
@pytest.mark.parametrize("rescaled", [True, False])
def test_topk_and_its_rescaling(tmp_path, architecture, rescaled):
    """Features compete, and are counted, by what they write: pre-activation times decoder norm."""
    t = base()
    norms = t["W_dec"].norm(dim=1) if rescaled else torch.ones(8)

    def encode(x: Tensor) -> Tensor:
        pre = ((x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]) * norms
        kept = (pre.abs() if architecture == "abstopk" else pre).topk(3).indices
        acts = torch.zeros(8, dtype=torch.float64).scatter(0, kept, pre[kept])
        return acts if architecture == "abstopk" else acts.relu()

    path = folder(tmp_path, t, architecture=architecture, k=3, rescale_acts_by_decoder_norm=rescaled)
    check(path, encode, lambda f, _: (f / norms) @ t["W_dec"] + t["b_dec"])


@pytest.mark.parametrize("architecture", ["transcoder", "skip_transcoder", "jumprelu_skip_transcoder"])
@pytest.mark.parametrize("out", [5, D])
def test_transcoders(tmp_path, architecture, out):
    t = base(8, out)
    if "skip" in architecture:
        t["W_skip"] = rand(7, out, D)
    if "jumprelu" in architecture:
        t["threshold"] = rand(8, 8)

    def encode(x: Tensor) -> Tensor:
        pre = x @ t["W_enc"] + t["b_enc"]
        return pre.relu() * (pre > t.get("threshold", -1))

    def decode(f: Tensor, x: Tensor) -> Tensor:
        y = f @ t["W_dec"] + t["b_dec"]
        return y + t["W_skip"] @ x if "W_skip" in t else y

    path = folder(tmp_path, t, architecture=architecture, d_out=out, metadata=TRANSCODER)
    config = only(path).config
    assert (config.reads, config.writes, config.d_out) == (Site(3, "mlp_in"), Site(3, "mlp_out"), out)
    check(path, encode, decode)
    assert only(path, Hints(writes=Site(4, "mlp_out"))).config.writes == Site(4, "mlp_out")


def test_input_norms(tmp_path):
    t = base()

    def encode(x: Tensor) -> Tensor:
        return ((x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu()

    def centred(x: Tensor) -> Tensor:
        return (x - x.mean()) / (x.std() + 1e-5)

    path = folder(tmp_path, t, normalize_activations="layer_norm")
    check(
        path,
        lambda x: encode(centred(x)),
        lambda f, x: (f @ t["W_dec"] + t["b_dec"]) * x.std() + x.mean(),
        None,
        rand(9, 5, D) * 1e-3,
    )
    path = folder(tmp_path, t, normalize_activations="constant_norm_rescale")
    check(
        path,
        lambda x: encode(x * D**0.5 / x.norm()),
        lambda f, x: (f @ t["W_dec"] + t["b_dec"]) * x.norm() / D**0.5,
    )


@pytest.mark.parametrize("architecture", ["standard", "gated", "jumprelu", "topk"])
@pytest.mark.parametrize("said", ["hint", "checkpoint"])
def test_an_expected_norm_is_folded(tmp_path, architecture, said):
    """f(x) = f'(s x) and x̂ = x̂'(s x) / s of the dictionary that was trained on s x."""
    s, t = 0.25, base()
    if architecture == "gated":
        t |= {"b_gate": t.pop("b_enc"), "b_mag": rand(5, 8), "r_mag": rand(6, 8)}
    if architecture == "jumprelu":
        t["threshold"] = rand(5, 8)
    trained, _ = read_saelens(folder(tmp_path / "t", t, architecture=architecture, k=3), dtype=torch.float64)
    path = folder(tmp_path / "s", t, architecture=architecture, k=3, normalize_activations="expected_average_only_in")
    hints = Hints(norm_scale=s)
    if said == "checkpoint":
        (path / "activation_scaler.json").write_text(json.dumps({"scaling_factor": s, "has_whitening": False}))
        hints = Hints(norm_scale=99.0)
    check(path, lambda x: trained.encode(s * x), lambda _, x: trained(s * x) / s, hints)


@pytest.mark.parametrize("apply", [True, False])
@pytest.mark.parametrize("architecture", ["standard", "gated"])
def test_a_whitening_is_folded(tmp_path, architecture, apply):
    t = base()
    if architecture == "gated":
        t |= {"b_gate": t.pop("b_enc"), "b_mag": rand(5, 8), "r_mag": rand(6, 8)}
    options = {"architecture": architecture, "apply_b_dec_to_input": apply}
    trained, _ = read_saelens(folder(tmp_path / "t", t, **options), dtype=torch.float64)
    path = folder(tmp_path / "w", t, normalize_activations="covariance_whitening", **options)
    with pytest.raises(InputError, match="no activation_whitening"):
        only(path).load(torch.float64)
    mean, matrix = rand(20, D), rand(21, D, D)
    whitening = {"mean": mean, "matrix": matrix, "inverse_matrix": matrix.inverse().contiguous()}
    save_file(whitening, path / "activation_whitening.safetensors")
    check(
        path,
        lambda x: trained.encode((x - mean) @ matrix),
        lambda _, x: trained((x - mean) @ matrix) @ matrix.inverse() + mean,
    )
    save_file({**whitening, "mean": mean[:2]}, path / "activation_whitening.safetensors")
    with pytest.raises(InputError, match="is not of width 6"):
        only(path).load(torch.float64)


@pytest.mark.parametrize("architecture", ["batchtopk", "matryoshka_batchtopk"])
@pytest.mark.parametrize(("rescaled", "s"), [(True, 1.0), (False, 1.0), (True, 0.25)])
def test_training_checkpoints_have_one_threshold(tmp_path, architecture, rescaled, s):
    t = {**base(), "topk_threshold": torch.tensor(0.4, dtype=torch.float64)}
    norms = t["W_dec"].norm(dim=1) if rescaled else torch.ones(8)

    def encode(x: Tensor) -> Tensor:  # of the dictionary in training, whose norms are those of s = 1
        pre = ((s * x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]) * norms
        return pre.relu() * (pre > 0.4)

    scale = {"normalize_activations": "expected_average_only_in"} if s != 1 else {}
    path = folder(tmp_path, t, architecture=architecture, k=3.0, rescale_acts_by_decoder_norm=rescaled, **scale)
    assert only(path, Hints(norm_scale=s)).config.arch == "jumprelu"
    check(
        path,
        lambda x: encode(x) / s,
        lambda f, _: ((f * s / norms) @ t["W_dec"] + t["b_dec"]) / s,
        Hints(norm_scale=s),
    )


def test_a_fine_tuned_scale_of_the_activations(tmp_path):
    t = base()
    ones, factor = {**t, "scaling_factor": torch.ones(8)}, {**t, "scaling_factor": rand(5, 8)}

    def encode(x: Tensor) -> Tensor:
        return ((x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu()

    check(folder(tmp_path / "1", ones), encode, lambda f, _: f @ t["W_dec"] + t["b_dec"])
    path = folder(tmp_path / "f", factor, finetuning_scaling_factor=True)
    check(path, encode, lambda f, _: (f * factor["scaling_factor"]) @ t["W_dec"] + t["b_dec"])
    with pytest.raises(InputError, match="says nothing of fine-tuning"):
        only(folder(tmp_path / "f", factor)).load(torch.float32)


# --- older layouts --------------------------------------------------------------------------------------------------


def flat(path: Path, tensors: dict[str, Tensor], **document: object) -> Path:
    folder(path, tensors)
    (path / "cfg.json").write_text(json.dumps({"d_in": D, "d_sae": len(tensors["W_dec"]), **document}))
    return path


@pytest.mark.parametrize(
    ("document", "arch", "site", "options"),
    [
        ({"hook_name": "blocks.3.hook_resid_pre"}, "standard", Site(3, "resid_pre"), {}),
        ({"hook_point": "blocks.3.hook_resid_pre"}, "standard", Site(3, "resid_pre"), {}),
        ({"hook_point": "blocks.{layer}.hook_mlp_out", "hook_point_layer": 4}, "standard", Site(4, "mlp_out"), {}),
        (
            {**HOOK, "hook_point_head_index": None, "normalize_activations": False},
            "standard",
            Site(3, "resid_post"),
            {},
        ),
        ({**HOOK, "normalize_activations": None, "apply_b_dec_to_input": False}, "standard", None, None),
        ({**HOOK, "activation_fn": "topk", "activation_fn_kwargs": {"k": 3}}, "topk", Site(3, "resid_post"), {"k": 3}),
        ({**HOOK, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 3}}, "topk", None, {"k": 3}),
        (
            {**HOOK, "architecture": "topk", "k": 3, "normalize_activations": "layer_norm"},
            "topk",
            None,
            {"k": 3, "normalize": "layer_norm"},
        ),
        ({"hook_name": "blocks.3.attn.hook_z", "activation_fn": "relu"}, "standard", Site(3, "attn_z"), {}),
        ({"hook_name": "blocks.3.hook_mlp_in"}, "standard", Site(3, "resid_mid"), {}),
        ({"hook_name": "model.layers.7"}, "standard", Site(7, "resid_post"), {}),
        ({"hook_name": "hook_embed"}, "standard", Site(0, "resid_pre"), {}),
    ],
)
def test_the_flat_layout(tmp_path, document, arch, site, options):
    item = only(flat(tmp_path, base(), model_name="gpt2-small", context_size=128, prepend_bos=True, **document))
    assert item.config.arch == arch
    assert item.config.reads == (site or Site(3, "resid_post"))
    assert item.config.options == ({"apply_b_dec_to_input": False} if options is None else options)
    assert (item.model, item.context, item.prepends_bos) == ("gpt2-small", 128, True)
    assert bool(item.notes) == (document.get("hook_name") == "hook_embed")
    item.load(torch.float32)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({**HOOK, "activation_fn": "tanh-relu"}, "standard with activation tanh-relu"),
        ({**HOOK, "normalize_activations": True}, "files do not hold that number"),
        ({**HOOK, "hook_head_index": 3}, "reads attention head 3 alone"),
        ({**HOOK, "hook_point_head_index": 3}, "reads attention head 3 alone"),
        ({"hook_name": "ln_final.hook_normalized"}, "names no site"),
        ({**HOOK, "reshape_activations": "hook_z"}, "reshape_activations = 'hook_z' at 3.resid_post"),
        ({}, "does not say at which site"),
    ],
)
def test_a_flat_layout_that_is_not_read(tmp_path, document, message):
    path = flat(tmp_path, base(), **document)
    with pytest.raises(InputError, match=message):
        only(path)


class LanguageModelSAERunnerConfig:
    """As old pickles name it; read without this class."""


def test_an_old_pickled_checkpoint(tmp_path, monkeypatch):
    t = {name: value.float() for name, value in base().items()}
    config = LanguageModelSAERunnerConfig()
    config.__dict__ |= {
        "model_name": "gpt2-small",
        "hook_point": "blocks.5.hook_resid_pre",
        "hook_point_layer": 5,
        "hook_point_head_index": None,
        "d_in": D,
        "context_size": 128,
        "dtype": torch.float32,
        "device": torch.device("cpu"),
        "betas": (0.9, 0.999),
    }
    monkeypatch.setattr(LanguageModelSAERunnerConfig, "__module__", "sae_training.config")
    import sys
    import types

    module = types.ModuleType("sae_training.config")
    module.LanguageModelSAERunnerConfig = LanguageModelSAERunnerConfig
    LanguageModelSAERunnerConfig.__qualname__ = "LanguageModelSAERunnerConfig"
    monkeypatch.setitem(sys.modules, "sae_training", types.ModuleType("sae_training"))
    monkeypatch.setitem(sys.modules, "sae_training.config", module)
    path = tmp_path / "final_sparse_autoencoder_gpt2-small.pt"
    torch.save({"cfg": config, "state_dict": t}, path)
    monkeypatch.delitem(sys.modules, "sae_training.config")
    item = only(path)
    assert (item.config.reads, item.config.n_latents, item.model, item.context) == (
        Site(5, "resid_pre"),
        8,
        "gpt2-small",
        128,
    )
    made = item.load(torch.float32)
    x = torch.randn(3, D)
    torch.testing.assert_close(made.encode(x), ((x - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu())
    torch.save({"cfg": {}, "state_dict": {"other": torch.zeros(1)}}, path)
    with pytest.raises(InputError, match="no dictionary in a format that is known"):
        only(path)


@pytest.mark.parametrize(
    ("hf_hook", "site"),
    [("model.layers.3.pre_feedforward_layernorm.output", "3.mlp_in"), (None, "3.resid_mid")],
)
def test_the_mlps_input_before_or_after_its_norm(tmp_path, hf_hook, site):
    said = {**TRANSCODER, "hook_name": "blocks.3.hook_mlp_in", "hf_hook_name": hf_hook}
    path = folder(tmp_path, base(), architecture="transcoder", d_out=D, metadata=said)
    assert only(path).config.reads == Site.parse(site)


def test_one_site_said_for_a_transcoder_is_the_one_it_reads(tmp_path):
    path = folder(tmp_path, base(), architecture="transcoder", d_out=D, metadata=TRANSCODER)
    config = only(path, Hints.parse("2.resid_mid")).config
    assert (config.reads, config.writes) == (Site(2, "resid_mid"), Site(3, "mlp_out"))


@pytest.mark.parametrize("said", [{}, {"model_from_pretrained_kwargs": {"fold_ln": False}}])
def test_what_is_taken_before_a_gain_is_of_folded_weights(tmp_path, said):
    path = folder(tmp_path, base(), architecture="transcoder", d_out=D, metadata={**TRANSCODER, **said})
    item = only(path)
    assert (item.processing, item.config.reads) == ("folded", Site(3, "mlp_in"))
    assert "before the gain" in item.notes[0]
    item = only(path, Hints(processing="raw"))
    assert (item.processing, item.notes) == ("raw", ())


# --- what is beside the weights, and what is refused ----------------------------------------------------------------


def test_metadata_and_firing_frequencies(tmp_path):
    said = {
        **HOOK,
        "model_name": "pythia-70m",
        "context_size": 64,
        "prepend_bos": False,
        "l0": 12.5,
        "model_from_pretrained_kwargs": {"fold_ln": True},
    }
    path = folder(tmp_path, base(), metadata=said)
    save_file({"sparsity": torch.tensor([-1.0, -10.0] * 4)}, path / "sparsity.safetensors")
    item = only(path)
    assert (item.model, item.context, item.prepends_bos, item.processing) == ("pythia-70m", 64, False, "folded")
    assert item.measured == {"l0": 12.5}
    assert item.metadata["firing"] == {"l0": pytest.approx(0.4), "never_fired": 4}
    assert only(path, Hints(model="mine", processing="raw")).processing == "raw"
    save_file({"sparsity": torch.zeros(3)}, path / "sparsity.safetensors")
    assert "3 firing frequencies for 8 features" in only(path).notes[0]
    (path / "sparsity.safetensors").write_bytes(b"nothing")
    assert only(path).notes


@pytest.mark.parametrize(
    ("document", "change", "message"),
    [
        ({"architecture": "jumprelu"}, {}, "has no tensor threshold"),
        ({"architecture": "jumprely"}, {}, "unknown architecture 'jumprely'"),
        ({"architecture": "batchtopk"}, {"threshold": rand(0, 8)}, "has no tensor topk_threshold"),
        ({}, {"threshold": rand(0, 8)}, "unknown tensor threshold"),
        ({}, {"b_dec": rand(0, 8)}, r"b_dec of shape \(8,\), expected \(6,\)"),
        ({}, {"W_enc": rand(0, 8, D)}, r"W_enc of shape \(8, 6\), expected \(6, 8\)"),
        ({"architecture": "transcoder", "metadata": TRANSCODER}, {}, "no sizes d_in and d_sae and d_out"),
        ({"architecture": "transcoder", "d_out": D}, {}, "does not say what it writes"),
        ({"architecture": "skip_transcoder", "d_out": D, "metadata": TRANSCODER}, {}, "no tensor W_skip"),
        (
            {"architecture": "skip_transcoder", "d_out": 5, "metadata": TRANSCODER},
            {"W_skip": rand(0, D, 5), "W_dec": rand(0, 8, 5), "b_dec": rand(0, 5)},
            r"W_skip of shape \(6, 5\), expected \(5, 6\)",
        ),
        ({"architecture": "topk", "k": "many"}, {}, "needs k from 1"),
        ({"d_in": "6"}, {}, "no sizes"),
        ({"normalize_activations": "cubic"}, {}, "which is unknown"),
        ({"architecture": "temporal", "normalize_activations": "expected_average_only_in"}, {}, "cannot fold"),
        (
            {"architecture": "transcoder", "d_out": D, "metadata": {**TRANSCODER, "hook_head_index_out": 2}},
            {},
            "writes attention head 2 alone",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, document, change, message):
    path = folder(tmp_path, {**base(), **change}, **document)
    with pytest.raises(InputError, match=message):
        only(path)


def test_hints_win_over_the_metadata(tmp_path):
    path = folder(tmp_path, base(), metadata={"hook_name": "somewhere.else"})
    assert only(path, Hints(reads=Site(7, "attn_out"))).config.reads == Site(7, "attn_out")


# --- written here ---------------------------------------------------------------------------------------------------

TEMPORAL = {"n_heads": 2, "bottleneck_factor": 2}
CASES = {
    "standard": {},
    "gated": {},
    "jumprelu": {},
    "topk": {"k": 3},
    "abstopk": {"k": 3},
    "matching_pursuit": {"max_iterations": 4},
    "temporal": {**TEMPORAL, "k": 3},
    "identity": {},
    "groupmax": {"k": 4},
}


def made_of(arch: str, options: dict, f: int, reads: Site, writes: Site, seed: int):
    made = make_dictionary(DictionaryConfig(arch, D, f, reads, writes, D, options)).requires_grad_(False).double()
    for number, value in enumerate(made.parameters()):
        value.copy_(rand(seed + number, *value.shape))
    return made


EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "normalize": st.sampled_from([None, "layer_norm", "constant_norm_rescale"]),
        "skip": st.booleans(),
        "apply_b_dec_to_input": st.booleans(),
    },
)


@settings(deadline=None, max_examples=40)
@given(arch=st.sampled_from(sorted(CASES)), extras=EXTRAS, square=st.booleans(), seed=st.integers(0, 99))
def test_everything_reads_back_from_a_suite(tmp_path_factory, arch, extras, square, seed):
    """Whatever sae-lens would say to it: a suite holds every architecture."""
    f = D if square and arch not in ("temporal", "groupmax") else 8
    made = made_of(arch, {**CASES[arch], **extras}, f, Site(2, "resid_pre"), Site(2, "resid_pre"), seed)
    folder = tmp_path_factory.mktemp("suite")
    write_suite(Suite.of(SuiteInfo("one", "tiny", "v1:00"), [made]), folder, torch.float64)
    back = read_suite(folder, dtype=torch.float64)[Site(2, "resid_pre")]
    assert same(back.config, made.config)
    for name, value in made.state_dict().items():
        assert torch.equal(back.state_dict()[name], value)
    x = rand(seed + 50, 3, 4, D)
    torch.testing.assert_close(back.encode(x), made.encode(x), rtol=0, atol=0)
    torch.testing.assert_close(back(x), made(x), rtol=0, atol=0)


@pytest.mark.parametrize("arch", ["standard", "topk", "gated", "jumprelu"])
def test_transcoders_read_back_from_a_suite(tmp_path, arch):
    reads, writes = Site(2, "mlp_in"), Site(2, "mlp_out")
    made = made_of(arch, {**CASES[arch], "skip": True}, 8, reads, writes, 0)
    write_suite(Suite.of(SuiteInfo("one", "tiny", "v1:00"), [made]), tmp_path, torch.float64)
    back = read_suite(tmp_path, dtype=torch.float64)[reads]
    assert back.config == made.config
    torch.testing.assert_close(back(rand(1, 3, D)), made(rand(1, 3, D)), rtol=0, atol=0)


def test_what_sae_lens_lacks_is_marked_and_refused_by_the_writer(tmp_path):
    site = Site(2, "resid_pre")
    made = made_of("identity", {}, D, site, site, 0)
    assert json.loads(to_files(made)["cfg.json"])["architecture"] == "saecli/identity"
    fine = made_of("standard", {}, D, site, site, 0)
    with pytest.raises(UsageError, match=r"no architecture like identity; abstopk with k"):
        write({"a": fine, "b": made}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arch", "options", "writes", "message"),
    [
        ("topk", {"k": 3}, Site(2, "mlp_out"), "no topk transcoder; its transcoders are standard and jumprelu"),
        ("groupmax", {"k": 4}, Site(2, "resid_pre"), "topk comes closest"),
        ("standard", {"skip": True}, Site(2, "resid_pre"), "skip path only in transcoders"),
        (
            "matching_pursuit",
            {"apply_b_dec_to_input": False},
            Site(2, "resid_pre"),
            "only if it is taken from the input",
        ),
    ],
)
def test_what_sae_lens_lacks(tmp_path, arch, options, writes, message):
    made = made_of(arch, options, 8, Site(2, "resid_pre"), writes, 0)
    with pytest.raises(UsageError, match=message):
        write({"": made}, tmp_path)


def test_numbers_that_do_not_fit_are_refused():
    site = Site(2, "resid_pre")
    made = made_of("jumprelu", {}, 8, site, site, 0)
    made.threshold_F[3] = 1e6
    with pytest.raises(UsageError, match=r"threshold of the dictionary at 2\.resid_pre does not fit"):
        to_files(made, torch.float16)


@pytest.mark.parametrize("processing", ["raw", "folded", ""])
def test_metadata_is_written(tmp_path, processing):
    site = Site(2, "mlp_in")
    made = made_of("standard", {}, 8, site, site, 0)
    write({"x": made}, tmp_path, model="tiny", context=12, prepends_bos=True, processing=processing)
    item = only(tmp_path)
    assert (item.name, item.model, item.context, item.prepends_bos) == ("x", "tiny", 12, True)
    assert item.processing == processing
    assert (item.config.reads, item.notes) == (site, ())
    hook = json.loads((tmp_path / "x" / "cfg.json").read_text())["metadata"]["hook_name"]
    assert hook == ("blocks.2.ln2.hook_normalized" if processing == "folded" else "blocks.2.mlp.hook_in")
    assert load_file(tmp_path / "x" / "sae_weights.safetensors")["W_enc"].dtype == torch.float32


def test_files_of_tensors_beside_their_configuration_and_folders_of_them(tmp_path):
    generator = torch.Generator().manual_seed(3)
    tensors = {
        "W_enc": torch.randn(6, 6, generator=generator),
        "b_enc": torch.randn(6, generator=generator),
        "W_dec": torch.randn(6, 6, generator=generator),
        "b_dec": torch.randn(6, generator=generator),
    }
    for layer in (0, 3):
        torch.save(tensors, tmp_path / f"gpt2-small_L{layer}_z.pt")
        config = {"act_name": f"blocks.{layer}.attn.hook_z", "act_size": 6, "dict_size": 6, "l1_coeff": 1.8}
        (tmp_path / f"gpt2-small_L{layer}_z_cfg.json").write_text(json.dumps(config))
    found = open_dictionaries(tmp_path)
    assert [str(item.config.reads) for item in found.items] == ["0.attn_z", "3.attn_z"]
    x = torch.randn(9, 6, generator=generator)
    expected = ((x - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]).relu()
    dictionary = found.items[1].load(torch.float32)
    torch.testing.assert_close(dictionary.encode(x), expected)
    torch.testing.assert_close(dictionary(x), expected @ tensors["W_dec"] + tensors["b_dec"])


def test_a_release_knows_what_the_inputs_of_each_layer_were_multiplied_by(tmp_path):
    for layer in (0, 1):
        made = make_dictionary(DictionaryConfig("standard", 4, 6, *(Site(layer, "mlp_out"),) * 2, 4, {}))
        torch.nn.init.normal_(made.W_enc_DF)
        torch.nn.init.normal_(made.W_dec_FD)
        write({f"l{layer}": made.requires_grad_(False)}, tmp_path)
        document = json.loads((tmp_path / f"l{layer}" / "cfg.json").read_text())
        document["normalize_activations"] = "expected_average_only_in"
        (tmp_path / f"l{layer}" / "cfg.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="do not hold that number"):
        open_dictionaries(tmp_path, Hints(norm_scale=(2.0,)))
    found = open_dictionaries(tmp_path, Hints(norm_scale=(2.0, 5.0)))
    raw = load_file(tmp_path / "l1" / "sae_weights.safetensors")
    scaled = found.items[1].load(torch.float32)
    torch.testing.assert_close(scaled.W_enc_DF, 5 * raw["W_enc"])
    torch.testing.assert_close(scaled.W_dec_FD, raw["W_dec"] / 5)
