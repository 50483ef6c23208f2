"""What changes in the course of a run: the settings of a step (the learning rate: :mod:`saecli.learning.rate`).

With ``done`` the share of the run before a step::

    penalty          w · min(1, done / sparsity_warmup)
    active features  round(d (1 − r) + k r),  r = min(1, done / k_anneal),  from the width d down to k
    exponent         :mod:`saecli.train.anneal`

The forms are those of https://github.com/saprmarks/dictionary_learning, which counts steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from saecli.train.anneal import PAnneal
from saecli.train.settings import Settings


class Schedule:
    """The settings of every step of a run.

    Args:
        settings: Those of the whole run.
        first_k: Active features with which an annealed k begins.

    Attributes:
        p: Exponent of the penalty.
        next_p: The exponent after the next change of an annealed one.
    """

    def __init__(self, settings: Settings, first_k: int = 0) -> None:
        self._settings, self._first_k = settings, first_k
        self._anneal = PAnneal(settings.anneal_start, settings.sparsity_p) if settings.sparsity_p < 1 else None
        self.p = 1.0
        self.next_p: float | None = None

    def at(self, done: float) -> Settings:
        """The settings after a share of the run; to be asked once a step, in order."""
        settings = self._settings
        if settings.sparsity_warmup:
            share = min(1.0, done / settings.sparsity_warmup)
            settings = replace(settings, sparsity_weight=settings.sparsity_weight * share)
        if settings.k_anneal:
            share = min(1.0, done / settings.k_anneal)
            settings = replace(settings, k=round(self._first_k * (1 - share) + settings.k * share))
        if self._anneal is not None:
            self._anneal.advance(done)
            self.p, self.next_p = self._anneal.p, self._anneal.next_p
            settings = replace(settings, sparsity_weight=settings.sparsity_weight * self._anneal.alpha)
        return settings

    def record(self, penalties: tuple[float, float] | None) -> None:
        """Take note of a step's penalties with ``p`` and ``next_p``."""
        if self._anneal is not None and penalties is not None:
            self._anneal.record(*penalties)

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes."""
        return {} if self._anneal is None else {"anneal": self._anneal.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        if self._anneal is not None:
            self._anneal.load(state["anneal"])
