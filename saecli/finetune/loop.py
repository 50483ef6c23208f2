"""The loop of ``saecli finetune``: one pass of the model per batch, for every suite that learns from it.

A step is a function of the weights, the optimisers' states and the step number alone: batches come by step number and
nothing else is random. A resumed run therefore ends in the same bits as an uninterrupted one on the same machine with
the same number of threads and processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from saecli.core.config import config_fields, plain
from saecli.core.errors import InputError
from saecli.core.progress import Progress, silent
from saecli.core.ranks import ONE, Ranks
from saecli.data.source import TokenSource
from saecli.finetune.config import FinetuneConfig
from saecli.finetune.objective import Whole
from saecli.finetune.trained import TrainedSuite
from saecli.learning.checkpoint import Checkpoint, MetricsFile, Mirror
from saecli.learning.rate import learning_rate

CHECKPOINT: Final = "finetune-checkpoint.pt"
METRICS: Final = "metrics.jsonl"
_SCHEMA: Final = "saecli-finetune-checkpoint/1"
_FREE: Final = ("device", "save_dtype", "held_out")


class Finetuning:
    """The state of a run and its loop.

    Args:
        config: The recipe.
        suites: What learns, by name; one if the name is empty.
        source: The data.
        identity: What else must not differ between a checkpoint and the run that continues it.
        folder: Where checkpoint and metrics go.
        progress: Told of every logged step and checkpoint.
        threads: CPU threads; those torch has if not given.
        ranks: The processes that train together; each takes its part of every batch.
        mirror: Told of every record of metrics.
    """

    def __init__(
        self,
        config: FinetuneConfig,
        suites: Mapping[str, TrainedSuite],
        source: TokenSource,
        identity: Mapping[str, str],
        folder: Path,
        progress: Progress = silent,
        threads: int | None = None,
        ranks: Ranks = ONE,
        mirror: Mirror | None = None,
    ) -> None:
        self.config, self.suites, self._source, self._progress = config, suites, source, progress
        self._ranks, self.threads = ranks, threads or torch.get_num_threads()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._checkpoint = Checkpoint(folder / CHECKPOINT, _SCHEMA, _recipe(config) | dict(identity), ranks)
        self.metrics = MetricsFile(folder / METRICS, ranks, mirror)
        self.step = 0
        self._sums: dict[str, dict[str, float]] = {name: {} for name in suites}

    def run(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Steps until done or told to stop; continues from the folder's checkpoint. False if stopped early.

        Raises:
            InputError: With ``resume`` there is no checkpoint, or it is of another recipe, or damaged.
            Failure: A loss is no longer finite, or a checkpoint cannot be written; the last checkpoint is kept.
        """
        continued = not self.config.overwrite and self._load()
        if self.config.resume and not continued:
            raise InputError(f"{self.folder} has no checkpoint to resume.", "Start without --resume.")
        torch.set_num_threads(self.threads)
        self.metrics.start(self.metrics.records)
        saved_at, stopped = time.monotonic(), False
        while self.step < self.config.steps and not stopped:
            self._advance()
            stopped = self._any(stop())
            if stopped or self._any(time.monotonic() - saved_at >= self.config.checkpoint_seconds):
                self._save()
                saved_at = time.monotonic()
        return not stopped

    def _any(self, here: bool) -> bool:
        """Whether something is so in any of the processes."""
        if self._ranks.size == 1:
            return here
        count = torch.tensor(float(here))
        self._ranks.sum_(count)
        return bool(count)

    def _advance(self) -> None:
        config = self.config
        first = next(iter(self.suites.values()))
        device = str(next(first.pruned.model.module.parameters()).device)
        whole_batch = self._source.batch(self.step)
        rows = self._ranks.part(len(whole_batch.tokens_BS))
        batch = whole_batch.rows(rows.start, rows.stop).to(device)
        frozen = first.pruned.freeze(batch.tokens_BS)
        whole = Whole.of(frozen, batch, self._ranks)
        factor = learning_rate(self.step, config.steps, config.warmup, config.decay)
        for name, suite in self.suites.items():
            for term, value in suite.step(frozen, batch, whole, self.step, factor).items():
                self._sums[name][term] = self._sums[name].get(term, 0.0) + value
        self.step += 1
        if self.step % config.log_every == 0 or self.step == config.steps:
            self._log(factor)

    def _log(self, factor: float) -> None:
        steps = (self.step - 1) % self.config.log_every + 1
        records = [
            {
                "step": self.step,
                "suite": name,
                "rate": factor,
                **{term: total / steps for term, total in self._sums[name].items()},
                "dead_share": suite.dead_share,
            }
            for name, suite in self.suites.items()
        ]
        self._sums = {name: {} for name in self.suites}
        self.metrics.append(*records)
        detail = ", ".join(
            f"{term} {value:.4g}" for term, value in records[-1].items() if term in ("loss", "dead_share")
        )
        rows = [(one["suite"], f"{one['loss']:.4f}", f"{one['dead_share']:.1%}") for one in records]
        self._progress("finetuning", self.step, self.config.steps, detail, [("", "loss", "dead"), *rows])

    def _save(self) -> None:
        self._checkpoint.write(
            {
                "step": self.step,
                "threads": self.threads,
                "sums": self._sums,
                "records": self.metrics.records,
                "suites": {name: suite.state() for name, suite in self.suites.items()},
            }
        )
        self._progress(f"checkpoint at step {self.step}")

    def _load(self) -> bool:
        device = next(next(iter(self.suites.values())).pruned.parameters()).device
        state = self._checkpoint.read(str(device))
        if state is None:
            return False
        for name, suite in self.suites.items():
            suite.load(state["suites"][name])
        self.step, self.threads, self._sums = state["step"], state["threads"], state["sums"]
        self.metrics.records = state["records"]
        return True


def _recipe(config: FinetuneConfig) -> dict[str, Any]:
    return {
        item.name: plain(getattr(config, item.name))
        for item in config_fields(type(config))
        if item.option.fingerprint and not item.option.session and item.name not in _FREE
    }
