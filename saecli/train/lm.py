"""Trains small GPTs: next-token cross-entropy, AdamW or Muon, warm-up and cosine, checkpoints, exact resume.

A step is a function of the weights, the optimiser's state and the step number alone: batches come by step number and
nothing else is random. A resumed run therefore ends in the same bits as an uninterrupted one on the same machine with
the same number of threads.

The loss is -sum_v q(v) log p(v), averaged over positions. With ``targets="sampled"``, q is the token that followed;
with ``"expected"`` it is the generator's own distribution of that token, where the source knows it. Both have the same
mean over the data, so the same gradient on average and the same minimum; the second has no sampling noise. ``"auto"``
takes the distribution where it is known.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saecli.core.atomic import write_text, writing
from saecli.core.errors import InputError
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.progress import Progress, silent
from saecli.data.sets import open_source
from saecli.data.source import Batch, TokenSource
from saecli.train.lm_config import TrainLMConfig
from saecli.train.muon import Muon

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"
_SCHEMA = "saecli-lm-checkpoint/1"


@dataclass(frozen=True)
class LMResult:
    """A trained model.

    Attributes:
        model: the GPT, in fp32.
        vocabulary: name of its vocabulary.
        step: steps done; fewer than planned if the run was stopped.
        complete: whether all planned steps were done.
        quality: the last measurement on held-out data; empty if there was none.
    """

    model: GPT
    vocabulary: str
    step: int
    complete: bool
    quality: dict[str, float]


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

    Raises:
        InputError: the checkpoint to resume is of another configuration or cannot be read.
        FloatingPointError: the loss is no longer finite.
    """
    training = _Training(config, folder, source or make_source(config, progress), progress)
    if (folder / CHECKPOINT).exists() and not config.overwrite:
        training.load()
    elif config.resume:
        raise InputError(f"{folder} has no checkpoint to resume.", "Start without --resume.")
    return training.run(stop)


def learning_rate(step: int, steps: int, warmup: int) -> float:
    """The factor 0..1 on the highest learning rate at a step from 0: linear warm-up, then half a cosine to zero."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def next_token_loss(logits_BSV: Tensor, batch: Batch, targets: str) -> Tensor:
    """Mean cross-entropy in nats over the positions with something to predict; see the module's docstring.

    Raises:
        InputError: ``targets`` is "expected" and the batch has no distribution.
    """
    here_BS = batch.next_BS >= 0
    logp_BSV = logits_BSV.float().log_softmax(-1)
    if targets == "sampled" or (targets == "auto" and batch.expected_BSV is None):
        logp_BS = logp_BSV.gather(-1, batch.next_BS.clamp_min(0)[..., None])[..., 0]
        return -(logp_BS * here_BS).sum() / here_BS.sum()
    if batch.expected_BSV is None:
        raise InputError("This data has no known next-token distribution.", "Use --targets sampled.")
    return -(batch.expected_BSV * logp_BSV).sum() / here_BS.sum()


def make_optimizers(model: GPT, config: TrainLMConfig) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or Muon for the matrices inside blocks and AdamW for the rest."""
    use_muon = config.optimizer == "muon"
    matrices: list[tuple[nn.Parameter, int]] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if use_muon and parameter.dim() == 2 and name.startswith("transformer.h."):
            matrices.append((parameter, 3 if name.endswith("c_attn.weight") else 1))
        else:
            rest.append(parameter)
    groups = [
        {"params": [parameter for parameter in rest if parameter.dim() == 2], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in rest if parameter.dim() == 1], "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.95))]
    if use_muon:
        optimizers.append(Muon(matrices, lr=config.muon_lr, weight_decay=config.weight_decay))
    return optimizers


class _Training:
    """The state of a run and its loop."""

    def __init__(self, config: TrainLMConfig, folder: Path, source: TokenSource, progress: Progress):
        self.config, self.folder, self.source, self._progress = config, folder, source, progress
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        shape = GPTConfig(source.vocab_size, source.n_ctx, config.n_layer, config.n_head, config.d_model)
        self.model = GPT(shape).to(config.device)
        self.model.set_attention_fp32(config.precision == "bf16")
        self.optimizers = make_optimizers(self.model, config)
        self._peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in self.optimizers]
        self.step = 0
        self.tokens = 0
        self._loss_sum = 0.0
        self._quality: dict[str, float] = {}
        self._records: list[str] = []

    def run(self, stop: Callable[[], bool]) -> LMResult:
        """Steps until done or told to stop; the last checkpoint is of the state returned."""
        saved_at, stopped = time.monotonic(), False
        self._write_metrics()
        while self.step < self.config.steps and not stopped:
            self._advance()
            stopped = stop()
            if time.monotonic() - saved_at >= self.config.checkpoint_seconds:
                self.save()
                saved_at = time.monotonic()
        self.save()
        complete = self.step >= self.config.steps
        return LMResult(self.model.eval(), self.source.vocabulary, self.step, complete, self._quality)

    def _advance(self) -> None:
        config = self.config
        self._loss_sum += self._optimise(self.source.batch(self.step).to(config.device))
        self.step += 1
        if self.step % config.log_every == 0:
            self._record("train", {"loss": self._loss_sum / config.log_every})
            self._loss_sum = 0.0
        if self.step % config.eval_every == 0 or self.step == config.steps:
            self.model.eval()
            self._quality = self.source.evaluate(self.model)
            self.model.train()
            self._record("evaluate", self._quality)

    def _optimise(self, batch: Batch) -> float:
        """One step; returns the loss before it."""
        config = self.config
        with torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bf16"):
            logits_BSV = self.model(batch.tokens_BS)
        loss = next_token_loss(logits_BSV, batch, config.targets)
        loss.backward()
        if config.grad_clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), config.grad_clip)
        factor = learning_rate(self.step, config.steps, config.warmup)
        for optimizer, peaks in zip(self.optimizers, self._peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad()
        self.tokens += batch.tokens_BS.numel()
        value = loss.item()
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {self.step}: try a lower --lr or --muon-lr")
        return value

    def _record(self, kind: Literal["train", "evaluate"], metrics: dict[str, float]) -> None:
        line = {"kind": kind, "step": self.step, "tokens": self.tokens, **metrics}
        self._records.append(json.dumps(line))
        with (self.folder / METRICS).open("a") as file:
            file.write(self._records[-1] + "\n")
        detail = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        if kind == "train":
            self._progress("training", self.step, self.config.steps, detail)
        else:
            self._progress(f"held-out data after step {self.step}: {detail}")

    def _write_metrics(self) -> None:
        """Starts the metrics file with the lines up to the current step, dropping those of steps to be done again."""
        write_text(self.folder / METRICS, "".join(line + "\n" for line in self._records))

    def save(self) -> None:
        """Writes the checkpoint: all or nothing."""
        state = {
            "schema": _SCHEMA,
            "recipe": _recipe(self.config),
            "step": self.step,
            "tokens": self.tokens,
            "loss_sum": self._loss_sum,
            "quality": self._quality,
            "records": self._records,
            "threads": torch.get_num_threads(),
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        with writing(self.folder / CHECKPOINT) as temporary:
            torch.save(state, temporary)
        self._progress(f"checkpoint at step {self.step}")

    def load(self) -> None:
        """Continues from the folder's checkpoint, with its number of threads."""
        state = _read_checkpoint(self.folder / CHECKPOINT, self.config)
        torch.set_num_threads(state["threads"])
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.tokens, self._loss_sum = state["step"], state["tokens"], state["loss_sum"]
        self._quality, self._records = state["quality"], state["records"]


def _recipe(config: TrainLMConfig) -> dict[str, Any]:
    """What must not differ between a checkpoint and the run that continues it."""
    names = ("data", "n_ctx", "batch_size", "targets", "n_layer", "n_head", "d_model", "steps", "optimizer", "lr")
    names += (
        "muon_lr",
        "warmup",
        "weight_decay",
        "grad_clip",
        "precision",
        "log_every",
        "eval_every",
        "held_out",
        "seed",
    )
    return {name: getattr(config, name) for name in names}


def _read_checkpoint(path: Path, config: TrainLMConfig) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location=config.device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise InputError(f"{path.name} cannot be read: {error}", "Start again with --overwrite.") from error
    if not isinstance(state, dict) or state.get("schema") != _SCHEMA:
        raise InputError(f"{path.name} is not a {_SCHEMA} file.", "Start again with --overwrite.")
    for name, value in _recipe(config).items():
        if state["recipe"].get(name) != value:
            was = state["recipe"].get(name)
            raise InputError(f"The checkpoint was made with {name} = {was}, not {value}.", f"Resume with {was}.")
    return state
