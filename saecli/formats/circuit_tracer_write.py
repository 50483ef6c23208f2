"""Dictionaries written as a set of circuit-tracer; its layout is described in :mod:`saecli.formats.circuit_tracer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from saecli.core.atomic import write_text, writing
from saecli.core.dictionary import Dictionary
from saecli.core.errors import UsageError
from saecli.core.site import Site
from saecli.formats.circuit_tracer_config import CONFIG, config_text

_ARCHITECTURES: Final = {"standard": "relu", "topk": "topk", "jumprelu": None, "cross_layer": None}
_OPTIONS: Final = {"k", "skip", "apply_b_dec_to_input", "writes", "activation", "threshold", "group_sizes"}


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
    """Write a transcoder per layer, or the layers of a cross-layer transcoder; config.yaml comes last.

    Args:
        dictionaries: One for every layer from 0, all of one architecture, from one kind of site to one. Their names
            have no place here: files are named by layers.
        folder: Where; made if needed.
        dtype: Number type of the stored weights.
        model: Name of the model.
        context, prepends_bos: Have no place in this format.
        processing: Weight processing of the model they belong to; decides where mlp_in is. Empty means raw.

    Raises:
        UsageError: Something that circuit-tracer cannot express, named; nothing is written then.
    """
    ordered = sorted(dictionaries.values(), key=lambda one: one.config.reads)
    _check(ordered)
    for dictionary in ordered:
        _check_numbers(dictionary, dtype)
    first = ordered[0].config
    across = first.arch == "cross_layer"
    document: dict[str, Any] = {
        "model_name": model,
        "model_kind": "cross_layer_transcoder" if across else "transcoder_set",
        "feature_input_hook": _hook(first.reads, processing),
        "feature_output_hook": _hook(first.writes, "raw"),
    }
    if (activation := _ARCHITECTURES[first.arch]) is not None:
        document["activation"] = activation
    if "k" in first.options and first.arch != "jumprelu":
        document["k"] = first.options["k"]
    for layer, dictionary in enumerate(ordered):
        for name, tensors in (_cross_layer if across else _transcoder)(layer, dictionary).items():
            stored = {key: value.detach().cpu().to(dtype).contiguous() for key, value in tensors.items()}
            with writing(folder / name) as temporary:
                save_file(stored, temporary)
    write_text(folder / CONFIG, config_text(document))


def _transcoder(layer: int, dictionary: Dictionary) -> dict[str, Mapping[str, Tensor]]:
    state = dictionary.state_dict()
    tensors = {
        "W_enc": state["W_enc_DF"].T,
        "W_dec": state["W_dec_FD"],
        "b_enc": state["b_enc_F"],
        "b_dec": state["b_dec_D"],
    }
    if "threshold_F" in state:
        tensors["activation_function.threshold"] = state["threshold_F"]
    if "W_skip_DO" in state:
        tensors["W_skip"] = state["W_skip_DO"].T
    return {f"layer_{layer}.safetensors": tensors}


def _cross_layer(layer: int, dictionary: Dictionary) -> dict[str, Mapping[str, Tensor]]:
    state = dictionary.state_dict()
    encoder = {
        f"W_enc_{layer}": state["W_enc_DF"].T,
        f"b_enc_{layer}": state["b_enc_F"],
        f"b_dec_{layer}": state["b_dec_D"],
    }
    if "threshold_F" in state:
        encoder[f"threshold_{layer}"] = state["threshold_F"]
    decoder = {f"W_dec_{layer}": state["W_dec_FLD"]}
    return {f"W_enc_{layer}.safetensors": encoder, f"W_dec_{layer}.safetensors": decoder}


def _check(ordered: Sequence[Dictionary]) -> None:
    if not ordered:
        raise UsageError("A set of circuit-tracer has at least one layer, and no dictionary was given.")
    layers = [one.config.reads.layer for one in ordered]
    if layers != list(range(len(ordered))):
        raise UsageError(
            "A set of circuit-tracer has one dictionary for every layer from 0, "
            f"not those of {', '.join(map(str, layers))}."
        )
    first = ordered[0].config
    for layer, dictionary in enumerate(ordered):
        config = dictionary.config
        where = f"the dictionary at {config.reads}"
        if config.arch not in _ARCHITECTURES:
            raise UsageError(f"circuit-tracer has {', '.join(_ARCHITECTURES)} dictionaries; {where} is {config.arch}.")
        kinds = (config.arch, config.reads.kind, config.writes.kind, config.options.get("k"), config.n_latents)
        if kinds != (first.arch, first.reads.kind, first.writes.kind, first.options.get("k"), first.n_latents):
            raise UsageError(f"circuit-tracer's layers are alike, and {where} is not like that at {first.reads}.")
        if config.d_in != config.d_out:
            raise UsageError(f"circuit-tracer has one width, and {where} has {config.d_in} and {config.d_out}.")
        if config.writes.layer != layer:
            raise UsageError(
                f"circuit-tracer's dictionaries write the layer they read, and {where} writes {config.writes}."
            )
        if unknown := sorted(config.options.keys() - _OPTIONS):
            raise UsageError(f"circuit-tracer has no option {', '.join(unknown)}, which {where} has.")
        if dictionary.subtracts_b_dec:
            raise UsageError(f"circuit-tracer takes inputs as they are, and {where} subtracts b_dec.")
        if config.arch == "cross_layer":
            if dictionary.W_skip_DO is not None:
                raise UsageError(f"circuit-tracer's cross-layer transcoders have no skip path, and {where} has one.")
            if config.written != tuple(Site(target, config.writes.kind) for target in range(layer, len(ordered))):
                raise UsageError(
                    f"circuit-tracer's layers write all later layers up to the last, and {where} does not."
                )
            if config.options.get("activation") != first.options.get("activation"):
                raise UsageError(f"circuit-tracer's layers are alike, and {where} has another activation.")


def _check_numbers(dictionary: Dictionary, dtype: torch.dtype) -> None:
    for name, value in dictionary.state_dict().items():
        largest = value.abs().max() if value.numel() else value.new_zeros(())
        if not largest.to(dtype).isfinite():
            raise UsageError(f"{name} of the dictionary at {dictionary.config.reads} does not fit into {dtype}.")


def _hook(site: Site, processing: str) -> str:
    """The name within a block; mlp_in of folded weights is what TransformerLens has before the norm's gain."""
    if site.kind == "mlp_in" and processing != "folded":
        return "mlp.hook_in"
    return site.hook_name.split(".", 2)[2]
