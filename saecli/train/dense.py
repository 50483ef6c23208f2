"""Steps that hold dense activations, a chunk of rows at a time, in buffers that are kept.

Everything of the size of the batch times the latents exists for one chunk of rows only: the passes over it find it in
the cache, and nothing of that size is allocated anew. The gradients of the weights are summed over the chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary
from saecli.train.products import multiply
from saecli.train.step import StepInput

_CHUNK_ELEMENTS: Final = 1 << 22
_FEWEST_ROWS: Final = 512  # with fewer, summing the weight gradients over chunks costs more than it saves
_SAMPLE_ROWS: Final = 64
SMALLEST: Final = 1e-30
"""What is divided by at least where 0 / 0 means 0."""


def chunks(centred_BD: Tensor, y_BD: Tensor, latents: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows of the encoder's input and of the target, side by side."""
    rows = max(_FEWEST_ROWS, _CHUNK_ELEMENTS // latents)
    return zip(centred_BD.split(rows), y_BD.split(rows), strict=True)


def active_share(dictionary: Dictionary, centred_BD: Tensor) -> float:
    """Share of positive pre-activations among those of a few rows, evenly chosen."""
    sample_SD = centred_BD[:: max(1, -(-len(centred_BD) // _SAMPLE_ROWS))]
    pre_SF = torch.addmm(dictionary.b_enc_F.detach(), sample_SD, dictionary.W_enc_DF.detach())
    return count_positive(pre_SF) / max(1, pre_SF.numel())


def count_positive(values: Tensor) -> int:
    """How many entries are above 0."""
    if values.device.type == "cpu":
        return int(np.count_nonzero(np.greater(values.detach().numpy(), 0)))
    return int((values > 0).count_nonzero())


def column_sums(values_CF: Tensor) -> Tensor:
    """Sums over the rows, [F]."""
    return values_CF.new_ones(len(values_CF)) @ values_CF


class WeightGradients:
    """The gradients of encoder, decoder and skip path, in kept buffers, as sums over chunks.

    Args:
        dictionary: Whose ``W_enc_DF.grad``, ``W_dec_FD.grad`` and ``W_skip_DO.grad`` are set.
        step: Has the buffers.
    """

    def __init__(self, dictionary: Dictionary, step: StepInput) -> None:
        W_enc_DF, W_dec_FD = dictionary.W_enc_DF, dictionary.W_dec_FD
        latents, space = dictionary.n_latents, step.workspace
        self._enc_FD = space.take("grad_enc", latents, W_enc_DF.shape[0], like=W_enc_DF.detach())
        self._dec_FD = space.take("grad_dec", latents, W_dec_FD.shape[1], like=W_dec_FD.detach())
        W_enc_DF.grad, W_dec_FD.grad = self._enc_FD.T, self._dec_FD
        self._skip_DO: Tensor | None = None
        if (skip := dictionary.W_skip_DO) is not None:
            self._skip_DO = skip.grad = space.take("grad_skip", *skip.shape, like=skip.detach())
        self._precision, self._add = step.settings.precision, False

    def add(self, inner_CF: Tensor, centred_CD: Tensor, acts_CF: Tensor, residual_CD: Tensor, factor: float) -> None:
        """Add what a chunk gives.

        Args:
            inner_CF: Gradient at the pre-activations.
            centred_CD: What the encoder sees.
            acts_CF: What the decoder sees.
            residual_CD: Gradient at the reconstruction without ``factor``.
        """
        multiply(self._enc_FD, inner_CF.T, centred_CD, self._precision, add=self._add)
        multiply(self._dec_FD, acts_CF.T, residual_CD, self._precision, alpha=factor, add=self._add)
        if self._skip_DO is not None:  # of a transcoder, whose encoder sees its input as it is
            multiply(self._skip_DO, centred_CD.T, residual_CD, self._precision, alpha=factor, add=self._add)
        self._add = True


def residual(acts_CF: Tensor, dictionary: Dictionary, y_CD: Tensor, step: StepInput, name: str = "residual") -> Tensor:
    """x̂ − y of a chunk, in a kept buffer."""
    out = step.workspace.take(name, *y_CD.shape, like=y_CD)
    torch.sub(dictionary.b_dec_D.detach(), y_CD, out=out)
    return multiply(out, acts_CF, dictionary.W_dec_FD.detach(), step.settings.precision, add=True)


def squared_norm(values: Tensor) -> float:
    """Σ v²."""
    return float(torch.linalg.vector_norm(values)) ** 2


def where_positive_(gradient_CF: Tensor, values_CF: Tensor) -> Tensor:
    """The gradient where the values are above 0, and 0 elsewhere, in place."""
    return torch.ops.aten.threshold_backward.grad_input(gradient_CF, values_CF, 0, grad_input=gradient_CF)


def no_gradients(dictionary: nn.Module) -> None:
    """Forget the gradients there are."""
    for parameter in dictionary.parameters():
        parameter.grad = None
