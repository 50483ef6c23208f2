"""``--probe``: whether dictionaries do on a model what is recorded of them, on about a thousand tokens.

The tokens are games for game models and Python's own source for text models.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

import torch
from torch import Tensor

from saecli.core.errors import CheckFailed
from saecli.core.model import HookedModel, ModelInfo
from saecli.core.probe import MIN_TOKENS, ProbeRow, probe
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.data.vocabulary import Vocabulary

_TEXT_CONTEXT: Final = 128
_CHARACTERS_PER_TOKEN: Final = 8
"""More than any tokenizer has on source code."""


def probe_rows(
    model: HookedModel, suite: Suite, vocabulary: Vocabulary, sites: Sequence[Site] | None = None
) -> list[ProbeRow]:
    """What the probe finds, one row per dictionary.

    Args:
        model: The model, to which the suite is attached.
        suite: The dictionaries.
        vocabulary: The model's tokens.
        sites: The sites to probe; all if not given.

    Raises:
        InputError: The vocabulary cannot write the sample.
    """
    device = next(model.module.parameters()).device
    tokens_BS = sample_tokens(model.info, vocabulary, MIN_TOKENS, suite.info.context).to(device)
    return probe(model, suite, tokens_BS, sites=sites)


def require_probe(model: HookedModel, suite: Suite, vocabulary: Vocabulary, sites: Sequence[Site]) -> None:
    """Stops where a dictionary does not do what is recorded of it; arguments as of :func:`probe_rows`.

    Raises:
        CheckFailed: A dictionary does not do what is recorded of it, or explains nothing.
    """
    rows = probe_rows(model, suite, vocabulary, sites)
    if failure := failed_probe([row.reason for row in rows if not row.ok], len(rows), suite.info.name, model.info.name):
        raise failure


def failed_probe(reasons: Sequence[str], probed: int, suite: str, model: str) -> CheckFailed | None:
    """What failed rows mean together, None if there are none."""
    if not reasons:
        return None
    return CheckFailed(
        f"{len(reasons)} of {probed} dictionaries of {suite} do not do on {model} what they should. {reasons[0]}",
        "Use them with the model and the weights that they were made for.",
    )


def sample_tokens(info: ModelInfo, vocabulary: Vocabulary, tokens: int, context: int = 0) -> Tensor:
    """Held-out sequences for a model.

    Args:
        info: The model.
        vocabulary: Its tokens.
        tokens: How many are needed in all.
        context: Longest sequence; 0 for 128, or for a whole game.

    Returns:
        int64 [B, S], at least ``tokens`` of them; with BOS in front if the model has one.

    Raises:
        InputError: The vocabulary cannot write the text.
    """
    if vocabulary.name == "othello":
        from saecli.data.games import held_out_games

        length = min(context or info.n_ctx, info.n_ctx, 59)
        return torch.from_numpy(held_out_games(ceil(tokens / length)).tokens()[:, :length].copy())
    length = min(context or _TEXT_CONTEXT, info.n_ctx)
    if vocabulary.name == "chess":
        from saecli.games import chess

        rows = [vocabulary.encode(text)[:length] for text in chess.random_games(ceil(tokens / length), 0).texts]
        return torch.tensor([row for row in rows if len(row) == length])
    from saecli.data.python_source import modules

    text = "\n".join(module.text for module in modules() if module.split == "val")
    ids = vocabulary.encode(text[: _CHARACTERS_PER_TOKEN * tokens])
    front = [] if info.bos is None else [info.bos]
    step = length - len(front)
    return torch.tensor(
        [front + ids[at : at + step] for at in range(0, len(ids) - step + 1, step)][: ceil(tokens / step)]
    )
