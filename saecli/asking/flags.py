"""Choices of the flags that ask something of a model. Imports no torch: command lines are made from it."""

from typing import Final

METRICS: Final = ("auto", "over-illegal", "over-mean", "logit", "logit-diff", "ce", "kl", "feature")
"""``--metric``."""

SEQUENCES: Final = 100
"""Prompts that are read of data if nobody says how many."""

SEQUENCES_AT: Final = 19
"""The position of data that is explained if nobody says which: the 20th move of a game of Othello."""


def names_pairs(prompts: str) -> bool:
    """Whether ``--prompts`` names a file of prompt pairs; a PGN file or data else."""
    return prompts.endswith(".jsonl")
