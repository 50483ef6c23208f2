"""p-annealing: the sparsity penalty Σ f becomes Σ f^p, with p falling from 1 in steps.

Ten changes, spread evenly from ``start`` (a share of the run) to its end, take p through ten even values from 1 to
``last``. At each the weight α is multiplied by mean Σ f^p / mean Σ f^p' over the last ten steps, p' the next value, so
that the penalty does not jump. The first change leaves p at 1; the last value belongs to the very end, so the last
steps are trained at the value before it.

Source: Karvonen et al. 2024, https://arxiv.org/abs/2408.00113, and the trainer of
https://github.com/saprmarks/dictionary_learning.
"""

from __future__ import annotations

from typing import Any, Final

_CHANGES: Final = 10
_REMEMBERED: Final = 10


class PAnneal:
    """The exponent and the factor on the penalty's weight, and what they follow from.

    Args:
        start: Share of the run after which p falls.
        last: The last p.

    Attributes:
        p: The exponent of the penalty.
        next_p: The exponent after the next change; None before the first change.
        alpha: Factor on the penalty's weight.
    """

    def __init__(self, start: float, last: float) -> None:
        self._shares = [start + (1 - start) * number / (_CHANGES - 1) for number in range(_CHANGES)]
        self._values = [1 + (last - 1) * number / (_CHANGES - 1) for number in range(_CHANGES)]
        self._changes = 0
        self._pairs: list[tuple[float, float]] = []
        self.p, self.alpha = 1.0, 1.0
        self.next_p: float | None = None

    def advance(self, done: float) -> None:
        """Make the changes that are due after a share of the run."""
        while self._changes < _CHANGES and done >= self._shares[self._changes]:
            after = sum(after for _, after in self._pairs)
            if self.next_p is not None and after > 0:
                self.alpha *= sum(before for before, _ in self._pairs) / after
            self.p = self._values[self._changes]
            self._changes += 1
            self.next_p = self._values[min(self._changes, _CHANGES - 1)]
            self._pairs = []

    def record(self, penalty: float, next_penalty: float) -> None:
        """Remember mean Σ f^p and mean Σ f^p' of a step."""
        self._pairs = [*self._pairs[1 - _REMEMBERED :], (penalty, next_penalty)]

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes."""
        return {"p": self.p, "next_p": self.next_p, "alpha": self.alpha, "changes": self._changes, "pairs": self._pairs}

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        self.p, self.next_p, self.alpha = state["p"], state["next_p"], state["alpha"]
        self._changes, self._pairs = state["changes"], [tuple(pair) for pair in state["pairs"]]
