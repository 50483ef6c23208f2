"""OthelloGPT: a GPT-2 over the 61 tokens of Othello games (pass, and the 60 squares that are played).

Source: Li et al. 2023, https://github.com/likenneth/othello_world; the vocabulary is theirs.
"""

from __future__ import annotations

from typing import Literal

from torch import nn

from saecli.core.hooks import ThinModel
from zoo import gpt2

VOCABULARY = "othello"


def make(module: nn.Module, name: str, *, processing: Literal["raw", "folded"] = "raw") -> ThinModel:
    """Name the sites of an OthelloGPT. Games start without a token of their own.

    Args:
        module: :class:`saecli.core.gpt.GPT` or ``GPT2LMHeadModel``; frozen, not copied.
        name: The model's name for people.
        processing: What was done to the weights.
    """
    return gpt2.make(module, name, family="othellogpt", vocabulary=VOCABULARY, processing=processing)
