"""How much memory ``saecli train sae`` takes at its highest: counted, not measured.

Of every dictionary its weights, their gradients and Adam's two moments; of every site two blocks of vectors; what one
forward pass of the model holds; and for every thread the buffers of a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from saecli.core.dictionary import DictionaryConfig
from saecli.core.machine import in_gigabytes, require_memory
from saecli.core.model import ModelInfo
from saecli.core.ranks import Ranks
from saecli.core.site import Site
from saecli.train.recipes import END_TO_END
from saecli.train.sae_config import TrainSaeConfig
from saecli.train.trainer import TrainerConfig

_COPIES = 4  # weight, gradient, two moments
_STEP_ROWS = 512  # rows of pre-activations that a step holds
_STEP_COPIES = 3
_BATCH_COPIES = 4  # the batch, centred, its target, the residual
_NEURONS = 4  # of an MLP, per dimension
_FORWARD_VECTORS = 16  # of the model's width, of every position of a forward pass without gradients
_BACKWARD_VECTORS = 16  # the same of every block, with gradients
_BACKWARD_NEURONS = 3  # of the MLP's width
_PREDICTIONS = 6  # of the vocabulary's size


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes of one process.

    Attributes:
        dictionaries: Weights and optimisers.
        blocks: Vectors waiting and being used.
        model: Its weights and a forward pass; 0 without a model.
        steps: Buffers of the steps that run at once.
    """

    dictionaries: int
    blocks: int
    model: int
    steps: int

    @property
    def total(self) -> int:
        return self.dictionaries + self.blocks + self.model + self.steps

    def __str__(self) -> str:
        parts = {"dictionaries and their optimisers": self.dictionaries, "vectors in two blocks": self.blocks}
        parts |= {"the model": self.model, "steps": self.steps}
        return ", ".join(f"{in_gigabytes(size)} of {name}" for name, size in parts.items() if size)


def memory_need(
    config: TrainSaeConfig, plans: Sequence[TrainerConfig], threads: int, processes: int = 1, model: int = 0
) -> MemoryNeed:
    """What one of some processes takes.

    Args:
        config: The run.
        plans: Its dictionaries.
        threads: CPU threads; as many dictionaries are stepped at once.
        processes: How many share a batch.
        model: Bytes that the model takes (:func:`model_need`).
    """
    number = 8 if config.precision == "fp64" else 4
    shapes, parts = [plan.dictionary for plan in plans], [_is_part(plan, plans) for plan in plans]
    weights = [
        shape.n_latents * (1 if part else shape.d_in + shape.d_out + 2)
        for shape, part in zip(shapes, parts, strict=True)
    ]
    weights += [shape.d_in * shape.d_out for shape in shapes if shape.options.get("skip")]
    widths = {site: width for shape in shapes for site, width in _widths(shape).items()}
    rows = -(-config.batch // processes)
    steps = [
        _STEP_COPIES * min(_STEP_ROWS, rows) * shape.n_latents + _BATCH_COPIES * rows * max(shape.d_in, shape.d_out)
        for shape in shapes
    ]
    # Of a pair, rows of its MLP's neurons: two matrices and their gradients, and slopes at the tokens taken.
    steps = [
        size + (4 * plan.dictionary.n_latents + 2 * rows) * _NEURONS * plan.dictionary.d_in if plan.pairing else size
        for size, plan in zip(steps, plans, strict=True)
    ]
    at_once = sorted(steps, reverse=True)[: threads if processes == 1 else 1]
    return MemoryNeed(
        dictionaries=number * _COPIES * sum(weights),
        blocks=number * 2 * -(-config.buffer // processes) * sum(widths.values()),
        model=model,
        steps=number * sum(at_once),
    )


def model_need(config: TrainSaeConfig, info: ModelInfo, parameters: int, positions: int, processes: int = 1) -> int:
    """Bytes of a model's weights and a forward pass over ``positions`` per sequence; end-to-end of a step too."""
    number = 8 if config.precision == "fp64" else 4
    sequences = -(-config.sequences // processes)
    per_position = _FORWARD_VECTORS * info.d_model + 2 * info.d_mlp
    size = parameters + sequences * positions * per_position
    if config.loss == END_TO_END:
        per_block = _BACKWARD_VECTORS * info.d_model + _BACKWARD_NEURONS * info.d_mlp
        rows = -(-max(config.batch, positions) // processes)
        size += rows * (info.n_layers * per_block + _PREDICTIONS * info.d_vocab)
    return number * size


def as_read(config: TrainSaeConfig, positions: int) -> TrainSaeConfig:
    """The configuration with ``buffer`` as large as its blocks are: those of whole sequences are of a step or more."""
    if config.loss != END_TO_END:
        return config
    return replace(config, buffer=max(config.batch, config.sequences * positions))


def require_room(config: TrainSaeConfig, need: MemoryNeed, ranks: Ranks) -> str:
    """What ``--plan`` says of it.

    Raises:
        UsageError: It does not fit; of the processes on one machine each takes as much.
    """
    here = 1 if config.device == "cuda" else ranks.on_machine
    return require_memory(
        need.total * here,
        f"{need}{f', in each of {here} processes' if here > 1 else ''}",
        "Lower --buffer, --latents or --batch, or train fewer sites at once.",
        device=config.device,
        limit=config.max_memory_bytes,
    )


def _is_part(plan: TrainerConfig, plans: Sequence[TrainerConfig]) -> bool:
    """Whether it takes its rows from a wider dictionary."""
    group = [one for one in plans if one.sharing and plan.sharing and _group(one) == _group(plan)]
    return bool(group) and plan is not max(group, key=lambda one: one.dictionary.n_latents)


def _group(plan: TrainerConfig) -> tuple[str, str]:
    return plan.variant, plan.sharing.group if plan.sharing else ""


def _widths(shape: DictionaryConfig) -> Mapping[Site, int]:
    return {shape.reads: shape.d_in, shape.writes: shape.d_out}
