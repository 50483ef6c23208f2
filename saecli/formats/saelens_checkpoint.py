"""SAELens' old ``.pt`` files: configuration object and tensors in one pickle, before there were folders.

The configuration's class (``LanguageModelSAERunnerConfig``) is not needed: its attributes are read as plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from saecli.core.errors import InputError
from saecli.formats.safe import Inert, load_torch


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Configuration and tensors of an old ``.pt`` file; None if it is something else."""
    try:
        value = load_torch(path)
    except InputError:
        return None
    state = value.get("state_dict") if isinstance(value, dict) else None
    config = next((value[key] for key in ("cfg", "config") if key in value), None) if state else None
    config = config.state if isinstance(config, Inert) else config
    if not isinstance(state, dict) or not isinstance(config, dict) or "W_enc" not in state:
        return None
    if not all(isinstance(tensor, Tensor) for tensor in state.values()):
        return None
    return plain(config), {str(name): tensor.clone() for name, tensor in state.items()}


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
