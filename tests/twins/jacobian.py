"""Twin of the penalty on Jacobians: autograd through the MLP of a block between two plain dictionaries, by token."""

from collections.abc import Callable

import torch
from torch import Tensor


def token_jacobian(
    through: Callable[[Tensor], Tensor], at_D: Tensor, w_dec_KD: Tensor, w_enc_DK: Tensor, *, create_graph: bool = False
) -> Tensor:
    """[K out, K in]: derivative of the pre-activations of some features by the activations of others.

    Args:
        through: What is between the dictionaries, [D] to [D].
        at_D: Where it is differentiated, whatever the dictionaries say.
        w_dec_KD, w_enc_DK: Weights of those features.
        create_graph: Whether gradients of the result are wanted.
    """

    def codes(f_K: Tensor) -> Tensor:
        return through(at_D + f_K @ w_dec_KD) @ w_enc_DK

    nothing_K = torch.zeros(len(w_dec_KD), dtype=at_D.dtype)
    return torch.autograd.functional.jacobian(codes, nothing_K, create_graph=create_graph)  # type: ignore[return-value]


def absolute_jacobian(
    through: Callable[[Tensor], Tensor],
    at_BD: Tensor,
    W_dec_FD: Tensor,
    W_enc_DF: Tensor,
    reads: list[list[int]],
    writes: list[list[int]],
) -> Tensor:
    """Σ |J| over tokens and their features; differentiable in W_dec and W_enc."""
    total = torch.zeros((), dtype=at_BD.dtype)
    for at_D, some, others in zip(at_BD, reads, writes, strict=True):
        if some and others:
            J = token_jacobian(through, at_D, W_dec_FD[some], W_enc_DF[:, others], create_graph=True)
            total = total + J.abs().sum()
    return total
