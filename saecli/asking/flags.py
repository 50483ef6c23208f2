"""Choices of the flags that ask something of a model. Imports no torch: command lines are made from it."""

from typing import Final

from saecli.core.errors import UsageError

METRICS: Final = ("auto", "over-illegal", "over-mean", "logit", "logit-diff", "ce", "kl", "feature")
"""``--metric``."""

SEQUENCES: Final = 100
"""Prompts that are read of data if nobody says how many."""

SEQUENCES_AT: Final = 19
"""The position of data that is explained if nobody says which: the 20th move of a game of Othello."""


def names_pairs(prompts: str) -> bool:
    """Whether ``--prompts`` names a file of prompt pairs; a PGN file or data else."""
    return prompts.endswith(".jsonl")


def parse_limits(text: str | None) -> tuple[int, ...]:
    """``--c``, read: ``10,30,100`` → numbers, ascending; empty for None.

    Raises:
        UsageError: No positive whole numbers, or one twice.
    """
    if text is None:
        return ()
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words) or len(set(words)) < len(words):
        raise UsageError(f"--c {text}: expected different numbers of connections, such as 10,30,100.")
    return tuple(sorted(map(int, words)))
