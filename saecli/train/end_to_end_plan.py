"""What cannot be trained end-to-end, refused before anything is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saecli.core.errors import UsageError
from saecli.train.recipes import END_TO_END, JACOBIAN, RECIPES

if TYPE_CHECKING:
    from saecli.train.sae_config import TrainSaeConfig


def check_end_to_end(config: TrainSaeConfig) -> None:
    """Refuse what has no model to run on, and what is trained otherwise or not at all.

    Raises:
        UsageError: So it is.
    """
    if config.loss != END_TO_END:
        return
    flag = f"--loss {END_TO_END}"
    if config.activations:
        raise UsageError(f"{flag} runs a model on what dictionaries write, and --activations has none.")
    for table in config.tables:
        if table.arch == JACOBIAN:
            raise UsageError(f"{flag} is for dictionaries one by one, and --arch {JACOBIAN} trains pairs.")
        if table.arch in RECIPES and not RECIPES[table.arch].trained:
            raise UsageError(
                f"{flag} is for what is trained, and --arch {table.arch} is not.",
                "Make controls in a run of their own.",
            )
    if config.precision not in ("fp32", "fp64"):
        raise UsageError(
            f"{flag} has small gradients, which --precision {config.precision} would lose.", "Leave --precision out."
        )
    if config.compile:
        raise UsageError(f"{flag} has no formula for --compile.", "Leave --compile out.")
