"""One training step of one dictionary: what goes in, what comes out, and who does it for which architecture.

A step function computes the loss and leaves its gradients in ``parameter.grad``; clipping, the optimiser and the
counters of dead latents are the same for all of them (:mod:`saecli.train.trainer`).

Of several processes each is given its rows of the batch. What a gradient needs of all rows (the residual error's norm,
the selection of a batch, the mean number of active features) the step sums with :meth:`StepInput.sum`; everything that
it returns or leaves in the gradients is its own share, divided by the whole batch, and is summed by the trainer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.core.ranks import ONE, Ranks
from saecli.train.settings import Settings


class Workspace:
    """Buffers that are reused from step to step: a fresh allocation costs more than the arithmetic done in it.

    One per worker thread; every buffer is asked for by name and shape, and its content is whatever was left there.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int, like: Tensor) -> Tensor:
        """An uninitialised tensor of the shape, of the dtype and device of ``like``."""
        size = 1
        for length in shape:
            size *= length
        key = f"{name}/{like.dtype}/{like.device}"
        held = self._buffers.get(key)
        if held is None or held.numel() < size:
            held = self._buffers[key] = torch.empty(size, dtype=like.dtype, device=like.device)
        return held[:size].view(*shape)


class Truth(NamedTuple):
    """What is really there, where the target only stands for a gradient (:mod:`saecli.train.end_to_end`).

    Attributes:
        y_BD: What the dictionary would write if it were exact, without what a skip path adds.
        missed_BD: x̂ less that.
    """

    y_BD: Tensor
    missed_BD: Tensor


@dataclass(frozen=True)
class StepInput:
    """What a step is given.

    Attributes:
        x_BD: [B, d_in] this process's vectors at the site read, scaled to unit variance per dimension on average.
        y_BD: [B, d_out] targets, without what a skip path adds (:func:`without_skip`); the same tensor as ``x_BD`` for
            an autoencoder. [B, G, d_out] if every prefix of a Matryoshka dictionary has its own.
        dead_N: int64 indices of the dead latents, perhaps none.
        settings: Weights and sizes; those that a schedule changes are as they are at this step.
        p: Exponent of an annealed penalty.
        next_p: An exponent for which the penalty is wanted too.
        workspace: Reusable buffers.
        total: Vectors of the batch over all processes; those given if 0.
        ranks: The processes.
        chunks: Widths at which active features are counted apart, ascending up to all of them (topk, jumprelu).
        truth: What auxiliary losses are about, if not ``y_BD``.
    """

    x_BD: Tensor
    y_BD: Tensor
    dead_N: Tensor
    settings: Settings = field(default_factory=Settings)
    p: float = 1.0
    next_p: float | None = None
    workspace: Workspace = field(default_factory=Workspace)
    total: int = 0
    ranks: Ranks = ONE
    chunks: tuple[int, ...] = ()
    truth: Truth | None = None

    def l0_of_chunks(self, indices: Tensor, active: Tensor) -> tuple[float, ...]:
        """Mean number of active features in every chunk, this process's share of it.

        Args:
            indices, active: Features of any shape, and which of them count.
        """
        if not self.chunks:
            return ()
        ends_C = torch.tensor(self.chunks, device=indices.device, dtype=indices.dtype)
        places_N = torch.bucketize(indices[active], ends_C, right=True)
        return tuple((places_N.bincount(minlength=len(ends_C)).double() / self.batch).tolist())

    @property
    def batch(self) -> int:
        """Vectors of the batch over all processes."""
        return self.total or len(self.x_BD)

    def sum(self, value: float) -> float:
        """The sum of a number over all processes."""
        if self.ranks.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.x_BD.device)
        self.ranks.sum_(total)
        return float(total)


@dataclass(frozen=True)
class StepOutput:
    """What a step found, this process's share of it; its gradients are in the parameters.

    Attributes:
        loss: All terms, on average over vectors and per dimension.
        mse: Mean squared error per dimension; the fraction of variance unexplained, as inputs have unit variance.
        l0: Mean number of active features.
        fired_F: bool [F], active for at least one vector of the batch.
        aux: The auxiliary term before its coefficient: the share of the residual error that the dead leave, or 0.
        penalties: The penalty before its weight, with ``p`` and with ``next_p``, if the latter was given.
        chunk_l0: The part of ``l0`` in every chunk, if the step was told of chunks.
        chosen: Indices and activations [B, K] of what was selected (topk).
        jacobian: Mean |∂ feature / ∂ feature| of a pair, in the units of the model, over all processes.
        least: The smallest positive activation of a vector, on average over those of all processes (topk), if any is.
        fit: The squared errors within ``loss``, if they are not ``mse`` alone (matryoshka).
        consequences: Of an end-to-end step the divergence, the downstream term without its weight, and what the
            architecture adds to the loss; else nothing.
    """

    loss: float
    mse: float
    l0: float
    fired_F: Tensor
    aux: float = 0.0
    penalties: tuple[float, float] | None = None
    least: float | None = None
    chunk_l0: tuple[float, ...] = ()
    chosen: tuple[Tensor, Tensor] | None = None
    jacobian: float | None = None
    fit: float | None = None
    consequences: tuple[float, ...] = ()


def without_skip(dictionary: Dictionary, x_BD: Tensor, y_BD: Tensor, space: Workspace) -> Tensor:
    """What the features are to reconstruct: y − x W_skip in a kept buffer; y itself where there is no skip path."""
    if dictionary.W_skip_DO is None:
        return y_BD
    out = space.take("without_skip", *y_BD.shape, like=y_BD)
    return torch.addmm(y_BD, x_BD, dictionary.W_skip_DO.detach(), alpha=-1, out=out)


def set_output_gradients(dictionary: Dictionary, step: StepInput, residual_BD: Tensor, factor: float) -> None:
    """Set the gradients of what reaches the output beside the features: Σ g of b_dec, xᵀ g of W_skip.

    Args:
        residual_BD: The gradient g at the reconstruction without its factor.
        factor: 2 / (B D).
    """
    dictionary.b_dec_D.grad = residual_BD.sum(0) * factor
    if dictionary.W_skip_DO is not None:
        dictionary.W_skip_DO.grad = (step.x_BD.T @ residual_BD).mul_(factor)


StepFunction = Callable[[Dictionary, StepInput], StepOutput]
