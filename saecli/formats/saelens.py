"""SAELens' folder: ``cfg.json`` and ``sae_weights.safetensors``, one dictionary, read and written without sae-lens.

Written in the layout of sae-lens 6; every earlier version is read too, also the pickled ``.pt`` files before folders
and the checkpoints of a training. What is to be multiplied into the weights (norms of inputs, of decoder rows, a
whitening) is folded when they are read.
Source: https://github.com/jbloomAus/SAELens (``saes/sae.py``, ``loading/pretrained_sae_loaders.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors.torch import save as serialise
from torch import Tensor

from saecli.core.atomic import write_bytes
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.formats.documents import read_document
from saecli.formats.registry import Found, Hints, Item
from saecli.formats.saelens_checkpoint import plain, read_checkpoint
from saecli.formats.saelens_config import (
    OWN_PREFIX,
    Parsed,
    architecture_of,
    canonical,
    document_of,
    parse_config,
)
from saecli.formats.saelens_sites import BEFORE_GAIN
from saecli.formats.saelens_weights import check_shapes, is_tied, state_of, tensors_of
from saecli.formats.safe import load_safetensors, safetensors_header

NAME: Final = "saelens"
TITLE: Final = "SAELens"
CONFIG: Final = "cfg.json"
WEIGHTS: Final = "sae_weights.safetensors"
SCALER: Final = "activation_scaler.json"
WHITENING: Final = "activation_whitening.safetensors"
SPARSITY: Final = "sparsity.safetensors"
_LAYOUT_VERSION: Final = "6.0.0"  # the sae-lens version from which on cfg.json is nested as it is written here
_FOLDS: Final = ("fold_ln", "center_writing_weights", "center_unembed")
_NEVER: Final = -9.5  # log10 of how often a feature fired; 1e-10 is added before the logarithm


# --- writing --------------------------------------------------------------------------------------------------------


def to_files(
    dictionary: Dictionary, dtype: torch.dtype = torch.float32, processing: str = "", **metadata: Any
) -> dict[str, bytes]:
    """The files of a dictionary's folder, by name.

    A dictionary of an architecture that sae-lens does not have is marked so in cfg.json, and sae-lens refuses it.

    Args:
        dictionary: Any dictionary.
        dtype: Number type of the stored weights.
        processing: Weight processing of the model; empty if unknown.
        metadata: More entries for cfg.json's ``metadata``: ``model_name``, ``context_size``, ``prepend_bos``.
    """
    try:
        architecture = _writable(dictionary)
    except UsageError:
        architecture = OWN_PREFIX + dictionary.config.arch
    return _files(dictionary, architecture, dtype, processing, metadata)


def write(
    dictionaries: Mapping[str, Dictionary],
    folder: Path,
    dtype: torch.dtype = torch.float32,
    *,
    model: str = "",
    context: int = 0,
    prepends_bos: bool | None = None,
    processing: Literal["raw", "folded", ""] = "",
) -> None:
    """Write dictionaries that sae-lens can load, one folder each.

    Args:
        dictionaries: By path below ``folder``; an empty path is the folder itself.
        folder: Where.
        dtype: Number type of the stored weights.
        model: Name of the model.
        context: Positions per sequence it was trained on; 0 if unknown.
        prepends_bos: Whether sequences began with BOS; None if unknown.
        processing: Weight processing of the model, as arguments for loading it; empty if unknown.

    Raises:
        UsageError: sae-lens has nothing like one of them; nothing is written.
    """
    metadata = {
        **({"model_name": model} if model else {}),
        **({"context_size": context} if context else {}),
        **({} if prepends_bos is None else {"prepend_bos": prepends_bos}),
        **({"model_from_pretrained_kwargs": dict.fromkeys(_FOLDS, processing == "folded")} if processing else {}),
    }
    files = {
        folder / name / file: data
        for name, dictionary in dictionaries.items()
        for file, data in _files(dictionary, _writable(dictionary), dtype, processing, metadata).items()
    }
    for path, data in files.items():
        write_bytes(path, data)


def _writable(dictionary: Dictionary) -> str:
    config = dictionary.config
    if is_tied(config) and not dictionary.subtracts_b_dec and dictionary.b_dec_D.any():
        raise UsageError(
            f"sae-lens adds b_dec to the output of a tied {config.arch} only if it is taken from the input."
        )
    return architecture_of(config)


def _files(
    dictionary: Dictionary, architecture: str, dtype: torch.dtype, processing: str, metadata: Mapping[str, Any]
) -> dict[str, bytes]:
    document = document_of(dictionary.config, architecture, processing)
    document["dtype"] = str(dtype).removeprefix("torch.")
    document["metadata"] = {"sae_lens_version": _LAYOUT_VERSION, **document["metadata"], **metadata}
    return {
        CONFIG: (json.dumps(document, indent=2) + "\n").encode(),
        WEIGHTS: serialise(tensors_of(dictionary, dtype)),
    }


# --- reading --------------------------------------------------------------------------------------------------------


def sniff(path: Path) -> bool:
    """Whether a folder has SAELens' weights, or a torch file an old pickled checkpoint."""
    if path.is_dir():
        return (path / WEIGHTS).is_file()
    return path.suffix == ".pt" and path.is_file() and read_checkpoint(path) is not None


def open(path: Path, hints: Hints) -> Found:
    """A folder's dictionary, or that of an old ``.pt`` file."""
    if path.is_dir():
        return Found(NAME, path, (_folder_item(path, hints),))
    if (pickled := read_checkpoint(path)) is None:
        raise InputError(f"{path} is no checkpoint of sae-lens.")
    document, tensors = pickled
    if "W_enc" in tensors and tensors["W_enc"].ndim == 2:  # old configurations compute their sizes
        document = {"d_in": tensors["W_enc"].shape[0], "d_sae": tensors["W_enc"].shape[1], **document}
    parsed = parse_config(document, path, hints)
    check_shapes(make_dictionary_at(parsed.config, path), parsed, _shapes(tensors), path)

    def load(dtype: torch.dtype) -> Dictionary:
        return _filled(parsed, path, tensors, dtype, {})

    return Found(NAME, path, (_item(parsed, (path,), hints, load),))


def read_saelens(
    folder: Path, *, reads: Site | None = None, writes: Site | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Dictionary, dict[str, Any]]:
    """Read a folder.

    Args:
        folder: Holds cfg.json and sae_weights.safetensors.
        reads, writes: The dictionary's sites, if they are known better than by the metadata.
        dtype: Number type in memory.

    Returns:
        The dictionary, frozen, and cfg.json's metadata.

    Raises:
        InputError: A file is missing or damaged, a tensor is missing, unknown or of the wrong shape, or the folder
            holds something that is not supported.
    """
    parsed = _parse_folder(folder, Hints(reads=reads, writes=writes))
    return _load_folder(folder, parsed, dtype), dict(parsed.metadata)


def make_dictionary_at(config: DictionaryConfig, where: Path) -> Dictionary:
    """An empty dictionary that occupies no memory; errors name the file that asked for it."""
    try:
        with torch.device("meta"):
            return make_dictionary(config)
    except UsageError as error:
        raise InputError(f"{where}: {error.message}", error.hint) from error


def same(one: DictionaryConfig, other: DictionaryConfig) -> bool:
    """Whether two configurations describe the same dictionary, stated defaults or not."""
    return canonical(one) == canonical(other)


def _folder_item(folder: Path, hints: Hints) -> Item:
    parsed = _parse_folder(folder, hints)
    check_shapes(make_dictionary_at(parsed.config, folder / CONFIG), parsed, _stored(folder), folder / WEIGHTS)
    firing, notes = _firing(folder / SPARSITY, parsed.config.n_latents)
    files = tuple(folder / name for name in (CONFIG, WEIGHTS, SCALER, WHITENING) if (folder / name).is_file())
    return _item(parsed, files, hints, lambda dtype: _load_folder(folder, parsed, dtype), firing, notes)


def _item(
    parsed: Parsed,
    files: tuple[Path, ...],
    hints: Hints,
    load: Callable[[torch.dtype], Dictionary],
    firing: Mapping[str, float] | None = None,
    notes: tuple[str, ...] = (),
) -> Item:
    said = parsed.metadata
    context, bos, l0 = said.get("context_size"), said.get("prepend_bos"), said.get("l0")
    loaded_with = said.get("model_from_pretrained_kwargs")
    processing = ""
    if isinstance(loaded_with, dict) and (said_folds := [loaded_with[key] for key in _FOLDS if key in loaded_with]):
        processing = "folded" if any(said_folds) else "raw"
    if BEFORE_GAIN.fullmatch(str(said.get("hook_name"))):
        processing = "folded"
    return Item(
        name="",
        config=parsed.config,
        files=files,
        load=load,
        model=hints.model or str(said.get("model_name") or ""),
        processing=hints.processing or processing,
        context=context if type(context) is int else 0,
        prepends_bos=bos if isinstance(bos, bool) else None,
        metadata={**plain(said), "architecture": parsed.architecture, **({"firing": firing} if firing else {})},
        measured={"l0": float(l0)} if isinstance(l0, int | float) else {},
        notes=(*parsed.notes, *notes),
    )


def _parse_folder(folder: Path, hints: Hints) -> Parsed:
    document = read_document(folder / CONFIG, "a dictionary's configuration")
    scaler = read_document(folder / SCALER, "an activation scale") if (folder / SCALER).is_file() else {}
    return parse_config(document, folder / CONFIG, hints, scaler.get("scaling_factor"))


def _load_folder(folder: Path, parsed: Parsed, dtype: torch.dtype) -> Dictionary:
    path = folder / WEIGHTS
    stored = _stored(folder)
    check_shapes(make_dictionary_at(parsed.config, folder / CONFIG), parsed, stored, path)
    whitening = {}
    if parsed.whitened:
        if not (folder / WHITENING).is_file():
            raise InputError(f"{folder / CONFIG} whitens its inputs, and there is no {WHITENING} that says how.")
        whitening = load_safetensors(folder / WHITENING, ("mean", "matrix", "inverse_matrix"))
        d = parsed.config.d_in
        if [tuple(value.shape) for value in whitening.values()] != [(d,), (d, d), (d, d)]:
            raise InputError(f"{folder / WHITENING} is not of width {d}, as {CONFIG} says.")
    return _filled(parsed, path, load_safetensors(path, stored), dtype, whitening)


def _filled(
    parsed: Parsed, path: Path, tensors: Mapping[str, Tensor], dtype: torch.dtype, whitening: Mapping[str, Tensor]
) -> Dictionary:
    dictionary = make_dictionary_at(parsed.config, path)
    dictionary.load_state_dict(state_of(tensors, parsed, dtype, path, whitening), assign=True)
    return dictionary.requires_grad_(False).eval()


def _stored(folder: Path) -> dict[str, tuple[int, ...]]:
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder} has no {WEIGHTS}.")
    return {name: header.shape for name, header in safetensors_header(folder / WEIGHTS).items()}


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


def _firing(path: Path, n_latents: int) -> tuple[dict[str, float], tuple[str, ...]]:
    """Summary of how often features fired in training, and what is wrong with the file."""
    if not path.is_file():
        return {}, ()
    try:
        log_F = load_safetensors(path, ("sparsity",))["sparsity"].double()
    except InputError as error:
        return {}, (f"{error.message}",)
    if tuple(log_F.shape) != (n_latents,):
        return {}, (f"{path} has {log_F.numel()} firing frequencies for {n_latents} features.",)
    fired = log_F > _NEVER
    return {"l0": float((10 ** log_F[fired]).sum()), "never_fired": int((~fired).sum())}, ()
