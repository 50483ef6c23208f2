"""Hugging Face's GPT-2 folder: ``config.json`` and ``model.safetensors``, read and written without transformers.

``transformers.GPT2LMHeadModel.from_pretrained`` reads what ``save_gpt`` writes, with equal logits. What only this
project knows about a model (its vocabulary, for one) stands under the key ``saecli`` of ``config.json``.

Source: https://huggingface.co/docs/transformers/model_doc/gpt2, https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise

from saecli.core.atomic import write_bytes, write_text
from saecli.core.errors import InputError
from saecli.core.gpt import GPT, GPTConfig
from saecli.formats.documents import read_document

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SCHEMA = "saecli-gpt/1"
_ACTIVATIONS = {"gelu_new": "gelu_new", "gelu_pytorch_tanh": "gelu_new", "gelu": "gelu"}
_HEAD, _EMBEDDING, _PREFIX = "lm_head.weight", "transformer.wte.weight", "transformer."
_MASK_BUFFERS = (".attn.bias", ".attn.masked_bias")
_WHAT = "a model's configuration"


def save_gpt(
    model: GPT,
    folder: Path,
    *,
    vocabulary: str = "",
    dtype: torch.dtype = torch.float32,
    extras: dict[str, Any] | None = None,
) -> None:
    """Writes a model as a Hugging Face folder; a tied unembedding is stored once.

    Args:
        model: the model.
        folder: created if needed; each file is replaced as a whole.
        vocabulary: name of the token vocabulary, kept for ``read_extras``.
        dtype: number type of the stored weights: float16 for shipping, float32 to keep every bit.
        extras: more JSON values to keep for ``read_extras``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = dict(model.state_dict())
    if model.config.tied:
        del state[_HEAD]
    tensors = {name: tensor.detach().cpu().to(dtype).contiguous() for name, tensor in state.items()}
    document = _hf_config(model.config, dtype) | {
        "saecli": {"schema": SCHEMA, "vocabulary": vocabulary, **(extras or {})}
    }
    write_bytes(folder / WEIGHTS, serialise(tensors, metadata={"format": "pt"}))
    write_text(folder / CONFIG, json.dumps(document, indent=2) + "\n")


def load_gpt(folder: Path, dtype: torch.dtype = torch.float32) -> GPT:
    """Reads a GPT-2 folder of this project or of transformers.

    Names, shapes and the file's size are checked against ``config.json`` before any weight is read.

    Args:
        folder: holds ``config.json`` and ``model.safetensors``.
        dtype: number type of the model's weights in memory.

    Raises:
        InputError: a file is missing, damaged, or describes a model that is not GPT-2's arithmetic.
    """
    config = read_config(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{folder} has no {WEIGHTS}.", "Sharded and pickled weights are not read.")
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            model, stored = _checked_skeleton(config, shapes, path)
            weights = {name: file.get_tensor(key).to(dtype) for name, key in stored.items()}
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged: {error}.", "Fetch or write it again.") from error
    if config.tied:
        weights[_HEAD] = weights[_EMBEDDING]
    model.load_state_dict(weights, assign=True)
    if config.tied:
        model.lm_head.weight = model.transformer.wte.weight
    return model.eval()


def read_config(folder: Path) -> GPTConfig:
    """The model's shape from ``config.json``; raises InputError as ``load_gpt`` does."""
    document = read_document(folder / CONFIG, _WHAT)
    if document.get("model_type") != "gpt2":
        raise InputError(f"{folder / CONFIG} is of model_type {document.get('model_type')!r}, expected 'gpt2'.")
    unsupported = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}
    for key, value in unsupported.items():
        if document.get(key, value) != value:
            raise InputError(f"{folder / CONFIG} sets {key} to {document[key]}, which is not supported.")
    activation = document.get("activation_function", "gelu_new")
    if activation not in _ACTIVATIONS:
        raise InputError(f"{folder / CONFIG} has activation {activation!r}, expected one of {sorted(_ACTIVATIONS)}.")
    sizes = {"vocab_size": 50257, "n_positions": 1024, "n_layer": 12, "n_head": 12, "n_embd": 768, "n_inner": 0}
    values = [document.get(key) or default for key, default in sizes.items()]
    if not all(type(value) is int for value in values):
        raise InputError(
            f"{folder / CONFIG} has sizes that are not whole numbers: {dict(zip(sizes, values, strict=True))}."
        )
    try:
        return GPTConfig(
            *values,
            activation=_ACTIVATIONS[activation],  # pyright: ignore[reportArgumentType]
            norm_eps=float(document.get("layer_norm_epsilon", 1e-5)),
            tied=bool(document.get("tie_word_embeddings", True)),
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder / CONFIG} describes no possible model: {error}.") from error


def read_extras(folder: Path) -> dict[str, Any]:
    """What this project noted about the model (``vocabulary`` and more); empty for a folder of transformers.

    Raises:
        InputError: the note is of a newer version than this program reads.
    """
    extras = read_document(folder / CONFIG, _WHAT).get("saecli", {})
    if not isinstance(extras, dict):
        raise InputError(f"{folder / CONFIG} has a 'saecli' entry that is not a table.")
    if extras and extras.get("schema") != SCHEMA:
        raise InputError(
            f"{folder / CONFIG} has schema {extras.get('schema')!r}, expected {SCHEMA!r}.", "Update saecli."
        )
    return extras


def _checked_skeleton(config: GPTConfig, shapes: dict[str, tuple[int, ...]], path: Path) -> tuple[GPT, dict[str, str]]:
    """A model with arbitrary weights, and for each of its parameters the file's key.

    Raises:
        InputError: the file does not hold this model; nothing larger than the file has been allocated then.
    """
    keys = {_canonical(key): key for key in shapes if not key.endswith(_MASK_BUFFERS)}
    if config.tied:
        keys.pop(_HEAD, None)
    count = sum(math.prod(shapes[key]) for key in keys.values())
    if count != config.n_parameters:
        raise InputError(f"{path} holds {count} weights, {CONFIG} describes {config.n_parameters}.")
    model = GPT(config, initialise=False)
    expected = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    for name in sorted(expected.keys() | keys.keys()):
        if name not in keys:
            raise InputError(f"{path} has no tensor {name}.")
        if name not in expected:
            raise InputError(f"{path} has a tensor {name}, which GPT-2 has not.")
        if shapes[keys[name]] != expected[name]:
            found = list(shapes[keys[name]])
            raise InputError(f"{path} has {name} of shape {found}, {CONFIG} says {list(expected[name])}.")
    return model, keys


def _canonical(key: str) -> str:
    """A key as ``GPT2LMHeadModel`` has it; files of the bare ``GPT2Model`` lack the prefix."""
    return key if key == _HEAD or key.startswith(_PREFIX) else _PREFIX + key


def _hf_config(config: GPTConfig, dtype: torch.dtype) -> dict[str, Any]:
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.n_ctx,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_embd": config.d_model,
        "n_inner": config.d_mlp or None,
        "activation_function": config.activation,
        "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tied,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": None,
        "eos_token_id": None,
        "dtype": str(dtype).removeprefix("torch."),
    }
