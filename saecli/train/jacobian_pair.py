"""Two TopK dictionaries trained together, with a penalty on the Jacobian from the one's features to the other's.

The loss of a pair is that of two TopK dictionaries and c J: J is Σ |∂ f_out / ∂ f_in| / k² over the active features of
a token, on average over tokens or (``sum``) their sum, in the units of training: c means the same at every site.
What is reported is the mean, in the units of the model (:mod:`saecli.train.jacobian`).

The dictionary that reads steps first and leaves its gradients; when the other one has stepped, those of the penalty are
added to both, and both are moved. Of ``every`` tokens one is taken, from a first one drawn anew in every step, and
counts for all of them: every token is as likely as any other, so that sum and gradients are right on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from saecli.core.dictionary import Dictionary
from saecli.core.model import HookedModel
from saecli.core.ranks import Ranks
from saecli.learning.update import Update
from saecli.train.jacobian import Chosen, absolute_jacobian
from saecli.train.jacobian_path import Path, mlp_path
from saecli.train.settings import Pairing, Settings
from saecli.train.sharing import Optimiser
from saecli.train.step import StepInput, StepOutput
from saecli.train.units import Units


class _Plan(Protocol):
    @property
    def variant(self) -> str: ...
    @property
    def own_seed(self) -> int: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def pairing(self) -> Pairing | None: ...


class Member(Protocol):
    """What is needed of a trainer."""

    dictionary: Dictionary
    units: Units
    since_fired_F: Tensor
    partner: Half | None

    @property
    def config(self) -> _Plan: ...
    def join(self, update: Optimiser, since_fired_F: Tensor) -> None: ...


class _Read(NamedTuple):
    """What the first dictionary leaves for the second.

    Attributes:
        rows: Tokens taken.
        x_BD: What the model has there, or the first dictionary makes of it.
        chosen: Features of the first.
    """

    rows: slice
    x_BD: Tensor
    chosen: Chosen


def pair_up(trainers: Sequence[Member], ranks: Ranks) -> list[Pair]:
    """The pairs among some trainers, which are in the order of depth."""
    found: dict[tuple[str, Pairing], list[Member]] = {}
    for trainer in trainers:
        if trainer.config.pairing is not None:
            found.setdefault((trainer.config.variant, trainer.config.pairing), []).append(trainer)
    return [Pair(reads, writes, pairing, ranks) for (_, pairing), (reads, writes) in found.items()]


class Pair:
    """The penalty of a pair and its part of the gradients.

    Args:
        reads, writes: The trainers of its dictionaries; they must step in this order.
        pairing: The penalty.
        ranks: The processes.

    Attributes:
        path: What is between the two, set by :meth:`lay`.
    """

    path: Path

    _read: _Read

    def __init__(self, reads: Member, writes: Member, pairing: Pairing, ranks: Ranks) -> None:
        self.reads, self.writes, self.pairing, self._ranks = reads, writes, pairing, ranks
        first = Half(self, reads, None)
        Half(self, writes, first)

    def lay(self, model: HookedModel) -> None:
        """Take from the model what is between the two; to be done before the first step.

        Raises:
            UsageError: As :func:`saecli.train.jacobian_path.mlp_path`.
        """
        reads = self.reads.dictionary.config.reads
        self.path = mlp_path(model, reads.layer, block=reads.kind == "resid_mid").to(self.reads.dictionary.b_dec_D)

    def read(self, out: StepOutput, given: StepInput, seen: int) -> StepOutput:
        """Keep what the penalty needs of the tokens taken; the first dictionary's numbers stay as they are."""
        every = self.pairing.every
        generator = torch.Generator().manual_seed((self.reads.config.own_seed + seen) % (1 << 63))
        rows = slice(int(torch.randint(every, (), generator=generator)) if every > 1 else 0, None, every)
        indices_BK, values_BK = _chosen(out, rows)
        x_BD = given.x_BD[rows]
        if self.pairing.at == "reconstruction":
            made = self.reads.dictionary
            x_BD = embedding_bag(indices_BK, made.W_dec_FD, per_sample_weights=values_BK, mode="sum") + made.b_dec_D
        self._read = _Read(rows, x_BD / self.reads.units.scale_in, _active(indices_BK, values_BK))
        return out

    def write(self, out: StepOutput, given: StepInput) -> StepOutput:
        """Adds the penalty to the second dictionary's loss and its gradients to both."""
        read, pairing = self._read, self.pairing
        chosen = _active(*_chosen(out, read.rows))
        first, second = self.reads.dictionary, self.writes.dictionary
        dec_FD, enc_FD = first.W_dec_FD.detach(), second.W_enc_DF.detach().T
        gradients = pairing.coefficient > 0
        found = absolute_jacobian(
            self.path, read.x_BD, dec_FD, enc_FD, read.chosen, chosen, given.workspace, gradients=gradients
        )
        share = pairing.every / (read.chosen.indices_BK.shape[1] * chosen.indices_BK.shape[1] * given.batch)
        mean = given.sum(found.total * share)
        scale = self.writes.units.scale_in / self.reads.units.scale_in
        weight = pairing.coefficient * scale * (given.batch if pairing.reduction == "sum" else 1)
        sums = found.g_dec_FD, found.g_enc_FD
        for parameter_grad, added_FD in ((first.W_dec_FD.grad, sums[0]), (_rows(second.W_enc_DF.grad), sums[1])):
            if parameter_grad is not None and added_FD is not None:
                if self._ranks.size > 1:
                    self._ranks.sum_(added_FD)
                parameter_grad.add_(added_FD, alpha=weight * share)
        return replace(out, loss=out.loss + weight * mean, jacobian=mean)


class Half:
    """One of a pair, as its trainer knows it; the optimiser of its dictionary.

    Args:
        pair: The pair.
        trainer: Whose it is.
        first: The other one, for that which steps last.
    """

    def __init__(self, pair: Pair, trainer: Member, first: Half | None) -> None:
        self._pair, self._first, self._dictionary = pair, first, trainer.dictionary
        settings = trainer.config.settings
        self._update = Update(trainer.dictionary, settings.lr, (settings.beta1, 0.999))
        self._waiting: tuple[float, float, bool] | None = None
        trainer.join(self, trainer.since_fired_F)
        trainer.partner = self

    def after(self, out: StepOutput, given: StepInput, seen: int) -> StepOutput:
        """What a step found, with what the pair adds; ``seen`` is the number of vectors before it."""
        return self._pair.read(out, given, seen) if self._first is None else self._pair.write(out, given)

    def apply(self, lr: float, clip: float, unit_decoder: bool) -> None:
        """As :meth:`saecli.learning.update.Update.apply`; of the first once the second has its gradients."""
        if self._first is None:
            # The other one's step has its gradients in the same buffers.
            for parameter in self._dictionary.parameters():
                parameter.grad = None if parameter.grad is None else parameter.grad.clone()
            self._waiting = lr, clip, unit_decoder
            return
        if self._first._waiting is not None:
            self._first._update.apply(*self._first._waiting)
            self._first._waiting = None
        self._update.apply(lr, clip, unit_decoder)

    def forget(self, latents_N: Tensor) -> None:
        """As :meth:`saecli.learning.update.Update.forget`."""
        self._update.forget(latents_N)

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes."""
        return self._update.state()

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        self._update.load(state)


def _chosen(out: StepOutput, rows: slice) -> tuple[Tensor, Tensor]:
    indices_BK, values_BK = cast(tuple[Tensor, Tensor], out.chosen)
    return indices_BK[rows], values_BK[rows]


def _active(indices_BK: Tensor, values_BK: Tensor) -> Chosen:
    active_BK = values_BK > 0
    return Chosen(indices_BK, None if bool(active_BK.all()) else active_BK)


def _rows(gradient_DF: Tensor | None) -> Tensor | None:
    return None if gradient_DF is None else gradient_DF.T
