"""Language-Model-SAEs: what is read does in the model's scale what training did in its own, thresholds included."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from saecli.core.errors import InputError
from saecli.core.folding import folded
from saecli.core.site import Site
from saecli.formats.registry import Hints, open_dictionaries, open_suite, sniff
from tests.core.tiny_models import LAYERS, D, tiny

F = 2 * D
THETA = "activation_function.log_jumprelu_threshold"
RESID = "blocks.1.hook_resid_post"
IN, OUT = "blocks.1.ln2.hook_normalized", "blocks.1.hook_mlp_out"


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1000 * seed + sum(shape)))


def sae_tensors(d: int = D, f: int = F, *, act_fn: str = "relu") -> dict[str, torch.Tensor]:
    scales = torch.linspace(0.2, 3, f)[:, None]  # decoder norms that are far apart, so that their use is seen
    tensors = {"W_E": rand(d, f) / d**0.5, "b_E": rand(f), "W_D": rand(f, d) * scales / d**0.5, "b_D": rand(d)}
    return tensors | ({THETA: rand(f, seed=1) * 0.5 - 0.5} if act_fn == "jumprelu" else {})


def norms(hook_in: str, hook_out: str, values=(5.0, 0.7)) -> dict[str, torch.Tensor]:
    key = "dataset_average_activation_norm."
    return {key + hook_out: torch.tensor(values[1]), key + hook_in: torch.tensor(values[0])}


def write(
    folder: Path, tensors: dict[str, torch.Tensor], hooks=(IN, OUT), file="sae_weights.safetensors", **config
) -> Path:
    document: dict[str, Any] = {
        "sae_type": "sae",
        "d_model": D,
        "expansion_factor": F / D,
        "act_fn": "relu",
        "top_k": 5,
        "use_decoder_bias": True,
        "norm_activation": "dataset-wise",
        "sparsity_include_decoder_norm": True,
        "hook_point_in": hooks[0],
        "hook_point_out": hooks[1],
        "dtype": "torch.float32",
    }
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(document | config))
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".pt":
        torch.save({"sae": tensors, "version": "2.0"}, path)
    else:
        save_file(tensors, path, {"version": "2.0"})
    return folder


def in_training(x: torch.Tensor, t: dict[str, torch.Tensor], act_fn: str, si: float, so: float, *, by_norm: bool, k=5):
    """Activations and reconstruction in the model's scale, by the loops of training: scale, encode, decode, unscale."""
    t = {name: value.double() for name, value in t.items()}
    acts = torch.zeros(len(x), len(t["b_E"]), dtype=torch.float64)
    for row, vector in enumerate(x.double()):
        pre = torch.stack([si * vector @ t["W_E"][:, j] + t["b_E"][j] for j in range(acts.shape[1])])
        judged = pre * torch.stack([w.norm() for w in t["W_D"]]) if by_norm else pre
        if act_fn == "jumprelu":
            on = judged > t[THETA].exp()
        elif act_fn == "topk":
            on = torch.zeros_like(pre, dtype=torch.bool).index_fill(0, judged.clamp_min(0).topk(k).indices, True)
        else:
            on = judged > 0
        acts[row] = pre.clamp_min(0) * on
    return acts / si, (acts @ t["W_D"] + t.get("b_D", torch.zeros(()))) / so


@pytest.mark.parametrize("act_fn", ["relu", "jumprelu", "topk"])
@pytest.mark.parametrize("by_norm", [True, False])
@pytest.mark.parametrize("hooks", [(IN, OUT), (RESID, RESID)])
@pytest.mark.parametrize("file", ["sae_weights.safetensors", "checkpoints/final.pt"])
def test_what_is_read_is_what_was_trained(tmp_path, act_fn, by_norm, hooks, file):
    tensors = sae_tensors(act_fn=act_fn)
    write(
        tmp_path,
        tensors | norms(*hooks),
        hooks,
        file,
        act_fn=act_fn,
        sparsity_include_decoder_norm=by_norm,
    )
    si, so = D**0.5 / 5, D**0.5 / (0.7 if hooks[0] != hooks[1] else 5)
    x = rand(40, D, seed=3) * 2
    acts, out = in_training(x, tensors, act_fn, si, so, by_norm=by_norm)
    assert 0.02 < (acts > 0).double().mean() < 0.8
    item = open_dictionaries(tmp_path).items[0]
    made = item.load(torch.float64)
    torch.testing.assert_close(made(x.double()), out, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(made.reconstruct(x.double()), out, atol=1e-6, rtol=1e-6)
    if act_fn == "topk" and by_norm:  # ranked by decoder norms, so these are in the activations
        raw = tensors["W_D"].double().norm(dim=1) * si / so
        torch.testing.assert_close(made.W_dec_FD.norm(dim=1), torch.ones(F).double(), atol=1e-6, rtol=0)
        torch.testing.assert_close(made.encode(x.double()), acts * raw, atol=1e-5, rtol=1e-6)
    else:
        torch.testing.assert_close(made.encode(x.double()), acts, atol=1e-6, rtol=1e-6)


def test_an_uncorrected_threshold_would_be_seen(tmp_path):
    """Folding the scales and leaving θ as it is, as some loaders do, gives other features at si ≠ so."""
    tensors = sae_tensors(act_fn="jumprelu")
    write(tmp_path, tensors | norms(IN, OUT), act_fn="jumprelu")
    made = open_dictionaries(tmp_path).items[0].load(torch.float64)
    x = rand(40, D, seed=3) * 2
    right = made.encode(x.double()) > 0
    made.threshold_F.data = tensors[THETA].double().exp()
    assert ((made.encode(x.double()) > 0) != right).double().mean() > 0.02


@given(st.floats(0.1, 30), st.floats(0.1, 30), st.booleans(), st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_jumprelu_at_any_scales(tmp_path_factory, norm_in, norm_out, by_norm, seed):
    folder = tmp_path_factory.mktemp("any")
    tensors = sae_tensors(4, 4, act_fn="jumprelu")
    tensors["W_D"][2] = 0  # a feature without a decoder: never above a threshold of scaled values
    config = {"d_model": 4, "expansion_factor": 1, "act_fn": "jumprelu", "sparsity_include_decoder_norm": by_norm}
    write(folder, tensors | norms(IN, OUT, (norm_in, norm_out)), **config)
    x = rand(12, 4, seed=seed)
    acts, out = in_training(x, tensors, "jumprelu", 2 / norm_in, 2 / norm_out, by_norm=by_norm)
    made = open_dictionaries(folder).items[0].load(torch.float64)
    torch.testing.assert_close(made.encode(x.double()), acts, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(made(x.double()), out, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("norm", ["inference", "none"])
def test_a_folded_file_is_taken_as_it_is(tmp_path, norm):
    """Its scalars are memory that was never set."""
    tensors = sae_tensors()
    write(tmp_path, tensors | norms(IN, OUT, (math.nan, -1.0)), norm_activation=norm)
    x = rand(10, D, seed=3)
    _, out = in_training(x, tensors, "relu", 1, 1, by_norm=True)
    torch.testing.assert_close(
        open_dictionaries(tmp_path).items[0].load(torch.float64)(x.double()), out, atol=1e-6, rtol=0
    )


def test_norms_of_every_token(tmp_path):
    tensors = sae_tensors(act_fn="jumprelu")
    write(tmp_path, tensors, (RESID, RESID), norm_activation="token-wise", act_fn="jumprelu")
    made = open_dictionaries(tmp_path).items[0].load(torch.float64)
    for x in rand(10, D, seed=3).double():
        scale = D**0.5 / float(x.norm())
        _, out = in_training(x[None], tensors, "jumprelu", scale, scale, by_norm=True)
        torch.testing.assert_close(made(x[None]), out, atol=1e-6, rtol=1e-6)
    write(tmp_path, tensors, norm_activation="token-wise", act_fn="jumprelu")
    with pytest.raises(InputError, match="transcoder with norm_activation token-wise"):
        open_dictionaries(tmp_path)


def legacy(folder: Path, f: int = F, **more) -> dict[str, torch.Tensor]:
    """Llama Scope 1: nn.Linear's names and orientation, one threshold, norms in hyperparams.json."""
    document = {
        "d_model": D,
        "d_sae": f,
        "hook_point_in": RESID,
        "hook_point_out": RESID,
        "act_fn": "jumprelu",
        "jump_relu_threshold": 0.35,
        "norm_activation": "dataset-wise",
        "dataset_average_activation_norm": {"in": 10.8, "out": 10.8},
        "use_decoder_bias": True,
        "apply_decoder_bias_to_pre_encoder": False,
        "sparsity_include_decoder_norm": True,
        "top_k": 50,
    }
    (folder / "hyperparams.json").write_text(json.dumps(document | more))
    t = sae_tensors(f=f)
    linear = {
        "encoder.weight": t["W_E"].T,
        "encoder.bias": t["b_E"],
        "decoder.weight": t["W_D"].T,
        "decoder.bias": t["b_D"],
    }
    (folder / "checkpoints").mkdir(exist_ok=True)
    save_file({name: value.contiguous() for name, value in linear.items()}, folder / "checkpoints/final.safetensors")
    return t


@pytest.mark.parametrize("f", [F, D])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"act_fn": "topk"},
        {"sparsity_include_decoder_norm": False},
        {"hook_point_in": IN, "hook_point_out": OUT, "dataset_average_activation_norm": {"in": 4.0, "out": 0.5}},
    ],
)
def test_llama_scope_1(tmp_path, more, f):
    """θ was measured on decoder rows of norm 1 in the model's scale (and topk with a θ is used as jumprelu)."""
    t = {name: value.double() for name, value in legacy(tmp_path, f, **more).items()}
    norm = more.get("dataset_average_activation_norm", {"in": 10.8, "out": 10.8})
    si, so = D**0.5 / norm["in"], D**0.5 / norm["out"]
    assert sniff(tmp_path) == "openmoss"
    item = open_dictionaries(tmp_path).items[0]
    made = item.load(torch.float64)
    assert item.config.arch == "jumprelu"
    for x in rand(20, D, seed=4).double() * 3:
        pre, decoder = x @ t["W_E"] + t["b_E"] / si, t["W_D"] * si / so
        if more.get("sparsity_include_decoder_norm", True):
            pre, decoder = pre * decoder.norm(dim=1), decoder / decoder.norm(dim=1, keepdim=True)
        acts = torch.where(pre > 0.35, pre, 0)
        torch.testing.assert_close(made.encode(x[None])[0], acts, atol=1e-5, rtol=1e-6)
        torch.testing.assert_close(made(x[None])[0], acts @ decoder + t["b_D"] / so, atol=1e-5, rtol=1e-6)


def test_a_decoder_bias_taken_from_the_input_is_in_the_encoder(tmp_path):
    t = {
        name: value.double()
        for name, value in legacy(tmp_path, apply_decoder_bias_to_pre_encoder=True, act_fn="relu").items()
    }
    s = D**0.5 / 10.8
    x = rand(10, D, seed=4).double()
    acts = ((s * x - t["b_D"]) @ t["W_E"] + t["b_E"]).relu()
    made = open_dictionaries(tmp_path).items[0].load(torch.float64)
    torch.testing.assert_close(made(x), (acts @ t["W_D"] + t["b_D"]) / s, atol=1e-5, rtol=1e-6)


def test_layouts_of_the_time_between(tmp_path):
    """config.json beside nn.Linear's names."""
    t = sae_tensors(act_fn="jumprelu")
    linear = {
        "encoder.weight": t["W_E"].T,
        "encoder.bias": t["b_E"],
        "decoder.weight": t["W_D"].T,
        "decoder.bias": t["b_D"],
    }
    tensors = {name: value.contiguous() for name, value in linear.items()} | {"log_jumprelu_threshold": t[THETA]}
    write(tmp_path, tensors | norms(IN, OUT), act_fn="jumprelu")
    x = rand(20, D, seed=3)
    _, out = in_training(x, t, "jumprelu", D**0.5 / 5, D**0.5 / 0.7, by_norm=True)
    torch.testing.assert_close(
        open_dictionaries(tmp_path).items[0].load(torch.float64)(x.double()), out, atol=1e-6, rtol=0
    )


def test_without_a_decoder_bias(tmp_path):
    tensors = sae_tensors()
    del tensors["b_D"]
    write(tmp_path, tensors | norms(IN, OUT), use_decoder_bias=False)
    x = rand(10, D, seed=3)
    _, out = in_training(x, tensors, "relu", D**0.5 / 5, D**0.5 / 0.7, by_norm=True)
    torch.testing.assert_close(
        open_dictionaries(tmp_path).items[0].load(torch.float64)(x.double()), out, atol=1e-6, rtol=0
    )


def test_what_the_files_say(tmp_path):
    write(tmp_path, sae_tensors() | norms(IN, OUT))
    (tmp_path / "lm_config.json").write_text(json.dumps({"model_name": "tiny", "max_length": 64, "prepend_bos": True}))
    item = open_dictionaries(tmp_path).items[0]
    assert (item.model, item.context, item.prepends_bos, item.processing) == ("tiny", 64, True, "folded")
    assert (str(item.config.reads), str(item.config.writes)) == ("1.mlp_in", "1.mlp_out")
    assert open_dictionaries(tmp_path, Hints(model="other")).items[0].model == "other"
    write(tmp_path, sae_tensors() | norms(RESID, RESID), (RESID, RESID))
    assert open_dictionaries(tmp_path).items[0].processing == "raw"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"sae_type": "lorsa"}, "describes a Lorsa"),
        ({"sae_type": "crosscoder"}, "describes a crosscoder"),
        ({"sae_type": "molt"}, "describes a MOLT"),
        ({"sae_type": "new"}, "sae_type 'new'; sae and clt are read"),
        ({"use_glu_encoder": True}, "GLU encoder"),
        ({"act_fn": "batchtopk"}, "act_fn batchtopk, which selects among the features of many tokens"),
        ({"act_fn": "swish"}, "act_fn 'swish'; known: relu, jumprelu, topk"),
        ({"norm_activation": "batch-wise"}, "norm_activation 'batch-wise'"),
        ({"act_fn": "topk", "top_k": 0}, "top_k = 0"),
        ({"act_fn": "topk", "top_k": 999}, "needs k from 1 to that"),
        ({"d_model": "32"}, "d_model = '32'"),
        ({"expansion_factor": None}, "d_sae = None"),
        ({"expansion_factor": 3}, r"of shape \(64,\), expected \(96,\)|of shape .*, expected"),
        ({"hook_point_in": "blocks.x"}, "names no site"),
        ({"hook_point_in": None}, "does not say at which site|names no site"),
        ({"act_fn": "jumprelu"}, "no tensor activation_function.log_jumprelu_threshold"),
        ({"use_decoder_bias": False}, "unknown tensor b_D"),
    ],
)
def test_what_is_not_read_is_refused_by_name(tmp_path, config, message):
    write(tmp_path, sae_tensors() | norms(IN, OUT), **config)
    with pytest.raises(InputError, match=message):
        open_dictionaries(tmp_path).items[0].load(torch.float32)


@pytest.mark.parametrize("value", [math.nan, 0.0, -3.0, math.inf])
def test_a_norm_that_is_none_is_refused(tmp_path, value):
    write(tmp_path, sae_tensors() | norms(IN, OUT, (value, 1.0)))
    with pytest.raises(InputError, match="expected a positive number"):
        open_dictionaries(tmp_path).items[0].load(torch.float32)


def test_a_missing_norm_is_refused_or_taken_from_the_hints(tmp_path):
    tensors = sae_tensors()
    write(tmp_path, tensors, (RESID, RESID))
    with pytest.raises(InputError, match=f"no dataset_average_activation_norm.{RESID}"):
        open_dictionaries(tmp_path).items[0].load(torch.float32)
    x = rand(10, D, seed=3)
    _, out = in_training(x, tensors, "relu", 1.7, 1.7, by_norm=True)
    made = open_dictionaries(tmp_path, Hints(norm_scale=1.7)).items[0].load(torch.float64)
    torch.testing.assert_close(made(x.double()), out, atol=1e-6, rtol=0)


def test_files_that_are_missing_damaged_or_in_pieces(tmp_path):
    write(tmp_path, sae_tensors() | norms(IN, OUT))
    path = tmp_path / "sae_weights.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"sae_weights\.safetensors"):
        open_dictionaries(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="has no weights"):
        open_dictionaries(tmp_path)
    (tmp_path / "sae_weights.dcp").mkdir()
    with pytest.raises(InputError, match=r"sae_weights\.dcp is a checkpoint of torch\.distributed"):
        open_dictionaries(tmp_path)


# --- cross-layer transcoders ------------------------------------------------------------------------------------------


def write_clt(folder: Path, act_fn: str = "jumprelu", layers: int = LAYERS, **config) -> dict[str, torch.Tensor]:
    tensors = {"W_E": rand(layers, D, F) / D**0.5, "b_E": rand(layers, F)}
    for j in range(layers):
        tensors |= {
            f"W_D.{j}": rand(j + 1, F, D, seed=j) * torch.linspace(0.1, 2, F)[:, None],
            f"b_D.{j}": rand(D, seed=j),
        }
    if act_fn == "jumprelu":
        tensors[THETA] = rand(layers, F, seed=1) * 0.5
    hooks_in = [f"blocks.{layer}.ln2.hook_normalized" for layer in range(layers)]
    hooks_out = [f"blocks.{layer}.hook_mlp_out" for layer in range(layers)]
    scalars = {f"dataset_average_activation_norm.{hook}": torch.tensor(2.0 + i) for i, hook in enumerate(hooks_in)}
    scalars |= {f"dataset_average_activation_norm.{hook}": torch.tensor(9.0 - i) for i, hook in enumerate(hooks_out)}
    write(
        folder,
        tensors | scalars,
        sae_type="clt",
        act_fn=act_fn,
        hook_points_in=hooks_in,
        hook_points_out=hooks_out,
        **config,
    )
    return tensors


@pytest.mark.parametrize("act_fn", ["relu", "jumprelu"])
@pytest.mark.parametrize("by_norm", [True, False])
def test_a_cross_layer_transcoder_is_one_dictionary_per_layer(tmp_path, act_fn, by_norm):
    t = {k: v.double() for k, v in write_clt(tmp_path, act_fn, 3, sparsity_include_decoder_norm=by_norm).items()}
    suite = open_dictionaries(tmp_path).suite("clt", dtype=torch.float64)
    xs = [rand(6, D, seed=20 + layer).double() for layer in range(3)]
    si, so = [D**0.5 / (2 + i) for i in range(3)], [D**0.5 / (9 - i) for i in range(3)]
    acts = []
    for i, x in enumerate(xs):
        pre = si[i] * x @ t["W_E"][i] + t["b_E"][i]
        rows = torch.cat([t[f"W_D.{j}"][i] for j in range(i, 3)], dim=1)
        judged = pre * rows.norm(dim=1) if by_norm else pre
        acts.append(pre.relu() * (judged > (t[THETA][i].exp() if act_fn == "jumprelu" else 0)))
        made = suite[Site(i, "mlp_in")]
        torch.testing.assert_close(made.encode(x), acts[i] / si[i], atol=1e-6, rtol=1e-6)
        assert made.config.written == tuple(Site(j, "mlp_out") for j in range(i, 3))
    outs = suite.reconstruct({Site(i, "mlp_in"): x for i, x in enumerate(xs)})
    for j in range(3):
        y = sum(acts[i] @ t[f"W_D.{j}"][i] for i in range(j + 1)) + t[f"b_D.{j}"]
        torch.testing.assert_close(outs[Site(j, "mlp_out")], y / so[j], atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"act_fn": "topk"}, "cross-layer transcoder with act_fn topk"),
        ({"act_fn": "layertopk"}, "layertopk, which selects"),
        ({"act_fn": "batchlayertopk"}, "batchlayertopk, which selects"),
        ({"norm_activation": "token-wise"}, "with norm_activation token-wise"),
        ({"hook_points_in": ["blocks.0.ln2.hook_normalized"]}, "1 hook_points_in and 2 hook_points_out"),
        ({"hook_points_out": "all"}, "expected a list of hook points"),
        ({"hook_points_in": ["a", "b"]}, "names no site"),
        ({"act_fn": "relu"}, "unknown tensor activation_function"),
    ],
)
def test_a_cross_layer_transcoder_that_does_not_fit_is_refused(tmp_path, config, message):
    write_clt(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    with pytest.raises(InputError, match=message):
        open_dictionaries(tmp_path)


# --- suites -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["transcoders", "cross-layer"])
def test_a_suite_attaches_to_the_folded_model(tmp_path, kind):
    if kind == "cross-layer":
        write_clt(tmp_path)
    for layer in range(LAYERS if kind == "transcoders" else 0):
        hooks = f"blocks.{layer}.ln2.hook_normalized", f"blocks.{layer}.hook_mlp_out"
        write(tmp_path / f"layer{layer}", sae_tensors() | norms(*hooks), hooks)
    module, make = tiny("neox")
    suite = open_suite(tmp_path).attach(folded(make(module, "tiny")))
    assert [str(site) for site in suite] == ["0.mlp_in", "1.mlp_in"]
    assert suite[Site(1, "mlp_in")].n_latents == F


def test_one_site_said_for_a_transcoder_is_the_one_it_reads(tmp_path):
    write(tmp_path, sae_tensors() | norms(IN, OUT))
    config = open_dictionaries(tmp_path, Hints.parse("2.resid_mid")).items[0].config
    assert (config.reads, config.writes) == (Site(2, "resid_mid"), Site(1, "mlp_out"))
    write(tmp_path, sae_tensors() | norms(RESID, RESID), (RESID, RESID))
    config = open_dictionaries(tmp_path, Hints.parse("2.resid_mid")).items[0].config
    assert config.reads == config.writes == Site(2, "resid_mid")
