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

import torch
from torch import Tensor

from saecli.connect.modules import Down
from saecli.core.connections import Module
from saecli.core.model import HookedModel
from saecli.core.suite import Suite
from saecli.pruned.affine import AffineBlock
from saecli.pruned.ends import logit_directions, token_directions


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
def reading_of(model: HookedModel, suite: Suite, down: Down, *, centre: bool = True) -> Reading:
    """How a module reads the modules upstream.

    Args:
        model: The model.
        suite: Its dictionaries.
        down: The module and those upstream.
        centre: False leaves the mean in what a transcoder's norm is given, as the reference does.

    Raises:
        InputError: Embeddings or logits that have no fixed weights.
    """
    written_UD = torch.cat([_written(model, suite, up) for up in down.ups])
    if down.module.what == "logits":
        return Reading(down, False, logit_directions(model)[None], written_UD[None])
    affine, W_enc_DF = AffineBlock.of(model.block(down.site.layer), centre=centre), suite[down.site].W_enc_DF
    if down.site.kind == "attn_out":
        return Reading(down, True, (affine.outputs_HED @ W_enc_DF).transpose(1, 2), written_UD @ affine.values_HDE)
    return Reading(down, False, affine.ln2.into(W_enc_DF).T[None], written_UD[None])


def _written(model: HookedModel, suite: Suite, module: Module) -> Tensor:
    return token_directions(model) if module.what == "tokens" else suite[module.reads].W_dec_FD
