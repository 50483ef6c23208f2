"""Weights & Biases: the records of a metrics file, sent on as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from saecli.core.config import CommandConfig
from saecli.core.errors import Failure, UsageError
from saecli.core.run import Run
from saecli.learning.checkpoint import Mirror


@contextmanager
def tracked(project: str | None, run: Run, config: CommandConfig) -> Iterator[Mirror | None]:
    """Gives what takes a record, None without a project or on a process that writes nothing.

    A record's numbers go under the words in it: ``k32/6.resid_pre/variance_explained``, those of a list under their
    places. A continued run goes on under the same id, the run's fingerprint.

    Raises:
        UsageError: The package wandb is not installed.
        Failure: It cannot start, for want of a key for example.
    """
    if project is None or not run.ranks.first:
        yield None
        return
    try:
        import wandb
    except ImportError as error:
        raise UsageError("--wandb needs the package wandb.", "Install it: pip install 'saecli[wandb]'.") from error
    try:
        session = wandb.init(
            project=project,
            id=run.fingerprint,
            name=run.directory.name,
            resume="allow",
            config=asdict(config),
            settings=wandb.Settings(silent=True),
        )
    except wandb.Error as error:
        raise Failure(
            f"Weights & Biases cannot start: {error}.", "WANDB_MODE=offline keeps everything here."
        ) from error

    def send(record: dict[str, Any]) -> None:
        words = [value for value in record.values() if isinstance(value, str) and value]
        numbers: dict[str, Any] = {}
        for name, value in record.items():
            if isinstance(value, list):
                numbers |= {"/".join([*words, name, str(place)]): one for place, one in enumerate(value)}
            elif not isinstance(value, str):
                numbers["/".join([*words, name])] = value
        session.log(numbers, step=record["step"])

    try:
        yield send
    except BaseException:
        session.finish(exit_code=1)
        raise
    session.finish()
