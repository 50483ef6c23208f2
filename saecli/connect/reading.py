r"""What a feature reads of the residual stream, the norm scales and attention patterns of the model being given.

With s the scale of the norm before the module (gain g; LayerNorm also subtracts the mean, C), what feature i writes at
position t adds to the pre-activation of feature j ::

    transcoder        w_ji f_i(t) / s(t)                          w_ji  = (C (g ⊙ W_enc_j)) · W_dec_i
    attention output  Σ_h Σ_k P_h[t, k] w^h_ji f_i(k) / s(k)      w^h_ji = (W_O,h W_enc_j) · (W_V,h (g ⊙ C W_dec_i))
    logit             w_ji f_i(t) / s(t)                          w_ji  = (C (g ⊙ (W_U,j − mean_v W_U,v))) · W_dec_i

The weights of heads stay factored through d_head; a block of rows is multiplied out when it is needed.

Source: jacobcd52/dictionary_learning, ``SCAESuite`` (its weights are folded, so g = 1 and C is part of them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from saecli.connect.modules import Down
from saecli.core.connections import Module
from saecli.core.errors import InputError
from saecli.core.hooks import ThinModel
from saecli.core.model import HookedModel
from saecli.core.suite import Suite
from saecli.pruned.affine import AffineBlock

_LARGE: Final = 1e3
_TOLERANCE: Final = 1e-3


@dataclass(frozen=True)
class Reading:
    """How the features of a module depend on what features upstream write.

    Attributes:
        down: The module and those upstream.
        attends: Whether attention moves what is written between positions.
        read_HFE: [H, F, e]; H is 1 without attention.
        written_HUE: [H, U, e] of all upstream features side by side.
    """

    down: Down
    attends: bool
    read_HFE: Tensor
    written_HUE: Tensor

    @property
    def heads(self) -> int:
        """H."""
        return len(self.read_HFE)

    def weights(self, rows: slice) -> Tensor:
        """Virtual weights w^h_ji of some features j with all features upstream: [H, rows, U]."""
        return self.read_HFE[:, rows] @ self.written_HUE.transpose(1, 2)


@torch.no_grad()
def reading_of(model: HookedModel, suite: Suite, down: Down) -> Reading:
    """How a module reads the modules upstream.

    Raises:
        InputError: Embeddings or logits that have no fixed weights.
    """
    written_UD = torch.cat([_written(model, suite, up) for up in down.ups])
    if down.module.what == "logits":
        return Reading(down, False, _logit_directions(model)[None], written_UD[None])
    affine, W_enc_DF = AffineBlock.of(model.block(down.site.layer)), suite[down.site].W_enc_DF
    if down.site.kind == "attn_out":
        return Reading(down, True, (affine.outputs_HED @ W_enc_DF).transpose(1, 2), written_UD @ affine.values_HDE)
    return Reading(down, False, affine.ln2.into(W_enc_DF).T[None], written_UD[None])


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


def _written(model: HookedModel, suite: Suite, module: Module) -> Tensor:
    return token_directions(model) if module.what == "tokens" else suite[module.reads].W_dec_FD


def _logit_directions(model: HookedModel) -> Tensor:
    """Gradient of each logit, less the mean logit, by the final residual stream, times the final scale: [V, d].

    Found by what the unembedding makes of unit vectors, so that every family's own is used; large ones, beside which
    the epsilon of the norm is nothing.
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
    return (logits_DV - logits_DV.mean(1, keepdim=True)).T


def _subtracts_mean(model: HookedModel) -> bool:
    """Whether the final norm subtracts the mean: a constant changes no logit."""
    weight = next(model.module.parameters())
    ramp_D = torch.linspace(-1, 1, model.info.d_model, device=weight.device, dtype=weight.dtype)
    here, there = model.unembed(ramp_D), model.unembed(ramp_D + 1)
    return bool((here - there).abs().max() <= 1e-2 * here.abs().max())
