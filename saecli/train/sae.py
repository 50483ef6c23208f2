"""Trains dictionaries at many sites of a model in one pass of the model.

    for every block of activations:                  (saecli.train.activations)
        for every batch of its vectors:
            every dictionary takes one step          (saecli.train.trainer, saecli.train.step)

The dictionaries of a step share nothing, so they are stepped side by side, one per thread. Their order, the block's
content and every seed are functions of the configuration: a resumed run ends in the same bits as an uninterrupted one
on the same machine with the same number of threads.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from saecli.core.address import EmptySelection, parse_layers
from saecli.core.atomic import write_text, writing
from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import Failure, InputError, UsageError
from saecli.core.fingerprint import fingerprint_module
from saecli.core.model import HookedModel, ModelInfo
from saecli.core.progress import Progress, silent
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.data.source import TokenSource
from saecli.train.activations import ActivationStream, Block, Filling, Stream
from saecli.train.recipes import RECIPES
from saecli.train.sae_config import VECTORS_SITE, SaeTable, TrainSaeConfig
from saecli.train.sae_data import data_fingerprint, left_out, open_data
from saecli.train.step import StepOutput, Workspace
from saecli.train.trainer import DictionaryTrainer, TrainerConfig
from saecli.train.vectors import VectorFiles, VectorStream

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


def plan_dictionaries(config: TrainSaeConfig, info: ModelInfo) -> list[TrainerConfig]:
    """Every dictionary that a configuration asks for, in the order of depth.

    Raises:
        UsageError: A site that the model does not have, two dictionaries at one site of one suite, k above latents.
    """
    tables = config.tables
    sweep = any(RECIPES[table.arch].takes_k and len(table.k) > 1 for table in tables)
    plans: dict[tuple[str, Site], TrainerConfig] = {}
    for table in tables:
        for site, writes in _table_sites(table, info):
            for k in table.k if RECIPES[table.arch].takes_k else (0,):
                if k > table.latents:
                    raise UsageError(f"--k {k} is more than the {table.latents} latents.")
                plan = _plan(config, table, (site, writes), k, info, f"k{k}" if sweep and k else "")
                if (plan.variant, site) in plans:
                    raise UsageError(f"Two [[sae]] tables train a dictionary at {site}.")
                plans[plan.variant, site] = plan
    written = [(plan.variant, plan.dictionary.writes) for plan in plans.values()]
    if twice := [site for number, (variant, site) in enumerate(written) if (variant, site) in written[:number]]:
        raise UsageError(f"Two dictionaries of one suite write {twice[0]}.")
    return sorted(plans.values(), key=lambda plan: (plan.dictionary.reads, plan.variant))


def _table_sites(table: SaeTable, info: ModelInfo) -> list[tuple[Site, Site]]:
    """Sites read and written; a kind ``mlp_in>mlp_out`` means a transcoder."""
    sites = []
    for text in table.kind:
        kind, _, target = text.partition(">")
        writes = Site(0, target or kind)
        if writes < Site(0, kind):
            raise UsageError(f"--kind {text}: {target} comes before {kind}.", f"Write --kind '{target}>{kind}'.")
        count = info.n_layers + (Site(0, kind).canonical.kind == "resid_pre" and kind == "resid_pre")
        try:
            layers = parse_layers(table.layers, count)
        except EmptySelection as error:
            raise UsageError(
                f"--layers {table.layers} selects no {text} site: {info.name} has 0..{count - 1};",
                f"try --layers {max(0, count - 3)}:{count}",
            ) from error
        sites += [(info.check(Site(layer, kind)), info.check(Site(layer, writes.kind))) for layer in layers]
    return sites


def _plan(
    config: TrainSaeConfig, table: SaeTable, sites: tuple[Site, Site], k: int, info: ModelInfo, variant: str
) -> TrainerConfig:
    reads, writes = sites
    width, d_out = info.width(reads), info.width(writes)
    recipe = RECIPES[table.arch]
    if table.arch == "jumprelu" and not 0 < table.target_l0 <= table.latents:
        problem = "is more than" if table.target_l0 else "leaves nothing of"
        raise UsageError(f"--target-l0 {table.target_l0:g} {problem} the {table.latents} latents.")
    if table.sparsity_p < 1 and table.arch != "standard":
        raise UsageError(f"--sparsity-p {table.sparsity_p:g} is for --arch standard; {table.arch} is not annealed.")
    options = {"k": k} if recipe.arch == "topk" else {}
    lr = table.lr if table.lr is not None else config.lr
    return TrainerConfig(
        variant=variant,
        dictionary=DictionaryConfig(recipe.arch, width, table.latents, reads, writes, d_out, options),
        lr=lr if lr is not None else 1e-3 * math.sqrt(2**14 / table.latents),
        l1=table.l1,
        aux_k=config.aux_k if config.aux_k is not None else max(1, width // 2),
        aux_coefficient=config.aux_coefficient,
        dead_after=config.dead_after,
        grad_clip=config.grad_clip,
        seed=config.seed,
        recipe=table.arch,
        target_l0=k or table.target_l0,
        l0_penalty=config.l0_penalty,
        bandwidth=config.bandwidth,
        sparsity_p=table.sparsity_p,
        anneal_start=config.anneal_start,
    )


def learning_rate(tokens: int, total: int, warmup: float, decay: float) -> float:
    """Factor 0..1 on the highest learning rate after ``tokens`` of ``total``: linear up, constant, linear to zero."""
    done = tokens / total
    rising = (done + 1 / total) / warmup if warmup else 1.0
    falling = (1 - done) / decay if decay else 1.0
    return max(0.0, min(1.0, rising, falling))


def train_sae(
    config: TrainSaeConfig,
    model: HookedModel,
    folder: Path,
    progress: Progress = silent,
    stop: Callable[[], bool] = lambda: False,
    source: TokenSource | None = None,
    threads: int | None = None,
) -> SaeResult:
    """Trains the dictionaries of a configuration; continues if the folder holds a checkpoint of the same recipe.

    Args:
        config: The dictionaries and the recipe. With ``resume`` there must be a checkpoint; ``overwrite`` ignores it.
        model: The model to read.
        folder: Where the checkpoint and the metrics (JSON lines) go; created if needed.
        progress: Told of every logged step and checkpoint.
        stop: Asked after every step; when it returns True, a checkpoint is written and the run ends early.
        source: The data, if not those the configuration names.
        threads: CPU threads; those torch has if not given.

    Raises:
        InputError: The checkpoint is of another recipe or damaged; or as :func:`saecli.train.sae_data.open_data`.
        Failure: A loss is no longer finite; the last checkpoint is kept.
        UsageError: See :func:`plan_dictionaries`.
    """
    info, source = model.info, source or open_data(config, model.info)
    plans = plan_dictionaries(config, info)
    sites = {site for plan in plans for site in (plan.dictionary.reads, plan.dictionary.writes)}
    stream = ActivationStream(model, source, sites, config.buffer, config.seed, left_out(config, info, source))
    name = Path(info.name).name  # of a folder given by its path, the last part
    fingerprint = fingerprint_module(model.module)
    header = SuiteInfo(
        name=name,
        model=name,
        model_fingerprint=fingerprint,
        processing=info.processing,
        context=source.n_ctx,
        bos=info.bos,
        vocabulary=info.vocabulary,
    )
    identity = {"data": data_fingerprint(source), "model": fingerprint}
    training = _Training(config, plans, stream, header, identity, folder, progress, threads)
    return _trained(training, config, folder, stop)


def train_on_vectors(
    config: TrainSaeConfig,
    files: VectorFiles,
    folder: Path,
    progress: Progress = silent,
    stop: Callable[[], bool] = lambda: False,
    threads: int | None = None,
) -> SaeResult:
    """Trains dictionaries on vectors of one's own, as :func:`train_sae` does on a model's; the suites name no model."""
    plans = plan_on_vectors(config, files.width)
    site = plans[0].dictionary.reads
    stream = VectorStream(files, site, config.buffer, config.seed, torch.device(config.device))
    header = SuiteInfo(name=Path(config.activations[0]).stem, model="")
    training = _Training(config, plans, stream, header, {"data": files.identity}, folder, progress, threads)
    return _trained(training, config, folder, stop)


def plan_on_vectors(config: TrainSaeConfig, width: int) -> list[TrainerConfig]:
    """Every dictionary that a configuration asks for on vectors of one width at ``--site``.

    Raises:
        UsageError: As :func:`plan_dictionaries`.
    """
    site = Site.parse(config.site or VECTORS_SITE)
    tables = tuple(replace(table, kind=(site.kind,), layers=str(site.layer)) for table in config.tables)
    place = ModelInfo("the site", "", site.layer + 1, width, 1, width, width, 0, 0)
    return plan_dictionaries(replace(config, sae=tables), place)


def _trained(training: _Training, config: TrainSaeConfig, folder: Path, stop: Callable[[], bool]) -> SaeResult:
    if (folder / CHECKPOINT).exists() and not config.overwrite:
        training.load()
    elif config.resume:
        raise InputError(f"{folder} has no checkpoint to resume.", "Start without --resume.")
    return training.run(stop)


class _Workers:
    """Runs the tasks of a step side by side: one Python thread per task, torch's own threads divided among them."""

    def __init__(self, threads: int, tasks: int) -> None:
        self._threads = threads
        self._local = threading.local()
        count = min(threads, tasks)
        self._pool = ThreadPoolExecutor(count, "sae", torch.set_num_threads, (threads // count,))
        self.interrupt: KeyboardInterrupt | None = None

    def space(self) -> Workspace:
        """The calling thread's buffers."""
        if not hasattr(self._local, "space"):
            self._local.space = Workspace()
        return self._local.space

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Runs the tasks, begun in their order, and waits for all of them.

        An interrupt meanwhile is kept in ``interrupt``, so that the step ends whole and can be saved.
        """
        futures = [self._pool.submit(task) for task in tasks]
        try:
            wait(futures)
        except KeyboardInterrupt as interrupt:
            self.interrupt = interrupt
            wait(futures)
        for future in futures:
            future.result()

    def close(self) -> None:
        """Waits for the threads to end."""
        self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads)  # what a worker sets is also the default of threads to come


class _Training:
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
    ) -> None:
        self.config, self.stream, self.folder, self._progress = config, stream, folder, progress
        self._header, self._identity, self.threads = header, identity, threads or torch.get_num_threads()
        folder.mkdir(parents=True, exist_ok=True)
        device = torch.device(config.device)
        self.trainers = [DictionaryTrainer(plan, device) for plan in plans]
        # The largest first, so that no worker ends with a long one.
        latents = [trainer.config.dictionary.n_latents for trainer in self.trainers]
        self._order = sorted(range(len(latents)), key=lambda number: -latents[number])
        self.block = self.place = self.step = self.tokens = 0
        self.started = False
        self._saved_at = time.monotonic()
        self._sums = torch.zeros(len(self.trainers), 4, dtype=torch.float64)
        self._records: list[dict[str, Any]] = []

    def run(self, stop: Callable[[], bool]) -> SaeResult:
        """Steps until done or told to stop; the last checkpoint is of the state returned."""
        torch.set_num_threads(self.threads)
        self._write_metrics()
        workers, stopped = _Workers(self.threads, len(self.trainers)), False
        filling = self.stream.filling(self.block)
        try:
            while self.tokens < self.config.tokens and not stopped:
                block = filling.block()
                filling = self.stream.filling(self.block + 1)
                stopped = self._run_block(block, filling, workers, stop)
        finally:
            workers.close()
        if stopped:
            self.save()
        return SaeResult(self._suites(), self.tokens, self.step, not stopped, self._records)

    def _run_block(self, block: Block, filling: Filling, workers: _Workers, stop: Callable[[], bool]) -> bool:
        """The rest of a block, while the next one is filled; True if told to stop."""
        if not self.started:
            for trainer in self.trainers:
                shape = trainer.config.dictionary
                trainer.start(block.vectors_ND[shape.reads], block.vectors_ND[shape.writes])
            self.started = True
        parts = block.parts(self.config.batch)
        while self.place < len(parts):
            passes = math.ceil(self.stream.batches / len(parts))
            self._advance(block, parts[self.place], filling, passes, workers)
            self.place += 1
            if self.place == len(parts):
                self.block, self.place, parts = self.block + 1, 0, []
            if workers.interrupt is not None:
                self.save()
                raise workers.interrupt
            stopped = stop()
            if stopped or self.tokens >= self.config.tokens:
                return stopped
            if time.monotonic() - self._saved_at >= self.config.checkpoint_seconds:
                self.save()
        return False

    def _advance(self, block: Block, rows: torch.Tensor, filling: Filling, passes: int, workers: _Workers) -> None:
        config = self.config
        factor = learning_rate(self.tokens, config.tokens, config.warmup, config.decay)
        outs: list[StepOutput | None] = [None] * len(self.trainers)

        def fill() -> None:
            for _ in range(passes):
                if not filling.done and self.tokens + len(rows) < config.tokens:
                    filling.advance()

        def step(number: int) -> None:
            trainer = self.trainers[number]
            space, shape = workers.space(), trainer.config.dictionary
            vectors = block.vectors_ND[shape.reads]
            x = torch.index_select(vectors, 0, rows, out=space.take("x", len(rows), shape.d_in, like=vectors))
            y = x if shape.writes == shape.reads else block.vectors_ND[shape.writes][rows]
            outs[number] = trainer.step(x, y, factor, space, self.tokens / config.tokens)

        workers.run([fill, *(partial(step, number) for number in self._order)])
        self.step += 1
        self.tokens += len(rows)
        for number, (trainer, out) in enumerate(zip(self.trainers, outs, strict=True)):
            if out is None:
                continue  # never: every task has run
            if not math.isfinite(out.loss):
                raise Failure(
                    f"The loss of {trainer.config.name} is {out.loss} at step {self.step}.",
                    "Try a lower --lr; the last checkpoint is kept.",
                )
            self._sums[number] += torch.tensor([out.loss, out.mse, out.l0, out.aux], dtype=torch.float64)
        if self.step % config.log_every == 0 or self.tokens >= config.tokens:
            self._log(factor)

    def _log(self, factor: float) -> None:
        steps = (self.step - 1) % self.config.log_every + 1
        means = (self._sums / steps).tolist()
        self._sums.zero_()
        lines = []
        for trainer, (loss, mse, l0, aux) in zip(self.trainers, means, strict=True):
            plan = trainer.config
            lines.append(
                {
                    "step": self.step,
                    "tokens": self.tokens,
                    "suite": plan.variant,
                    "site": str(plan.dictionary.reads),
                    "lr": plan.lr * factor,
                    "loss": loss,
                    "variance_explained": 1 - mse,
                    "l0": l0,
                    "aux": aux,
                    "dead_share": trainer.dead_share,
                }
            )
        self._records += lines
        with (self.folder / METRICS).open("a") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))
        explained = [line["variance_explained"] for line in lines]
        dead = max(line["dead_share"] for line in lines)
        detail = f"variance explained {min(explained):.3f} to {max(explained):.3f}, dead at most {dead:.1%}"
        self._progress("training", min(self.tokens, self.config.tokens), self.config.tokens, detail)

    def _suites(self) -> dict[str, Suite]:
        suites: dict[str, Suite] = {}
        for variant in dict.fromkeys(trainer.config.variant for trainer in self.trainers):
            members = [trainer for trainer in self.trainers if trainer.config.variant == variant]
            name = self._header.name
            header = replace(self._header, name=f"{name}-{variant}" if variant else name)
            suites[variant] = Suite.of(header, [trainer.finished() for trainer in members])
        return suites

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def _write_metrics(self) -> None:
        """Starts the metrics file with the lines up to the current step, dropping those of steps to be done again."""
        write_text(self.folder / METRICS, "".join(json.dumps(line) + "\n" for line in self._records))

    def save(self) -> None:
        """Writes the checkpoint: all or nothing."""
        state = {
            "schema": _SCHEMA,
            "recipe": self._recipe(),
            "threads": self.threads,
            "counters": [self.block, self.place, self.step, self.tokens],
            "sums": self._sums,
            "records": self._records,
            "trainers": [trainer.state() for trainer in self.trainers],
        }
        with writing(self.folder / CHECKPOINT) as temporary:
            torch.save(state, temporary)
        self._saved_at = time.monotonic()
        self._progress(f"checkpoint at step {self.step}")

    def load(self) -> None:
        """Continues from the folder's checkpoint, with its number of threads."""
        path = self.folder / CHECKPOINT
        try:
            state = torch.load(path, map_location=self.config.device, weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            raise InputError(f"{path.name} cannot be read: {error}", "Start again with --overwrite.") from error
        if not isinstance(state, dict) or state.get("schema") != _SCHEMA:
            raise InputError(f"{path.name} is not a {_SCHEMA} file.", "Start again with --overwrite.")
        for name, value in self._recipe().items():
            if state["recipe"].get(name) != value:
                raise InputError(f"The checkpoint was made with another {name}.", "Start again with --overwrite.")
        for trainer, saved in zip(self.trainers, state["trainers"], strict=True):
            trainer.load(saved)
        self.threads, self._sums, self._records = state["threads"], state["sums"], state["records"]
        self.block, self.place, self.step, self.tokens = state["counters"]
        self.started, self._saved_at = True, time.monotonic()

    def _recipe(self) -> dict[str, str]:
        """What must not differ between a checkpoint and the run that continues it."""
        names = ("drop_bos", "tokens", "batch", "buffer", "sequences", "warmup", "decay", "log_every", "seed")
        recipe = {name: repr(getattr(self.config, name)) for name in names}
        recipe["dictionaries"] = repr([trainer.config for trainer in self.trainers])
        return recipe | self._identity
