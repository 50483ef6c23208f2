"""Where and in which number type to compute, and whether there is memory for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

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


def available_memory(device: str = "cpu", root: Path = Path("/")) -> int | None:
    """Bytes that this process can still take: what the system, and every control group it is in, have left.

    What the system would give back (file caches) counts as left, swap does not.

    Args:
        device: ``cuda`` asks for the memory of the current CUDA device.
        root: Where ``proc`` and ``sys`` are.

    Returns:
        None if the system does not say.
    """
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    rooms = [room for room in (_system_room(root), *_group_rooms(root)) if room is not None]
    return max(0, min(rooms)) if rooms else None


def require_memory(needed: int, parts: str, lower: str, *, device: str = "cpu", limit: int | None = None) -> str:
    """Makes sure that a computation fits before it starts.

    Args:
        needed: Bytes it takes, at its highest.
        parts: What takes them, for people: ``0.1 GB of weights, 2.0 GB of activations``.
        lower: The hint: what to make smaller.
        device: Where it computes.
        limit: Bytes to stay below (``--max-memory``) instead of what is available.

    Returns:
        What ``--plan`` says of it.

    Raises:
        UsageError: It does not fit.
    """
    there = limit if limit is not None else available_memory(device)
    needs = f"about {in_gigabytes(needed)} of memory ({parts})"
    if there is None:
        return needs
    allowed = f"--max-memory allows {in_gigabytes(there)}" if limit is not None else f"{in_gigabytes(there)} are free"
    if needed > there:
        raise UsageError(f"This takes {needs}, and {allowed}.", lower)
    return f"{needs}; {allowed}"


def in_gigabytes(size: int) -> str:
    """Bytes for people: ``12.3 GB``, in powers of 1000."""
    return f"{size / 1e9:,.{1 if size >= 1e9 else 2 if size >= 1e7 else 4}f} GB"


def _system_room(root: Path) -> int | None:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return None


def _group_rooms(root: Path) -> Iterator[int]:
    """Of the memory control group of this process (version 2 or 1) and every one above it."""
    mounted = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, files = mounted, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base, files = mounted / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inside = Path(os.path.normpath("/" + path).lstrip("/"))  # a container may not see where it is mounted
        for group in dict.fromkeys((base, *(base / above for above in (inside, *inside.parents)))):
            limit, used = (_number(group / name) for name in files[:2])
            if limit is not None and used is not None:
                yield limit - used + _statistic(group / "memory.stat", files[2])


def _statistic(path: Path, name: str) -> int:
    return next((int(line.split()[1]) for line in _lines(path) if line.startswith(f"{name} ")), 0)


def _number(path: Path) -> int | None:
    text = "".join(_lines(path))
    return int(text) if text.isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
