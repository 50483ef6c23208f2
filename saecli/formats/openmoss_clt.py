"""Cross-layer transcoders of Language-Model-SAEs, one dictionary per layer.

Tensors: ``W_E`` [L, d, F], ``b_E`` [L, F], and for every layer written ``W_D.j`` [j + 1, F, d] (from the layers 0..j)
and ``b_D.j``. Layer i of the transcoder writes the sites j = i..L − 1; y_j = Σ_i a_i W_D.j[i] + b_D.j.
Scales are as in :mod:`saecli.formats.openmoss`, with one si or so per hook point; the norm of a feature is that of all
its decoder rows together.

Source: https://github.com/OpenMOSS/Language-Model-SAEs (``models/clt.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.formats.assembly import check_shapes, dictionary_of
from saecli.formats.openmoss_release import NORM, Release, about
from saecli.formats.registry import Hints, Item
from saecli.formats.weights import Weights

_LOG_THRESHOLD = "activation_function.log_jumprelu_threshold"


def layers(release: Release, hints: Hints) -> tuple[Item, ...]:
    """The layers of a cross-layer transcoder.

    Raises:
        InputError: Hook points or tensors do not fit, or features of a layer compete.
    """
    if release.act_fn == "topk":
        raise InputError(
            f"{release.where} describes a cross-layer transcoder with act_fn topk; relu and jumprelu are read."
        )
    if release.document.get("norm_activation") == "token-wise":
        raise InputError(f"{release.where} describes a cross-layer transcoder with norm_activation token-wise.")
    hooks_in, hooks_out = (_hooks(release, f"hook_points_{side}") for side in ("in", "out"))
    if len(hooks_in) != len(hooks_out):
        raise InputError(f"{release.where} has {len(hooks_in)} hook_points_in and {len(hooks_out)} hook_points_out.")
    _check(release, len(hooks_in))
    return tuple(_layer(release, hints, hooks_in, hooks_out, layer) for layer in range(len(hooks_in)))


def _hooks(release: Release, key: str) -> list[str]:
    hooks = release.document.get(key)
    if not isinstance(hooks, list) or not hooks or not all(isinstance(hook, str) for hook in hooks):
        raise InputError(f"{release.where} has {key} {hooks!r}, expected a list of hook points.")
    return hooks


def _check(release: Release, count: int) -> None:
    d, f, weights = release.d_model, release.width, release.weights
    expected: dict[str, tuple[int, ...]] = {"W_E": (count, d, f), "b_E": (count, f)}
    for layer in range(count):
        expected[f"W_D.{layer}"] = (layer + 1, f, d)
        if release.document.get("use_decoder_bias", True):
            expected[f"b_D.{layer}"] = (d,)
    if release.act_fn == "jumprelu":
        expected[_LOG_THRESHOLD] = (count, f)
    check_shapes(
        weights.path, weights.shapes, expected, [name for name in weights.shapes if name.startswith(f"{NORM}.")]
    )


def _layer(release: Release, hints: Hints, hooks_in: Sequence[str], hooks_out: Sequence[str], layer: int) -> Item:
    try:
        reads, written = Site.parse(hooks_in[layer]), [Site.parse(hook) for hook in hooks_out[layer:]]
    except UsageError as error:
        raise InputError(f"{release.where}: {error.message}", error.hint) from error
    options = {"writes": [str(site) for site in written], "activation": release.act_fn}
    d = release.d_model
    config = DictionaryConfig("cross_layer", d, release.width, reads, written[0], d, options)

    def load(dtype: torch.dtype) -> Dictionary:
        weights = release.weights
        si = release.scale(hooks_in[layer], "in", hints)
        W_dec_FLD = torch.stack(
            [
                _slice(weights, f"W_D.{j}", layer) * (si / release.scale(hooks_out[j], "out", hints))
                for j in range(layer, len(hooks_out))
            ],
            dim=1,
        )
        state = {
            "W_enc_DF": _slice(weights, "W_E", layer),
            "b_enc_F": _slice(weights, "b_E", layer) / si,
            "W_dec_FLD": W_dec_FLD,
        }
        if (name := f"b_D.{layer}") in weights.shapes:
            state["b_dec_D"] = weights.read([name])[name].float() / release.scale(hooks_out[layer], "out", hints)
        if release.act_fn == "jumprelu":
            divisor: Tensor | float = si
            if release.by_decoder_norm:
                scales = [release.scale(hook, "out", hints) / si for hook in hooks_out[layer:]]
                divisor = si * (W_dec_FLD * torch.tensor(scales)[:, None]).flatten(1).norm(dim=1)
            state["threshold_F"] = _slice(weights, _LOG_THRESHOLD, layer).exp() / divisor
        return dictionary_of(config, state, dtype, weights.path)

    about_it = about(release, hints, (hooks_in[layer], hooks_out[layer]))
    return Item(f"layer_{layer}", config, (release.where, release.weights.path), load, **about_it)


def _slice(weights: Weights, name: str, index: int) -> Tensor:
    """Row ``index`` of a tensor; of a safetensors file no other is read."""
    if name in weights.tensors:
        return weights.tensors[name][index].float()
    try:
        with safe_open(weights.files[name], framework="pt") as file:
            return file.get_slice(name)[index].float()
    except (SafetensorError, OSError) as error:
        raise InputError(f"{weights.path} is damaged: {error}.", "Fetch or write it again.") from error
