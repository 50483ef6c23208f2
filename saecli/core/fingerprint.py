"""Fingerprints of tensors: what a suite, a model or a table of labels is bound to.

Version 1: sha256 over the tensors in the order of their names; of each its name, its shape and its bytes, little-endian
and row by row. Floating-point tensors of up to 32 bits count by their values in fp32, so that a copy stored in fp16
and read back as fp32 has the fingerprint of what is on the disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import torch
from torch import Tensor, nn

VERSION: Final = "v1"
_NARROW: Final = (torch.float16, torch.bfloat16)


def fingerprint_tensors(tensors: Mapping[str, Tensor]) -> str:
    """``v1:`` and the sha256 of some named tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu()
        value = (value.float() if value.dtype in _NARROW else value).contiguous()
        header = f"{name}\0{str(value.dtype).removeprefix('torch.')}\0{tuple(value.shape)}\0"
        digest.update(header.encode())
        digest.update(memoryview(value.reshape(-1).view(torch.uint8).numpy()))
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
