"""How far one prediction of the next token is from another."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def divergence(from_XV: Tensor, to_XV: Tensor) -> Tensor:
    """KL(softmax(from) ‖ softmax(to)) at every position, nats: [...] of logits [..., V]."""
    log_from, log_to = from_XV.log_softmax(-1), to_XV.log_softmax(-1)
    return functional.kl_div(log_to, log_from, reduction="none", log_target=True).sum(-1)
