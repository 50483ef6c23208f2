"""What a trace measures: one number per sequence, read at one position.

Most metrics read the logits, one reads a feature. Effects are metric(without) − metric(with); ``direction`` says
whether a higher value is better for the target.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, InputNorm
from saecli.core.model import HookedModel, ModelInfo
from saecli.core.site import Site


class Metric(ABC):
    """A number read from one site at one position.

    Attributes:
        position: Token position.
        name: Name used in files.
        description: One plain sentence.
        direction: 1 if higher is better for the target, −1 if lower is.
        target: How the target is written for people.
    """

    position: int
    name: str
    description: str
    direction: Literal[1, -1]
    target: str

    @abstractmethod
    def site(self, info: ModelInfo) -> Site:
        """The site the metric reads; the final residual stream for metrics of the logits."""

    @abstractmethod
    def measure(self, model: HookedModel, x_BD: Tensor) -> Tensor:
        """Value of that site at :attr:`position` [B, d] → metric [B]."""


class LogitMetric(Metric):
    """A number computed from the logits at one position."""

    def site(self, info: ModelInfo) -> Site:
        return Site(info.n_layers, "resid_pre")

    def measure(self, model: HookedModel, x_BD: Tensor) -> Tensor:
        return self(model.unembed(x_BD))

    @abstractmethod
    def __call__(self, logits_BV: Tensor) -> Tensor:
        """Logits [B, V] → metric [B]."""


@dataclass(frozen=True)
class FeatureMetric(Metric):
    """Activation of one feature.

    Attributes:
        dictionary: The feature's dictionary.
        index: The feature.
        norm: What its input is centred by and divided by, held fixed; None where that follows the input.
    """

    position: int
    dictionary: Dictionary
    index: int
    target: str
    name: str = "feature"
    description: str = "activation of the target feature"
    direction: Literal[1, -1] = 1
    norm: InputNorm | None = None

    def site(self, info: ModelInfo) -> Site:
        return self.dictionary.config.reads

    def measure(self, model: HookedModel, x_BD: Tensor) -> Tensor:
        if self.norm is not None:
            return self.dictionary.encode_with(x_BD, self.norm)[:, self.index]
        return self.dictionary.encode(x_BD)[:, self.index]

    @torch.no_grad()
    def frozen(self, model: HookedModel, tokens_S: Tensor) -> FeatureMetric:
        """The same with the norm of its input on a prompt held fixed, if the dictionary has one."""
        if self.dictionary.normalize is None:
            return self
        site = self.site(model.info)
        x_SD = model.run(tokens_S[None], read=[site], stop_after=site).sites[site][0]
        return replace(self, norm=self.dictionary.input_norm(x_SD[self.position, None]))


@dataclass(frozen=True)
class LinearMetric(LogitMetric):
    """A weighted sum of logits: logit, logit difference, logit minus the mean over a set.

    Attributes:
        weights_V: Weight of each logit.
    """

    position: int
    weights_V: Tensor
    name: str
    description: str
    target: str
    direction: Literal[1, -1] = 1

    def __call__(self, logits_BV: Tensor) -> Tensor:
        return logits_BV @ self.weights_V.to(logits_BV)


@dataclass(frozen=True)
class CrossEntropyMetric(LogitMetric):
    """Cross-entropy of one token in nats; lower is better."""

    position: int
    token: int
    target: str
    name: str = "ce"
    description: str = "cross-entropy of the target in nats"
    direction: Literal[1, -1] = -1

    def __call__(self, logits_BV: Tensor) -> Tensor:
        return -logits_BV.log_softmax(-1)[:, self.token]


@dataclass(frozen=True)
class DivergenceMetric(LogitMetric):
    """KL divergence in nats of the distribution from the unmodified one; lower is better.

    Its gradient at the unmodified input is zero, so only ablation can use it.
    """

    position: int
    clean_logits_V: Tensor
    target: str = "the model's own distribution"
    name: str = "kl"
    description: str = "KL divergence in nats from the unmodified next-token distribution"
    direction: Literal[1, -1] = -1

    def __call__(self, logits_BV: Tensor) -> Tensor:
        clean = self.clean_logits_V.to(logits_BV).log_softmax(-1)
        return (clean.exp() * (clean - logits_BV.log_softmax(-1))).sum(-1)


def logit_difference(
    position: int, d_vocab: int, plus: int, minus: list[int], *, name: str, description: str, target: str
) -> LinearMetric:
    """Logit of ``plus`` minus the mean logit of ``minus`` (nothing is subtracted if ``minus`` is empty)."""
    weights_V = torch.zeros(d_vocab, dtype=torch.float64)
    if minus:
        weights_V[minus] -= 1 / len(minus)
    weights_V[plus] += 1
    return LinearMetric(position, weights_V, name, description, target)
