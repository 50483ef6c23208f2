"""Staircases: dictionaries whose weights are the first rows of one encoder and one decoder.

The dictionary of site l has F_l features, F_0 <= F_1 <= ..., and reads W_enc[:, :F_l] and W_dec[:F_l] of matrices as
wide as the last one's: feature j is the same direction at every site that has it. Biases are every site's own
(``b-dec``: b_dec is shared too). The gradients of all dictionaries add up in what they share, and one Adam moves it,
with the biases, after the last of them; gradients are clipped by the norm of them all. Of ``detached`` the rows below
F_{l-1} get nothing from site l (biases do): each chunk of features is trained where it is new.

A row counts as dead when it has not fired at any of its sites, in vectors of all of them together.

Inputs of every site are brought to a scale of their own, which W_enc and W_dec do not notice. JumpReLU's thresholds and
a shared b_dec do: then all are trained at the scale of the widest. A chunk's thresholds begin as those of the first
site that has it, a shared b_dec as that of the first site.

Source: the staircases of https://github.com/Stefan-Heimersheim/gpt-circuits (``models/sae/topk.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary
from saecli.learning.update import Update
from saecli.train.settings import Pairing, Settings, Sharing


class Optimiser(Protocol):
    """What a dictionary's gradients are given to."""

    def apply(self, lr: float, clip: float, unit_decoder: bool) -> None:
        """As :meth:`saecli.learning.update.Update.apply`."""
        ...

    def forget(self, latents_N: Tensor) -> None:
        """As :meth:`saecli.learning.update.Update.forget`."""
        ...

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes."""
        ...

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        ...


class _Plan(Protocol):
    @property
    def variant(self) -> str: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def sharing(self) -> Sharing | None: ...
    @property
    def pairing(self) -> Pairing | None: ...


class Sharer(Protocol):
    """What is needed of a trainer."""

    dictionary: Dictionary
    since_fired_F: Tensor

    @property
    def config(self) -> _Plan: ...
    def join(self, update: Optimiser, since_fired_F: Tensor) -> None: ...


def chains(trainers: Sequence[Sharer]) -> list[list[int]]:
    """Numbers of trainers that step one after the other, the widest first, of a pair that which reads; chains are
    independent of each other.

    What a chain of several shares is made one here: before that they have copies of their own.
    """
    groups: dict[Any, list[int]] = {}
    for number, trainer in enumerate(trainers):
        together = trainer.config.sharing or trainer.config.pairing
        groups.setdefault((trainer.config.variant, together.group) if together else number, []).append(number)
    for numbers in groups.values():
        numbers.sort(key=lambda number: -trainers[number].dictionary.n_latents)
        if trainers[numbers[0]].config.sharing is not None:
            Shared([trainers[number] for number in numbers])
    # The largest first, so that no worker ends with a long one.
    return sorted(groups.values(), key=lambda numbers: -sum(trainers[one].dictionary.n_latents for one in numbers))


class Shared:
    """The tensors of a staircase and their optimiser.

    Args:
        trainers: The widest first, whose weights are the ones kept; they must step in this order.

    Attributes:
        sums: Gradients of what is shared, latents first, of the dictionaries that have stepped.
    """

    def __init__(self, trainers: Sequence[Sharer]) -> None:
        self._trainers, self._holder = trainers, trainers[0].dictionary
        names = ["W_enc_DF", "W_dec_FD", *(["threshold_F"] if hasattr(self._holder, "threshold_F") else [])]
        first = trainers[0].config
        if first.sharing is not None and first.sharing.kind == "b-dec":
            names.append("b_dec_D")
        whole = {name: _rows(name, self._holder.get_parameter(name).detach()) for name in names}
        for trainer in trainers[1:]:
            made = trainer.dictionary
            for name, rows in whole.items():
                part = rows if name == "b_dec_D" else rows[: made.n_latents]
                setattr(made, name, nn.Parameter(_rows(name, part)))
        self.sums = {name: torch.zeros_like(rows) for name, rows in whole.items()}
        more = [one for trainer in trainers[1:] for one in _own(trainer.dictionary, names)]
        self._update = Update(self._holder, first.settings.lr, (first.settings.beta1, 0.999), more=more)
        for place, trainer in enumerate(trainers):
            trainer.join(_Part(self, place), trainers[0].since_fired_F[: trainer.dictionary.n_latents])

    def add(self, place: int) -> None:
        """Add the gradients of one dictionary; those of the first replace what is there."""
        trainer = self._trainers[place]
        for name, total in self.sums.items():
            gradient = trainer.dictionary.get_parameter(name).grad
            if gradient is None or trainer.config.sharing is None:
                continue
            rows = _rows(name, gradient)
            low = 0 if name == "b_dec_D" else trainer.config.sharing.own_from
            if place:
                total[low : len(rows)] += rows[low:]
            else:
                total[:low] = 0
                total[low:] = rows[low:]

    def apply(self, place: int, lr: float, clip: float, unit_decoder: bool) -> None:
        """Add the gradients of one dictionary, and after the last one's move all parameters."""
        self.add(place)
        if place < len(self._trainers) - 1:
            return
        for name, total in self.sums.items():
            self._holder.get_parameter(name).grad = _rows(name, total)
        self._update.apply(lr, clip, unit_decoder)

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes."""
        return self._update.state()

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        self._update.load(state)


class _Part:
    """The optimiser of one of them."""

    def __init__(self, shared: Shared, place: int) -> None:
        self._shared, self._place = shared, place

    def apply(self, lr: float, clip: float, unit_decoder: bool) -> None:
        self._shared.apply(self._place, lr, clip, unit_decoder)

    def forget(self, latents_N: Tensor) -> None:
        """Nothing: latents of staircases are not resampled."""

    def state(self) -> dict[str, Any]:
        return {} if self._place else self._shared.state()

    def load(self, state: dict[str, Any]) -> None:
        if not self._place:
            self._shared.load(state)


def _rows(name: str, tensor: Tensor) -> Tensor:
    """Latents first, and back."""
    return tensor.T if name == "W_enc_DF" else tensor


def _own(dictionary: Dictionary, shared: Iterable[str]) -> list[nn.Parameter]:
    return [parameter for name, parameter in dictionary.named_parameters() if name not in set(shared)]
