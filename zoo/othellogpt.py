"""OthelloGPT: a GPT-2 over the 61 tokens of Othello games (pass, and the 60 squares that are played).

Source: Li et al. 2023, https://github.com/likenneth/othello_world; the vocabulary is theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from zoo import gpt2
from zoo.family import DataEntry, Family, ModelEntry, ReleaseEntry

if TYPE_CHECKING:
    from torch import nn

    from saecli.core.hooks import ThinModel

VOCABULARY: Final = "othello"


def make(module: nn.Module, name: str, *, processing: Literal["raw", "folded"] = "raw") -> ThinModel:
    """Name the sites of an OthelloGPT. Games start without a token of their own.

    Args:
        module: :class:`saecli.core.gpt.GPT` or ``GPT2LMHeadModel``; frozen, not copied.
        name: The model's name for people.
        processing: What was done to the weights.
    """
    return gpt2.make(module, name, family="othellogpt", vocabulary=VOCABULARY, processing=processing)


FAMILY: Final = Family(
    name="othellogpt",
    description="GPTs that read Othello games, one token per move.",
    vocabulary=VOCABULARY,
    models={
        "othello-mini": ModelEntry(
            "asset:othello-mini",
            "Embedded 8-layer OthelloGPT with its 25 dictionaries.",
            data="othello",
            suite="othello-mini",
        ),
    },
    releases={
        "othello-mini": ReleaseEntry(
            "othello-mini",
            "asset:othello-mini",
            "TopK dictionaries at every residual, attention and MLP output of othello-mini.",
            format="saelens",
            layers=8,
        ),
    },
    data={
        "othello": DataEntry("generate:othello", "Random legal Othello games, as many as asked for.", VOCABULARY),
    },
)
