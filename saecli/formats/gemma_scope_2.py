"""Gemma Scope 2 (Gemma 3): ``SITE/layer_N_width_W_l0_SIZE/`` with config.json and params.safetensors.

Tensors ``w_enc`` [d_in, F], ``w_dec`` [F, d_out], ``b_enc`` and ``threshold`` [F], ``b_dec`` [d_out], and for affine
transcoders ``affine_skip_connection`` [d_in, d_out] (output += x @ it). config.json names what is read and written by
the modules of the Hugging Face model, whose weights are raw: ``model.layers.12.pre_feedforward_layernorm.output``.

A cross-layer transcoder (type ``clt``) is a folder of ``params_layer_{i}.safetensors`` whose ``w_dec`` is
[F, layers, d_out]; what a file of layer i holds for the layers before i is not used. Crosscoders are not read.
Source: https://huggingface.co/google/gemma-scope-2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError
from saecli.core.site import Site
from saecli.formats.assembly import check_shapes, dictionary_of, shape_of
from saecli.formats.cross_layer import cross_layer_of
from saecli.formats.documents import read_document
from saecli.formats.registry import Found, Hints, Item, site_of
from saecli.formats.safe import load_safetensors, safetensors_header

NAME: Final = "gemma-scope-2"
TITLE: Final = "Gemma Scope 2"
CONFIG: Final = "config.json"
WEIGHTS: Final = "params.safetensors"
CONTEXT: Final = 1024

_NAMES: Final = {
    "w_enc": "W_enc_DF",
    "b_enc": "b_enc_F",
    "w_dec": "W_dec_FD",
    "b_dec": "b_dec_D",
    "threshold": "threshold_F",
    "affine_skip_connection": "W_skip_DO",
}
_POINTS: Final = {
    "input": "resid_pre",
    "output": "resid_post",
    "self_attn.o_proj.input": "attn_z",
    "post_attention_layernorm.output": "attn_out",
    "pre_feedforward_layernorm.output": "mlp_in",
    "post_feedforward_layernorm.output": "mlp_out",
}
_POINT: Final = re.compile(r"(?:language_model\.)?model\.(?:language_model\.)?layers\.(\d{1,4}|\{[^}]*\})\.(.+)")
_LAYER_FILE: Final = re.compile(r"params_layer_(\d+)\.safetensors")


def sniff(path: Path) -> bool:
    """Whether a folder holds config.json with params.safetensors, or with one such file per layer."""
    return (path / CONFIG).is_file() and ((path / WEIGHTS).is_file() or bool(_layer_files(path)))


def open(path: Path, hints: Hints) -> Found:
    """The dictionary of a folder, or all of a cross-layer transcoder's.

    Raises:
        InputError: Damaged, of another architecture, a crosscoder, a layer or tensor is missing, or of another shape.
    """
    where = path / CONFIG
    document = read_document(where, "a dictionary's configuration")
    kind = document.get("type")
    if kind == "crosscoder" or "{" in str(document.get("hf_hook_point_in")).replace("{all}", ""):
        raise InputError(
            f"{path} is a crosscoder, which reads {document.get('hf_hook_point_in')}; crosscoders are not read.",
            "Choose an autoencoder, a transcoder or a clt of the same release.",
        )
    if (architecture := document.get("architecture", "jump_relu")) != "jump_relu":
        raise InputError(f"{where} is of architecture {architecture!r}; expected jump_relu.")
    files = _layer_files(path)
    if files and not (path / WEIGHTS).is_file():
        return Found(NAME, path, tuple(_cross_layer(path, files, layer, document, hints) for layer in files))
    return Found(NAME, path, (_single(path, document, hints),))


def _single(path: Path, document: Mapping[str, Any], hints: Hints) -> Item:
    file = path / WEIGHTS
    found = {name: header.shape for name, header in safetensors_header(file).items()}
    d_in, n_latents = shape_of(file, found, "w_enc")
    d_out = shape_of(file, found, "w_dec")[-1]
    check_shapes(file, found, _expected(found, d_in, n_latents, (d_out,)))
    reads = site_of(path / CONFIG, _site(document, "hf_hook_point_in", path), hints)
    told = [_site(document, f"hf_hook_point_{end}", path) for end in ("in", "out")]
    writes = reads if told[1] in (None, told[0]) else told[1]
    if hints.writes not in (None, hints.reads):
        writes = hints.writes
    options: dict[str, Any] = {"apply_b_dec_to_input": False} if writes == reads else {}
    if "affine_skip_connection" in found:
        options["skip"] = True
    config = DictionaryConfig("jumprelu", d_in, n_latents, reads, writes, d_out, options)
    return _item("", config, file, partial(_load, file, config), document, hints)


def _load(file: Path, config: DictionaryConfig, dtype: torch.dtype) -> Dictionary:
    return dictionary_of(config, {_NAMES[name]: t for name, t in load_safetensors(file).items()}, dtype, file)


def _cross_layer(path: Path, files: Mapping[int, Path], layer: int, document: Mapping[str, Any], hints: Hints) -> Item:
    if (missing := next((one for one in range(max(files) + 1) if one not in files), None)) is not None:
        raise InputError(f"{path} has no params_layer_{missing}.safetensors.", "Download every layer.")
    file, layers = files[layer], len(files)
    found = {name: header.shape for name, header in safetensors_header(file).items()}
    d_in, n_latents = shape_of(file, found, "w_enc")
    d_out = shape_of(file, found, "w_dec", axes=3)[-1]
    check_shapes(file, found, _expected(found, d_in, n_latents, (layers, d_out)))
    reads = replace(site_of(path / CONFIG, _site(document, "hf_hook_point_in", path), hints), layer=layer)
    last = (hints.writes if hints.writes != hints.reads else None) or _site(document, "hf_hook_point_out", path)
    if last is None:
        raise InputError(f"{path / CONFIG} does not say what the transcoder writes: it has no hf_hook_point_out.")
    writes = [replace(last, layer=target) for target in range(layer, layers)]
    options: dict[str, Any] = {"writes": [str(site) for site in writes], "activation": "jumprelu"}
    if "affine_skip_connection" in found:
        options["skip"] = True
    config = DictionaryConfig("cross_layer", d_in, n_latents, reads, writes[0], d_out, options)
    return _item(f"layer_{layer}", config, file, partial(_load_cross_layer, file, config), document, hints)


def _load_cross_layer(file: Path, config: DictionaryConfig, dtype: torch.dtype) -> Dictionary:
    stored = load_safetensors(file)
    decoder_FLD = stored.pop("w_dec")[:, -len(config.written) :]
    return cross_layer_of(config, {_NAMES[name]: t for name, t in stored.items()}, decoder_FLD, dtype, file)


def _item(
    name: str, config: DictionaryConfig, file: Path, load: Any, document: Mapping[str, Any], hints: Hints
) -> Item:
    l0 = document.get("l0")
    return Item(
        name=name,
        config=config,
        files=(file.parent / CONFIG, file),
        load=load,
        model=hints.model or str(document.get("model_name") or ""),
        processing=hints.processing or "raw",
        context=CONTEXT,
        prepends_bos=True,
        metadata={key: document[key] for key in ("model_name", "width", "type") if key in document},
        measured={"l0": float(l0)} if isinstance(l0, int | float) else {},
    )


def _expected(
    found: Mapping[str, tuple[int, ...]], d_in: int, n_latents: int, written: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    d_out = written[-1]
    shapes = {
        "w_enc": (d_in, n_latents),
        "b_enc": (n_latents,),
        "w_dec": (n_latents, *written),
        "b_dec": (d_out,),
        "threshold": (n_latents,),
    }
    return {**shapes, "affine_skip_connection": (d_in, d_out)} if "affine_skip_connection" in found else shapes


def _site(document: Mapping[str, Any], key: str, path: Path) -> Site | None:
    """The site that config.json names; layer 0 stands for all layers."""
    if (name := document.get(key)) is None:
        return None
    match = _POINT.fullmatch(str(name))
    if match is None or match[2] not in _POINTS:
        raise InputError(
            f"{path / CONFIG} has {key} = {name!r}, expected model.layers.N. and one of {', '.join(_POINTS)}."
        )
    return Site(int(match[1]) if match[1].isdecimal() else 0, _POINTS[match[2]])


def _layer_files(path: Path) -> dict[int, Path]:
    if not path.is_dir():
        return {}
    found = {int(match[1]): file for file in path.iterdir() if (match := _LAYER_FILE.fullmatch(file.name))}
    return dict(sorted(found.items()))
