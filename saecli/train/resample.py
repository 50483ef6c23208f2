"""Dead latents that begin again as inputs which are badly reconstructed.

At a step where the dictionary has passed another ``resample_every`` vectors while the learning rate is at its full
value (neither rising nor falling, so never in the last phase of a run), latents that have not fired for half as many
vectors are resampled: as many inputs of the batch are drawn without replacement, with probability ∝ |x̂ − y|, and ::

    W_enc[:, f] = 0.2 · mean |W_enc| of the others · c / |c|,  c = x − b_dec (a transcoder's c = x)
    W_dec[f]    = c / |c|, of a transcoder (y − b_dec) / |y − b_dec|, y less what a skip path adds
    b_enc[f]    = 0 (of gated dictionaries r_mag and b_mag too)

so that a resampled latent fires on the input it was drawn from, and moves the reconstruction there little. Adam's
moments of its weights are zeroed. Bricken et al. 2023, https://transformer-circuits.pub/2023/monosemantic-features, and
https://github.com/saprmarks/dictionary_learning, whose probabilities these are. Without dead latents nothing happens.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import normalize

from saecli.core.dictionary import Dictionary
from saecli.core.ranks import Ranks
from saecli.dictionaries.gated import Gated

ENCODER_SHARE: Final = 0.2
"""Norm of a new encoder column in mean norms of those alive."""


@torch.no_grad()
def resample(dictionary: Dictionary, x_BD: Tensor, y_BD: Tensor, dead_N: Tensor, seed: int, ranks: Ranks) -> Tensor:
    """Give dead latents new weights.

    Args:
        x_BD, y_BD: This process's part of the batch, in the units of training; one tensor for an autoencoder.
        dead_N: Latents, the same in every process.
        seed: Of the draw. Rows are drawn from their order by error, so that it does not matter which process has them.
        ranks: The processes.

    Returns:
        Those that were resampled: fewer than the dead if the batch has fewer rows with an error.
    """
    error_B = (dictionary(x_BD) - y_BD).norm(dim=1)
    read_BD = x_BD - dictionary.b_dec_D if dictionary.subtracts_b_dec else x_BD
    written_BD = read_BD if y_BD is x_BD else y_BD - dictionary.b_dec_D
    if dictionary.W_skip_DO is not None:
        written_BD = written_BD - x_BD @ dictionary.W_skip_DO
    rows_BX = ranks.gather_rows(torch.cat([error_B[:, None], read_BD, written_BD], 1))
    rows_BX = rows_BX[rows_BX[:, 0].argsort(descending=True, stable=True)]
    usable = int((rows_BX[:, 0] > 0).sum())
    chosen_N = dead_N[:usable]
    if not len(chosen_N):
        return chosen_N
    generator = torch.Generator().manual_seed(seed)
    places_N = torch.multinomial(rows_BX[:usable, 0].cpu(), len(chosen_N), generator=generator).to(rows_BX.device)
    read_ND, written_ND = rows_BX[places_N, 1:].split([x_BD.shape[1], y_BD.shape[1]], 1)
    alive_F = torch.ones(dictionary.n_latents, dtype=torch.bool, device=dead_N.device)
    alive_F[dead_N] = False
    norms_F = dictionary.W_enc_DF.norm(dim=0)
    norm = norms_F[alive_F].mean() if bool(alive_F.any()) else norms_F.mean()
    dictionary.W_enc_DF[:, chosen_N] = (ENCODER_SHARE * norm * normalize(read_ND, dim=1)).T
    dictionary.W_dec_FD[chosen_N] = normalize(written_ND, dim=1)
    dictionary.b_enc_F[chosen_N] = 0
    if isinstance(dictionary, Gated):
        dictionary.r_mag_F[chosen_N] = 0
        dictionary.b_mag_F[chosen_N] = 0
    return chosen_N
