"""What follows a step's gradients: projection, clipping, Adam and renormalised decoder rows.

Passes over the decoder go block by block of rows, so that what reads a block after another finds it in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary

_BLOCK_ELEMENTS: Final = 1 << 17


class Update:
    """The optimiser of a dictionary.

    Args:
        dictionary: Whose parameters are moved by their gradients.
        lr: Learning rate to begin with.
        betas: Of Adam.
        tied: Whether the encoder is the decoder's own memory, transposed, so that its gradient is the decoder's too.
        more: Parameters that are moved along.
    """

    def __init__(
        self,
        dictionary: Dictionary,
        lr: float,
        betas: tuple[float, float],
        tied: bool = False,
        more: Sequence[nn.Parameter] = (),
    ) -> None:
        self._dictionary = dictionary
        # The same memory in the layout it has: the fused Adam copies what is transposed, there and back.
        self._W_enc_FD = nn.Parameter(dictionary.W_enc_DF.detach().T)
        self._tied, without = tied, {"W_enc_DF", "r_mag_F"} if tied else {"W_enc_DF"}
        others = [parameter for name, parameter in dictionary.named_parameters() if name not in without]
        self._parameters = [*others, *more] if tied else [self._W_enc_FD, *others, *more]
        self.adam = torch.optim.Adam(self._parameters, lr, betas, fused=dictionary.b_dec_D.device.type != "mps")

    @torch.no_grad()
    def apply(self, lr: float, clip: float, unit_decoder: bool) -> None:
        """Move the parameters by their gradients.

        Args:
            lr: Learning rate.
            clip: Largest norm of all gradients together; 0 for no limit.
            unit_decoder: Keep decoder rows at norm 1, and their gradients orthogonal to them.
        """
        decoder, encoder = self._dictionary.W_dec_FD, self._dictionary.W_enc_DF
        self._W_enc_FD.grad = None if encoder.grad is None else encoder.grad.T
        if self._tied and decoder.grad is not None and encoder.grad is not None:
            decoder.grad += encoder.grad.T
        if unit_decoder and decoder.grad is not None:
            for gradient_FD, rows_FD in _blocks(decoder.grad, decoder.detach()):
                gradient_FD.addcmul_(rows_FD, (gradient_FD * rows_FD).sum(1, keepdim=True), value=-1)
        if clip:
            gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
            norm = math.hypot(*(float(torch.linalg.vector_norm(gradient)) for gradient in gradients))
            if norm > clip:
                for gradient in gradients:
                    gradient *= clip / norm
        for group in self.adam.param_groups:
            group["lr"] = lr
        self.adam.step()
        if unit_decoder:
            for (rows_FD,) in _blocks(decoder.detach()):
                rows_FD /= rows_FD.norm(dim=1, keepdim=True)

    @torch.no_grad()
    def forget(self, latents_N: Tensor) -> None:
        """Zero Adam's moments of the weights of some latents."""
        others = (self._dictionary.b_dec_D, self._dictionary.W_skip_DO)
        for parameter in self._parameters:
            if not any(parameter is one for one in others):
                for moment in ("exp_avg", "exp_avg_sq"):
                    if moment in self.adam.state[parameter]:
                        self.adam.state[parameter][moment][latents_N] = 0

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes."""
        return self.adam.state_dict()

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        self.adam.load_state_dict(state)


def _blocks(*matrices_FD: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The same rows of matrices of one shape, some at a time."""
    rows = max(1, _BLOCK_ELEMENTS // matrices_FD[0].shape[1])
    return zip(*(matrix_FD.split(rows) for matrix_FD in matrices_FD), strict=True)
