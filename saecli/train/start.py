"""How a dictionary begins: weights before anything is seen, and what is set from a first sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary
from saecli.dictionaries.gated import Gated
from saecli.dictionaries.jumprelu import JumpReLU

_THRESHOLD_ROWS = 512


def initial_weights(dictionary: Dictionary, seed: int) -> None:
    """Random decoder rows of norm 1, encoder columns along them; of a transcoder both at random.

    The transposed bags of the sparse step give [F, D] gradients, so W_enc is laid out as [F, D] in memory.
    """
    generator = torch.Generator().manual_seed(seed)
    config, like = dictionary.config, dictionary.b_dec_D
    W_dec_FD = torch.randn(config.n_latents, config.d_out, generator=generator)
    W_dec_FD /= W_dec_FD.norm(dim=1, keepdim=True)
    W_enc_FD = W_dec_FD.clone()
    if config.d_in != config.d_out:
        W_enc_FD = torch.randn(config.n_latents, config.d_in, generator=generator)
        W_enc_FD /= W_enc_FD.norm(dim=1, keepdim=True)
    dictionary.W_enc_DF = nn.Parameter(W_enc_FD.to(like).T)
    dictionary.W_dec_FD = nn.Parameter(W_dec_FD.to(like))


@torch.no_grad()
def start_from(dictionary: Dictionary, x_ND: Tensor, y_ND: Tensor, active: float) -> None:
    """Set b_dec (to the mean of the target), b_enc and thresholds from a first sample.

    Thresholds begin where ``active`` features are active on average, one for all features. Decoder rows of a transcoder
    begin along what its output covaries with in the direction of the encoder.

    Args:
        x_ND, y_ND: What is read and written, scaled; one tensor for an autoencoder.
        active: Mean number of active features, for dictionaries with thresholds.
    """
    mean_D = x_ND.mean(0)
    dictionary.b_dec_D.copy_(y_ND.mean(0))
    if y_ND is not x_ND:
        products_DD = (x_ND - mean_D).T @ (y_ND - y_ND.mean(0))
        W_dec_FD = dictionary.W_enc_DF.T @ products_DD
        dictionary.W_dec_FD.copy_(W_dec_FD / W_dec_FD.norm(dim=1, keepdim=True).clamp_min(1e-12))
    if not dictionary.subtracts_b_dec:
        dictionary.b_enc_F.copy_(-mean_D @ dictionary.W_enc_DF)
        if isinstance(dictionary, Gated):
            dictionary.b_mag_F.copy_(dictionary.b_enc_F)
    if isinstance(dictionary, JumpReLU):
        sample_SD = x_ND[:: max(1, len(x_ND) // _THRESHOLD_ROWS)][:_THRESHOLD_ROWS]
        pre_N = dictionary.preactivations(sample_SD).view(-1)
        count = min(len(pre_N), max(1, round(active * len(sample_SD))))
        dictionary.threshold_F.fill_(pre_N.kthvalue(len(pre_N) - count + 1).values.clamp_min(0))


def unit_scale(x_ND: Tensor) -> float:
    """1 / root of the variance per dimension, 1 for constant input."""
    variance = float((x_ND - x_ND.mean(0)).square().mean())
    return 1 / math.sqrt(variance) if variance > 0 else 1.0
