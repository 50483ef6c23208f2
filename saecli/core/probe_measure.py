"""What a dictionary does with activations, and whether that is what is recorded of it.

See :mod:`saecli.core.probe`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig

ELEMENTS: Final = 1 << 24
"""Activations of features held at once, 64 MB."""

_L0_SLACK: Final = 3.0  # L0 differs more than variance explained between texts


class Measure(NamedTuple):
    """What a dictionary does with some activations."""

    l0: float
    variance_explained: float


@dataclass(frozen=True)
class Expected:
    """What is recorded of a dictionary, and how far from it is still right."""

    config: DictionaryConfig
    l0: float | None
    variance_explained: float | None
    tolerance: float

    @property
    def recorded(self) -> bool:
        return self.l0 is not None or self.variance_explained is not None

    def differences(self, found: Measure) -> str:
        """What is wrong, empty if nothing is."""
        wrong = []
        l0, explained = found
        if not (math.isfinite(l0) and math.isfinite(explained)):
            return "the activations or their reconstruction are not finite"
        if self.variance_explained is not None:
            if explained < self.variance_explained - self.tolerance:
                wrong.append(f"variance explained is {short(explained)}, recorded {short(self.variance_explained)}")
        elif explained <= 0:
            wrong.append(f"variance explained is {short(explained)}, and should be positive")
        if self.l0 is not None:
            if abs(l0 - self.l0) > _L0_SLACK * self.tolerance * self.l0:
                wrong.append(f"L0 is {l0:.1f}, recorded {self.l0:.1f}")
        elif not 0 < l0 < self._most:
            wrong.append(f"L0 is {l0:.1f} of {self.config.n_latents} features")
        return " and ".join(wrong)

    def doubtful(self, found: Measure) -> bool:
        """Whether twice as much stays unexplained as recorded, though no more than the tolerance allows; or whether
        nothing is recorded, so that only a comparison with other sites can tell."""
        if self.variance_explained is None:
            return True
        left, recorded = 1 - found.variance_explained, 1 - self.variance_explained
        return left > max(2 * recorded, recorded + self.tolerance / 4)

    @property
    def _most(self) -> float:
        """What L0 has to stay below."""
        features = self.config.n_latents
        all_may_be = self.config.arch == "identity" or self.config.options.get("k", 0) >= features
        return features + all_may_be


def measure(
    dictionary: Dictionary, x_BSD: Tensor, y_BSD: Tensor, counted_BS: Tensor, predicted_ND: Tensor | None = None
) -> Measure:
    """L0 and variance explained over the positions that count.

    Args:
        dictionary: The dictionary.
        x_BSD: What it reads.
        y_BSD: What it should write.
        counted_BS: bool [B, S].
        predicted_ND: What it and others wrote at these positions, for sites that several write.
    """
    dtype = dictionary.b_dec_D.dtype
    x_BSD, y_ND = x_BSD.to(dtype), y_BSD[counted_BS].to(dtype)
    if not dictionary.positionwise:
        active = float((dictionary.encode(x_BSD)[counted_BS] != 0).sum(-1).double().mean())
        return Measure(active, explained(y_ND, dictionary.reconstruct(x_BSD)[counted_BS]))
    parts = x_BSD[counted_BS].split(max(1, ELEMENTS // dictionary.n_latents))
    active = sum(int((dictionary.encode_sparse(part).values_TK != 0).sum()) for part in parts)
    if predicted_ND is None:
        predicted_ND = torch.cat([dictionary.reconstruct(part) for part in parts])
    return Measure(active / len(y_ND), explained(y_ND, predicted_ND))


def explained(y_ND: Tensor, predicted_ND: Tensor) -> float:
    """Variance of y that is explained: 1 − Σ|y − ŷ|² / Σ|y − mean y|², summed in fp64."""
    y_ND = y_ND.double()
    spread = (y_ND - y_ND.mean(0)).square().sum()
    return float(1 - (y_ND - predicted_ND).square().sum() / spread)


def short(value: float) -> str:
    """``.93``, ``-1.20``: two decimals."""
    return f"{value:.2f}".replace("0.", ".", 1) if 0 <= value < 1 else f"{value:.2f}"
