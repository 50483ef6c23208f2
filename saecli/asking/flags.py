"""Choices of the flags that ask something of a model. Imports no torch: command lines are made from it."""

from typing import Final

METRICS: Final = ("auto", "over-illegal", "over-mean", "logit", "logit-diff", "ce", "kl", "feature")
"""``--metric``."""
