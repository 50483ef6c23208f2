"""What a folder of Language-Model-SAEs says, whatever it describes: its activation function, its norms, its tensors.

See :mod:`saecli.formats.openmoss`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from saecli.core.errors import InputError
from saecli.formats.documents import read_document
from saecli.formats.registry import Hints
from saecli.formats.safe import load_torch
from saecli.formats.weights import Weights, from_tensors, open_safetensors

LEGACY_CONFIG: Final = "hyperparams.json"
NORM: Final = "dataset_average_activation_norm"
ARCHITECTURES: Final = {"relu": "standard", "jumprelu": "jumprelu", "topk": "topk"}
"""Activation function → architecture."""

_NORMS: Final = ("dataset-wise", "token-wise", "inference", "none")
_STEMS: Final = ("sae_weights", "checkpoints/pruned", "checkpoints/final")
_BATCH_HINT: Final = "Convert it to jumprelu, with a threshold measured on many tokens, where it was trained."


@dataclass(frozen=True)
class Release:
    """What a folder says of its dictionary or dictionaries.

    Attributes:
        where: The configuration's file.
        document: What it says.
        weights: The tensors.
        act_fn: ``relu``, ``jumprelu`` or ``topk``.
        d_model, width: d and F.
    """

    where: Path
    document: Mapping[str, Any]
    weights: Weights
    act_fn: str
    d_model: int
    width: int

    @property
    def legacy(self) -> bool:
        return self.where.name == LEGACY_CONFIG

    @property
    def by_decoder_norm(self) -> bool:
        return self.document.get("sparsity_include_decoder_norm", True) is True

    def scale(self, hook: str, side: str, hints: Hints) -> float:
        """What activations of a hook point were multiplied by in training.

        Args:
            hook: The hook point.
            side: ``in`` or ``out``, as Llama Scope 1 calls it.
            hints: A scale for files that lack it.

        Raises:
            InputError: The norm is missing or no positive number.
        """
        if self.document.get("norm_activation", "dataset-wise") != "dataset-wise":
            return 1.0
        key, stated = f"{NORM}.{hook}", self.document.get(NORM)
        if key in self.weights.shapes:
            norm = self.weights.read([key])[key].float().flatten()[0].item()
        elif isinstance(stated, dict):
            norm = stated.get(side, stated.get(hook))
        elif side == "in" and isinstance(hints.norm_scale, int | float):
            return hints.norm_scale
        else:
            raise InputError(f"{self.weights.path} has no {key}, by which its inputs were scaled.")
        if not isinstance(norm, int | float) or not 0 < norm < math.inf:
            raise InputError(f"{self.weights.path} has {key} = {norm}, expected a positive number.")
        return math.sqrt(self.d_model) / norm


def about(release: Release, hints: Hints, hooks: tuple[str, ...]) -> dict[str, Any]:
    """What every item of a release says beside its config.

    A hook_normalized is taken before the norm's gain: what a model with folded norms gives its module.
    """
    path = release.where.parent / "lm_config.json"
    lm = read_document(path, "a language model's configuration") if path.is_file() else {}
    normalised = any("hook_normalized" in hook for hook in hooks)
    context = lm.get("max_length")
    keys = ("sae_type", "act_fn", "norm_activation", "sparsity_include_decoder_norm", "hook_point_in", "hook_point_out")
    return {
        "model": hints.model or str(lm.get("model_name", "")),
        "processing": hints.processing or ("folded" if normalised else "raw"),
        "context": context if type(context) is int and context > 0 else 0,
        "prepends_bos": lm.get("prepend_bos") if isinstance(lm.get("prepend_bos"), bool) else None,
        "metadata": {key: release.document[key] for key in keys if key in release.document},
    }


def act_fn_of(where: Path, document: Mapping[str, Any]) -> str:
    """The activation function, after it and the norm have been found to be of those that are read.

    Raises:
        InputError: They are not.
    """
    norm = document.get("norm_activation", "dataset-wise")
    if norm not in _NORMS:
        raise InputError(f"{where} has norm_activation {norm!r}; {', '.join(_NORMS)} are read.")
    act_fn = str(document.get("act_fn", "relu")).lower()
    threshold = document.get("jump_relu_threshold")
    if act_fn == "topk" and where.name == LEGACY_CONFIG and isinstance(threshold, int | float) and threshold > 0:
        return "jumprelu"  # as its own loader has it: every feature for itself
    if act_fn.startswith("batch") or act_fn == "layertopk":
        raise InputError(
            f"{where} has act_fn {act_fn}, which selects among the features of many tokens or layers and stores no "
            "threshold: what it does to one token is not defined.",
            _BATCH_HINT,
        )
    if act_fn not in ARCHITECTURES:
        raise InputError(f"{where} has act_fn {act_fn!r}; known: {', '.join(ARCHITECTURES)}.")
    return act_fn


def weights_of(path: Path) -> Weights:
    """The tensors of the first file that Language-Model-SAEs itself would read."""
    for stem in _STEMS:
        for suffix in (".safetensors", ".pt", ".dcp"):
            file = path / f"{stem}{suffix}"
            if suffix == ".dcp" and file.exists():
                raise InputError(
                    f"{file} is a checkpoint of torch.distributed, whose index is a pickle and is not read.",
                    "Load it with lm_saes and write it again with save_checkpoint('sae_weights.safetensors').",
                )
            if suffix == ".safetensors" and file.is_file():
                return open_safetensors([file], file)
            if suffix == ".pt" and file.is_file():
                document = load_torch(file)
                return from_tensors(document.get("sae") if isinstance(document, dict) else document, file)
    raise InputError(f"{path} has no weights: {', '.join(_STEMS)}, each as .safetensors or .pt, were looked for.")
