"""How an engine says what it is doing: one callback, so that engines never print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Progress(Protocol):
    """The callback every engine gets.

    `progress("training", 300, 1000, "loss 2.31")` moves a bar; `progress("sites: 6.resid_pre, 7.resid_pre")`, without
    numbers, is a line worth telling. `table`, a row of titles and rows of words, is what there is to see meanwhile on a
    terminal. Calls are cheap: the receiver decides how often it draws.
    """

    def __call__(
        self,
        label: str,
        done: float | None = None,
        total: float | None = None,
        detail: str = "",
        table: Sequence[Sequence[str]] = (),
    ) -> None: ...


def silent(
    label: str,
    done: float | None = None,
    total: float | None = None,
    detail: str = "",
    table: Sequence[Sequence[str]] = (),
) -> None:
    """A `Progress` that says nothing."""
