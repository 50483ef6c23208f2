"""GPTs in other layouts than Hugging Face's, read into :class:`saecli.core.gpt.GPT`.

| layout | where | how it is known |
|---|---|---|
| nanoGPT | ``ckpt.pt``: ``{"model": …, "model_args": …}`` | the key ``model_args`` |
| minGPT | a state dict, a ``config.json`` beside it | ``tok_emb.weight`` |
| HookedTransformer | a state dict of TransformerLens before 4 | ``embed.W_E`` |
| gpt-circuits | ``model.json`` and ``model.safetensors`` | ``model.json`` |
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

import torch

from saecli.core.errors import InputError
from saecli.core.gpt import GPT
from saecli.formats.hooked_transformer import read_hooked_transformer
from saecli.formats.mingpt import read_mingpt
from saecli.formats.nanogpt import CIRCUITS_CONFIG, read_gpt_circuits, read_nanogpt
from saecli.formats.safe import load_torch
from saecli.formats.weights import SAFETENSORS, from_tensors

SUFFIXES: Final = (".pt", ".pth", ".ckpt")
"""Names of checkpoint files end in one of these."""


class ReadGPT(NamedTuple):
    """A GPT that was read.

    Attributes:
        module: The model.
        layout: ``nanogpt``, ``mingpt``, ``hooked_transformer`` or ``gpt_circuits``.
        processing: ``folded`` where the file holds folded weights.
    """

    module: GPT
    layout: str
    processing: Literal["raw", "folded"] = "raw"


def is_checkpoint(path: Path) -> bool:
    """Whether a path may hold a model of these layouts, by names alone: a checkpoint, or a folder with one."""
    return checkpoint_file(path) is not None


def checkpoint_file(path: Path) -> Path | None:
    """The file of weights at a path: itself, that of a gpt-circuits folder, or a folder's only checkpoint."""
    if path.is_file():
        return path if path.suffix in SUFFIXES else None
    if (path / CIRCUITS_CONFIG).is_file() and (path / SAFETENSORS).is_file():
        return path / SAFETENSORS
    found = sorted(file for file in path.glob("*") if file.suffix in SUFFIXES) if path.is_dir() else []
    return found[0] if len(found) == 1 else None


def read_checkpoint(path: Path, dtype: torch.dtype = torch.float32) -> ReadGPT:
    """Reads a model of one of these layouts.

    Args:
        path: See :func:`checkpoint_file`.
        dtype: Number type of the model's weights in memory.

    Raises:
        InputError: There is no one checkpoint, it is damaged, or it is not of a layout that is known.
    """
    file = checkpoint_file(path)
    if file is None:
        raise InputError(f"{path} holds no one checkpoint ({', '.join(SUFFIXES)}) and no {CIRCUITS_CONFIG}.")
    if file.name == SAFETENSORS:
        return ReadGPT(read_gpt_circuits(file.parent, dtype), "gpt-circuits")
    values = load_torch(file)
    if isinstance(values, Mapping) and "model_args" in values:
        return ReadGPT(read_nanogpt(values, file, dtype), "nanogpt")
    if isinstance(values, Mapping):
        values = next((values[key] for key in ("state_dict", "model_state_dict", "model") if key in values), values)
    weights = from_tensors(values, file)
    if "embed.W_E" in weights.shapes:
        gpt, processing = read_hooked_transformer(weights, dtype)
        return ReadGPT(gpt, "hooked_transformer", processing)
    if "tok_emb.weight" in weights.shapes:
        return ReadGPT(read_mingpt(weights, dtype), "mingpt")
    some = ", ".join(list(weights.shapes)[:3])
    raise InputError(
        f"{file} holds {len(weights.shapes)} tensors ({some}, …) of no layout that is read.",
        "nanoGPT's checkpoints say their sizes under 'model_args'.",
    )
