"""dictionary_learning's ``config.json`` and the keys of ``ae.pt``: which class, at which site.

The class stands in the configuration; without one it follows from the names of the tensors where these tell
(``bias``: AutoEncoder, ``decoder.bias``: AutoEncoderNew, ...). AutoEncoderTopK and BatchTopKSAE have the same names and
are not guessed apart. Shapes decide nothing.
Source: https://github.com/saprmarks/dictionary_learning (``dictionary.py``, ``trainers/``, ``utils.py``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from saecli.core.errors import InputError
from saecli.core.site import KINDS, Site
from saecli.formats.registry import Hints

_LINEAR: Final = frozenset({"encoder.weight", "encoder.bias", "decoder.weight"})
_SCALARS: Final = frozenset({"k", "threshold"})
KEYS: Final[dict[str, frozenset[str]]] = {
    "AutoEncoder": _LINEAR | {"bias"},
    "AutoEncoderNew": _LINEAR | {"decoder.bias"},
    "GatedAutoEncoder": frozenset(
        {"encoder.weight", "decoder.weight", "decoder_bias", "r_mag", "gate_bias", "mag_bias"}
    ),
    "AutoEncoderTopK": _LINEAR | {"b_dec"} | _SCALARS,
    "BatchTopKSAE": _LINEAR | {"b_dec"} | _SCALARS,
    "MatryoshkaBatchTopKSAE": frozenset({"W_enc", "b_enc", "W_dec", "b_dec", "group_sizes"}) | _SCALARS,
    "JumpReluAutoEncoder": frozenset({"W_enc", "b_enc", "W_dec", "b_dec", "threshold"}),
    "IdentityDict": frozenset(),
}
"""Class → names of its tensors."""

_OLD_TOPK: Final = _LINEAR | {"b_dec"}  # before k and threshold were stored
_TRAINERS: Final = (  # for configurations that name no class, the longer names first
    ("Matryoshka", "MatryoshkaBatchTopKSAE"),
    ("BatchTopK", "BatchTopKSAE"),
    ("TopK", "AutoEncoderTopK"),
    ("JumpRelu", "JumpReluAutoEncoder"),
    ("Gated", "GatedAutoEncoder"),
    ("PAnneal", "AutoEncoder"),
    ("Standard", "AutoEncoder"),
)


def class_of(trainer: Mapping[str, Any], keys: Collection[str], path: Path) -> str:
    """The class of a dictionary.

    Args:
        trainer: The configuration's ``trainer``; empty if there is no configuration.
        keys: Names of the stored tensors.
        path: The file of tensors, for messages.

    Raises:
        InputError: Unknown, ambiguous, or the configuration and the tensors contradict each other.
    """
    fitting = [name for name, needed in KEYS.items() if needed == keys]
    if frozenset(keys) == _OLD_TOPK:
        fitting = ["AutoEncoderTopK"]
    stated = re.findall(r"\w+", str(trainer.get("dict_class") or ""))
    name = stated[-1] if stated else ""
    if name and name not in KEYS:
        raise InputError(f"{path} is of class {name}, which is not read.", f"Those that are: {', '.join(KEYS)}.")
    if not fitting:
        shown = ", ".join(sorted(keys)[:8])
        raise InputError(f"{path} has the tensors {shown}, which are those of no class of dictionary_learning.")
    trained = _trained_by(str(trainer.get("trainer_class") or ""))
    if len(fitting) == 1 and not name:
        return fitting[0]
    if (name or trained) in fitting:
        return name or trained
    if name:
        raise InputError(f"{path} is said to be {name} and has the tensors of {' or '.join(fitting)}.")
    raise InputError(
        f"{path} is {' or '.join(fitting)}, and no config.json says which: their tensors have the same names.",
        f'Put a config.json with {{"trainer": {{"dict_class": "{fitting[0]}"}}}} beside it, or the other name.',
    )


def sites_of(config: Mapping[str, Any], path: Path, hints: Hints) -> tuple[Site | None, Site | None, tuple[str, ...]]:
    """Site read and site written as the configuration or the folder's name tells, and notes; None where unknown.

    Where only a layer is told, the hints tell the kind.
    """
    trainer, buffer = (_table(config.get(key)) for key in ("trainer", "buffer"))
    io, submodule = str(buffer.get("io", "out")), trainer.get("submodule_name")
    text = str(submodule or _folder_with_a_module(path)).lower()
    if match := re.search(rf"\b({'|'.join(KINDS)})_layer_(\d+)$", text):
        site = Site(int(match[2]), match[1])
        return site, site, ()
    match = re.search(r"(?:layers?|(?<![a-z])l)[_.]?(\d+)", text)
    layer = int(match[1]) if match else trainer.get("layer")
    if re.search(r"\bembed", text):
        site = Site(0, "resid_pre")
        return site, site, ("It reads the token embeddings: 0.resid_pre only in models that add no positions there.",)
    if type(layer) is not int or layer < 0:
        return None, None, ()
    if re.search(r"resid_(pre|mid|post)", text):
        site = Site(layer, next(kind for kind in KINDS if kind in text))
        return site, site, ()
    if not re.search(r"mlp|attn|attention|resid", text) and (hinted := hints.at(layer)):
        return *hinted, ()
    part = "mlp" if "mlp" in text else "attn" if "attn" in text or "attention" in text else ""
    if part == "mlp" and re.search(r"mlp[._](act|post|hidden)", text):
        site = Site(layer, "mlp_post")
        return site, site, ()
    into, out = (Site(layer, f"{part}_in"), Site(layer, f"{part}_out")) if part else _residual(layer)
    if io == "in_and_out":
        return into, out, ()
    site = into if io == "in" else out
    notes = () if part or "resid" in text else (f"It names layer {layer} and no module: taken to read {site}.",)
    return site, site, notes


def _residual(layer: int) -> tuple[Site, Site]:
    return Site(layer, "resid_pre"), Site(layer, "resid_post")


def _folder_with_a_module(path: Path) -> str:
    """The nearest folder above whose name tells a module: ``attn_out_layer3``, ``embed``."""
    names = [part for part in path.parts[-5:-1] if re.match(r"(resid|mlp|attn|attention|embed)", part.lower())]
    return names[-1] if names else ""


def _trained_by(trainer: str) -> str:
    return next((name for part, name in _TRAINERS if part.lower() in trainer.lower()), "")


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
