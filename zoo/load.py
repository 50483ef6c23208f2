"""Loading a model by its zoo name or from a local folder.

A folder in GPT-2's layout is read without transformers; other families are read by transformers, which is imported only
then. Weights are safetensors only, and code that comes with a model is never run.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import nn

from saecli.core.errors import InputError, UsageError, did_you_mean
from saecli.core.hooks import ThinModel
from saecli.core.model import HookedModel
from saecli.core.resources import resource
from saecli.core.suite import Suite
from saecli.formats.documents import read_document
from saecli.formats.hf_gpt2 import CONFIG, load_gpt, read_extras
from saecli.formats.suite import is_suite, read_suite
from zoo.index import asset, names

_TRANSFORMERS: Final = {
    "gpt_neox": ("GPTNeoXForCausalLM", "zoo.pythia"),
    "gemma2": ("Gemma2ForCausalLM", "zoo.gemma"),
    "gemma3_text": ("Gemma3ForCausalLM", "zoo.gemma"),
}
"""``model_type`` of a folder's config.json → class of transformers and adapter."""

_FAMILIES: Final = {"othello": "othellogpt", "chess": "chessgpt", "ascii": "toy"}
"""Vocabulary of a GPT of this project → family."""

_GPT2_VOCABULARY: Final = 50257


def load_model(
    name_or_path: str,
    processing: Literal["raw", "folded"] = "raw",
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> HookedModel:
    """Load a model, frozen and ready to run.

    Args:
        name_or_path: A model of the zoo (``othello-mini``), or a folder with ``config.json`` and safetensors weights.
        processing: ``raw`` weights, or ``folded`` (see :mod:`saecli.core.folding`).
        device: Where it runs.
        dtype: Number type of the weights in memory.

    Raises:
        UsageError: Neither a zoo name nor a folder.
        InputError: The folder holds no model that can be read.
    """
    folder = locate_model(name_or_path)
    model_type = _config(folder).get("model_type")
    if model_type == "gpt2":
        model = _own_gpt(folder, name_or_path, dtype)
    elif model_type in _TRANSFORMERS:
        model = _by_transformers(folder, name_or_path, dtype, *_TRANSFORMERS[model_type])
    else:
        known = ", ".join(["gpt2", *_TRANSFORMERS])
        raise InputError(f"{folder} holds a model of type {model_type!r}; those that can be read are {known}.")
    model.module.to(device)
    if processing == "folded":
        from saecli.core.folding import folded

        return folded(model)
    return model


def load_suite(name_or_path: str, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> Suite:
    """Load the suite of a model of the zoo, or one from a folder; its dictionaries are read when first asked for.

    Args:
        name_or_path: A name of the zoo (``othello-mini``), a suite's folder, or a folder with a suite in ``suite/``.
        device: Where the dictionaries go.
        dtype: Number type of the weights in memory.

    Raises:
        UsageError: Neither a zoo name nor a folder with a suite.
        InputError: The suite is damaged.
    """
    return read_suite(locate_suite(name_or_path), name=name_or_path, device=device, dtype=dtype)


def locate_suite(name_or_path: str) -> Path:
    """The folder of a suite; see :func:`load_suite`.

    Raises:
        UsageError: There is none.
    """
    embedded = asset(name_or_path)
    if embedded:
        folder = resource("assets", embedded, "suite")
    else:
        folder = Path(name_or_path)
        folder = folder if is_suite(folder) else folder / "suite"
    if not is_suite(folder):
        raise UsageError(f"{name_or_path!r} has no suite of dictionaries.", "Name one with --suite FOLDER.")
    return folder


def locate_model(name_or_path: str) -> Path:
    """The folder of a model; a zoo name comes before a folder of the same name.

    Raises:
        UsageError: Neither a zoo name nor a folder.
    """
    embedded = asset(name_or_path)
    if embedded:
        return resource("assets", embedded, "model")
    folder = Path(name_or_path)
    if folder.is_dir():
        return folder
    hint = did_you_mean(name_or_path, names("models")) or "`saecli zoo list models` shows them."
    raise UsageError(f"{name_or_path!r} is neither a model of the zoo nor a folder.", hint)


def _own_gpt(folder: Path, name: str, dtype: torch.dtype) -> ThinModel:
    module = load_gpt(folder, dtype)
    vocabulary = str(read_extras(folder).get("vocabulary", ""))
    if not vocabulary and module.config.vocab_size == _GPT2_VOCABULARY:
        vocabulary = "gpt2"
    adapter = importlib.import_module("zoo.gpt2")
    family = _FAMILIES.get(vocabulary, "gpt2")
    return adapter.make(module, name, family=family, vocabulary=vocabulary, bos=_bos(_config(folder)))


def _by_transformers(folder: Path, name: str, dtype: torch.dtype, class_name: str, adapter: str) -> ThinModel:
    import transformers

    make: Callable[..., ThinModel] = importlib.import_module(adapter).make
    try:
        with _no_progress_bar(transformers):
            module: nn.Module = getattr(transformers, class_name).from_pretrained(
                folder, dtype=dtype, local_files_only=True, use_safetensors=True, trust_remote_code=False
            )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{folder} cannot be read as {class_name}: {reason}") from error
    bos = None if class_name == "GPTNeoXForCausalLM" else _bos(_config(folder))
    return make(module, name, bos=bos)


def _config(folder: Path) -> dict[str, Any]:
    return read_document(folder / CONFIG, "a model's configuration")


def _bos(config: dict[str, Any]) -> int | None:
    """The token that starts documents, if the vocabulary has it."""
    bos, size = config.get("bos_token_id"), config.get("vocab_size")
    return bos if isinstance(bos, int) and isinstance(size, int) and 0 <= bos < size else None


@contextmanager
def _no_progress_bar(transformers: Any) -> Iterator[None]:
    """Keep transformers' own progress bar off standard error while a model loads."""
    logging = transformers.utils.logging
    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()
