"""Fingerprints of tensors: what a suite, a model or a table of labels is bound to.

Version 1: sha256 over the tensors in the order of their names; of each its name, its shape and its bytes, little-endian
and row by row. Floating-point tensors count by their values in fp32 if these are exact, so that weights stored in fp16
and read as fp32 or fp64 keep their fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

VERSION: Final = "v1"


def fingerprint_tensors(tensors: Mapping[str, Tensor]) -> str:
    """``v1:`` and the sha256 of some named tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu()
        if value.is_floating_point() and torch.equal(value.float().to(value.dtype), value):
            value = value.float()
        value = value.contiguous()
        header = f"{name}\0{str(value.dtype).removeprefix('torch.')}\0{tuple(value.shape)}\0"
        digest.update(header.encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return f"{VERSION}:{digest.hexdigest()}"


def fingerprint_module(module: nn.Module) -> str:
    """Fingerprint of a model's parameters; tied ones count once, buffers (masks) do not."""
    return fingerprint_tensors(dict(module.named_parameters()))


def fingerprint_parts(parts: Iterable[tuple[str, str]]) -> str:
    """Fingerprint of named things that have fingerprints themselves, in the order of their names."""
    digest = hashlib.sha256()
    for name, value in sorted(parts):
        digest.update(f"{name}\0{value}\0".encode())
    return f"{VERSION}:{digest.hexdigest()}"
