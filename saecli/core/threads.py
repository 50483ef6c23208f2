"""How many CPU threads to use: one per physical core this process may run on."""

from __future__ import annotations

import os
from pathlib import Path


def default_threads() -> int:
    """Returns `OMP_NUM_THREADS` if it is set, otherwise the number of usable physical cores."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) > 0 else physical_cores()


def physical_cores() -> int:
    """Returns the physical cores this process may use, by affinity, hardware threads and a container's quota."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    siblings = set()
    for cpu in allowed:
        try:
            text = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
        except OSError:
            text = str(cpu)
        siblings.add(text.strip())
    return max(1, min(len(siblings), _container_quota()))


def _container_quota() -> int:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return 1 << 16
    return 1 << 16 if quota == "max" else max(1, int(quota) // int(period))
