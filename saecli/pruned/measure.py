"""How well a pruned pass does: cross-entropy and the fraction of variance unexplained."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

from saecli.core.errors import UsageError

FvuMode = Literal["pooled", "scae"]


def cross_entropy(logits_BSV: Tensor, tokens_BS: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the next token, over all positions but the last."""
    return functional.cross_entropy(logits_BSV[:, :-1].flatten(0, 1), tokens_BS[:, 1:].flatten())


def fvu(target_BSD: Tensor, found_BSD: Tensor, mode: FvuMode = "pooled") -> Tensor:
    """Fraction of variance unexplained.

    ``pooled``: Σ ‖y − ŷ‖² / Σ ‖y − ȳ‖², sums over all tokens, ȳ their mean. ``scae``: the variances of y − ŷ and of y
    over the batch, at every position and coordinate apart (so that what is wrong in the same way for all sequences
    is not seen), each summed; the ratio of the sums.

    Args:
        target_BSD: y.
        found_BSD: ŷ; differentiable.
        mode: Which.

    Raises:
        UsageError: One sequence, which has no variance over the batch.

    Source: ``scae``: https://github.com/jacobcd52/dictionary_learning.
    """
    error_BSD = target_BSD - found_BSD
    if mode == "pooled":
        flat_TD = target_BSD.flatten(0, -2)
        return error_BSD.square().sum() / (flat_TD - flat_TD.mean(0)).square().sum()
    if len(target_BSD) < 2:
        raise UsageError("The variance over a batch of one sequence is not defined.", "Give at least two sequences.")
    return error_BSD.var(0).sum() / target_BSD.var(0).sum()
