"""Worker threads of a training step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import torch

from saecli.train.step import Workspace

T = TypeVar("T")


class Workers:
    """Runs the tasks of a step side by side: one Python thread per task, torch's own threads divided among them."""

    def __init__(self, threads: int, tasks: int) -> None:
        self._threads = threads
        self._local = threading.local()
        count = min(threads, tasks)
        self._pool = ThreadPoolExecutor(count, "sae", torch.set_num_threads, (threads // count,))

    def space(self) -> Workspace:
        """The calling thread's buffers."""
        if not hasattr(self._local, "space"):
            self._local.space = Workspace()
        return self._local.space

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Runs the tasks, begun in their order, and waits for all of them."""
        futures = [self._pool.submit(task) for task in tasks]
        wait(futures)
        for future in futures:
            future.result()

    def result(self, task: Callable[[], T]) -> T:
        """Runs one task in a worker and returns what it returns."""
        return self._pool.submit(task).result()

    def close(self) -> None:
        """Waits for the threads to end."""
        self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads)  # what a worker sets is also the default of threads to come
