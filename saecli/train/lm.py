"""Trains small GPTs: next-token cross-entropy, AdamW or Muon, warm-up and cosine, checkpoints, exact resume.

A step is a function of the weights, the optimiser's state and the step number alone: batches come by step number and
nothing else is random. A resumed run therefore ends in the same bits as an uninterrupted one on the same machine with
the same number of threads and processes. Several processes (:mod:`saecli.core.ranks`) have the same state and share
each batch; they end in what one process ends in, but for rounding. The first one measures and writes.

The model that is kept is the last one, or (``--keep best``) the one with the lowest cross-entropy on held-out data,
the earlier of equal ones; nothing is measured before the first step.

The loss is -sum_v q(v) log p(v), averaged over positions. With ``targets="sampled"``, q is the token that followed;
with ``"expected"`` it is the generator's own distribution of that token, where the source knows it. Both have the same
mean over the data, so the same gradient on average and the same minimum; the second has no sampling noise. ``"auto"``
takes the distribution where it is known.

With ``--sae`` dictionaries learn along, and the loss has their part (:mod:`saecli.train.joint_loss`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from saecli.core.config import config_fields, plain
from saecli.core.dictionary import Dictionary
from saecli.core.errors import Failure, InputError
from saecli.core.gpt import GPT, DynamicTanh, GPTConfig
from saecli.core.progress import Progress, silent
from saecli.core.ranks import ONE, Ranks
from saecli.data.sets import open_source
from saecli.data.source import TokenSource
from saecli.learning.checkpoint import Checkpoint, MetricsFile, Mirror
from saecli.train.joint import JointDictionaries
from saecli.train.lm_config import TrainLMConfig
from saecli.train.lm_step import accumulate_gradients, learning_rate, make_optimizers

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
_SCHEMA = "saecli-lm-checkpoint/2"
_FREE = ("device", "save_dtype")
_LOWER_RATES = "Lower --lr and --muon-lr; the last checkpoint is kept."


@dataclass(frozen=True)
class LMResult:
    """A trained model.

    Attributes:
        model: the GPT, in the number type that it was trained in.
        vocabulary: name of its vocabulary.
        step: steps done; fewer than planned if the run was stopped.
        complete: whether all planned steps were done.
        quality: the last measurement on held-out data; empty if there was none.
        kept: the step after which the model had these weights.
        dictionaries: those that were trained with it, in the order of depth, of the same step.
    """

    model: GPT
    vocabulary: str
    step: int
    complete: bool
    quality: dict[str, float]
    kept: int
    dictionaries: tuple[Dictionary, ...] = ()


def make_source(config: TrainLMConfig, progress: Progress = silent) -> TokenSource:
    """The data that a configuration names; raises as :func:`saecli.data.sets.open_source` does."""
    from zoo.data import tokenizer

    return open_source(
        config.data,
        batch_size=config.batch_size,
        seed=config.seed,
        held_out=config.held_out,
        n_ctx=config.n_ctx,
        pack=config.pack,
        vocabulary=lambda: tokenizer(config.tokenizer),
        progress=progress,
    )


def train_lm(
    config: TrainLMConfig,
    folder: Path,
    progress: Progress = silent,
    stop: Callable[[], bool] = lambda: False,
    source: TokenSource | None = None,
    ranks: Ranks = ONE,
    mirror: Mirror | None = None,
) -> LMResult:
    """Trains a GPT; continues if the folder holds a checkpoint of the same recipe.

    The number of CPU threads is the caller's to set; a continued run takes the checkpoint's.

    Args:
        config: the model and the recipe. With ``resume`` there must be a checkpoint; with ``overwrite`` it is ignored.
        folder: where the checkpoint and the metrics (JSON lines) go; created if needed.
        progress: told of every logged step, measurement and checkpoint.
        stop: asked after every step; when it returns True, a checkpoint is written and the run ends early. An
            exception between checkpoints (Ctrl-C included) leaves the last checkpoint intact.
        source: the data, if not the one the configuration names.
        ranks: the processes that train together; each has joined, and calls this with the same configuration.
        mirror: told of every record of metrics.

    Raises:
        InputError: the checkpoint to resume is of another configuration or cannot be read.
        Failure: the loss, the gradient or the weights are no longer finite, or a checkpoint cannot be written; the last
            checkpoint is kept.
    """
    training = _Training(config, folder, source or make_source(config, progress), progress, ranks, mirror)
    if not config.overwrite and (state := training.checkpoint.read(config.device)) is not None:
        training.load(state)
    elif config.resume:
        raise InputError(f"{folder} has no checkpoint to resume.", "Start without --resume.")
    return training.run(stop)


def model_shape(config: TrainLMConfig, source: TokenSource) -> GPTConfig:
    """The model that a configuration means for some data."""
    norm = "dynamic_tanh" if config.norm == "dynamic-tanh" else "layer"
    return GPTConfig(source.vocab_size, source.n_ctx, config.n_layer, config.n_head, config.d_model, norm=norm)


class _Training:
    """The state of a run and its loop."""

    def __init__(
        self,
        config: TrainLMConfig,
        folder: Path,
        source: TokenSource,
        progress: Progress,
        ranks: Ranks,
        mirror: Mirror | None,
    ):
        self.config, self.source, self._progress, self._ranks = config, source, progress, ranks
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = Checkpoint(folder / CHECKPOINT, _SCHEMA, _recipe(config), ranks)
        self._metrics = MetricsFile(folder / METRICS, ranks, mirror)
        torch.manual_seed(config.seed)
        self.model = GPT(model_shape(config, source)).to(config.device)
        if config.precision == "fp64":
            self.model.double()
        self.model.set_attention_fp32(config.precision == "bf16")
        for module in self.model.modules():
            if isinstance(module, DynamicTanh):
                nn.init.constant_(module.alpha, config.tanh_alpha)
        self.joint = JointDictionaries(config, self.model) if config.sae else None
        self.optimizers = make_optimizers(self.model, config)
        self._peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]
        self.step = 0
        self.tokens = 0
        self._loss_sum = 0.0
        self._quality: dict[str, float] = {}
        self._best: dict[str, Any] = {}

    def run(self, stop: Callable[[], bool]) -> LMResult:
        """Steps until done or told to stop; the last checkpoint is of the state that was reached."""
        saved_at, stopped = time.monotonic(), False
        self._metrics.start(self._metrics.records)
        while self.step < self.config.steps and not stopped:
            stopped = self._advance(stop)
            if time.monotonic() - saved_at >= self.config.checkpoint_seconds:
                self.save()
                saved_at = time.monotonic()
        self.save()
        complete = self.step >= self.config.steps
        kept = self.step
        if complete and self._best:
            kept = self._best["step"]
            self.model.load_state_dict(self._best["model"])
        dictionaries = self.joint.finished(self._best.get("dictionaries") if complete else None) if self.joint else ()
        model = self.model.eval()
        return LMResult(model, self.source.vocabulary, self.step, complete, self._quality, kept, dictionaries)

    def _advance(self, stop: Callable[[], bool]) -> bool:
        """One step; returns whether to stop after it."""
        config = self.config
        batch = self.source.batch(self.step)
        if self.joint is None:
            loss, stopped = accumulate_gradients(self.model, batch, config, self._ranks, stop)
        else:
            loss, stopped = self.joint.accumulate_gradients(batch, self._ranks, stop)
        self._update(loss)
        self.tokens += batch.tokens_BS.numel()
        self._loss_sum += loss
        self.step += 1
        if self.step % config.log_every == 0:
            self._log()
        if self._ranks.first and (self.step % config.eval_every == 0 or self.step == config.steps):
            self._measure()
        return stopped

    def _update(self, loss: float) -> None:
        """Changes the weights by the gradient that they have."""
        config = self.config
        norm = 0.0
        if config.grad_clip:
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.grad_clip).item()
        if self.joint is not None:
            norm = math.hypot(norm, self.joint.gradient_norm())
        if not math.isfinite(loss) or not math.isfinite(norm):
            what = f"The norm of the gradient is {norm}" if math.isfinite(loss) else f"The loss is {loss}"
            raise Failure(f"{what} at step {self.step}.", _LOWER_RATES)
        least = config.min_lr / config.lr if config.lr else 0.0
        factor = learning_rate(self.step, config.steps, config.warmup, config.schedule, least)
        for optimizer, peaks in zip(self.optimizers, self._peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad()
        if self.joint is not None:
            self.joint.apply(factor)

    def _measure(self) -> None:
        self.model.eval()
        self._quality = self.source.evaluate(self.model)
        self.model.train()
        self._record("evaluate", self._quality)
        if self.config.keep == "best" and self._quality["ce"] < self._best.get("ce", math.inf):
            weights = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
            self._best = {"step": self.step, "ce": self._quality["ce"], "model": weights}
            if self.joint is not None:
                self._best["dictionaries"] = self.joint.weights()

    def _log(self) -> None:
        """The means since the last time: of the loss, and of every dictionary."""
        steps = self.config.log_every
        numbers = {"loss": self._loss_sum / steps}
        self._loss_sum = 0.0
        if self.joint is None:
            self._record("train", numbers)
            return
        ce, sites = self.joint.take_means(steps)
        place = {"kind": "dictionary", "step": self.step, "tokens": self.tokens}
        self._metrics.append(*({**place, "site": str(site), **row} for site, row in sites.items()))
        table = [(str(site), f"{row['recon']:.4g}", f"{row['l0']:.1f}") for site, row in sites.items()]
        self._record("train", numbers | {"ce": ce}, [("", "error", "L0"), *table])

    def _record(
        self, kind: Literal["train", "evaluate"], metrics: dict[str, float], table: Sequence[Sequence[str]] = ()
    ) -> None:
        self._metrics.append({"kind": kind, "step": self.step, "tokens": self.tokens, **metrics})
        detail = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        if kind == "train":
            self._progress("training", self.step, self.config.steps, detail, table)
        else:
            self._progress(f"held-out data after step {self.step}: {detail}")

    def save(self) -> None:
        """Writes the checkpoint: all or nothing, and never of weights that are not finite."""
        if not self._ranks.first:
            return
        weights = [*self.model.parameters(), *(self.joint.parameters() if self.joint else ())]
        if not all(parameter.isfinite().all() for parameter in weights):
            raise Failure(f"The weights are no longer finite after step {self.step}.", _LOWER_RATES)
        self.checkpoint.write(
            {
                "step": self.step,
                "tokens": self.tokens,
                "loss_sum": self._loss_sum,
                "quality": self._quality,
                "best": self._best,
                "records": self._metrics.records,
                "threads": torch.get_num_threads(),
                "model": self.model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                **({} if self.joint is None else {"dictionaries": self.joint.state()}),
            }
        )
        self._progress(f"checkpoint at step {self.step}")

    def load(self, state: dict[str, Any]) -> None:
        """Continues from a checkpoint, with its number of threads."""
        torch.set_num_threads(state["threads"])
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if self.joint is not None:
            self.joint.load(state["dictionaries"])
        self.step, self.tokens, self._loss_sum = state["step"], state["tokens"], state["loss_sum"]
        self._quality, self._best, self._metrics.records = state["quality"], state["best"], state["records"]


def _recipe(config: TrainLMConfig) -> dict[str, Any]:
    """What must not differ between a checkpoint and the run that continues it."""
    return {
        item.name: plain(getattr(config, item.name))
        for item in config_fields(type(config))
        if item.option.fingerprint and not item.option.session and item.name not in _FREE
    }
