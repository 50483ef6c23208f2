"""The loop of ``saecli train sae``: blocks, batches, steps, metrics, checkpoints.

What is kept of a dictionary is its last state. No earlier one is better: the learning rate has fallen to zero, and
before that penalties, exponents and thresholds were still on their way, so that losses cannot be compared.

The dictionaries of a step are stepped side by side, one per thread; those that share weights one after the other
(:mod:`saecli.train.sharing`). Their order, the block's
content and every seed are functions of the configuration: a resumed run ends in the same bits as an uninterrupted one
on the same machine with the same number of threads.

Controls are set from the first block and take no step; a run of nothing else ends there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from saecli.core.errors import Failure
from saecli.core.machine import DTYPES
from saecli.core.progress import Progress
from saecli.core.ranks import ONE, Ranks
from saecli.core.suite import Suite, SuiteInfo
from saecli.learning.checkpoint import Checkpoint, MetricsFile, Mirror
from saecli.learning.rate import learning_rate
from saecli.train.activations import Block, Filling, Part, Stream
from saecli.train.controls import Control
from saecli.train.end_to_end import CONSEQUENCES, EndToEnd
from saecli.train.jacobian_pair import pair_up
from saecli.train.recipes import END_TO_END, TRAINED
from saecli.train.sae_config import PRECISIONS, TrainSaeConfig
from saecli.train.sae_progress import in_rows, in_words
from saecli.train.sharing import chains
from saecli.train.step import StepOutput
from saecli.train.trainer import DictionaryTrainer, TrainerConfig
from saecli.train.units import Units
from saecli.train.workers import Workers

CHECKPOINT = "sae-checkpoint.pt"
METRICS = "metrics.jsonl"
_SCHEMA = "saecli-sae-checkpoint/1"


@dataclass(frozen=True)
class SaeResult:
    """Trained dictionaries.

    Attributes:
        suites: By variant (``k32``; the empty name when there is one suite).
        tokens: Vectors each dictionary has seen.
        steps: Steps each dictionary took.
        complete: False if the run was stopped early.
        records: The metrics, one dictionary of values per logged step and trained dictionary.
    """

    suites: dict[str, Suite]
    tokens: int
    steps: int
    complete: bool
    records: list[dict[str, Any]]


class Training:
    """The state of a run and its loop."""

    def __init__(
        self,
        config: TrainSaeConfig,
        plans: Sequence[TrainerConfig],
        stream: Stream,
        header: SuiteInfo,
        identity: dict[str, str],
        folder: Path,
        progress: Progress,
        threads: int | None,
        ranks: Ranks = ONE,
        mirror: Mirror | None = None,
    ) -> None:
        self.config, self.stream, self.folder, self._progress = config, stream, folder, progress
        self._header, self._ranks, self.threads = header, ranks, threads or torch.get_num_threads()
        folder.mkdir(parents=True, exist_ok=True)
        dtype = DTYPES[PRECISIONS[config.precision]]
        self._variants = list(dict.fromkeys(plan.variant for plan in plans))
        trained = [plan for plan in plans if plan.recipe in TRAINED]
        self.trainers = [DictionaryTrainer(plan, stream.device, dtype, ranks) for plan in trained]
        self.controls = [Control(plan, stream.device, dtype) for plan in plans if plan not in trained]
        self._checkpoint = Checkpoint(folder / CHECKPOINT, _SCHEMA, self._recipe() | identity, ranks)
        self._metrics = MetricsFile(folder / METRICS, ranks, mirror)
        self.pairs = pair_up(self.trainers, ranks)
        self.end_to_end: EndToEnd | None = None
        self._chains = chains(self.trainers)
        self.block = self.place = self.step = self.tokens = 0
        self.started = False
        self._saved_at = time.monotonic()
        self._chunks = [plan.sharing.chunks if plan.sharing else () for plan in trained]
        numbers = 4 + (len(CONSEQUENCES) if config.loss == END_TO_END else 0)
        numbers += max([len(chunks) for chunks in self._chunks] + [1 for _ in self.pairs], default=0)
        self._sums = torch.zeros(len(self.trainers), numbers, dtype=torch.float64)

    def run(self, stop: Callable[[], bool]) -> SaeResult:
        """Steps until done or told to stop; the last checkpoint is of the state returned."""
        torch.set_num_threads(self.threads)
        self._metrics.start(self._metrics.records)
        # One dictionary after the other where processes exchange, which has to come in the same order everywhere, and
        # where all run one model.
        at_once = max(1, len(self._chains)) if self._ranks.size == 1 and self.end_to_end is None else 1
        workers, stopped = Workers(self.threads, at_once), False
        filling = self.stream.filling(self.block)
        try:
            while not (self._done or stopped):
                block = workers.result(filling.block)  # with a worker's threads, as the rest of it is filled
                filling = self.stream.filling(self.block + 1)
                stopped = self._run_block(block, filling, workers, stop)
        finally:
            workers.close()
        if stopped:
            self.save()
        return SaeResult(self._suites(), self.tokens, self.step, not stopped, self._metrics.records)

    def _run_block(self, block: Block, filling: Filling, workers: Workers, stop: Callable[[], bool]) -> bool:
        """The rest of a block, while the next one is filled; True if told to stop."""
        if not self.started:
            self._start(block)
            if not self.trainers:
                return False
        parts = block.parts(self.config.batch)
        while self.place < len(parts):
            passes = math.ceil(self.stream.batches / len(parts))
            self._advance(block, parts[self.place], filling, passes, workers)
            self.place += 1
            if self.place == len(parts):
                self.block, self.place, parts = self.block + 1, 0, []
            stopped = self._any(stop())
            if stopped or self.tokens >= self.config.tokens:
                return stopped
            if self._any(time.monotonic() - self._saved_at >= self.config.checkpoint_seconds):
                self.save()
        return False

    def _start(self, block: Block) -> None:
        for chain in self._chains:
            units: Units | None = None
            for trainer in (self.trainers[number] for number in chain):
                shape, sharing = trainer.config.dictionary, trainer.config.sharing
                x_ND = block.whole(shape.reads, self._ranks)
                y_ND = x_ND if shape.writes == shape.reads else block.whole(shape.writes, self._ranks)
                trainer.start(x_ND, y_ND, units)
                units = trainer.units if sharing is not None and sharing.one_scale else None
        for control in self.controls:
            numbers = control.start(block.whole(control.config.dictionary.reads, self._ranks))
            self._metrics.append(self._record(control.config, 0.0, aux=0.0, **numbers))
        self.started = True

    @property
    def _done(self) -> bool:
        return self.tokens >= self.config.tokens if self.trainers else self.started

    def _any(self, here: bool) -> bool:
        """Whether something is so in any of the processes."""
        if self._ranks.size == 1:
            return here
        count = torch.tensor(float(here), device=self.stream.device)
        self._ranks.sum_(count)
        return bool(count)

    def _advance(self, block: Block, part: Part, filling: Filling, passes: int, workers: Workers) -> None:
        config = self.config
        factor = learning_rate(self.tokens, config.tokens, config.warmup, config.decay)
        outs: list[StepOutput | None] = [None] * len(self.trainers)
        rows = part.rows_N

        def fill() -> None:
            for _ in range(passes):
                if not filling.done and self.tokens + part.total < config.tokens:
                    filling.advance()

        def step(number: int) -> None:
            trainer = self.trainers[number]
            space, shape = workers.space(), trainer.config.dictionary
            vectors = block.vectors_ND[shape.reads]
            x = torch.index_select(vectors, 0, rows, out=space.take("x", len(rows), shape.d_in, like=vectors))
            y = x if shape.writes == shape.reads else block.vectors_ND[shape.writes][rows]
            asked = None if self.end_to_end is None else self.end_to_end.of(block, part, trainer)
            outs[number] = trainer.step(x, y, factor, space, self.tokens / config.tokens, part.total, asked)

        def steps(chain: Sequence[int]) -> None:
            for number in chain:
                step(number)

        workers.run([fill, *(partial(steps, chain) for chain in self._chains)])
        self.step += 1
        self.tokens += part.total
        for number, (trainer, out) in enumerate(zip(self.trainers, outs, strict=True)):
            if out is None:
                continue  # never: every task has run
            if not math.isfinite(out.loss):
                raise Failure(
                    f"The loss of {trainer.config.name} is {out.loss} at step {self.step}.",
                    "Try a lower --lr; the last checkpoint is kept.",
                )
            numbers = [out.loss, out.mse, out.l0, out.aux, *out.consequences, *out.chunk_l0]
            if out.jacobian is not None:
                numbers.append(out.jacobian)
            self._sums[number, : len(numbers)] += torch.tensor(numbers, dtype=torch.float64)
        if self.step % config.log_every == 0 or self.tokens >= config.tokens:
            self._log(factor)

    def _log(self, factor: float) -> None:
        steps = (self.step - 1) % self.config.log_every + 1
        means = (self._sums / steps).tolist()
        self._sums.zero_()
        lines = []
        for trainer, chunks, (loss, mse, l0, aux, *parts) in zip(self.trainers, self._chunks, means, strict=True):
            plan, dead = trainer.config, trainer.dead_share
            numbers = {
                "loss": loss,
                "variance_explained": 1 - mse / trainer.spread,
                "l0": l0,
                "aux": aux,
                "dead_share": dead,
            }
            if self.end_to_end is not None:
                numbers |= dict(zip(CONSEQUENCES, parts, strict=False))
                parts = parts[len(CONSEQUENCES) :]
            if any(pair.writes is trainer for pair in self.pairs):
                numbers["jacobian"] = parts[0]
            line = self._record(plan, plan.settings.lr * factor, **numbers)
            lines.append(line | {"l0_per_chunk": parts[: len(chunks)]} if chunks else line)
        self._metrics.append(*lines)
        rows = in_rows([trainer.config.name for trainer in self.trainers], lines)
        self._progress("training", min(self.tokens, self.config.tokens), self.config.tokens, in_words(lines), rows)

    def _record(self, plan: TrainerConfig, lr: float, **numbers: float) -> dict[str, Any]:
        place = {"step": self.step, "tokens": self.tokens, "suite": plan.variant, "site": str(plan.dictionary.reads)}
        return {**place, "lr": lr, **numbers}

    def _suites(self) -> dict[str, Suite]:
        suites: dict[str, Suite] = {}
        for variant in self._variants:
            members = [one for one in (*self.trainers, *self.controls) if one.config.variant == variant]
            name = self._header.name
            header = replace(self._header, name=f"{name}-{variant}" if variant else name)
            suites[variant] = Suite.of(header, [one.finished() for one in members])
        return suites

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Writes the checkpoint: all or nothing."""
        self._checkpoint.write(
            {
                "threads": self.threads,
                "counters": [self.block, self.place, self.step, self.tokens],
                "sums": self._sums,
                "records": self._metrics.records,
                "trainers": [trainer.state() for trainer in self.trainers],
                "controls": [control.state() for control in self.controls],
            }
        )
        self._saved_at = time.monotonic()
        self._progress(f"checkpoint at step {self.step}")

    def load(self) -> bool:
        """Continues from the folder's checkpoint, with its number of threads; False if there is none.

        Raises:
            InputError: It is damaged, or of another recipe.
        """
        state = self._checkpoint.read(str(self.stream.device))
        if state is None:
            return False
        for trainer, saved in zip(self.trainers, state["trainers"], strict=True):
            trainer.load(saved)
        for control, saved in zip(self.controls, state.get("controls", ()), strict=True):
            control.load(saved)
        self.threads, self._sums, self._metrics.records = state["threads"], state["sums"].cpu(), state["records"]
        self.block, self.place, self.step, self.tokens = state["counters"]
        self.started, self._saved_at = True, time.monotonic()
        return True

    def _recipe(self) -> dict[str, str]:
        """What must not differ between a checkpoint and the run that continues it."""
        names = ("loss", "downstream_weight", "drop", "tokens", "batch", "buffer", "sequences", "warmup", "decay")
        names = (*names, "log_every", "seed")
        recipe = {name: repr(getattr(self.config, name)) for name in names}
        recipe["dictionaries"] = repr([one.config for one in (*self.trainers, *self.controls)])
        return recipe
