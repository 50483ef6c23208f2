"""What ``sae.json`` of a gpt-circuits folder says: which dictionaries there are, where, and in which files.

See :mod:`saecli.formats.gpt_circuits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from saecli.core.errors import InputError
from saecli.formats.documents import read_document

CONFIG: Final = "sae.json"
_LEGACY_SHARED: Final = "sae.shared.safetensors"

VARIANTS: Final = {
    "standard": "standard",
    "standard_v2": "standard",
    "gated": "gated",
    "gated_v2": "gated",
    "jumprelu": "jumprelu",
    "jumprelu_staircase": "jumprelu",
    "topk": "topk",
    "topk_staircase": "topk",
    "topk_staircase_detach": "topk",
    "staircase_block": "topk",
    "jsae": "topk",
    "jsae_layer": "topk",
    "jsae_block": "topk",
}
"""Variant → architecture."""

_PAIRS: Final = {
    "jsae": ("mlpin", "mlpout"),
    "jsae_layer": ("mlpin", "mlpout"),
    "jsae_block": ("residmid", "residpost"),
    "staircase_block": ("residmid", "residpost"),
}
"""Variant → the two hook points of a layer, where ``sae.json`` has no ``sae_keys``."""


@dataclass(frozen=True)
class Folder:
    """What ``sae.json`` says.

    Attributes:
        variant: Of every dictionary.
        widths: Number of features of every dictionary.
        keys: Hook point of every dictionary.
        top_k: k of every dictionary, for topk.
    """

    path: Path
    variant: str
    widths: tuple[int, ...]
    keys: tuple[str, ...]
    top_k: tuple[int, ...]

    @property
    def tied(self) -> bool:
        return self.variant.endswith("_v2")

    def context(self, index: int) -> int | None:
        """Number of the shared tensors that a dictionary is a slice of, None if its tensors are its own."""
        if self.variant == "staircase_block":
            return index // 2
        return 0 if "staircase" in self.variant else None

    def chunks(self, index: int, *, whole: bool = False) -> list[int]:
        """Where each step of the staircase ends, up to this dictionary's width, or all of them."""
        mine = self.context(index)
        widths = {width for other, width in enumerate(self.widths) if self.context(other) == mine}
        return sorted(width for width in widths if whole or width <= self.widths[index])

    def file(self, index: int) -> Path:
        return self.path / f"sae.{index}.safetensors"

    def shared_file(self, context: int) -> Path:
        path = self.path / f"sae.shared.{context}.safetensors"
        legacy = self.path / _LEGACY_SHARED
        return legacy if context == 0 and legacy.is_file() and not path.is_file() else path


def read_folder(path: Path, model: Mapping[str, Any]) -> Folder:
    """Read ``sae.json``.

    Args:
        path: The folder.
        model: ``model.json``, empty if there is none.

    Raises:
        InputError: It is damaged, or names a variant that is not known.
    """
    where = path / CONFIG
    document = read_document(where, "a configuration of dictionaries")
    variant = document.get("sae_variant")
    if variant not in VARIANTS:
        raise InputError(f"{where} has sae_variant {variant!r}; known: {', '.join(VARIANTS)}.")
    widths = _numbers(document.get("n_features"))
    if not widths:
        raise InputError(f"{where} has n_features {document.get('n_features')!r}, expected a list of widths.")
    top_k: tuple[int, ...] = ()
    if VARIANTS[variant] == "topk":
        top_k = _numbers(document.get("top_k"))
        if len(top_k) < len(widths):
            raise InputError(f"{where} has top_k {document.get('top_k')!r}, expected {len(widths)} whole numbers.")
    keys = document.get("sae_keys") or _keys(where, variant, len(widths), whole(model.get("n_layer")))
    if not isinstance(keys, list) or len(keys) < len(widths):
        raise InputError(f"{where} has sae_keys {keys!r}, expected {len(widths)} hook points.")
    return Folder(path, variant, widths, tuple(map(str, keys[: len(widths)])), top_k)


def _keys(where: Path, variant: str, count: int, layers: int) -> list[str]:
    """The hook points of a folder that does not name them."""
    if pair := _PAIRS.get(variant):
        if count % 2:
            raise InputError(f"{where} has {count} dictionaries of variant {variant}, expected pairs.")
        return [f"{layer}_{kind}" for layer in range(count // 2) for kind in pair]
    if layers and count != layers + 1:
        raise InputError(
            f"{where} has {count} dictionaries for a model of {layers} layers and no sae_keys that say where they are.",
            "Add them, for example 0_mlpin, 0_mlpout, 1_mlpin.",
        )
    return [f"{layer}_act" for layer in range(count)]


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list) and all(type(n) is int and n > 0 for n in value) else ()


def whole(value: Any) -> int:
    """A whole number from 1, 0 for anything else."""
    return value if type(value) is int and value > 0 else 0
