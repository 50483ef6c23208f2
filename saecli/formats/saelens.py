"""SAELens' folder: ``cfg.json`` and ``sae_weights.safetensors``, one dictionary, read and written without sae-lens.

Tensors: ``W_enc`` [d_in, d_sae], ``W_dec`` [d_sae, d_out], ``b_enc`` [d_sae], ``b_dec`` [d_out]; names decide the
orientation, never shapes. Written in the layout of sae-lens 6; the flat ``cfg.json`` of earlier versions is read too.
Source: https://github.com/jbloomAus/SAELens (``saes/sae.py``, ``loading/pretrained_sae_loaders.py``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.formats.documents import read_document

CONFIG: Final = "cfg.json"
WEIGHTS: Final = "sae_weights.safetensors"
_LAYOUT_VERSION: Final = "6.0.0"  # the sae-lens version from which on cfg.json is nested as it is written here

# Ours → SAELens' name of the same tensor.
_NAMES: Final = {"W_enc_DF": "W_enc", "b_enc_F": "b_enc", "W_dec_FD": "W_dec", "b_dec_D": "b_dec"}
_DTYPES: Final = {
    name: dtype
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    for name in (str(dtype), str(dtype).removeprefix("torch."))
}
_LEGACY_NAMES: Final = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}


def to_files(dictionary: Dictionary, dtype: torch.dtype = torch.float32, **metadata: Any) -> dict[str, bytes]:
    """The files of a dictionary's folder, by name.

    Args:
        dictionary: Any architecture that sae-lens knows.
        dtype: Number type of the stored weights.
        metadata: More entries for cfg.json's ``metadata``: ``model_name``, ``context_size``, ``prepend_bos``.
    """
    config = dictionary.config
    document: dict[str, Any] = {
        "architecture": config.arch,
        "d_in": config.d_in,
        "d_sae": config.n_latents,
        "dtype": str(dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": dictionary.subtracts_b_dec,
        "normalize_activations": "none",
        "reshape_activations": "none",
    }
    if config.arch == "topk":
        document |= {"k": config.options["k"], "rescale_acts_by_decoder_norm": False}
    document["metadata"] = {
        "sae_lens_version": _LAYOUT_VERSION,
        "hook_name": config.reads.hook_name,
        "hook_head_index": None,
        **metadata,
    }
    state = dictionary.state_dict()
    tensors = {theirs: state[ours].detach().cpu().to(dtype).contiguous() for ours, theirs in _NAMES.items()}
    for name, value in tensors.items():
        if not value.isfinite().all():
            raise UsageError(f"{name} of the dictionary at {config.reads} does not fit into {dtype}.")
    return {CONFIG: (json.dumps(document, indent=2) + "\n").encode(), WEIGHTS: serialise(tensors)}


def read_saelens(
    folder: Path, *, reads: Site | None = None, dtype: torch.dtype = torch.float32
) -> tuple[Dictionary, dict[str, Any]]:
    """Read a folder.

    Args:
        folder: Holds cfg.json and sae_weights.safetensors.
        reads: The dictionary's site, if it is known better than by the metadata's ``hook_name``.
        dtype: Number type in memory.

    Returns:
        The dictionary, frozen, and cfg.json's metadata.

    Raises:
        InputError: A file is missing or damaged, a tensor is missing, unknown or of the wrong shape, or the folder
            holds something this version does not read.
    """
    document = _modern(read_document(folder / CONFIG, "a dictionary's configuration"))
    config, fold_norms = _config(document, folder / CONFIG, reads)
    dictionary = make_dictionary_at(config, folder)
    path = folder / WEIGHTS
    shapes = {theirs: tuple(getattr(dictionary, ours).shape) for ours, theirs in _NAMES.items()}
    weights = _tensors(path, shapes, dtype)
    if fold_norms:
        norms_F = weights["W_dec"].norm(dim=1)
        weights["W_enc"] *= norms_F
        weights["b_enc"] *= norms_F
        weights["W_dec"] /= norms_F[:, None]
    dictionary.load_state_dict({ours: weights[theirs] for ours, theirs in _NAMES.items()}, assign=True)
    return dictionary.requires_grad_(False).eval(), document["metadata"]


def make_dictionary_at(config: DictionaryConfig, where: Path) -> Dictionary:
    """An empty dictionary that occupies no memory; errors name the file that asked for it."""
    try:
        with torch.device("meta"):
            return make_dictionary(config)
    except UsageError as error:
        raise InputError(f"{where}: {error.message}", error.hint) from error


def _modern(document: Mapping[str, Any]) -> dict[str, Any]:
    """cfg.json in the layout of sae-lens 6, whatever version wrote it."""
    if isinstance(document.get("metadata"), dict):
        return dict(document)
    flat = {_LEGACY_NAMES.get(name, name): value for name, value in document.items()}
    architecture = flat.get("architecture", "standard")
    modern: dict[str, Any] = {
        "architecture": architecture,
        "d_in": flat.get("d_in"),
        "d_sae": flat.get("d_sae"),
        "apply_b_dec_to_input": flat.get("apply_b_dec_to_input", True),
        "normalize_activations": {False: "none", None: "none", True: "expected_average_only_in"}.get(
            flat.get("normalize_activations"), flat.get("normalize_activations")
        ),
        "reshape_activations": "hook_z" if "hook_z" in str(flat.get("hook_name")) else "none",
        "metadata": flat,
    }
    if flat.get("activation_fn", "relu") == "topk":
        modern |= {"architecture": "topk", "k": (flat.get("activation_fn_kwargs") or {}).get("k")}
    elif flat.get("activation_fn", "relu") != "relu":
        modern["architecture"] = f"{architecture} with activation {flat['activation_fn']}"
    return modern


def _config(document: Mapping[str, Any], path: Path, reads: Site | None) -> tuple[DictionaryConfig, bool]:
    """The dictionary's config, and whether decoder norms are to be folded."""
    architecture = document.get("architecture")
    if architecture not in ("standard", "topk"):
        raise InputError(f"{path} is of architecture {architecture!r}; standard and topk are read.")
    for key in ("normalize_activations", "reshape_activations"):
        if document.get(key, "none") not in ("none", None):
            raise InputError(f"{path} has {key} = {document[key]!r}, which is not supported yet.")
    sizes = document.get("d_in"), document.get("d_sae")
    if not all(type(size) is int and size > 0 for size in sizes):
        raise InputError(f"{path} has no sizes d_in and d_sae.")
    options: dict[str, Any] = {}
    if architecture == "topk":
        options["k"] = document.get("k")
    if document.get("apply_b_dec_to_input", True) is not True:
        options["apply_b_dec_to_input"] = False
    if reads is None:
        try:
            reads = Site.parse(str(document["metadata"].get("hook_name")))
        except UsageError as error:
            raise InputError(f"{path}: {error.message}", error.hint) from error
    d_in, d_sae = sizes
    config = DictionaryConfig(architecture, d_in, d_sae, reads, reads, d_in, options)  # pyright: ignore[reportArgumentType]
    return config, bool(document.get("rescale_acts_by_decoder_norm", False))


def _tensors(path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors of a file, checked by name and shape before any is read.

    The header's offsets are checked against the file's size by safetensors when it is opened.
    """
    try:
        with safe_open(path, framework="pt") as file:
            stored = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if missing := shapes.keys() - stored.keys():
                raise InputError(f"{path} has no tensor {', '.join(sorted(missing))}.")
            if unknown := stored.keys() - shapes.keys():
                raise InputError(f"{path} has the unknown tensor {', '.join(sorted(unknown))}.")
            for name, shape in shapes.items():
                if stored[name] != shape:
                    raise InputError(f"{path} has {name} of shape {stored[name]}, expected {shape}.")
            return {name: file.get_tensor(name).to(dtype) for name in shapes}
    except FileNotFoundError as error:
        raise InputError(f"{path.parent} has no {path.name}.") from error
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged: {error}.", "Fetch or write it again.") from error
