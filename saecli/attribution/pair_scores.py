r"""Scores of every source feature for every target feature, summed over positions.

With f_i(t) the source features, w_i their decoder rows, x_α(t) = b + α Σ_i f_i(t) w_i and z_j the pre-activation (of a
gated dictionary the magnitude) of target j behind the component::

    integrated   a_ij(t) = f_i(t) w_i · ∫₀¹ ∂z_j/∂x(x_α) dα      Σ_i a_ij(t) = z_j(x_1) − z_j(x_0)      Σ_t |a_ij(t)|
    jacobian     ∂z_j/∂f_i = w_i · ∂z_j/∂x(x_1)                                                        Σ_t |∂z_j/∂f_i|
    ablation     y_j(x_1) − y_j(x_1 − f_i(t) w_i), y_j activations, selection included                 Σ_t |y_j − y_j'|
    reference    G_ij(t) = Σ_s w_i · ∂y_j/∂x(x_0 + α_s (x_1 − x_0)) ‖f(t) − f⁰(t)‖ / S                 Σ_t G_ij(t)²

The first two are of targets j that are active at x_1 and of sources i that are active at t; all others are 0. The
integral is taken by the midpoint rule. ``reference`` takes α_s from 0 to 1, both included, selects targets at every
step, scores inactive sources too, and starts at the thresholds of active features f⁰ if there are any, else at 0.
Where attention lies between, t is the position of the source, and z_j is summed over the positions of targets.

``reference`` needs no factor F_up per position: with H_j(t) the sum over steps of ∂y_j/∂x, Σ_t G_ij² = w_iᵀ C_j w_i and
C_j = Σ_t H_j H_jᵀ, d × d.

Source: Sundararajan et al. 2017; ``reference`` is the attribution of gpt-circuits. Shapes: T positions, K active
sources, J active targets, N rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from saecli.attribution.block_pull import Pulled, Rows, pull_back
from saecli.attribution.pair import FeaturePair
from saecli.core.dictionary import SparseActs

PairScore = Literal["ig", "jacobian", "ablation", "reference"]

_NUMBERS: Final = 1 << 23
"""Held at once in the widest layer."""


class Terms(NamedTuple):
    """Scores of active sources for active targets, position by position; 0 where a slot is unused.

    Attributes:
        up_TK, down_TJ: int64 features.
        values_TKJ: Scores.
    """

    up_TK: Tensor
    down_TJ: Tensor
    values_TKJ: Tensor


@torch.no_grad()
def add_scores(
    total_UF: Tensor,
    pair: FeaturePair,
    score: PairScore,
    acts: SparseActs,
    clean_TD: Tensor,
    counted_T: Tensor,
    steps: int,
) -> None:
    """Add the scores of one sequence, or where nothing passes between positions, of any positions.

    Args:
        total_UF: Sums by source and target feature.
        pair: The features and what is between them.
        score: Which.
        acts: Source features.
        clean_TD: What the model has at the source.
        counted_T: bool, positions whose features are looked at; the others keep the model's values.
        steps: Of the integral.
    """
    acts = SparseActs(acts.indices_TK, acts.values_TK.where(counted_T[:, None], 0))
    if not pair.positionwise:
        _add(total_UF, pair, score, acts, clean_TD, counted_T, steps)
        return
    acts = SparseActs(acts.indices_TK[counted_T], acts.values_TK[counted_T])
    clean_TD = clean_TD[counted_T]
    rows = max(1, _NUMBERS // (pair.width * max(8, acts.indices_TK.shape[1])))
    for at in range(0, len(clean_TD), rows):
        here = slice(at, at + rows)
        some = SparseActs(acts.indices_TK[here], acts.values_TK[here])
        _add(total_UF, pair, score, some, clean_TD[here], torch.ones_like(clean_TD[here, 0], dtype=torch.bool), steps)


def _add(
    total_UF: Tensor,
    pair: FeaturePair,
    score: PairScore,
    acts: SparseActs,
    clean_TD: Tensor,
    counted_T: Tensor,
    steps: int,
) -> None:
    if score == "reference":
        _add_reference(total_UF, pair, acts, clean_TD, counted_T, steps)
    elif score == "ablation":
        _add_ablation(total_UF, pair, acts, clean_TD, counted_T)
    else:
        for terms in linear_terms(pair, score, acts, clean_TD, counted_T, steps):
            places = terms.up_TK[:, :, None] * total_UF.shape[1] + terms.down_TJ[:, None, :]
            total_UF.view(-1).index_add_(0, places.flatten(), terms.values_TKJ.abs().flatten().to(total_UF.dtype))


# --- gradients ------------------------------------------------------------------------------------------------------


@torch.no_grad()
def linear_terms(
    pair: FeaturePair, score: PairScore, acts: SparseActs, clean_TD: Tensor, counted_T: Tensor, steps: int
) -> list[Terms]:
    """``ig`` or ``jacobian`` position by position; with attention between, one entry per chunk of targets."""
    bias_TD, whole_TD = _ends(pair, acts, clean_TD, counted_T)
    alphas = [(step + 0.5) / steps for step in range(steps)] if score == "ig" else [1.0]
    found = _encoded(pair, whole_TD, counted_T)
    written_TKD = pair.up.W_dec_FD[acts.indices_TK]
    written_TKD = written_TKD * (acts.values_TK if score == "ig" else (acts.values_TK != 0))[..., None]
    if pair.positionwise:
        along_JTD = pair.directions_FD[found.indices_TK].transpose(0, 1)
        mean_JTD = torch.zeros_like(along_JTD)
        for alpha in alphas:
            mean_JTD += _pulled(pair, bias_TD + alpha * (whole_TD - bias_TD), along_JTD) / len(alphas)
        values_TKJ = written_TKD @ mean_JTD.permute(1, 2, 0) * (found.values_TK != 0)[:, None, :]
        return [Terms(acts.indices_TK, found.indices_TK, values_TKJ)]
    result = []
    for part in _parts(pair, found):
        values_TKJ = written_TKD.new_zeros(*written_TKD.shape[:2], len(part.feature_J))
        for alpha in alphas:
            pulled = _pulled_back(pair, bias_TD + alpha * (whole_TD - bias_TD), part)
            values_TKJ += pulled.along(written_TKD) / len(alphas)
        result.append(Terms(acts.indices_TK, part.feature_J.expand(len(whole_TD), -1), values_TKJ))
    return result


def _pulled(pair: FeaturePair, x_TD: Tensor, along_JTD: Tensor) -> Tensor:
    """Cotangents behind the component [J, T, d] → before it, all through one forward pass."""
    leaf_TD = x_TD.detach().requires_grad_()
    if not len(along_JTD):
        return along_JTD.new_zeros(0, *x_TD.shape)
    with torch.enable_grad():
        out_TD = pair.through(leaf_TD)
    parts = along_JTD.split(max(1, 2 * _NUMBERS // (len(x_TD) * pair.width)))
    pulled = [torch.autograd.grad(out_TD, leaf_TD, part, is_grads_batched=True, retain_graph=True)[0] for part in parts]
    return torch.cat(pulled)


def _ends(pair: FeaturePair, acts: SparseActs, clean_TD: Tensor, counted_T: Tensor) -> tuple[Tensor, Tensor]:
    """What the component is given without any and with all source features [T, d]."""
    nothing = SparseActs(acts.indices_TK, torch.zeros_like(acts.values_TK))
    counted_T1 = counted_T[:, None]
    return pair.decode(nothing).where(counted_T1, clean_TD), pair.decode(acts).where(counted_T1, clean_TD)


def _encoded(pair: FeaturePair, x_TD: Tensor, counted_T: Tensor) -> SparseActs:
    """Target features of what is before the component, 0 where nothing is counted."""
    found = pair.down.encode_sparse(pair.through(x_TD))
    return SparseActs(found.indices_TK, found.values_TK.where(counted_T[:, None], 0))


def _active(found: SparseActs) -> tuple[Tensor, Tensor]:
    """Positions [N] and features [N] of what is active."""
    position_N, slot_N = (found.values_TK != 0).nonzero().unbind(1)
    return position_N, found.indices_TK[position_N, slot_N]


def _parts(pair: FeaturePair, found: SparseActs, among_J: Tensor | None = None) -> Iterator[Rows]:
    """Where targets behind a block are active, some targets at a time."""
    position_N, feature_N = _active(found)
    if among_J is not None:
        here_N = torch.isin(feature_N, among_J)
        position_N, feature_N = position_N[here_N], feature_N[here_N]
    heads = max(1, len(pair.block.weights.W_Q))
    return Rows.of(position_N, feature_N).parts(len(found.values_TK), pair.up.config.d_in, heads)


def _pulled_back(pair: FeaturePair, x_SD: Tensor, rows: Rows) -> Pulled:
    return pull_back(pair.block, x_SD, rows, pair.directions_FD[rows.feature_J])


# --- the reference's rule -------------------------------------------------------------------------------------------


def _add_reference(
    total_UF: Tensor, pair: FeaturePair, acts: SparseActs, clean_TD: Tensor, counted_T: Tensor, steps: int
) -> None:
    base_TK = torch.zeros_like(acts.values_TK)
    threshold_F = getattr(pair.up, "threshold_F", None)
    if threshold_F is not None:
        base_TK = threshold_F[acts.indices_TK] * (acts.values_TK != 0)
    length_T = (acts.values_TK - base_TK).norm(dim=1) / steps
    ways = []
    for alpha in torch.linspace(0, 1, steps).tolist():
        some = SparseActs(acts.indices_TK, base_TK + alpha * (acts.values_TK - base_TK))
        at_TD = pair.decode(some).where(counted_T[:, None], clean_TD)
        ways.append((at_TD, _encoded(pair, at_TD, counted_T)))
    if not pair.positionwise:
        _add_attended(total_UF, pair, ways, length_T)
        return
    keys, slopes = [], []
    for at_TD, found in ways:
        slopes_JTD = _pulled(pair, at_TD, pair.directions_FD[found.indices_TK].transpose(0, 1))
        row_N, slot_N = (found.values_TK != 0).nonzero().unbind(1)
        keys.append(found.indices_TK[row_N, slot_N] * len(at_TD) + row_N)
        slopes.append(slopes_JTD[slot_N, row_N])
    key_N, place_N = torch.cat(keys).unique(return_inverse=True)  # by target, then by position
    slope_ND = clean_TD.new_zeros(len(key_N), clean_TD.shape[1]).index_add_(0, place_N, torch.cat(slopes))
    slope_ND = slope_ND * length_T[key_N % len(clean_TD), None]
    _add_squares(total_UF, pair.up.W_dec_FD, key_N // len(clean_TD), slope_ND)


def _add_attended(total_UF: Tensor, pair: FeaturePair, ways: list[tuple[Tensor, SparseActs]], length_T: Tensor) -> None:
    """Some targets at a time, all steps of each."""
    active = [_active(found)[1] for _, found in ways]
    shape = ways[0][0].shape
    for target_J in torch.cat(active).unique().split(max(1, _NUMBERS // shape.numel())):
        slope_JTD = length_T.new_zeros(len(target_J), *shape)
        for at_TD, found in ways:
            for part in _parts(pair, found, target_J):
                slope_JTD[torch.searchsorted(target_J, part.feature_J)] += _pulled_back(pair, at_TD, part).whole()
        slope_ND = (slope_JTD * length_T[:, None]).flatten(0, 1)
        _add_squares(total_UF, pair.up.W_dec_FD, target_J.repeat_interleave(len(length_T)), slope_ND)


def _add_squares(total_UF: Tensor, W_dec_UD: Tensor, target_N: Tensor, slope_ND: Tensor) -> None:
    """Σ_n (w_i · slope_n)² per target; rows are in the order of targets."""
    few = W_dec_UD.shape[1]  # from so many rows on the moment is the smaller product
    targets, counts = target_N.unique_consecutive(return_counts=True)
    for target, rows_ND in zip(targets.tolist(), slope_ND.split(counts.tolist()), strict=True):
        if len(rows_ND) < few:
            total_UF[:, target] += (W_dec_UD @ rows_ND.T).square().sum(1)
        else:
            total_UF[:, target] += ((W_dec_UD @ (rows_ND.T @ rows_ND)) * W_dec_UD).sum(1)


# --- ablation -------------------------------------------------------------------------------------------------------


def _add_ablation(total_UF: Tensor, pair: FeaturePair, acts: SparseActs, clean_TD: Tensor, counted_T: Tensor) -> None:
    whole_TD = _ends(pair, acts, clean_TD, counted_T)[1]
    whole_TF = pair.down.encode(pair.through(whole_TD))
    row_N, slot_N = (acts.values_TK != 0).nonzero().unbind(1)
    up_N, values_N = acts.indices_TK[row_N, slot_N], acts.values_TK[row_N, slot_N]
    per_row = max(pair.width, pair.down.n_latents) * (1 if pair.positionwise else len(whole_TD))
    for part in torch.arange(len(row_N)).split(max(1, _NUMBERS // per_row)):
        without_ND = values_N[part, None] * pair.up.W_dec_FD[up_N[part]]
        if pair.positionwise:
            at_ND = whole_TD[row_N[part]] - without_ND
            change_NF = (pair.down.encode(pair.through(at_ND)) - whole_TF[row_N[part]]).abs()
        else:
            at_NTD = whole_TD.repeat(len(part), 1, 1)
            at_NTD[torch.arange(len(part)), row_N[part]] -= without_ND
            change_NTF = (pair.down.encode(pair.through(at_NTD)) - whole_TF).abs()
            change_NF = (change_NTF * counted_T[:, None]).sum(1)
        total_UF.index_add_(0, up_N[part], change_NF.to(total_UF.dtype))
