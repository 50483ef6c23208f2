"""Dictionaries of OpenMOSS' Language-Model-SAEs: sparse autoencoders and transcoders, Llama Scope 1 and 2 among them.

A folder is ``config.json`` (Llama Scope 1: ``hyperparams.json``) and ``sae_weights`` or ``checkpoints/final``, as
``.safetensors`` or ``.pt``. Tensors: ``W_E`` [d, F], ``b_E``, ``W_D`` [F, d], ``b_D``; in older files
``encoder.weight`` [F, d] and ``decoder.weight`` [d, F].

They were trained on inputs scaled to norm sqrt(d), x̃ = si · x and ỹ = so · y with si = sqrt(d) / mean norm, so they are
brought to the model's own scale: π̃ = si · π gives b_enc = b_E / si, W_dec = W_D · si / so, b_dec = b_D / so. With
``sparsity_include_decoder_norm`` a feature is active where π̃ · ‖W_D‖ > θ, that is π > θ / (si · ‖W_D‖), otherwise
where π > θ / si. TopK ranks by π · ‖W_D‖; there the norms are folded into the encoder and the decoder rows have norm 1.
The threshold of Llama Scope 1 is one number that its authors measured after both steps: π · ‖W_dec‖ > θ.

Source: https://github.com/OpenMOSS/Language-Model-SAEs (``models/sae.py``, ``models/sparse_dictionary.py``); Llama
Scope 1: ``sae.py`` and ``post_processing.py`` of October 2024, https://arxiv.org/abs/2410.20526.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.formats.assembly import check_shapes, dictionary_of, positive
from saecli.formats.documents import read_document
from saecli.formats.openmoss_release import ARCHITECTURES, LEGACY_CONFIG, NORM, Release, about, act_fn_of, weights_of
from saecli.formats.registry import Found, Hints, Item, site_of
from saecli.formats.weights import Weights

NAME: Final = "openmoss"
TITLE: Final = "OpenMOSS' Language-Model-SAEs"
CONFIG: Final = "config.json"

_WHAT: Final = "a dictionary's configuration"
_REFUSED_TYPES: Final = {
    "crosscoder": "a crosscoder, which reads several sites at once",
    "lorsa": "a Lorsa (low-rank sparse attention), whose features depend on attention",
    "molt": "a MOLT (mixture of linear transforms), whose features write matrices",
}
_LOG_THRESHOLDS: Final = ("activation_function.log_jumprelu_threshold", "log_jumprelu_threshold")
_LINEAR: Final = {"W_E": "encoder.weight", "b_E": "encoder.bias", "W_D": "decoder.weight", "b_D": "decoder.bias"}


def sniff(path: Path) -> bool:
    """Whether a folder's configuration is one of Language-Model-SAEs."""
    for name, key in ((CONFIG, "sae_type"), (LEGACY_CONFIG, "hook_point_in")):
        try:
            if path.is_dir() and (path / name).is_file() and key in read_document(path / name, _WHAT):
                return True
        except InputError:
            continue
    return False


def open(path: Path, hints: Hints) -> Found:
    """The dictionary of a folder, or the layers of a cross-layer transcoder; only headers are read.

    Raises:
        InputError: It is of a type that is not read, or a file is missing, damaged or does not fit.
    """
    where = path / CONFIG if (path / CONFIG).is_file() else path / LEGACY_CONFIG
    document = read_document(where, _WHAT)
    kind = document.get("sae_type", "sae")
    if kind not in ("sae", "clt"):
        raise InputError(f"{where} describes {_REFUSED_TYPES.get(kind, f'sae_type {kind!r}')}; sae and clt are read.")
    if document.get("use_glu_encoder"):
        raise InputError(f"{where} describes a dictionary with a GLU encoder (use_glu_encoder), which is not read.")
    d_model = positive(document, "d_model", where)
    factor = document.get("expansion_factor")
    width = document.get("d_sae") or (int(d_model * factor) if isinstance(factor, int | float) else None)
    release = Release(
        where,
        document,
        weights_of(path),
        act_fn_of(where, document),
        d_model,
        positive({"d_sae": width}, "d_sae", where),
    )
    if kind == "clt":
        from saecli.formats.openmoss_clt import layers

        return Found(NAME, path, layers(release, hints))
    return Found(NAME, path, (_item(release, hints),))


def _item(release: Release, hints: Hints) -> Item:
    document, where = release.document, release.where
    hooks = str(document.get("hook_point_in", "")), str(document.get("hook_point_out", ""))
    try:
        told = tuple(Site.parse(hook) if hook else None for hook in hooks)
    except UsageError as error:
        raise InputError(f"{where}: {error.message}", error.hint) from error
    reads = site_of(where, told[0], hints)
    hinted = hints.writes if hints.writes != hints.reads else None
    writes = hinted or (told[1] if told[1] != told[0] else None) or reads
    options: dict[str, Any] = {"apply_b_dec_to_input": False}
    if release.act_fn == "topk":
        options["k"] = positive(document, "top_k", where)
    if document.get("norm_activation") == "token-wise":
        if reads != writes:
            raise InputError(
                f"{where} describes a transcoder with norm_activation token-wise: its output was scaled by the norm of "
                "what it should predict, which is not known when it is used."
            )
        options["normalize"] = "constant_norm_rescale"
    config = DictionaryConfig(
        ARCHITECTURES[release.act_fn], release.d_model, release.width, reads, writes, release.d_model, options
    )
    names = _names(release)

    def load(dtype: torch.dtype) -> Dictionary:
        tensors = {ours: value.float() for ours, value in _read(release.weights, names).items()}
        si = release.scale(hooks[0], "in", hints)
        so = si if hooks[0] == hooks[1] else release.scale(hooks[1], "out", hints)
        return dictionary_of(config, _state(release, tensors, si, so), dtype, release.weights.path)

    return Item("", config, (where, release.weights.path), load, **about(release, hints, hooks))


def _names(release: Release) -> dict[str, str]:
    """Ours → name in the file, after names and shapes have been compared with what they should be."""
    weights, (d, f) = release.weights, (release.d_model, release.width)
    shapes = {"W_E": (d, f), "b_E": (f,), "W_D": (f, d)}
    if release.document.get("use_decoder_bias", True):
        shapes["b_D"] = (d,)
    names = {ours: ours for ours in shapes}
    if linear := _LINEAR["W_E"] in weights.shapes:
        names = {ours: _LINEAR[ours] for ours in shapes}
    if release.act_fn == "jumprelu" and not release.legacy:
        shapes["log_threshold"] = (f,)
        found = [name for name in _LOG_THRESHOLDS if name in weights.shapes]
        names["log_threshold"] = found[0] if found else _LOG_THRESHOLDS[0]
    ignored = [name for name in weights.shapes if name.startswith(f"{NORM}.")]
    expected = {names[ours]: shape[::-1] if linear else shape for ours, shape in shapes.items()}
    check_shapes(weights.path, weights.shapes, expected, ignored)
    return names


def _read(weights: Weights, names: Mapping[str, str]) -> dict[str, Tensor]:
    tensors = weights.read(names.values())
    return {
        ours: tensors[theirs].T if theirs.endswith("coder.weight") else tensors[theirs]
        for ours, theirs in names.items()
    }


def _state(release: Release, tensors: Mapping[str, Tensor], si: float, so: float) -> dict[str, Tensor]:
    """Parameters in the model's own scale, see the module."""
    W_E, b_E, W_D = tensors["W_E"], tensors["b_E"], tensors["W_D"]
    b_D = tensors.get("b_D", torch.zeros(release.d_model))
    if release.document.get("apply_decoder_bias_to_pre_encoder"):
        b_E = b_E - b_D @ W_E
    b_enc, W_dec = b_E / si, W_D * (si / so)
    state = {"W_enc_DF": W_E, "b_enc_F": b_enc, "W_dec_FD": W_dec, "b_dec_D": b_D / so}
    norms_F = W_dec.norm(dim=1)
    if release.by_decoder_norm and (release.legacy or release.act_fn == "topk"):
        divisors_F = torch.where(norms_F > 0, norms_F, 1)
        state |= {"W_enc_DF": W_E * norms_F, "b_enc_F": b_enc * norms_F, "W_dec_FD": W_dec / divisors_F[:, None]}
    if release.act_fn == "jumprelu":
        state["threshold_F"] = _threshold(release, tensors, norms_F, si, so)
    return {name: value.contiguous() for name, value in state.items()}


def _threshold(release: Release, tensors: Mapping[str, Tensor], norms_F: Tensor, si: float, so: float) -> Tensor:
    if release.legacy:
        stated = release.document.get("jump_relu_threshold")
        if not isinstance(stated, int | float):
            raise InputError(f"{release.where} has jump_relu_threshold {stated!r}, expected a number.")
        return torch.full_like(norms_F, stated)
    return tensors["log_threshold"].exp() / (so * norms_F if release.by_decoder_norm else si)
