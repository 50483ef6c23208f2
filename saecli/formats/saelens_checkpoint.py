"""SAELens' old ``.pt`` files: configuration object and tensors in one pickle, before there were folders.

The configuration's class (``LanguageModelSAERunnerConfig``) is not needed: its attributes are read as plain values.
Older still are files of tensors alone beside a ``NAME_cfg.json`` (the dictionaries of attention heads by Kissane et al.
2024, https://arxiv.org/abs/2406.17759, which sae-lens takes in as they are).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from saecli.core.errors import InputError
from saecli.formats.documents import read_document
from saecli.formats.safe import Inert, load_torch

_NAMES: Final = {"act_name": "hook_name", "act_size": "d_in", "dict_size": "d_sae"}


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Configuration and tensors of an old ``.pt`` file; None if it is something else."""
    try:
        value = load_torch(path)
    except InputError:
        return None
    if isinstance(value, dict) and "W_enc" in value and (beside := path.with_name(f"{path.stem}_cfg.json")).is_file():
        value = {"state_dict": value, "cfg": _renamed(read_document(beside, "a dictionary's configuration"))}
    state = value.get("state_dict") if isinstance(value, dict) else None
    config = next((value[key] for key in ("cfg", "config") if key in value), None) if state else None
    config = config.state if isinstance(config, Inert) else config
    if not isinstance(state, dict) or not isinstance(config, dict) or "W_enc" not in state:
        return None
    if not all(isinstance(tensor, Tensor) for tensor in state.values()):
        return None
    return plain(config), {str(name): tensor.clone() for name, tensor in state.items()}


def _renamed(document: Mapping[str, Any]) -> dict[str, Any]:
    return {_NAMES.get(name, name): value for name, value in document.items()}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of some values is JSON; number types and devices are left out."""
    kept = {}
    for key, value in values.items():
        if isinstance(value, str | int | float | bool | None):
            kept[str(key)] = value
        elif isinstance(value, dict):
            kept[str(key)] = plain(value)
        elif isinstance(value, list | tuple):
            kept[str(key)] = [part for part in value if isinstance(part, str | int | float | bool | None)]
    return kept
