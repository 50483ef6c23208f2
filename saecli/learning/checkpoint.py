"""What a training run leaves to continue from: a checkpoint, whole or absent, and a metrics file cut back to its step.

    checkpoint = Checkpoint(folder / "checkpoint.pt", "saecli-lm-checkpoint/1", recipe, ranks)
    metrics = MetricsFile(folder / "metrics.jsonl", ranks)
    if (state := checkpoint.read("cpu")) is not None:        every process gets the first one's file
        ...
    metrics.start(state["records"] if state else [])
    ...
    metrics.append({"step": 10, "loss": 2.3})
    checkpoint.write({"model": ..., "records": metrics.records})

Of several processes, which all have the same state, the first one writes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from saecli.core.atomic import write_text, writing
from saecli.core.errors import Failure, InputError
from saecli.core.ranks import ONE, Ranks

_START_AGAIN = "Start again with --overwrite."
_LONG = 40

Mirror = Callable[[dict[str, Any]], None]
"""Takes a record of metrics."""


class Checkpoint:
    """A file of tensors and plain values that a run of the same recipe continues from.

    Args:
        path: The file.
        schema: Name and version of what it holds.
        recipe: Plain values that must not differ between the run that wrote it and the one that continues; a hash or
            ``repr`` serves for what is not plain. The number of processes is added.
        ranks: The processes of the run.
    """

    def __init__(self, path: Path, schema: str, recipe: Mapping[str, Any], ranks: Ranks = ONE) -> None:
        self.path, self._schema, self._ranks = path, schema, ranks
        self._recipe = {**recipe, "processes": ranks.size}

    def write(self, state: Mapping[str, Any]) -> None:
        """Replaces the file, all or nothing.

        Args:
            state: What to keep; ``schema`` and ``recipe`` are names of the checkpoint's own.

        Raises:
            Failure: It cannot be written, for a full disk for example; the last one is kept.
        """
        if not self._ranks.first:
            return
        document = {**state, "schema": self._schema, "recipe": self._recipe}
        try:
            with writing(self.path) as temporary, temporary.open("wb") as file:
                torch.save(document, file)
        except (OSError, RuntimeError) as error:  # torch's writer turns some errors of the file into RuntimeErrors
            cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
            reason = f": {cause.strerror}" if isinstance(cause, OSError) and cause.strerror else ""
            raise Failure(
                f"The checkpoint cannot be written to {self.path.parent}{reason}.",
                "Make room there; the last checkpoint is kept, and the same command continues from it.",
            ) from error

    def read(self, device: str) -> dict[str, Any] | None:
        """What was kept, with its tensors on a device; None if there is no file.

        Raises:
            InputError: It is damaged, or of another recipe.
        """
        source: Path | io.BytesIO = self.path
        if self._ranks.size > 1:
            there = self.path.exists() if self._ranks.first else False
            content = self._ranks.send_bytes((self.path.read_bytes() if there else b"") if self._ranks.first else None)
            if not content:
                return None
            source = io.BytesIO(content)
        elif not self.path.exists():
            return None
        try:
            state = torch.load(source, map_location=device, weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            raise InputError(f"{self.path.name} cannot be read: it is damaged.", _START_AGAIN) from error
        if not isinstance(state, dict) or state.get("schema") != self._schema:
            raise InputError(f"{self.path.name} is not a {self._schema} file.", _START_AGAIN)
        self._compare(state["recipe"])
        return state

    def _compare(self, then: Mapping[str, Any]) -> None:
        for name, now in self._recipe.items():
            was = then.get(name)
            if was == now:
                continue
            if name == "processes":
                processes = "one process" if was == 1 else f"{was} processes"
                hint = "Start it without torchrun." if was == 1 else f"Start it with torchrun --nproc-per-node {was}."
                raise InputError(f"The checkpoint was made by {processes}, not {now}.", hint)
            if max(len(repr(was)), len(repr(now))) > _LONG:
                raise InputError(f"The checkpoint was made with another {name}.", _START_AGAIN)
            raise InputError(f"The checkpoint was made with {name} = {was}, not {now}.", f"Resume with {was}.")


class MetricsFile:
    """JSON lines of numbers, one object per line; the first process writes them.

    Args:
        path: The file.
        ranks: The processes of the run.
        mirror: Told of every record that is added.

    Attributes:
        records: All of the run so far, to be kept in its checkpoint.
    """

    def __init__(self, path: Path, ranks: Ranks = ONE, mirror: Mirror | None = None) -> None:
        self.path, self._ranks, self._mirror = path, ranks, mirror
        self.records: list[dict[str, Any]] = []

    def start(self, records: list[dict[str, Any]]) -> None:
        """Starts the file with the records up to a checkpoint, dropping those of steps that will be done again."""
        self.records = list(records)
        if self._ranks.first:
            write_text(self.path, "".join(map(_line, records)))

    def append(self, *records: dict[str, Any]) -> None:
        """Adds records."""
        self.records += records
        if self._ranks.first:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(map(_line, records)))
        if self._mirror is not None:
            for record in records:
                self._mirror(record)


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record) + "\n"
