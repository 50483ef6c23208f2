"""GPTs in the layouts of other programs, against a slow forward pass over their plain numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from saecli.core.errors import InputError, UsageError
from saecli.core.hooks import ThinModel
from saecli.core.site import Site
from saecli.formats.hf_gpt2 import load_gpt, save_gpt
from tests.zoo.canonical import H, L, T, V, forward, gpt2_names, hooked_names, mingpt_names, numbers
from zoo.load import load_model

SIZES = {"n_layer": L, "n_head": H, "n_embd": 8, "block_size": T, "vocab_size": V}


def nanogpt(folder: Path, *, bias: bool = True, compiled: bool = False, **changes: Any) -> tuple[Path, dict[str, Any]]:
    gpt = numbers(bias=bias)
    state = gpt2_names(gpt, bias=bias)
    state["transformer.h.0.attn.bias"] = torch.ones(1, 1, T, T)  # the causal mask of older versions
    if compiled:
        state = {f"_orig_mod.{name}": value for name, value in state.items()}
    document = {"model": state, "model_args": SIZES | {"bias": bias, "dropout": 0.0} | changes, "iter_num": 3}
    torch.save(document, folder / "ckpt.pt")
    return folder / "ckpt.pt", gpt


def mingpt(folder: Path) -> tuple[Path, dict[str, Any]]:
    gpt = numbers(tied=False)
    torch.save(mingpt_names(gpt), folder / "gpt_final.pth")
    (folder / "config.json").write_text(json.dumps({"n_heads": H, "d_model": 8}))
    return folder, gpt


def hooked(folder: Path, *, norms: bool = False) -> tuple[Path, dict[str, Any]]:
    gpt = numbers(tied=False, plain_norms=not norms)
    gpt["b_U"] = torch.linspace(-1, 1, V)
    torch.save(hooked_names(gpt, norms=norms), folder / "model.pth")
    return folder / "model.pth", gpt


def circuits(folder: Path, *, dynamic: bool = False) -> tuple[Path, dict[str, Any]]:
    gpt = numbers(dynamic=dynamic)
    state = gpt2_names(gpt, circuits=True)
    del state["transformer.wte.weight"]  # as safetensors leaves out the second name of a tensor
    save_file(state, folder / "model.safetensors", metadata={"transformer.wte.weight": "lm_head.weight"})
    strategy = "DynamicTanh" if dynamic else "LayerNorm"
    (folder / "model.json").write_text(json.dumps(SIZES | {"norm_strategy": strategy}))
    return folder, gpt


LAYOUTS = {
    "nanogpt": (nanogpt, False),
    "nanogpt, compiled": (lambda folder: nanogpt(folder, compiled=True), False),
    "nanogpt, no biases": (lambda folder: nanogpt(folder, bias=False), False),
    "mingpt": (mingpt, False),
    "hooked transformer, folded": (hooked, False),
    "hooked transformer, raw": (lambda folder: hooked(folder, norms=True), False),
    "gpt-circuits": (circuits, True),
    "gpt-circuits, dynamic tanh": (lambda folder: circuits(folder, dynamic=True), True),
}


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    write, tanh = LAYOUTS[request.param]
    path, gpt = write(tmp_path)
    return path, gpt, tanh


def close(a, b, atol):
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


@pytest.mark.parametrize("length", [1, 4, T])
def test_every_site_and_the_logits_are_those_of_the_numbers(layout, length):
    path, gpt, tanh = layout
    tokens = [(3 * n + 1) % V for n in range(length)]
    logits, sites = forward(gpt, tokens, tanh=tanh)
    for dtype, atol in ((torch.float64, 1e-10), (torch.float32, 3e-6)):
        model = load_model(str(path), dtype=dtype)
        run = model.run(torch.tensor([tokens]), read=[Site.parse(site) for site in sites])
        assert run.logits is not None
        close(run.logits[0].double(), logits, atol)
        for site, value in sites.items():
            close(run.sites[Site.parse(site)][0].double(), value, atol)


def test_a_padded_batch_and_folded_weights_predict_the_same(layout):
    path, gpt, tanh = layout
    tokens = torch.tensor([[1, 2, 3, 4, 5, 6], [7, 8, 9, 0, 0, 0]])
    mask = torch.tensor([[1] * 6, [1] * 3 + [0] * 3], dtype=torch.bool)
    for processing in ("raw", "folded"):
        model = load_model(str(path), processing, dtype=torch.float64)
        found = model.run(tokens, attention_mask=mask).logits
        assert found is not None
        for row, length in enumerate((6, 3)):
            expected, _ = forward(gpt, tokens[row, :length].tolist(), tanh=tanh)
            close(found[row, :length].log_softmax(-1), expected.log_softmax(-1), 1e-9)
    assert model.info.processing == "folded"


def test_folding_leaves_no_gain_and_centres_unless_a_tanh_sees_the_mean(tmp_path):
    dynamic = load_model(str(circuits(tmp_path, dynamic=True)[0]), "folded", dtype=torch.float64)
    (tmp_path / "plain").mkdir()
    plain = load_model(str(circuits(tmp_path / "plain")[0]), "folded", dtype=torch.float64)
    for model, centred in ((dynamic, False), (plain, True)):
        weights = model.block(1).weights
        for gain, bias in ((weights.ln1_w, weights.ln1_b), (weights.ln2_w, weights.ln2_b)):
            assert gain is not None
            assert bias is not None
            assert (gain == 1).all()
            assert (bias == 0).all()
        assert bool(weights.W_out.mean(-1).abs().max() < 1e-12) == centred
    with pytest.raises(UsageError, match="DynamicTanh has no scale"):
        dynamic.run(torch.tensor([[1, 2]]), aux=[(0, "ln2_scale")])


def test_weights_published_folded_are_so_and_others_are_raw(tmp_path):
    assert load_model(str(hooked(tmp_path)[0])).info.processing == "folded"
    assert load_model(str(nanogpt(tmp_path)[0])).info.processing == "raw"


@pytest.mark.parametrize("write", [hooked, lambda folder: circuits(folder, dynamic=True)])
def test_what_gpt2_cannot_say_survives_a_folder_that_transformers_refuses(tmp_path, write):
    import transformers

    model = load_model(str(write(tmp_path)[0]))
    folder = tmp_path / "saved"
    save_gpt(model.module, folder, extras={"processing": model.info.processing})  # pyright: ignore[reportArgumentType]
    again = load_model(str(folder))
    tokens = torch.arange(T)[None]
    assert torch.equal(again.run(tokens).logits, model.run(tokens).logits)  # pyright: ignore[reportArgumentType]
    assert (again.info.processing, load_gpt(folder).config) == (model.info.processing, again.module.config)
    with pytest.raises(ValueError, match="saecli-gpt"):
        transformers.AutoModelForCausalLM.from_pretrained(folder)


def test_a_folded_gpt_can_be_saved_and_read(tmp_path):
    model = load_model(str(nanogpt(tmp_path)[0]), "folded")
    save_gpt(model.module, tmp_path / "saved", extras={"processing": "folded"})  # pyright: ignore[reportArgumentType]
    again = load_model(str(tmp_path / "saved"), "folded")
    assert isinstance(again, ThinModel)
    tokens = torch.arange(T)[None]
    assert torch.equal(again.run(tokens).logits, model.run(tokens).logits)  # pyright: ignore[reportArgumentType]


def changed(path: Path, change) -> None:
    document = torch.load(path, weights_only=True)
    change(document.get("model", document))
    torch.save(document, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("transformer.h.1.ln_1.bias"), r"no tensor transformer\.h\.1\.ln_1\.bias"),
        (lambda s: s.update(extra=torch.ones(2)), "a tensor extra, which this kind of model has not"),
        (
            lambda s: s.update({"transformer.wpe.weight": torch.ones(T + 1, 8)}),
            r"wpe\.weight of shape \[10, 8\], its 'model_args' says \[9, 8\]",
        ),
        (lambda s: s.update(step=3), "holds 'step': int, expected named tensors"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, change, message):
    path, _ = nanogpt(tmp_path)
    changed(path, change)
    with pytest.raises(InputError, match=message):
        load_model(str(path))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n_layer": 10**9}, r"holds \d+ weights, its 'model_args' describes \d{12}"),
        ({"n_embd": 1 << 40}, "of shape"),
        ({"n_head": 3}, "not a multiple"),
        ({"n_layer": None}, "whole numbers"),
        ({"n_layer": 0}, "positive"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_before_anything_is_allocated(tmp_path, sizes, message):
    path, _ = nanogpt(tmp_path, **sizes)
    with pytest.raises(InputError, match=message):
        load_model(str(path))


def test_what_no_layout_explains_is_refused(tmp_path):
    folder, _ = mingpt(tmp_path)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r'how many attention heads.*"n_head"'):
        load_model(str(folder))
    (folder / "config.json").write_text('{"n_head": 2, "act_fn": "solu_ln"}')
    with pytest.raises(InputError, match="activation 'solu_ln'"):
        load_model(str(folder))
    torch.save({"fc.weight": torch.ones(2, 2)}, folder / "gpt_final.pth")
    with pytest.raises(InputError, match=r"1 tensors \(fc\.weight, …\) of no layout"):
        load_model(str(folder))
    torch.save([1, 2], folder / "gpt_final.pth")
    with pytest.raises(InputError, match="holds list, expected named tensors"):
        load_model(str(folder))
    (folder / "gpt_final.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"gpt_final\.pth"):
        load_model(str(folder))
