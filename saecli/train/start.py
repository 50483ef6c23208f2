"""How a dictionary begins: weights before anything is seen, and what is set from a first sample.

Directions, ``--init``:

- ``random``: decoder rows of norm 1 at random. The encoder columns of an autoencoder lie along them. Those of a
  transcoder are W_enc = M W_decᵀ with M = C_xx⁻¹ C_xy the linear prediction of the output: a feature begins by reading
  its own direction of the output where that is predicted, which for an autoencoder (M = 1) is the same rule.
- ``active-subspace``: rows drawn within the principal subspace of the output that has 99 % of its variance. Attention
  outputs have few dimensions, and a random feature hardly sees them: https://arxiv.org/abs/2508.16929. At the outputs
  that were tried here (TopK, the auxiliary loss on) it left as many latents dead as ``random``.
- ``mlp``, for a transcoder of an MLP without a gate: features begin as its neurons, the strongest if there are fewer
  features, the others at random if there are more. ReLU(x W_in + b_in) W_out is close to what GELU gives. After
  https://github.com/OpenMOSS/Language-Model-SAEs, which takes the MLP's response to random directions.
- ``auto``: ``mlp`` where it can be, otherwise ``random``.

b_dec, ``--b-dec-init``: the mean of what the features leave of the output, its geometric median, or zero.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.model import HookedModel
from saecli.dictionaries.gated import Gated
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.train.units import Units

_SAMPLE: Final = 512
_MEDIAN_ROWS: Final = 8192
_ACTIVE_SHARE: Final = 0.99
_RIDGE: Final = 1e-3


@dataclass(frozen=True)
class Neurons:
    """Hidden neurons of an MLP without a gate, in the units of the model.

    Attributes:
        W_in_DN, b_in_N: What they read.
        W_out_ND: What they write.
    """

    W_in_DN: Tensor
    b_in_N: Tensor
    W_out_ND: Tensor


def mlp_neurons(model: HookedModel, config: DictionaryConfig) -> Neurons | None:
    """The neurons that a dictionary stands for: None if it is no transcoder of an MLP, or the MLP has gates."""
    reads, writes = config.reads.canonical, config.writes.canonical
    if (reads.kind, writes.kind) != ("mlp_in", "mlp_out") or reads.layer != writes.layer:
        return None
    weights = model.block(reads.layer).weights
    if weights.W_gate is not None:
        return None
    W_in, W_out = weights.W_in.detach(), weights.W_out.detach()
    b_in = torch.zeros_like(W_in[0]) if weights.b_in is None else weights.b_in.detach()
    return Neurons(W_in, b_in, W_out)


def own_seed(seed: int, config: DictionaryConfig) -> int:
    """A seed of its own for every dictionary of a run: independent of which others are trained beside it."""
    text = f"{seed}/{config.reads.canonical}/{config.writes.canonical}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def initial_weights(dictionary: Dictionary, seed: int) -> None:
    """Random decoder rows of norm 1, encoder columns along them or, where widths differ, at random.

    The transposed bags of the sparse step give [F, D] gradients, so W_enc is laid out as [F, D] in memory.
    """
    generator = torch.Generator().manual_seed(seed)
    config, like = dictionary.config, dictionary.b_dec_D
    W_dec_FD = normalize(torch.randn(config.n_latents, config.d_out, generator=generator), dim=1)
    W_enc_FD = W_dec_FD.clone()
    if config.d_in != config.d_out:
        W_enc_FD = normalize(torch.randn(config.n_latents, config.d_in, generator=generator), dim=1)
    dictionary.W_enc_DF = nn.Parameter(W_enc_FD.to(like).T)
    dictionary.W_dec_FD = nn.Parameter(W_dec_FD.to(like))


@torch.no_grad()
def start_from(
    dictionary: Dictionary,
    x_ND: Tensor,
    y_ND: Tensor,
    active: float,
    init: str = "random",
    b_dec_init: str = "mean",
    neurons: Neurons | None = None,
    units: Units | None = None,
) -> None:
    """Set weights, biases and thresholds from a first sample, from the random rows of :func:`initial_weights`.

    Thresholds begin where ``active`` features are active on average, one for all features.

    Args:
        x_ND, y_ND: What is read and written, in the units of training; one tensor for an autoencoder.
        active: Mean number of active features, for dictionaries with thresholds.
        init, b_dec_init: As above.
        neurons: Of the MLP, for ``mlp``.
        units: Those of training, for ``mlp``.
    """
    if init == "active-subspace":
        basis_DR = active_subspace(y_ND)
        dictionary.W_dec_FD.copy_(normalize(dictionary.W_dec_FD @ basis_DR @ basis_DR.T, dim=1))
        if y_ND is x_ND:
            dictionary.W_enc_DF.copy_(dictionary.W_dec_FD.T)
    if y_ND is not x_ND:
        dictionary.W_enc_DF.copy_(_linear_prediction(x_ND, y_ND) @ dictionary.W_dec_FD.T)
    if not dictionary.subtracts_b_dec:
        dictionary.b_enc_F.copy_(-x_ND.mean(0) @ dictionary.W_enc_DF)
    if neurons is not None and units is not None:
        _take_neurons(dictionary, x_ND, neurons, units)
    if isinstance(dictionary, Gated):
        dictionary.b_mag_F.copy_(dictionary.b_enc_F)
    locate = {"mean": lambda y_ND: y_ND.mean(0), "geometric-median": geometric_median, "zero": _zero}[b_dec_init]
    dictionary.b_dec_D.copy_(locate(y_ND))
    sample_SD = x_ND[:: max(1, len(x_ND) // _SAMPLE)][:_SAMPLE]
    if isinstance(dictionary, JumpReLU):
        pre_N = dictionary.preactivations(sample_SD).view(-1)
        count = min(len(pre_N), max(1, round(active * len(sample_SD))))
        dictionary.threshold_F.fill_(pre_N.kthvalue(len(pre_N) - count + 1).values.clamp_min(0))
    if neurons is not None:
        left_SD = y_ND[:: max(1, len(y_ND) // _SAMPLE)][:_SAMPLE] - dictionary.encode(sample_SD) @ dictionary.W_dec_FD
        dictionary.b_dec_D.copy_(locate(left_SD))


def active_subspace(y_ND: Tensor) -> Tensor:
    """[d, R]: the fewest principal directions with 99 % of the variance."""
    centred_ND = y_ND - y_ND.mean(0)
    values_D, vectors_DD = torch.linalg.eigh(centred_ND.T @ centred_ND)
    shares_D = values_D.flip(0).cumsum(0) / values_D.sum()
    return vectors_DD.flip(1)[:, : int((shares_D < _ACTIVE_SHARE).sum()) + 1]


def geometric_median(y_ND: Tensor, steps: int = 100, tolerance: float = 1e-5) -> Tensor:
    """The point with the smallest sum of distances to (at most about 8,192 of) the rows, by Weiszfeld's iteration.

    g := Σ y / |y − g| / Σ 1 / |y − g|, from the mean, until it moves by less than ``tolerance`` of the mean distance.
    Rows equal to g would have infinite weight; with η of them, and R the sum of unit vectors towards the others, the
    next g is that of the others, moved back by the share min(1, η / |R|): Vardi and Zhang 2000,
    https://doi.org/10.1073/pnas.97.4.1423.
    """
    rows_SD = y_ND[:: max(1, len(y_ND) // _MEDIAN_ROWS)].double()
    guess_D = rows_SD.mean(0)
    for _ in range(steps):
        away_SD = rows_SD - guess_D
        distance_S = away_SD.norm(dim=1)
        typical = float(distance_S.mean())
        apart_S = distance_S > 1e-12 * typical
        if not bool(apart_S.any()):
            break
        weights_S = torch.where(apart_S, 1 / distance_S.clamp_min(1e-300), 0.0)
        pull_D = weights_S @ away_SD
        here = len(rows_SD) - int(apart_S.count_nonzero())
        strength = float(pull_D.norm())
        kept = min(1.0, here / strength) if strength else 1.0
        move_D = (1 - kept) * pull_D / weights_S.sum()
        guess_D = guess_D + move_D
        if float(move_D.norm()) <= tolerance * typical:
            break
    return guess_D.to(y_ND)


def _zero(y_ND: Tensor) -> Tensor:
    return torch.zeros_like(y_ND[0])


def _linear_prediction(x_ND: Tensor, y_ND: Tensor) -> Tensor:
    """[d_in, d_out]: ridge regression of y on x, both centred."""
    x_centred_ND = x_ND - x_ND.mean(0)
    among_DD = x_centred_ND.T @ x_centred_ND
    among_DD.diagonal().add_(_RIDGE * among_DD.diagonal().mean().clamp_min(1e-12))
    return torch.linalg.solve(among_DD, x_centred_ND.T @ (y_ND - y_ND.mean(0)))


def _take_neurons(dictionary: Dictionary, x_ND: Tensor, neurons: Neurons, units: Units) -> None:
    """The first features become neurons: rows of norm 1, magnitudes in the encoder.

    ReLU(x W_in + b_in) w_out with x = x' / s_in + μ is ReLU(x' W_in c / s_in + (b_in + μ W_in) c) · w_out' / |w_out'|,
    c = |w_out'| and w_out' = s_out w_out.
    """
    like = dictionary.b_dec_D
    W_in_DN, b_in_N = neurons.W_in_DN.to(like), neurons.b_in_N.to(like)
    W_out_ND = neurons.W_out_ND.to(like) * units.scale_out
    if units.shift_D is not None:
        b_in_N = b_in_N + units.shift_D.to(like) @ W_in_DN
    norms_N = W_out_ND.norm(dim=1)
    W_enc_DN, b_enc_N = W_in_DN * (norms_N / units.scale_in), b_in_N * norms_N
    strength_N = (x_ND[:: max(1, len(x_ND) // _SAMPLE)] @ W_enc_DN + b_enc_N).relu().square().sum(0)
    count = min(dictionary.n_latents, len(norms_N))
    chosen_N = strength_N.argsort(descending=True, stable=True)[:count].sort().values
    dictionary.W_enc_DF[:, :count] = W_enc_DN[:, chosen_N]
    dictionary.b_enc_F[:count] = b_enc_N[chosen_N]
    dictionary.W_dec_FD[:count] = normalize(W_out_ND[chosen_N], dim=1)
