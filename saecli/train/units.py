"""The units of training: x' = s_in (x − μ) and y' = s_out y.

s² = 1 / (mean over dimensions of the variance), so that one learning rate, one clipping norm and one sparsity weight
mean the same at every site. μ is 0 for an autoencoder, whose encoder subtracts b_dec. What a transcoder reads has no
bias of its own: with a large mean left in it, the gradient of every encoder column points along that mean, and the
dictionary learns slowly and loses latents, so μ is the mean of the input.

A few vectors can be very large (the first position of many language models: 30 times the others' norm), and would set
the scale for all: rows further from the middle than ten times the median distance are left out (:func:`usual_rows`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.dictionaries.gated import Gated

_MIDDLE_ROWS: Final = 8192
_FAR: Final = 10.0


@dataclass(frozen=True)
class Units:
    """Scales of input and output, and the input that becomes 0.

    Attributes:
        scale_in, scale_out: s_in and s_out.
        shift_D: μ [d_in] in the units of the model; None for 0.
    """

    scale_in: float = 1.0
    scale_out: float = 1.0
    shift_D: Tensor | None = None

    @classmethod
    def of(cls, x_ND: Tensor, y_ND: Tensor, centre: bool) -> Units:
        """Units in which a sample has unit variance per dimension on average, and mean 0 if it is to be centred."""
        scale_in = unit_scale(x_ND)
        return cls(scale_in, scale_in if y_ND is x_ND else unit_scale(y_ND), x_ND.mean(0) if centre else None)

    def enter_(self, x_ND: Tensor, y_ND: Tensor) -> None:
        """Bring vectors to these units in place; one tensor for an autoencoder."""
        if self.shift_D is not None:
            x_ND -= self.shift_D
        x_ND *= self.scale_in
        if y_ND is not x_ND:
            y_ND *= self.scale_out

    @torch.no_grad()
    def leave(self, dictionary: Dictionary) -> None:
        """Fold the units into the weights of a dictionary, which then reads and writes those of the model.

        b_enc := b_enc' / s_in − μ W_enc (thresholds and gated magnitudes likewise), W_dec := W_dec' s_in / s_out,
        b_dec := b_dec' / s_out; ReLU, TopK and thresholds commute with a positive factor. Of a skip,
        W_skip := W_skip' s_in / s_out and b_dec −= μ W_skip.
        """
        for name in ("b_enc_F", "b_mag_F", "threshold_F"):
            if isinstance(bias_F := getattr(dictionary, name, None), Tensor):
                bias_F.div_(self.scale_in)
        dictionary.b_dec_D.div_(self.scale_out)
        for weight in (dictionary.W_dec_FD, dictionary.W_skip_DO):
            if weight is not None and self.scale_in != self.scale_out:
                weight.mul_(self.scale_in / self.scale_out)
        if self.shift_D is None:
            return
        shift_D = self.shift_D.to(dictionary.b_dec_D)
        read_F = shift_D @ dictionary.W_enc_DF
        dictionary.b_enc_F.sub_(read_F)
        if isinstance(dictionary, Gated):
            dictionary.b_mag_F.sub_(dictionary.r_mag_F.exp() * read_F)
        if dictionary.W_skip_DO is not None:
            dictionary.b_dec_D.sub_(shift_D @ dictionary.W_skip_DO)

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes."""
        return {"scale_in": self.scale_in, "scale_out": self.scale_out, "shift": self.shift_D}

    @classmethod
    def load(cls, state: dict[str, Any]) -> Units:
        """Inverse of :meth:`state`."""
        return cls(state["scale_in"], state["scale_out"], state["shift"])


def unit_scale(x_ND: Tensor) -> float:
    """1 / root of the variance per dimension, 1 for constant input."""
    variance = float((x_ND - x_ND.mean(0)).square().mean())
    return 1 / math.sqrt(variance) if variance > 0 else 1.0


def usual_rows(x_ND: Tensor) -> Tensor:
    """bool [N]: rows no further than ten times the median distance from the median of every dimension."""
    sample_SD = x_ND[:: max(1, len(x_ND) // _MIDDLE_ROWS)]
    distance_N = (x_ND - sample_SD.median(0).values).norm(dim=1)
    return distance_N <= _FAR * distance_N.median()
