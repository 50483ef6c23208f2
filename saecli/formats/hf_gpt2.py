"""Hugging Face's GPT-2 folder: ``config.json`` and ``model.safetensors``, read and written without transformers.

``transformers.GPT2LMHeadModel.from_pretrained`` reads what ``save_gpt`` writes, with equal logits. What only this
project knows about a model (its vocabulary, for one) stands under the key ``saecli`` of ``config.json``. A model that
GPT-2's classes would compute wrongly (it has a bias of the unembedding, or DynamicTanh) is written with
the ``model_type`` ``saecli-gpt``, so that they refuse it.

Source: https://huggingface.co/docs/transformers/model_doc/gpt2, https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialise

from saecli.core.atomic import write_bytes, write_text
from saecli.core.errors import InputError
from saecli.core.gpt import GPT, GPTConfig
from saecli.formats.documents import read_document
from saecli.formats.gpt_assembly import HEAD, assemble, one
from saecli.formats.weights import SAFETENSORS, open_weights

CONFIG = "config.json"
WEIGHTS = SAFETENSORS
SCHEMA = "saecli-gpt/1"
MODEL_TYPES = ("gpt2", "saecli-gpt")
_ACTIVATIONS = {"gelu_new": "gelu_new", "gelu_pytorch_tanh": "gelu_new", "gelu": "gelu"}
_PREFIX = "transformer."
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
        del state[HEAD]
    tensors = {name: tensor.detach().cpu().to(dtype).contiguous() for name, tensor in state.items()}
    document = _hf_config(model.config, dtype) | {
        "saecli": {"schema": SCHEMA, "vocabulary": vocabulary, **_additions(model.config), **(extras or {})}
    }
    write_bytes(folder / WEIGHTS, serialise(tensors, metadata={"format": "pt"}))
    write_text(folder / CONFIG, json.dumps(document, indent=2) + "\n")


def load_gpt(folder: Path, dtype: torch.dtype = torch.float32) -> GPT:
    """Reads a GPT-2 folder of this project or of transformers.

    Names, shapes and the file's size are checked against ``config.json`` before any weight is read. The weights may be
    sharded; an old ``pytorch_model.bin`` is read without running it.

    Args:
        folder: holds ``config.json`` and weights.
        dtype: number type of the model's weights in memory.

    Raises:
        InputError: a file is missing, damaged, or describes a model that is not GPT-2's arithmetic.
    """
    config = read_config(folder)
    weights = open_weights(folder)
    keys = {_canonical(key): key for key in weights.shapes}
    ignored = {key for key in weights.shapes if key.endswith(_MASK_BUFFERS)}
    if config.tied:
        ignored.add(HEAD)
    count = sum(math.prod(shape) for key, shape in weights.shapes.items() if key not in ignored)
    if count != config.n_parameters:
        raise InputError(f"{weights.path} holds {count} weights, {CONFIG} describes {config.n_parameters}.")
    return assemble(
        config,
        lambda name, shape: one(keys.get(name, name), shape),
        weights,
        dtype,
        ignored=ignored,
        said_by=CONFIG,
    )


def read_config(folder: Path) -> GPTConfig:
    """The model's shape from ``config.json``; raises InputError as ``load_gpt`` does."""
    document = read_document(folder / CONFIG, _WHAT)
    if document.get("model_type") not in MODEL_TYPES:
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
            **_read_additions(document),
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


def _additions(config: GPTConfig) -> dict[str, Any]:
    """What of a model's shape GPT-2's own configuration has no word for."""
    additions = {"norm": config.norm, "head_bias": config.head_bias}
    return additions if _is_beyond_gpt2(config) else {}


def _read_additions(document: dict[str, Any]) -> dict[str, Any]:
    note = document.get("saecli")
    if document.get("model_type") == "gpt2" or not isinstance(note, dict):
        return {}
    return {"norm": str(note.get("norm", "layer")), "head_bias": bool(note.get("head_bias", False))}


def _is_beyond_gpt2(config: GPTConfig) -> bool:
    return config.norm != "layer" or config.head_bias


def _canonical(key: str) -> str:
    """A key as ``GPT2LMHeadModel`` has it; files of the bare ``GPT2Model`` lack the prefix."""
    return key if key.startswith("lm_head.") or key.startswith(_PREFIX) else _PREFIX + key


def _hf_config(config: GPTConfig, dtype: torch.dtype) -> dict[str, Any]:
    return {
        "architectures": ["SaecliGPT" if _is_beyond_gpt2(config) else "GPT2LMHeadModel"],
        "model_type": MODEL_TYPES[_is_beyond_gpt2(config)],
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
