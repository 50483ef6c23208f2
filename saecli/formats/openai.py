"""OpenAI's autoencoders of GPT-2 small: one file of torch.save each, ``{location}_v5_32k/autoencoders/{layer}.pt``.

Tensors ``encoder.weight`` [F, d], ``decoder.weight`` [d, F], ``pre_bias`` [d], ``latent_bias`` [F]; a tied decoder is
the encoder's transpose and is left out or stored once more as ``decoder.linear.weight`` [F, d]. Beside them the name of
the ``activation`` and, for TopK, its ``k`` and ``postact_fn``. TopK autoencoders read layer-normed activations::

    f = act((x̃ − pre_bias) encoderᵀ + latent_bias)      x̂ = (f decoderᵀ + pre_bias) · std x + mean x

The activations are those of unprocessed weights (TransformerLens without centring).
Source: https://github.com/openai/sparse_autoencoder (``model.py``, ``paths.py``).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError
from saecli.core.site import Site
from saecli.formats.assembly import check_shapes, dictionary_of, shape_of
from saecli.formats.registry import Found, Hints, Item, site_of
from saecli.formats.safe import load_torch

NAME: Final = "openai"
TITLE: Final = "OpenAI sparse_autoencoder (.pt)"
CONTEXT: Final = 64

_LOCATIONS: Final = {
    "mlp_post_act": "mlp_post",
    "resid_delta_attn": "attn_out",
    "resid_post_attn": "resid_mid",
    "resid_delta_mlp": "mlp_out",
    "resid_post_mlp": "resid_post",
}
_LOCATION: Final = re.compile(rf"({'|'.join(_LOCATIONS)})(_v\d+(_\w+)?)?")
_STATISTICS: Final = ("stats_last_nonzero", "latents_activation_frequency", "latents_mean_square")
_TIED: Final = "decoder.linear.weight"
_MAX_NAMES: Final = 1 << 20


def sniff(path: Path) -> bool:
    """Whether it is such a file, or a folder of them: ``pre_bias`` and ``latent_bias`` are in no other format."""
    return bool(_files(path)[:1])


def open(path: Path, hints: Hints) -> Found:
    """The autoencoder of a file, or those of a folder's files by their names.

    Raises:
        InputError: Damaged, no plain values, a tensor is missing, unknown or of another shape, an activation function
            that is not read, or its site is not known.
    """
    if path.is_dir():
        return Found(NAME, path, tuple(_item(file, file.stem, hints) for file in _files(path)))
    return Found(NAME, path, (_item(path, "", hints),))


def _files(path: Path) -> list[Path]:
    """The files of this format at a path, in the order of their names, numbers by value."""
    files = sorted(path.iterdir(), key=lambda file: (len(file.name), file.name)) if path.is_dir() else [path]
    return [file for file in files if file.suffix in (".pt", ".pth") and file.is_file() and _names_biases(file)]


def _names_biases(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            name = next(name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl"))
            with archive.open(name) as member:
                names = member.read(_MAX_NAMES)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, StopIteration, OSError, EOFError):
        with file.open("rb") as stream:  # the layout before torch 1.6 begins with its pickles
            names = stream.read(_MAX_NAMES)
    return b"pre_bias" in names and b"latent_bias" in names


def _item(path: Path, name: str, hints: Hints) -> Item:
    values = _values(path)
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    n_latents, d = shape_of(path, found, "encoder.weight")
    expected = {"encoder.weight": (n_latents, d), "pre_bias": (d,), "latent_bias": (n_latents,)}
    if "decoder.weight" in tensors:
        expected["decoder.weight"] = (d, n_latents)
    elif _TIED in tensors:
        expected[_TIED] = (n_latents, d)
    check_shapes(path, found, expected, ignored=_STATISTICS)
    if others := sorted(values.keys() - tensors.keys() - {"activation", "activation_state_dict"}):
        raise InputError(f"{path} has the unknown entry {', '.join(map(repr, others))}.")
    if _TIED in expected and not torch.equal(tensors[_TIED], tensors["encoder.weight"]):
        raise InputError(f"{path} is damaged: its decoder is tied to the encoder, and the two differ.")
    architecture, options = _activation(path, values)
    reads = site_of(path, _site(path), hints)
    config = DictionaryConfig(architecture, d, n_latents, reads, reads, d, options)
    return Item(
        name=name,
        config=config,
        files=(path,),
        load=partial(_load, path, config),
        model=hints.model or ("gpt2" if "gpt2-small" in path.absolute().parts else ""),
        processing=hints.processing or "raw",
        context=CONTEXT,
        prepends_bos=False,
    )


def _values(path: Path) -> dict[str, Any]:
    values = load_torch(path)
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise InputError(f"{path} holds {type(values).__name__}, expected named tensors.")
    return dict(values)


def _load(path: Path, config: DictionaryConfig, dtype: torch.dtype) -> Dictionary:
    values = _values(path)
    encoder = values["encoder.weight"]
    state = {
        "W_enc_DF": encoder.T,
        "b_enc_F": values["latent_bias"],
        "W_dec_FD": values["decoder.weight"].T if "decoder.weight" in values else encoder,
        "b_dec_D": values["pre_bias"],
    }
    return dictionary_of(config, state, dtype, path)


def _activation(path: Path, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Architecture and options by the stored name of the activation function; ReLU where there is none."""
    name = values.get("activation", "ReLU")
    state = values.get("activation_state_dict") or {}
    if name in ("ReLU", "Identity"):
        return {"ReLU": "standard", "Identity": "identity"}[name], {}
    if name != "TopK" or not isinstance(state, Mapping):
        raise InputError(f"{path} has activation {name!r}; ReLU, TopK and Identity are read.")
    if (after := state.get("postact_fn", "ReLU")) != "ReLU":
        raise InputError(f"{path} has TopK followed by {after!r}; TopK followed by ReLU is read.")
    k = state.get("k")
    if isinstance(k, Tensor) and k.numel() == 1 and not k.is_floating_point():
        k = int(k)
    return "topk", {"k": k, "normalize": "layer_norm"}


def _site(path: Path) -> Site | None:
    """``…/resid_post_mlp_v5_32k/autoencoders/8.pt``, or a file named ``resid_post_mlp…_8.pt``; None if neither."""
    if (layer := re.search(r"(?:^|\D)(\d+)$", path.stem)) is None:
        return None
    own = path.stem.removesuffix(layer[1]).rstrip("_.-")
    matches = (_LOCATION.fullmatch(part) for part in [own, *reversed(path.absolute().parent.parts)])
    location = next(filter(None, matches), None)
    return Site(int(layer[1]), _LOCATIONS[location[1]]) if location else None
