"""``saecli train lm``: train, measure what is stored, write the model as a Hugging Face GPT-2 folder.

With ``--sae`` also the suite of the dictionaries that were trained along with it (:mod:`saecli.train.joint_run`).
"""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from saecli.core.errors import Terminated, UsageError
from saecli.core.interrupt import deferred_interrupt
from saecli.core.machine import DTYPES, require_memory, torch_device
from saecli.core.progress import Progress
from saecli.core.ranks import Ranks, ranks_here
from saecli.core.result import Result, field_doc
from saecli.core.run import Run
from saecli.data.names import GAMES, HUB, PREFIX
from saecli.data.sets import prepared
from saecli.data.shard_source import ShardSource
from saecli.data.shards import TOKENIZER_FILES, Shards, fingerprint
from saecli.data.source import TokenSource
from saecli.formats.hf_gpt2 import load_gpt, save_gpt
from saecli.learning.tracking import tracked
from saecli.train.joint_run import JointSuite, write_joint_suite
from saecli.train.lm import METRICS, make_source, model_shape, train_lm
from saecli.train.lm_config import TrainLMConfig
from saecli.train.lm_memory import memory_need
from zoo.reading import make_data

MODEL = "model"


@dataclass(frozen=True, kw_only=True)
class TrainLMResult(Result):
    """A trained language model in numbers."""

    schema: ClassVar[str] = "saecli.train-lm/1"

    model: str = field_doc("Model", "Folder of the model in the run directory, in Hugging Face's GPT-2 layout.")
    data: str = field_doc("Data", "What it was trained on.")
    parameters: int = field_doc("Parameters", "Number of weights; a tied unembedding counts once.")
    steps: int = field_doc("Steps", "Optimiser steps.")
    kept_step: int = field_doc("Kept step", "The step whose weights are stored.")
    sequences: int = field_doc("Sequences", "Sequences seen.")
    quality: dict[str, float] = field_doc(
        "Quality",
        "On held-out data, of the stored weights: ce in nats per token. Of random games also kl (to the generator's "
        "own distribution), top1_legal (share of positions whose top token is legal), legal_mass (probability on legal "
        "tokens), and of chess, where tokens are characters, legal_moves (share of greedily written moves that are "
        "legal); of token shards ce_unigram (of guessing by frequency) and count (predictions measured).",
    )
    regularised: JointSuite | None = field_doc(
        "Regularised", "The dictionaries that were trained along with it; null without them.", default=None
    )

    def summary_lines(self) -> list[str]:
        """Size and quality."""
        measured = {name: value for name, value in self.quality.items() if name != "count"}
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in measured.items())
        kept = "" if self.kept_step == self.steps else f", those of step {self.kept_step} kept"
        lines = [f"{self.parameters / 1e6:.2f} M parameters after {self.steps} steps{kept}: {numbers}"]
        return lines if self.regularised is None else [*lines, *self.regularised.summary_lines()]

    def next_command(self) -> str:
        """Train dictionaries on it, or measure those that it has."""
        model, data = f"{{run}}/{self.model}", f"--data {shlex.quote(self.data)}"
        if self.regularised is not None:
            return f"saecli validate {{run}}/{self.regularised.suite} --model {model} {data}"
        return f"saecli train sae {model} {data}"


def plan(config: TrainLMConfig) -> list[str]:
    """What ``--plan`` prints.

    Raises:
        UsageError, InputError: The data is not there, or the run does not fit into memory.
    """
    make_data(config.data)
    tokenised = prepared(config.data) is None and config.data not in GAMES
    first = [f"{config.data} is read as {config.tokenizer} tokens"] if tokenised else []
    line = (
        f"{config.n_layer} layers of width {config.d_model}, {config.steps} steps of {config.batch_size} {config.data} "
        f"sequences with {config.optimizer}"
    )
    lines = [line]
    if config.sae is not None:
        sites = config.sae_sites(config.n_layer)
        lines.append(
            f"along with {len(sites)} {config.sae} dictionaries of {config.sae_latents} latents, {sites[0]} to "
            f"{sites[-1]}, whose errors weigh {config.error_weight:g}"
        )
    return [*first, *lines] if tokenised else [*lines, _require_memory(config, make_source(config), ranks_here())]


def _require_memory(config: TrainLMConfig, source: TokenSource, ranks: Ranks) -> str:
    """What the run takes; a UsageError if that is not there. Of the processes on one machine each takes as much."""
    shape = model_shape(config, source)
    need = memory_need(config, shape, ranks.size, source.batch(0).expected_BSV is not None)
    here = 1 if config.device == "cuda" else ranks.on_machine
    said = require_memory(
        need.total * here,
        f"{need}{f', in each of {here} processes' if here > 1 else ''}",
        f"Lower {'--sae-latents, --batch-size' if config.sae else '--micro-batch'}, --n-ctx, --d-model or --n-layer.",
        device=config.device,
        limit=config.max_memory_bytes,
    )
    return f"{shape.n_parameters:,} parameters, {said}"


def run(config: TrainLMConfig, run: Run, progress: Progress) -> TrainLMResult | None:
    """Train, round to ``save_dtype``, measure, write; of several processes the first one does what follows training."""
    torch_device(config.device)
    ranks = run.ranks
    ranks.join(config.device)
    if config.batch_size < ranks.size:
        raise UsageError(
            f"--batch-size {config.batch_size} is less than a sequence for each of {ranks.size} processes."
        )
    make_data(config.data, progress)
    source = make_source(config, progress)
    shards = source.shards if isinstance(source, ShardSource) else None
    if shards is not None and shards.note:
        progress(f"{shards.note}.")
    _require_memory(config, source, ranks)
    with tracked(config.wandb, run, config) as mirror, deferred_interrupt() as stop:  # Ctrl-C ends the step, keeps it
        trained = train_lm(config, run.work, progress, stop, source, ranks, mirror)
        stop.deliver()
        if not trained.complete:  # another process was told to stop
            raise Terminated
    if not ranks.first:
        return None
    with tempfile.TemporaryDirectory(dir=run.work) as folder:
        dtype, noted = DTYPES[config.save_dtype], _noted(config.data, shards)
        save_gpt(trained.model, Path(folder), vocabulary=trained.vocabulary, dtype=dtype, extras=noted)
        stored = load_gpt(Path(folder)).eval()
        for file in sorted(Path(folder).iterdir()):
            run.write_bytes(f"{MODEL}/{file.name}", file.read_bytes())
    for name in TOKENIZER_FILES:  # a vocabulary without a name of its own travels with its model
        if shards is not None and (shards.folder / name).is_file():
            run.write_bytes(f"{MODEL}/{name}", (shards.folder / name).read_bytes())
    run.write_bytes(METRICS, (run.work / METRICS).read_bytes())
    quality = source.evaluate(stored)
    regularised = None
    if trained.dictionaries:
        regularised = write_joint_suite(config, trained.dictionaries, stored, source, MODEL, run, progress)
    return TrainLMResult(
        model=MODEL,
        data=config.data,
        parameters=trained.model.config.n_parameters,
        steps=trained.step,
        kept_step=trained.kept,
        sequences=trained.step * config.batch_size,
        quality=quality,
        regularised=regularised,
    )


def _noted(data: str, shards: Shards | None) -> dict[str, Any]:
    """What the model's configuration keeps of a data set that has a name: the name, and what its content was."""
    if not data.startswith((PREFIX, HUB)) or shards is None:
        return {}
    return {"data": {"name": data, "sha256": fingerprint(shards)}}
