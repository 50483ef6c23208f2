"""How much memory is left, by what the system and the control groups say."""

from __future__ import annotations

from pathlib import Path

import pytest

from saecli.core.errors import UsageError
from saecli.core.machine import available_memory, in_gigabytes, require_memory

MEMINFO = "MemTotal:       64 kB\nMemFree:        1 kB\nMemAvailable:   32 kB\n"


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, None),
        ({"proc/meminfo": MEMINFO}, 32 << 10),
        (  # version 2, the limit on the group above, with caches that would be given back
            {
                "proc/meminfo": MEMINFO,
                "proc/self/cgroup": "0::/outer/inner\n",
                "sys/fs/cgroup/outer/inner/memory.max": "max\n",
                "sys/fs/cgroup/outer/inner/memory.current": "900\n",
                "sys/fs/cgroup/outer/memory.max": "5000\n",
                "sys/fs/cgroup/outer/memory.current": "1200\n",
                "sys/fs/cgroup/outer/memory.stat": "anon 7\ninactive_file 200\n",
            },
            4000,
        ),
        (  # version 2 in a container that sees its own group as the root
            {
                "proc/self/cgroup": "0::/../../elsewhere\n",
                "sys/fs/cgroup/memory.max": "3000\n",
                "sys/fs/cgroup/memory.current": "1000\n",
            },
            2000,
        ),
        (  # version 1
            {
                "proc/self/cgroup": "5:cpu:/x\n4:memory:/x\n",
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "3000\n",
                "sys/fs/cgroup/memory/x/memory.usage_in_bytes": "2500\n",
                "sys/fs/cgroup/memory/x/memory.stat": "total_inactive_file 100\n",
            },
            600,
        ),
        (  # more is used than allowed
            {
                "proc/self/cgroup": "0::/\n",
                "sys/fs/cgroup/memory.max": "10\n",
                "sys/fs/cgroup/memory.current": "20\n",
            },
            0,
        ),
    ],
    ids=["silent", "system", "groups", "container", "version-1", "over"],
)
def test_the_least_of_what_is_left(files: dict[str, str], left: int | None, tmp_path: Path):
    assert available_memory("cpu", system(tmp_path, files)) == left


def test_this_machine_has_memory():
    left = available_memory()
    assert left is None or left > 1 << 20


def test_what_does_not_fit_is_refused_with_the_numbers():
    with pytest.raises(UsageError) as caught:
        require_memory(3_000_000_000, "3.0 GB of weights", "Lower --d-model.", limit=2_000_000_000)
    assert str(caught.value) == (
        "This takes about 3.0 GB of memory (3.0 GB of weights), and --max-memory allows 2.0 GB. Lower --d-model."
    )
    said = require_memory(1_000_000_000, "weights", "", limit=2_000_000_000)
    assert said == "about 1.0 GB of memory (weights); --max-memory allows 2.0 GB"
    with pytest.raises(UsageError, match="are free"):
        require_memory(1 << 60, "weights", "")


def test_sizes_for_people():
    assert [in_gigabytes(size) for size in (12_340_000_000, 120_000_000, 1_200_000)] == [
        "12.3 GB",
        "0.12 GB",
        "0.0012 GB",
    ]
