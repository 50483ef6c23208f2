"""nanoGPT's checkpoints and gpt-circuits' folders: GPT-2's names, with linear layers stored [out, in].

nanoGPT's ``ckpt.pt`` is ``{"model": …, "model_args": …}``; it computes the exact GELU, and its biases may be missing.
gpt-circuits has ``model.json`` beside ``model.safetensors`` and the tanh form of GELU; its ``ln_2`` may be DynamicTanh.

Sources: https://github.com/karpathy/nanoGPT, https://github.com/peterlai/gpt-circuits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from saecli.core.errors import InputError
from saecli.core.gpt import GPT, GPTConfig
from saecli.formats.documents import read_document
from saecli.formats.gpt_assembly import EMBEDDING, HEAD, MASKS, Part, assemble, config_of, constant, one, whole_sizes
from saecli.formats.weights import SAFETENSORS, Weights, from_tensors, open_safetensors

CIRCUITS_CONFIG: Final = "model.json"

_COMPILED: Final = "_orig_mod."
_DYNAMIC_TANH: Final = {".ln_2.weight": ".ln_2.gamma", ".ln_2.bias": ".ln_2.beta"}
_SIZES: Final = ("n_layer", "n_head", "n_embd", "block_size", "vocab_size")


def read_nanogpt(values: Mapping[str, Any], file: Path, dtype: torch.dtype) -> GPT:
    """Reads what a checkpoint of nanoGPT holds.

    Args:
        values: The checkpoint's own dict.
        file: Its file, for messages.
        dtype: Number type of the model's weights in memory.

    Raises:
        InputError: It is not whole, or its tensors do not fit its ``model_args``.
    """
    state = values.get("model")
    if not isinstance(state, Mapping):
        raise InputError(f"{file} has 'model_args' and no 'model'.")
    weights = from_tensors({str(name).removeprefix(_COMPILED): tensor for name, tensor in state.items()}, file)
    said_by = "its 'model_args'"
    n_layer, n_head, d_model, n_ctx, vocab = whole_sizes(values["model_args"], _SIZES, file, said_by)
    config = config_of(file, vocab, n_ctx, n_layer, n_head, d_model, activation="gelu", tied=_is_tied(weights))
    part_of = _linear(weights, lacks_biases=values["model_args"].get("bias") is False)
    return assemble(config, part_of, weights, dtype, ignored=_unused(weights, config), said_by=said_by)


def read_gpt_circuits(folder: Path, dtype: torch.dtype) -> GPT:
    """Reads a folder of gpt-circuits.

    Raises:
        InputError: A file is missing or damaged, or the tensors do not fit ``model.json``.
    """
    document = read_document(folder / CIRCUITS_CONFIG, "a model's shape")
    if "identity" in str(document.get("norm_strategy", "")).lower():
        raise InputError(f"{folder / CIRCUITS_CONFIG} has the norm strategy {document['norm_strategy']!r}.")
    weights = open_safetensors([folder / SAFETENSORS], folder / SAFETENSORS)
    said_in = folder / CIRCUITS_CONFIG
    n_layer, n_head, d_model, n_ctx, vocab = whole_sizes(document, _SIZES, said_in, CIRCUITS_CONFIG)
    config = config_of(folder, vocab, n_ctx, n_layer, n_head, d_model, activation="gelu_new", tied=False)
    if "transformer.h.0.ln_2.alpha" in weights.shapes:
        config = replace(config, norm="dynamic_tanh")
    # safetensors writes tensors that share memory once, and notes the name of the copy
    kept = EMBEDDING if EMBEDDING in weights.shapes else weights.metadata.get(EMBEDDING, EMBEDDING)
    config = replace(config, tied=kept == HEAD or _is_tied(weights))
    part_of = _linear(weights, {EMBEDDING: kept})
    ignored = set(_unused(weights, config)) - {kept}
    return assemble(config, part_of, weights, dtype, ignored=ignored, said_by=CIRCUITS_CONFIG)


def _linear(
    weights: Weights, kept: Mapping[str, str] | None = None, lacks_biases: bool = False
) -> Callable[[str, tuple[int, ...]], Part]:
    """GPT-2's names with linear layers [out, in].

    Args:
        weights: The tensors.
        kept: Names of parameters under which another one is stored.
        lacks_biases: Missing biases are zero.
    """

    def part_of(name: str, shape: tuple[int, ...]) -> Part:
        key = (kept or {}).get(name, name)
        for ours, theirs in _DYNAMIC_TANH.items():
            if key not in weights.shapes and name.endswith(ours) and name.removesuffix(ours) + theirs in weights.shapes:
                key = name.removesuffix(ours) + theirs
        if name.endswith(".bias") and lacks_biases and key not in weights.shapes:
            return constant(shape, 0.0)
        if len(shape) == 2 and ".h." in name:
            return one(key, shape[::-1], torch.t)
        if name.endswith(".alpha") and weights.shapes.get(key) == ():
            return one(key, (), lambda tensor: tensor[None])
        return one(key, shape)

    return part_of


def _is_tied(weights: Weights) -> bool:
    """Whether the unembedding is absent or has the embedding's numbers."""
    if not {HEAD, EMBEDDING} <= weights.shapes.keys():
        return True
    if weights.shapes[HEAD] != weights.shapes[EMBEDDING]:
        return False
    both = weights.read([HEAD, EMBEDDING])
    return torch.equal(both[HEAD], both[EMBEDDING])


def _unused(weights: Weights, config: GPTConfig) -> list[str]:
    """Mask buffers, which older versions store as ``h.0.attn.bias``, and the second copy of a tied embedding."""
    return [name for name in weights.shapes if name.endswith(MASKS) or (config.tied and name == HEAD)]
