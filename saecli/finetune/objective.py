r"""What finetuning makes small, on a batch of B·S tokens.

    fvu    Σ_m w_m Σ‖y_m − ŷ_m‖² / Σ‖y_m − ȳ_m‖²    over modules m; gradients flow through all features upstream.
           w_m is 0 until step (number of m) · stagger, then 1.
    ce     mean of −log p(next token); of data that know its distribution q, −Σ q log p
    kl     mean of KL(p_model ‖ p), over all positions
    aux    for every module with dead latents: coefficient · (|e − ê|² / |e|² + mean ReLU(−π)), where e = y − ŷ is held
           constant and ê is what the ``aux_k`` largest pruned pre-activations π among the dead decode to

Sums over a batch that several processes share are those of the whole batch, so a process's loss is its part of the
whole, and so is its gradient.

Source: fvu, ce and the staggered start: https://github.com/jacobcd52/dictionary_learning; aux: Gao et al. 2024
(https://arxiv.org/abs/2406.04093, A.2), through the pruned pre-activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from saecli.core.dictionary import Dictionary
from saecli.core.divergence import divergence
from saecli.core.ranks import ONE, Ranks
from saecli.core.site import Site
from saecli.data.source import Batch
from saecli.pruned.frozen import Frozen
from saecli.pruned.suite import PrunedRun, PrunedSuite


@dataclass(frozen=True)
class Whole:
    """Sums over the whole batch, of which a process has a part.

    Attributes:
        spread: Site read → Σ‖y − ȳ‖² of what its module should write.
        predicted: Positions with a next token.
        positions: All positions.
    """

    spread: dict[Site, float]
    predicted: float
    positions: float

    @classmethod
    def of(cls, frozen: Frozen, batch: Batch, ranks: Ranks = ONE) -> Whole:
        """Count here and add up over processes."""
        counts = [int((batch.next_BS >= 0).sum()), batch.next_BS.numel()]
        parts = [torch.tensor(counts, dtype=torch.float64, device=frozen.tokens_BS.device)]
        for target_BSD in frozen.targets.values():
            flat_TD = target_BSD.flatten(0, 1).double()
            parts += [flat_TD.sum(0), flat_TD.square().sum()[None]]
        total = torch.cat(parts)
        ranks.sum_(total)
        predicted, positions = total[:2].tolist()
        spread, start = {}, 2
        for site, target_BSD in frozen.targets.items():
            width = target_BSD.shape[-1]
            first_D, second = total[start : start + width], total[start + width]
            spread[site] = float(second - first_D.square().sum() / positions)
            start += width + 1
        return cls(spread, predicted, positions)


class Objective:
    """The loss of a pruned suite.

    Args:
        weights: fvu, ce, kl → weight.
        stagger: Steps between the starts of modules.
    """

    def __init__(self, weights: Mapping[str, float], stagger: int = 0) -> None:
        self._weights, self._stagger = weights, stagger

    def __call__(
        self, pruned: PrunedSuite, frozen: Frozen, run: PrunedRun, batch: Batch, whole: Whole, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """This process's part of the loss, and of its terms (of fvu the mean over modules).

        Args:
            pruned: The suite.
            frozen, run: Its passes over the tokens of ``batch``.
            batch: This process's part of the batch.
            whole: Sums over all of it.
            step: Steps done so far.
        """
        terms: dict[str, Tensor] = {}
        modules = 1
        if "fvu" in self._weights:
            if pruned.compat:
                found = pruned.fvu(frozen, run)
            else:
                found = {
                    site: (frozen.targets[site] - written).square().sum() / whole.spread[site]
                    for site, written in run.written.items()
                }
            begun = [one for number, one in enumerate(found.values()) if step >= number * self._stagger]
            terms["fvu"], modules = torch.stack(begun).sum(), len(begun)
        if "ce" in self._weights or "kl" in self._weights:
            logits_BSV = pruned.logits(frozen, run)
            if "ce" in self._weights:
                terms["ce"] = _cross_entropy(logits_BSV, batch) / whole.predicted
            if "kl" in self._weights:
                with torch.no_grad():
                    model_BSV = pruned.model.unembed(frozen.final_BSD)
                terms["kl"] = divergence(model_BSV, logits_BSV).sum() / whole.positions
        loss = torch.stack([self._weights[name] * term for name, term in terms.items()]).sum()
        return loss, {name: term.detach() / (modules if name == "fvu" else 1) for name, term in terms.items()}


def revival(
    dictionary: Dictionary,
    pre_TF: Tensor,
    dead_N: Tensor,
    residual_TD: Tensor,
    energy: float,
    tokens: float,
    aux_k: int,
) -> Tensor:
    """This process's part of the auxiliary loss of one module, without its coefficient.

    Args:
        dictionary: The module's.
        pre_TF: Pruned pre-activations; differentiable.
        dead_N: int64, its dead latents.
        residual_TD: e, held constant.
        energy: |e|² over the whole batch.
        tokens: Positions of the whole batch.
        aux_k: How many of the dead reconstruct it.
    """
    pre_TN = pre_TF[:, dead_N]
    values_TK, columns_TK = pre_TN.topk(min(aux_k, len(dead_N)), dim=1)
    acts_TN = torch.zeros_like(pre_TN).scatter(1, columns_TK, values_TK.relu())
    missed = (residual_TD - acts_TN @ dictionary.W_dec_FD[dead_N]).square().sum()
    lift = functional.relu(-pre_TN).sum() / (tokens * len(dead_N))
    return (missed / energy if energy > 0 else missed * 0) + lift


def _cross_entropy(logits_BSV: Tensor, batch: Batch) -> Tensor:
    """Sum over positions."""
    if batch.expected_BSV is not None:
        return -(batch.expected_BSV * logits_BSV.log_softmax(-1)).sum()
    return functional.cross_entropy(logits_BSV.transpose(1, 2), batch.next_BS, ignore_index=-1, reduction="sum")
