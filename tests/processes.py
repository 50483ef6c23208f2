"""Several processes for tests: forked from one that has imported torch, meeting over loopback."""

from __future__ import annotations

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch.distributed", "saecli.train.lm_run", "saecli.cli.app"])


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
    import signal

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


def _call(
    queue: SimpleQueue[Any], rank: int, size: int, port: int, function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    become(rank, size, port)
    try:
        queue.put((rank, (True, function(*args))))
    except BaseException:
        queue.put((rank, (False, traceback.format_exc())))
        raise
