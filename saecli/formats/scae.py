"""Suites of jacobcd52/dictionary_learning (SCAE): TopK dictionaries ``attn_l`` and transcoders ``mlp_l``.

All of a suite are in one ``checkpoint.pt`` (keys ``aes.{name}.…`` or ``module_dict.{name}.ae.…``, during training below
``suite_state``) together with the whole language model, which is not read; older ones are in ``ae_{name}.pt`` each.
``config.json`` beside them, or one folder above, has ``k``. Tensors: ``encoder.weight`` [F, d], ``encoder.bias``,
``decoder.weight`` [d, F], ``b_dec`` [d].

``attn_l`` reads and writes attn_out. ``mlp_l`` reads mlp_in and writes mlp_out, and its one ``b_dec`` is subtracted
from the input and added to the output. The model they belong to has folded norms.

Source: https://github.com/jacobcd52/dictionary_learning (``trainers/scae.py``, ``trainers/top_k.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError
from saecli.core.site import Site
from saecli.formats.assembly import check_shapes, dictionary_of, positive
from saecli.formats.documents import read_document
from saecli.formats.registry import Found, Hints, Item
from saecli.formats.safe import load_torch

NAME: Final = "scae"
TITLE: Final = "SCAE suites of jacobcd52/dictionary_learning"
CHECKPOINT: Final = "checkpoint.pt"
CONFIG: Final = "config.json"

_SITES: Final = {"attn": ("attn_out", "attn_out"), "mlp": ("mlp_in", "mlp_out")}
"""Module → kinds of site read and written."""

_FILE = re.compile(r"ae_(attn|mlp)_(\d+)\.pt")
_KEY = re.compile(
    r"(?:aes|module_dict)\.(attn|mlp)_(\d+)\.(?:ae\.)?((?:en|de)coder\.(?:weight|bias)|b_dec|k|threshold)"
)
_MODEL_KEY = re.compile(r"(?:module_dict\.\w+\.)?model\..*")
_PARENT_BUFFERS: Final = ("k", "threshold")
_ATTN_NOTE: Final = (
    "Versions of February 2025 trained the attention dictionaries on the input of attention and later ones on its "
    "output, and the files do not tell which; they are read as the later ones."
)

Module = tuple[str, int]


def sniff(path: Path) -> bool:
    """Whether a folder, or a file of torch.save, holds modules of such a suite."""
    if path.is_file():
        return path.suffix == ".pt" and (_FILE.fullmatch(path.name) is not None or _has_modules(path))
    if not path.is_dir():
        return False
    file = _checkpoint(path)
    return _has_modules(file) if file else any(_FILE.fullmatch(child.name) for child in path.iterdir())


def open(path: Path, hints: Hints) -> Found:
    """The modules of a suite; their numbers are read from the mapped file when they are loaded.

    Raises:
        InputError: A file is damaged or would have to be executed, a tensor is missing, unknown or does not fit, or no
            configuration says k.
    """
    folder = path if path.is_dir() else path.parent
    file = path if path.is_file() else _checkpoint(path)
    where, settings = _settings(file.parent if file else folder)
    notes: tuple[str, ...] = ()
    if file and not _FILE.fullmatch(file.name):
        parts, notes = _modules(file)
        files = dict.fromkeys(parts, file)
    else:
        files = {_module(one): one for one in ([file] if file else sorted(folder.iterdir())) if _FILE.match(one.name)}
        parts = {module: _plain(one) for module, one in files.items()}
    items = [_item(module, parts[module], files[module], (where, settings), hints) for module in sorted(parts)]
    if any(kind == "attn" for kind, _ in parts):
        notes += (_ATTN_NOTE,)
    return Found(NAME, path, tuple(sorted(items, key=lambda item: item.config.reads)), notes)


def _checkpoint(folder: Path) -> Path | None:
    """The suite of a folder: its own, or the last one of a training run."""
    candidates = folder / CHECKPOINT, folder / "final" / CHECKPOINT
    return next((file for file in candidates if file.is_file()), None)


def _state(file: Path) -> Mapping[Any, Any]:
    document = load_torch(file)
    state = document.get("suite_state", document) if isinstance(document, Mapping) else document
    if not isinstance(state, Mapping):
        raise InputError(f"{file} holds {type(state).__name__}, expected named tensors.")
    return state


def _has_modules(file: Path) -> bool:
    """Whether a checkpoint has a module's tensors; what cannot be read is left to :func:`open`, which says why."""
    try:
        return any(isinstance(key, str) and _KEY.fullmatch(key) for key in _state(file))
    except InputError:
        return file.name == CHECKPOINT


def _modules(file: Path) -> tuple[dict[Module, dict[str, Tensor]], tuple[str, ...]]:
    """The tensors of every module of a checkpoint, and what else it holds."""
    parts: dict[Module, dict[str, Tensor]] = {}
    others, connections = 0, False
    for key, value in _state(file).items():
        if match := _KEY.fullmatch(str(key)):
            if not isinstance(value, Tensor):
                raise InputError(f"{file} has {key} of type {type(value).__name__}, expected a tensor.")
            parts.setdefault((match[1], int(match[2])), {})[match[3]] = value
        elif _MODEL_KEY.fullmatch(str(key)):
            others += 1
        elif key == "connections":
            connections = value is not None
        else:
            raise InputError(f"{file} has the unknown tensor {key}.")
    if not parts:
        raise InputError(f"{file} has no tensors of dictionaries (aes.attn_0.encoder.weight and so on).")
    notes = (f"The {others} tensors of the language model inside are not read.",) if others else ()
    return parts, notes + (("It holds connections too.",) if connections else ())


def _plain(file: Path) -> dict[str, Tensor]:
    state = _state(file)
    return {str(key): value for key, value in state.items() if isinstance(value, Tensor)}


def _module(file: Path) -> Module:
    match = _FILE.fullmatch(file.name)
    if match is None:
        raise InputError(f"{file} is not called ae_attn_0.pt, ae_mlp_0.pt or the like.")
    return match[1], int(match[2])


def _settings(folder: Path) -> tuple[Path, dict[str, Any]]:
    """``config.json`` of the folder or of the training run above it."""
    for where in (folder / CONFIG, folder.parent / CONFIG):
        if where.is_file():
            return where, read_document(where, "a suite's configuration")
    raise InputError(
        f"{folder} has no {CONFIG} that says k, the number of active features.",
        'Write one beside the checkpoint, for example {"k": 64}.',
    )


def _item(
    module: Module, tensors: Mapping[str, Tensor], file: Path, told: tuple[Path, Mapping[str, Any]], hints: Hints
) -> Item:
    (kind, layer), (where, settings) = module, told
    name = f"{kind}_{layer}"
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    d, f = found.get("b_dec", (0,))[0] if found.get("b_dec") else 0, settings.get("n_features")
    if type(f) is not int:
        f = (found.get("encoder.bias") or (0,))[0]
    expected = {"encoder.weight": (f, d), "encoder.bias": (f,), "decoder.weight": (d, f), "b_dec": (d,)}
    try:
        check_shapes(file, found, expected, _PARENT_BUFFERS)
    except InputError as error:
        raise InputError(f"{error.message.removesuffix('.')} (module {name}).", error.hint) from error
    reads, writes = (Site(layer, which) for which in _SITES[kind])
    options = {"k": positive(settings, "k", where), "apply_b_dec_to_input": True}
    buffer = settings.get("buffer_config")
    context = buffer.get("ctx_len") if isinstance(buffer, dict) else None
    return Item(
        name=name,
        config=DictionaryConfig("topk", d, f, reads, writes, d, options),
        files=(file, where),
        load=partial(_load, DictionaryConfig("topk", d, f, reads, writes, d, options), dict(tensors), file),
        model=hints.model,
        processing="folded",
        context=context if type(context) is int and context > 0 else 0,
        metadata={"module": name},
    )


def _load(config: DictionaryConfig, tensors: Mapping[str, Tensor], file: Path, dtype: torch.dtype) -> Dictionary:
    state = {
        "W_enc_DF": tensors["encoder.weight"].to(dtype).T.contiguous(),
        "b_enc_F": tensors["encoder.bias"].to(dtype).clone(),
        "W_dec_FD": tensors["decoder.weight"].to(dtype).T.contiguous(),
        "b_dec_D": tensors["b_dec"].to(dtype).clone(),
    }
    return dictionary_of(config, state, dtype, file)
