"""What ``saecli validate --set 7:331=0..2x`` returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from saecli.core.result import Result, field_doc
from saecli.validate.wording import aligned, number

Array = npt.NDArray[np.floating[Any]]
LINEAR: Final = 0.98
"""R² of a line from which on a response counts as linear."""
_ROUNDING: Final = 1e-5
_FLAT: Final = 0.1
_SHOWN: Final = 8


@dataclass(frozen=True)
class Response:
    """How one number answers to the dose."""

    name: str = field_doc("Name", "The metric, or a feature at a later site.")
    values: list[float] = field_doc("Values", "One per dose.")
    r2: float | None = field_doc("R²", "Of the best line; null where nothing changes.")
    bend: float | None = field_doc("Bend", "The dose at which two lines that meet fit best; null where one line does.")
    bend_r2: float | None = field_doc("Bend R²", "Of these two lines; null without them.")
    shape: str = field_doc(
        "Shape",
        "flat (no change), linear (R² of a line of .98 or more), threshold (one of two lines has less than a tenth of "
        "the other's slope), or bent.",
    )


@dataclass(frozen=True, kw_only=True)
class DoseResult(Result):
    """Dose and response of one feature on one input."""

    schema: ClassVar[str] = "saecli.validate-dose/1"

    model: str = field_doc("Model", "The model.")
    suite: str = field_doc("Suite", "The dictionaries.")
    tokens: list[int] = field_doc("Tokens", "The input.")
    feature: str = field_doc("Feature", "What was scaled.")
    activation: float = field_doc("Activation", "Its largest activation in the model.")
    target: str = field_doc("Target", "Of which target the metric is.")
    doses: list[float] = field_doc("Doses", "What its activation was multiplied by.")
    metric: Response = field_doc("Metric", "The metric.")
    downstream: list[Response] = field_doc("Downstream", "The features of later sites that change most.")
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """A table of responses, and what shape they have."""
        some = [0, len(self.doses) // 4, len(self.doses) // 2, 3 * len(self.doses) // 4, len(self.doses) - 1]
        some = list(dict.fromkeys(some))
        rows = [("", *(f"{self.doses[i]:g}x" for i in some), "R² of a line", "")]
        for one in (self.metric, *self.downstream[:_SHOWN]):
            rows.append((one.name, *(f"{one.values[i]:.3f}" for i in some), number(one.r2), _words(one)))
        return [
            f"{self.model} with {self.feature} (activation {number(self.activation)} at its strongest) scaled by "
            f"{self.doses[0]:g} to {self.doses[-1]:g}, why {self.target}?",
            "",
            *aligned(rows),
        ]

    def next_command(self) -> str:
        """Look at the curves."""
        return "look at {run}/dose.svg"


def response(name: str, doses: Sequence[float], values: Sequence[float]) -> Response:
    """The best line, and the best two that meet at one of the doses, by least squares."""
    x, y = np.asarray(doses, dtype=np.float64), np.asarray(values, dtype=np.float64)
    spread = float(((y - y.mean()) ** 2).sum())
    if np.ptp(y) <= _ROUNDING * max(1e-12, float(np.abs(y).max())):
        return Response(name, y.tolist(), None, None, None, "flat")
    line = np.stack([np.ones_like(x), x], axis=1)
    r2 = _fit(line, y, spread)[0]
    if r2 >= LINEAR or len(x) < 5:
        return Response(name, y.tolist(), r2, None, None, "linear" if r2 >= LINEAR else "bent")
    found = [(*_fit(np.column_stack([line, np.maximum(0, x - knee)]), y, spread), float(knee)) for knee in x[1:-1]]
    bend_r2, (_, before, more), knee = max(found, key=lambda one: one[0])
    slopes = sorted((abs(before), abs(before + more)))
    shape = "threshold" if slopes[0] < _FLAT * slopes[1] else "bent"
    return Response(name, y.tolist(), r2, knee, bend_r2, shape)


def _fit(columns: Array, y: Array, spread: float) -> tuple[float, Array]:
    weights = np.linalg.lstsq(columns, y, rcond=None)[0]
    return 1 - float(((y - columns @ weights) ** 2).sum()) / spread, weights


def _words(one: Response) -> str:
    if one.bend is None:
        return one.shape
    return f"{one.shape} at {one.bend:g}x (R² of two lines {number(one.bend_r2)})"
