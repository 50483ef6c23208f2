"""Where a dictionary of SAELens reads and writes: the hook names of its metadata, old spellings included.

TransformerLens' ``ln2.hook_normalized`` is taken before the norm's gain, which folded weights have taken over: only
there is it the input of the MLP. In raw weights that is ``mlp.hook_in``. Likewise for attention.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.formats.registry import Hints, site_of

BEFORE_GAIN = re.compile(r"blocks\.\d+\.ln[12]\.hook_normalized")
"""Hooks that are a site of folded weights alone."""

_GAIN_NOTE = (
    "It reads {}, taken before the gain of the norm and so to be of folded weights, though its metadata does not say "
    "so; of models with LayerNorm, TransformerLens before 3 had the gain in it."
)


def hook_name(site: Site, processing: str) -> str:
    """TransformerLens' name of a site, given the weight processing of the model."""
    if site.kind in ("attn_in", "mlp_in") and processing != "folded":
        return f"blocks.{site.layer}.{site.kind.removesuffix('_in')}.hook_in"
    return site.hook_name


def read_site(document: Mapping[str, Any], path: Path, hints: Hints) -> tuple[Site, tuple[str, ...]]:
    """The site a dictionary reads, and notes.

    Raises:
        InputError: None is named, or one that is not a whole site.
    """
    metadata = document["metadata"]
    if (head := metadata.get("hook_head_index")) is not None:
        raise InputError(f"{path} reads attention head {head} alone (hook_head_index); only whole sites are read.")
    name = metadata.get("hook_name")
    layer = metadata.get("hook_point_layer", metadata.get("hook_layer"))
    if isinstance(name, str) and "{layer}" in name and type(layer) is int:
        name = name.replace("{layer}", str(layer))
    normed = str(metadata.get("hf_hook_name") or "").endswith("layernorm.output")
    if isinstance(name, str) and name.endswith(".hook_mlp_in") and normed:  # of Gemma Scope 2, as sae-lens names it
        name = name.replace(".hook_mlp_in", ".mlp.hook_in")
    reads = site_of(path, None if name is None or hints.reads else _site(str(name), path), hints)
    reshaped = document.get("reshape_activations") or "none"
    if reshaped not in ("none", "hook_z") or (reshaped == "hook_z" and reads.kind != "attn_z"):
        raise InputError(
            f"{path} has reshape_activations = {reshaped!r} at {reads}; expected none, or hook_z at attn_z."
        )
    if name == "hook_embed":
        return reads, (
            "It reads hook_embed, the token embeddings: 0.resid_pre only in models that add no positions there.",
        )
    loaded_with = metadata.get("model_from_pretrained_kwargs")
    folds = isinstance(loaded_with, dict) and loaded_with.get("fold_ln")
    if isinstance(name, str) and BEFORE_GAIN.fullmatch(name) and not folds and not hints.processing:
        return reads, (_GAIN_NOTE.format(name),)
    return reads, ()


def written_site(metadata: Mapping[str, Any], path: Path, hints: Hints) -> Site:
    """The site a transcoder writes.

    Raises:
        InputError: None is named, or one that is not a whole site.
    """
    if hints.writes and hints.writes != hints.reads:  # one site said is the one it reads
        return hints.writes
    if (head := metadata.get("hook_head_index_out")) is not None:
        raise InputError(f"{path} writes attention head {head} alone (hook_head_index_out); only whole sites are read.")
    if not (name := metadata.get("hook_name_out")):
        raise InputError(f"{path} is a transcoder and does not say what it writes (hook_name_out).")
    return _site(str(name), path)


def _site(name: str, path: Path) -> Site:
    if name == "hook_embed":
        return Site(0, "resid_pre")
    if match := re.fullmatch(r"blocks\.(\d+)\.hook_mlp_in", name):  # the residual stream, before the norm
        return Site(int(match[1]), "resid_mid")
    if match := re.fullmatch(r"(?:\w+\.)*(?:layers|h)\.(\d+)", name):  # a block of a Hugging Face model, its output
        return Site(int(match[1]), "resid_post")
    try:
        return Site.parse(name)
    except UsageError as error:
        raise InputError(f"{path}: {error.message}", error.hint) from error
