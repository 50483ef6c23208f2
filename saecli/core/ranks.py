"""Several processes that compute one result, as ``torchrun`` starts them; or one process, for which nothing changes.

    ranks = ranks_here()                 one process unless RANK and WORLD_SIZE say otherwise
    rows = ranks.part(len(batch))        this process's rows of a batch
    ranks.sum_(gradient)                 the same sum, bit for bit, on every process
    if ranks.first: write()              only the first process writes and speaks

Tensors travel through torch.distributed (gloo; NCCL where each process has a CUDA device of its own), which is not
imported by a single process. Short words travel through the key-value store that the processes meet at: where the run
directory is, how it ended, and the first failure, which becomes the failure of all.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from saecli.core.errors import Failure, Interrupted, SaecliError, UsageError, named

if TYPE_CHECKING:
    from torch import Tensor

TIMEOUT_S = 1800.0
"""How long a process waits for the others in one exchange of tensors."""
_POLL_S = 0.05
_PARTING_S = 10.0
_FAILURE = "saecli/failure"


class RankLost(Failure):
    """Another process of the run is gone; :meth:`Ranks.settle` finds out why."""


class Ranks:
    """One process: sums are what they were, gathered rows are the rows.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes.
        on_machine: Number of them on this machine.
    """

    rank = 0
    size = 1
    on_machine = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def part(self, rows: int) -> slice:
        """This process's share of rows 0..rows - 1: contiguous, in the order of ranks, sizes differ by one at most."""
        return slice(rows * self.rank // self.size, rows * (self.rank + 1) // self.size)

    def connect(self) -> None:
        """Meets the other processes."""

    def join(self, device: str) -> None:
        """Prepares exchanges of tensors on a device type (``cpu``, ``cuda``); each CUDA process takes its device."""

    def sum_(self, tensor: Tensor) -> None:
        """Replaces a tensor [...] by its sum over all processes, the same bits everywhere."""

    def gather_rows(self, rows_NX: Tensor) -> Tensor:
        """All processes' rows [N, ...] below each other, in the order of ranks; their numbers N may differ, 0 too."""
        return rows_NX

    def send_bytes(self, data: bytes | None) -> bytes:
        """The first process's bytes, on every process; the others give None."""
        if data is None:
            raise ValueError("the first process has to give the bytes")
        return data

    def barrier(self) -> None:
        """Waits until every process is here."""

    def say(self, key: str, value: Any) -> None:
        """Tells the other processes a JSON value under a name, once."""

    def hear(self, key: str) -> Any:
        """Waits for what the first process says under a name.

        Raises:
            SaecliError: A process failed instead.
        """
        raise ValueError(f"one process hears nothing: {key}")

    def settle(self, error: SaecliError) -> SaecliError:
        """Tells the others of this process's failure; returns the failure that all end with: the first one."""
        return error

    def part_ways(self) -> None:
        """Ends the meeting, so that the others still learn what was said last."""


ONE = Ranks()
"""A single process."""


@functools.cache
def ranks_here() -> Ranks:
    """The processes that this one belongs to, by the variables that ``torchrun`` sets.

    Raises:
        UsageError: The variables name several processes and make no sense.
    """
    size = os.environ.get("WORLD_SIZE", "1")
    if "RANK" not in os.environ or size == "1":
        return ONE
    numbers = [os.environ["RANK"], size, os.environ.get("LOCAL_RANK", os.environ["RANK"])]
    address, port = os.environ.get("MASTER_ADDR", ""), os.environ.get("MASTER_PORT", "")
    if not address or not all(number.isdecimal() for number in (*numbers, port)) or int(numbers[0]) >= int(size):
        raise UsageError(
            "RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT describe no group of processes.",
            "Start with torchrun, or unset them.",
        )
    rank, size, local = map(int, numbers)
    return Group(rank, size, local, address, int(port))


class Group(Ranks):
    """One of several processes.

    Args:
        rank, size: As in :class:`Ranks`.
        local_rank: Number of this process on its machine.
        address, port: Where the processes meet. ``torchrun`` serves there; otherwise the first process does.
        timeout_s: How long to wait for the others.
    """

    def __init__(
        self, rank: int, size: int, local_rank: int, address: str, port: int, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self.on_machine = int(os.environ.get("LOCAL_WORLD_SIZE", size))
        self._where, self._timeout = (address, port), timedelta(seconds=timeout_s)
        self._served = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        self._store: Any = None
        self._device = ""

    def connect(self) -> None:
        if self._store is not None:
            return
        from torch.distributed import PrefixStore, TCPStore  # pyright: ignore[reportPrivateImportUsage]

        with self._exchange():
            address, port = self._where
            store = TCPStore(
                address, port, self.size, self.first and not self._served, self._timeout, wait_for_workers=False
            )
            # torchrun may start everybody again after a failure, with the same store
            self._store = PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)

    def join(self, device: str) -> None:
        import torch
        from torch import distributed

        self.connect()
        backend = "gloo"
        if device == "cuda":
            devices = torch.cuda.device_count()
            torch.cuda.set_device(self.local_rank % devices)
            if self.on_machine <= devices:
                backend = "nccl"
        self._device = device if backend == "nccl" else "cpu"
        with self._exchange():
            distributed.init_process_group(
                backend, store=self._store, rank=self.rank, world_size=self.size, timeout=self._timeout
            )

    def sum_(self, tensor: Tensor) -> None:
        from torch import distributed

        with self._exchange():
            distributed.all_reduce(tensor)

    def gather_rows(self, rows_NX: Tensor) -> Tensor:
        import torch
        from torch import distributed

        counts_R = torch.zeros(self.size, dtype=torch.int64, device=rows_NX.device)
        counts_R[self.rank] = len(rows_NX)
        self.sum_(counts_R)
        counts = counts_R.tolist()
        padded_NX = rows_NX.new_zeros(max(counts), *rows_NX.shape[1:])
        padded_NX[: len(rows_NX)] = rows_NX
        parts = [torch.empty_like(padded_NX) for _ in counts]
        with self._exchange():
            distributed.all_gather(parts, padded_NX)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def send_bytes(self, data: bytes | None) -> bytes:
        import torch
        from torch import distributed

        given = bytearray(data or b"") if self.first else bytearray()
        length = torch.tensor([len(given)], device=self._device)
        self.sum_(length)
        content = torch.zeros(int(length), dtype=torch.uint8, device=self._device)
        if self.first and given:
            content.copy_(torch.frombuffer(given, dtype=torch.uint8))
        with self._exchange():
            distributed.broadcast(content, 0)
        return content.cpu().numpy().tobytes()

    def barrier(self) -> None:
        import torch

        self.sum_(torch.zeros(1, device=self._device))

    def say(self, key: str, value: Any) -> None:
        with self._exchange():
            self._store.set(f"saecli/{key}", json.dumps(value))

    def hear(self, key: str) -> Any:
        while True:
            with self._exchange():
                if self._store.check([f"saecli/{key}"]):
                    return json.loads(self._store.get(f"saecli/{key}"))
                failed = self._store.check([_FAILURE])
            if failed:
                raise RankLost("Another process of this run failed.")
            time.sleep(_POLL_S)

    def settle(self, error: SaecliError) -> SaecliError:
        if self._store is None:
            return error
        mine = {"code": error.code, "exit": error.exit_code, "message": error.message, "hint": error.hint}
        try:
            if not isinstance(error, RankLost) or not self._store.check([_FAILURE]):
                self._store.compare_set(_FAILURE, "", json.dumps({**mine, "rank": self.rank}))
            told = json.loads(self._store.get(_FAILURE))
        except RuntimeError:  # the store is gone too
            return error
        if told["rank"] == self.rank or (told["code"], told["message"]) == (error.code, error.message):
            return error
        if told["code"] == Interrupted.code:
            mine = error if isinstance(error, Interrupted) else Interrupted(told["message"], told["hint"])
            return Interrupted(mine.message, mine.hint, exit_code=told["exit"])
        return named(told["code"], f"Process {told['rank']} of {self.size}: {told['message']}", told["hint"])

    def part_ways(self) -> None:
        if self._store is None or self._served:
            return
        try:
            self._store.add("saecli/parted", 1)
            if self.first:  # the store ends with this process
                self._wait(lambda: self._store.add("saecli/parted", 0) >= self.size)
        except RuntimeError:
            return

    @staticmethod
    def _wait(seen: Callable[[], bool]) -> bool:
        """Whether something happens within a few seconds."""
        until = time.monotonic() + _PARTING_S
        while not (there := seen()) and time.monotonic() < until:
            time.sleep(_POLL_S)
        return there

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        """torch raises RuntimeErrors of many kinds where another process is gone or silent."""
        try:
            yield
        except RuntimeError as error:
            raise RankLost(
                "Another process of this run ended without a word, or was silent for too long.",
                "It may have been killed, or run out of memory; the same command continues from the last checkpoint.",
            ) from error
