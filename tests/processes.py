"""Several processes for tests: forked from one that has imported torch, meeting over loopback."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import signal
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch.distributed", "saecli.train.lm_run", "saecli.train.sae_run", "saecli.cli.app"])


def run_ranks(size: int, function: Callable[..., Any], *args: Any) -> list[Any]:
    """Calls a module's function in each of some processes, as ``torchrun`` would; returns what they return.

    Raises:
        AssertionError: with the traceback, if one raised.
    """
    queue: SimpleQueue[Any] = _CONTEXT.SimpleQueue()
    port = free_port()
    processes = [start(_call, queue, rank, size, port, function, args) for rank in range(size)]
    found = dict(queue.get() for _ in processes)
    for process in processes:
        process.join()
    failed = [text for fine, text in found.values() if not fine]
    assert not failed, "\n".join(failed)
    return [found[rank][1] for rank in range(size)]


def start(function: Callable[..., Any], *args: Any) -> ForkServerProcess:
    """Starts a process that calls a module's function."""
    process = _CONTEXT.Process(target=function, args=args, daemon=True)
    process.start()
    return process


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def become(rank: int, size: int, port: int) -> None:
    """Makes this process one of several, as ``torchrun`` would."""
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )


def command(folder: Path, *argv: str) -> int:
    """Runs a command line in this process as the program does; what it prints goes to files NUMBER.out, NUMBER.err.

    Returns:
        The exit code; NUMBER is this process's rank.
    """
    from saecli.cli.app import run
    from saecli.core.errors import Terminated

    def terminate(number: int, frame: Any) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    os.chdir(folder)
    rank = os.environ.get("RANK", "0")
    for descriptor, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{rank}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    return run(argv)


def exit_with(function: Callable[..., int], *args: Any) -> None:
    """Calls a function that returns an exit code, and exits with it."""
    os._exit(function(*args))


def kill_and_continue(folder: Path, argv: Sequence[str], kills: int) -> list[Path]:
    """Runs a command undisturbed, then anew, killed at seeded random moments and each time continued until it is done.

    Args:
        folder: Where the command runs; of folders of its own, ``--out`` is added.
        argv: The command.
        kills: How many times in all; where a run is done before them, another one begins.

    Returns:
        The runs' folders, the undisturbed one first.

    Raises:
        AssertionError: A run ended in an error.
    """
    chance, left, runs = random.Random(0), kills, [folder / "whole"]
    start(os.getpid).join()  # the server that forks has imported everything
    longest, _ = _run(folder, argv, runs[0], None)
    while left or not (runs[-1] / "result.json").exists():
        if (runs[-1] / "result.json").exists():
            runs.append(folder / f"killed-{len(runs)}")
        fresh = not runs[-1].exists()
        seconds, killed = _run(folder, argv, runs[-1], chance.uniform(0.02, 0.9) * longest if left else None)
        if fresh and not killed:
            longest = min(longest, seconds)
        left -= killed
    return runs


def assert_same_bytes(runs: Sequence[Path], *patterns: str) -> None:
    """Files of every run have the bytes of the first run's; each pattern fits some."""
    for pattern in patterns:
        files = [[file for file in run.glob(pattern) if file.is_file()] for run in runs]
        found = [
            {file.relative_to(run): hashlib.sha256(file.read_bytes()).hexdigest() for file in one}
            for run, one in zip(runs, files, strict=True)
        ]
        assert found[0], pattern
        assert all(one == found[0] for one in found), pattern


def _run(folder: Path, argv: Sequence[str], out: Path, patience: float | None) -> tuple[float, bool]:
    """Seconds that a command took, and whether it had to be killed because it took longer than there was patience."""
    started = time.monotonic()
    process = start(exit_with, command, folder, *argv, "--out", out.name)
    process.join(patience)
    if process.exitcode is None:
        process.kill()
        process.join()
    killed = process.exitcode == -signal.SIGKILL  # it may have ended by itself just before
    assert killed or process.exitcode == 0, (folder / "0.err").read_text()
    return time.monotonic() - started, killed


def _call(
    queue: SimpleQueue[Any], rank: int, size: int, port: int, function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    become(rank, size, port)
    try:
        queue.put((rank, (True, function(*args))))
    except BaseException:
        queue.put((rank, (False, traceback.format_exc())))
        raise
