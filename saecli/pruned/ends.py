"""The ends of a model as modules: what tokens write into the residual stream, and what logits read of it."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from saecli.core.errors import InputError
from saecli.core.hooks import ThinModel
from saecli.core.model import HookedModel

_LARGE: Final = 1e3
_TOLERANCE: Final = 1e-3


@torch.no_grad()
def token_directions(model: HookedModel) -> Tensor:
    """What each token adds to the residual stream, without positions: [V, d].

    Raises:
        InputError: The model does not tell its embeddings apart.
    """
    if not isinstance(model, ThinModel):
        raise InputError(
            f"{model.info.name} is read through TransformerLens, which does not tell its embeddings apart."
        )
    weight = next(model.module.parameters())
    at_first_VD = model.embed(torch.arange(model.info.d_vocab, device=weight.device)[:, None])[:, 0]
    for path in model.paths.embeddings[1:]:
        table = model.module.get_submodule(path).weight
        assert isinstance(table, Tensor)  # noqa: S101
        at_first_VD = at_first_VD - table[0]
    return at_first_VD


@torch.no_grad()
def logit_directions(model: HookedModel) -> Tensor:
    """Gradient of each logit, less the mean logit, by the final residual stream, times the final scale: [V, d].

    Found by what the unembedding makes of unit vectors, so that every family's own is used; large ones, beside which
    the epsilon of the norm is nothing.

    Raises:
        InputError: The logits are soft-capped.
    """
    weight = next(model.module.parameters())
    width = model.info.d_model
    basis_DD = _LARGE * torch.eye(width, device=weight.device, dtype=weight.dtype)
    logits_DV = (model.unembed(basis_DD) - model.unembed(-basis_DD)) / (2 * _LARGE)
    mean = _subtracts_mean(model)
    variance = (1 / width) * (1 - 1 / width) if mean else 1 / width
    logits_DV = logits_DV * (_LARGE * variance**0.5)
    probe_D = torch.linspace(-_LARGE, _LARGE, width, device=weight.device, dtype=weight.dtype).roll(width // 3)
    normed_D = probe_D - probe_D.mean() if mean else probe_D
    normed_D = normed_D / normed_D.pow(2).mean().sqrt()
    change_V = (model.unembed(probe_D) - model.unembed(-probe_D)) / 2
    if float((normed_D @ logits_DV - change_V).abs().max()) > _TOLERANCE * float(change_V.abs().max()):
        raise InputError(
            f"The logits of {model.info.name} are no linear function of its normed residual stream (they are "
            "soft-capped, for example), so no feature has a fixed connection with them.",
            "Leave --logits out.",
        )
    return (logits_DV - logits_DV.mean(1, keepdim=True)).T.contiguous()


@torch.no_grad()
def logit_constant(model: HookedModel) -> Tensor:
    """Logits of a residual stream of zeros, less their mean: [V]."""
    weight = next(model.module.parameters())
    logits_V = model.unembed(torch.zeros(model.info.d_model, device=weight.device, dtype=weight.dtype))
    return logits_V - logits_V.mean()


def _subtracts_mean(model: HookedModel) -> bool:
    """Whether the final norm subtracts the mean: a constant changes no logit."""
    weight = next(model.module.parameters())
    ramp_D = torch.linspace(-1, 1, model.info.d_model, device=weight.device, dtype=weight.dtype)
    here, there = model.unembed(ramp_D), model.unembed(ramp_D + 1)
    return bool((here - there).abs().max() <= 1e-2 * here.abs().max())
