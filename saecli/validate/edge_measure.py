"""What a model keeps through the first edges between two sites, for many numbers of edges and several orders.

    KL              of the model's next-token distribution from that through the edges, nats
    KL to all       of the distribution through all edges from it
    CE recovered    (CE_0 − CE) / (CE_0 − CE_model), 0 edges: the target dictionary's bias alone
    area            ∫ KL d ln E / ln(E_max / E_min), trapezium rule, from the smallest number above 0

None and all edges go the same way as any other number. What an MLP makes is added to the model's own residual stream; a
residual target replaces it. Intervals are bootstraps over sequences, the same for all numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from saecli.attribution.kept_edges import kept_targets
from saecli.attribution.pair import FeaturePair
from saecli.core.errors import InputError
from saecli.core.intervals import Interval, SequenceSums
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.sample import Sample
from saecli.core.site import Site

OWN: Final = "own"
_LOGITS: Final = 1 << 24
"""Held together."""


@dataclass(frozen=True)
class EdgeCurve:
    """One order.

    Attributes:
        ce, kl, kl_circuit, ce_recovered: By number of edges.
        area: Of ``kl``.
    """

    ce: dict[int, Interval]
    kl: dict[int, Interval]
    kl_circuit: dict[int, Interval]
    ce_recovered: dict[int, Interval]
    area: Interval


@dataclass(frozen=True)
class EdgeQuality:
    """All orders.

    Attributes:
        ce_model, ce_dictionary, kl_dictionary: The model, and the target's own reconstruction.
        curves: By name of the order.
        tokens, sequences: What was measured.
    """

    ce_model: Interval
    ce_dictionary: Interval
    kl_dictionary: Interval
    curves: dict[str, EdgeCurve]
    tokens: int
    sequences: int


@torch.no_grad()
def measure_edges(
    model: HookedModel,
    pair: FeaturePair,
    sites: tuple[Site, Site],
    orders: Mapping[str, Tensor],
    counts: Sequence[int],
    held_out: Sequence[Sample],
    *,
    left_out: Sequence[int] = (),
    seed: int = 0,
    progress: Progress = silent,
) -> EdgeQuality:
    """Measure every order at every number of edges on the same sequences.

    Args:
        model: The model.
        pair: The features and what is between them.
        sites: Source and target.
        orders: Name → place of every edge [F_up, F_down]; :data:`OWN` is one of them.
        counts: Numbers of edges, ascending; the first is 0, the last all edges.
        held_out: Sequences; positions without a next token (−1) do not count.
        left_out: Tokens whose positions keep the model's values.
        seed: Of the bootstrap.
        progress: Told of every batch.

    Raises:
        InputError: There is no position to measure on, or a value is not finite.
    """
    table, device = SequenceSums(), next(model.module.parameters()).device
    for number, one in enumerate(held_out):
        sample = one.to(device)
        for row in range(len(sample.tokens_BS)):
            _measure_one(
                table,
                model,
                pair,
                sites,
                orders,
                counts,
                left_out,
                sample.tokens_BS[row : row + 1],
                sample.next_BS[row],
            )
        progress("measuring", number + 1, len(held_out))
    tokens = int(sum(float(count.sum()) for count in table.counts))
    if not tokens:
        raise InputError("The held-out data hold no position to measure on.")
    table.close(seed)
    found = EdgeQuality(
        table.mean("model"),
        table.mean("dictionary"),
        table.mean("dictionary kl"),
        {name: _curve(table, name, counts) for name in orders},
        tokens,
        sum(map(len, table.counts)),
    )
    if not all(math.isfinite(one.kl[count].value) for one in found.curves.values() for count in counts):
        raise InputError("The pass through the edges gives values that are not finite.")
    return found


def _measure_one(
    table: SequenceSums,
    model: HookedModel,
    pair: FeaturePair,
    sites: tuple[Site, Site],
    orders: Mapping[str, Tensor],
    counts: Sequence[int],
    left_out: Sequence[int],
    tokens_1S: Tensor,
    next_S: Tensor,
) -> None:
    up, down = sites
    after = Site(up.layer + 1, "resid_pre")
    run = model.run(tokens_1S, read={up, down, after})
    assert run.logits is not None  # noqa: S101
    clean_SD, target_SD = run.sites[up][0], run.sites[down][0]
    beside_SD = run.sites[after][0] - target_SD  # the stream that an MLP adds to; 0 where the target is the stream
    counted_S = ~torch.isin(tokens_1S[0], tokens_1S.new_tensor(list(left_out)))
    acts, together = pair.up.encode_sparse(clean_SD), max(1, _LOGITS // run.logits.numel())

    def logs_of(made_NSD: Tensor) -> Tensor:
        """Log probabilities [N, S, V] of what comes next."""
        found = model.run_from(after, made_NSD.where(counted_S[:, None], target_SD) + beside_SD).logits
        assert found is not None  # noqa: S101
        return found.log_softmax(-1)

    def add(values_S: Tensor, *key: object) -> None:
        table.add(key, values_S[None])

    table.batch((next_S >= 0)[None])
    model_SV = run.logits[0].log_softmax(-1)
    (dictionary_SV,) = logs_of(pair.down.reconstruct(target_SD)[None])
    add(_nll(model_SV, next_S), "model")
    add(_nll(dictionary_SV, next_S), "dictionary")
    add(_divergence(model_SV, dictionary_SV), "dictionary kl")
    whole_SV: Tensor | None = None
    for name in sorted(orders, key=lambda name: name != OWN):
        made_CSD = torch.zeros_like(target_SD).repeat(len(counts), 1, 1)
        for kept in kept_targets(pair, orders[name], counts, acts, clean_SD, counted_S):
            made_CSD[kept.counts, kept.positions_T] = pair.down.decode(kept.targets_CTF)
        for end in range(len(counts), 0, -together):  # from the last, through all edges, which the others are held to
            part = slice(max(0, end - together), end)
            kept_NSV = logs_of(made_CSD[part])
            whole_SV = kept_NSV[-1] if whole_SV is None else whole_SV
            values_KNS = (
                _nll(kept_NSV, next_S),
                _divergence(model_SV, kept_NSV),
                _divergence(whole_SV, kept_NSV),
            )
            for key, values_NS in zip(("ce", "kl", "circuit"), values_KNS, strict=True):
                for count, values_S in zip(counts[part], values_NS, strict=True):
                    add(values_S, name, count, key)


def _nll(logs_XSV: Tensor, next_S: Tensor) -> Tensor:
    """−log p(next), 0 where there is none: [..., S]."""
    next_XS1 = next_S.clamp_min(0).expand(logs_XSV.shape[:-1])[..., None]
    return -logs_XSV.gather(-1, next_XS1)[..., 0] * (next_S >= 0)


def _divergence(from_SV: Tensor, to_XSV: Tensor) -> Tensor:
    """KL of log probabilities, nats: [..., S]."""
    return torch.linalg.vecdot(from_SV.exp(), from_SV - to_XSV)


def _curve(table: SequenceSums, name: str, counts: Sequence[int]) -> EdgeCurve:
    def recovered(none: np.ndarray, here: np.ndarray, model: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (none - here) / (none - model)

    def area(tokens: np.ndarray, *sums: np.ndarray) -> np.ndarray:
        return mean_over_log(counts[1:], [one / tokens for one in sums])

    return EdgeCurve(
        {count: table.mean(name, count, "ce") for count in counts},
        {count: table.mean(name, count, "kl") for count in counts},
        {count: table.mean(name, count, "circuit") for count in counts},
        {count: table.statistic(recovered, (name, 0, "ce"), (name, count, "ce"), ("model",)) for count in counts},
        table.statistic(area, ("tokens",), *((name, count, "kl") for count in counts[1:])),
    )


def mean_over_log(counts: Sequence[int], values: Sequence[np.ndarray]) -> np.ndarray:
    """∫ value d ln count over the whole range, divided by its length; the value itself where there is one count."""
    if len(counts) == 1:
        return values[0]
    x = np.log(np.array(counts, dtype=float))
    parts = [(b - a) * (first + second) / 2 for a, b, first, second in zip(x, x[1:], values, values[1:], strict=False)]
    return np.sum(parts, axis=0) / (x[-1] - x[0])
