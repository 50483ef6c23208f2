"""Where and in which number type to compute."""

from __future__ import annotations

import torch

from saecli.core.errors import UsageError

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}


def torch_device(name: str) -> torch.device:
    """The device that ``--device`` means; ``auto`` takes CUDA, then Apple's GPU, then the CPU.

    Raises:
        UsageError: This machine or this build of torch has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    if not available[name]:
        raise UsageError(f"--device {name}: torch sees no such device here.", "Try --device auto.")
    return torch.device(name)


def torch_dtype(name: str, default: torch.dtype = torch.float32) -> torch.dtype:
    """The number type that ``--dtype`` means; ``auto`` is ``default``."""
    return default if name == "auto" else DTYPES[name]
