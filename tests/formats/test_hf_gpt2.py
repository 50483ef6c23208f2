"""GPT-2 folders: transformers reads ours with equal logits, we read theirs, and damaged ones are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from saecli.core.errors import InputError
from saecli.core.gpt import GPT, GPTConfig
from saecli.formats.hf_gpt2 import CONFIG, WEIGHTS, load_gpt, read_config, read_extras, save_gpt


def random_gpt(**changes: object) -> GPT:
    """A tiny GPT in which every weight matters: norms and biases are random too."""
    torch.manual_seed(0)
    shape: dict[str, object] = {"vocab_size": 61, "n_ctx": 20, "n_layer": 3, "n_head": 2, "d_model": 16}
    model = GPT(GPTConfig(**(shape | changes)))  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.eval()


TOKENS = torch.arange(60).view(3, 20) % 61


@pytest.mark.parametrize("changes", [{}, {"activation": "gelu", "d_mlp": 24, "norm_eps": 1e-3}, {"tied": False}])
def test_transformers_gives_equal_logits(tmp_path: Path, changes: dict[str, object]):
    transformers = pytest.importorskip("transformers")
    model = random_gpt(**changes)
    save_gpt(model, tmp_path)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
    with torch.no_grad():
        scale = model(TOKENS).abs().max()
        assert (theirs(TOKENS).logits - model(TOKENS)).abs().max() <= 1e-6 * max(1, scale)
    assert set(theirs.state_dict()) == set(model.state_dict())
    theirs.save_pretrained(tmp_path / "back")
    assert torch.equal(load_gpt(tmp_path / "back")(TOKENS), model(TOKENS))


@pytest.mark.parametrize("tied", [True, False])
def test_round_trip_keeps_every_bit(tmp_path: Path, tied: bool):
    model = random_gpt(tied=tied)
    save_gpt(model, tmp_path, vocabulary="othello", extras={"seed": 3})
    again = load_gpt(tmp_path)
    assert again.config == read_config(tmp_path) == model.config
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert (again.lm_head.weight is again.transformer.wte.weight) == tied
    assert ("lm_head.weight" in load_file(tmp_path / WEIGHTS)) != tied
    extras = read_extras(tmp_path)
    assert extras["vocabulary"] == "othello"
    assert extras["seed"] == 3


def test_half_precision_for_shipping(tmp_path: Path):
    model = random_gpt()
    save_gpt(model, tmp_path, dtype=torch.float16)
    again = load_gpt(tmp_path)
    assert next(again.parameters()).dtype == torch.float32
    assert torch.equal(again.transformer.wte.weight, model.transformer.wte.weight.half().float())
    assert load_gpt(tmp_path, torch.float16).lm_head.weight.dtype == torch.float16


def test_bare_model_with_mask_buffers_loads(tmp_path: Path):
    """The files of the first GPT-2 on the hub have no ``transformer.`` prefix and store the causal masks."""
    model = random_gpt()
    save_gpt(model, tmp_path)
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in load_file(tmp_path / WEIGHTS).items()}
    tensors |= {f"h.{layer}.attn.bias": torch.ones(1, 1, 20, 20) for layer in range(3)}
    save_file(tensors, tmp_path / WEIGHTS)
    document = json.loads((tmp_path / CONFIG).read_text())
    del document["saecli"]
    (tmp_path / CONFIG).write_text(json.dumps(document))
    assert torch.equal(load_gpt(tmp_path)(TOKENS), model(TOKENS))
    assert read_extras(tmp_path) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, "model_type 'llama', expected 'gpt2'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "not supported"),
        ({"activation_function": "relu"}, "activation 'relu'"),
        ({"n_layer": 10**9}, r"holds \d+ weights"),
        ({"n_embd": 32}, r"holds \d+ weights"),
        ({"n_positions": 61, "vocab_size": 20}, r"wpe.weight of shape \[20, 16\], config.json says \[61, 16\]"),
        ({"n_head": 3}, "not a multiple"),
        ({"n_layer": "3"}, "not whole numbers"),
        ({"n_layer": -1}, "no possible model"),
        ({"layer_norm_epsilon": "x"}, "no possible model"),
        ({"tie_word_embeddings": False}, r"holds \d+ weights"),
    ],
)
def test_configs_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, object], message: str):
    save_gpt(random_gpt(), tmp_path)
    document = json.loads((tmp_path / CONFIG).read_text()) | changes
    (tmp_path / CONFIG).write_text(json.dumps(document))
    with pytest.raises(InputError, match=message):
        load_gpt(tmp_path)


@pytest.mark.parametrize("note", [{"schema": "saecli-gpt/2"}, ["othello"]])
def test_notes_of_another_version_are_refused(tmp_path: Path, note: object):
    save_gpt(random_gpt(), tmp_path)
    document = json.loads((tmp_path / CONFIG).read_text()) | {"saecli": note}
    (tmp_path / CONFIG).write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"expected 'saecli-gpt/1'|not a table"):
        read_extras(tmp_path)


@pytest.mark.parametrize("keep", [0, 7, 100, -10])
def test_cut_weights_are_refused(tmp_path: Path, keep: int):
    save_gpt(random_gpt(), tmp_path)
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes()[:keep])
    with pytest.raises(InputError, match=r"model\.safetensors (is|has|claims) .*(damaged|header|bytes)"):
        load_gpt(tmp_path)


def test_renamed_tensor_and_missing_files_are_refused(tmp_path: Path):
    save_gpt(random_gpt(), tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    tensors["transformer.h.7.ln_1.bias"] = tensors.pop("transformer.h.1.ln_1.bias")
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(InputError, match=r"no tensor transformer\.h\.1\.ln_1\.bias"):
        load_gpt(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        load_gpt(tmp_path)
    (tmp_path / CONFIG).write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        load_gpt(tmp_path)
    (tmp_path / CONFIG).unlink()
    with pytest.raises(InputError, match=r"no readable config\.json"):
        load_gpt(tmp_path)
