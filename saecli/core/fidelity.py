"""Fidelity: what a model still does when a site is replaced by a dictionary's reconstruction of it.

Per site, over held-out sequences, beside controls that cost nothing: the site's mean, zero, the projection on as many
principal components as the dictionary has active features (fitted on training-side activations), and as many of as many
random directions.

    variance explained   1 − Σ|x − x̂|² / Σ|x − mean x|²     pooled over tokens and dimensions
      by token           mean over tokens of 1 − |x − x̂|² / |x − mean x|²     (SAELens' legacy definition)
      centred            1 − Σ Var(x − x̂) / Σ Var(x), variance over tokens     (dictionary_learning)
      by position        the same, variance over sequences at each position     (1 − FVU of SCAE)
    relative bias        Σ|x̂|² / Σ x·x̂, 1 for a reconstruction that neither shrinks nor grows
    norm ratio           mean |x̂| / |x|
    CE recovered         (CE_ablated − CE_replaced) / (CE_ablated − CE_model)     by mean and by zero ablation
    KL                   of the model's next-token distribution from the replaced one's, nats
    KL recovered         (KL_mean − KL_replaced) / KL_mean
    allowed              rate at which the most likely token is one that the rules allow (legal moves)
    allowed kept         that rate over the model's own

The centred and positional definitions do not see a constant error. Every number has a 95 % interval from a bootstrap
over sequences (tokens of a sequence are not independent); the positional definition has none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saecli.core.controls import Baseline as Baseline
from saecli.core.controls import fit_baselines
from saecli.core.errors import InputError, UsageError
from saecli.core.fidelity_batch import BatchMeasurer, groups
from saecli.core.intervals import Interval as Interval
from saecli.core.intervals import SequenceSums, ratio
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.sample import Sample as Sample
from saecli.core.site import Site
from saecli.core.suite import Suite


@dataclass(frozen=True)
class Outcome:
    """The model with something replaced.

    Attributes:
        ce: Cross-entropy of the next token, nats.
        ce_increase: Over the model's own.
        kl: From the model, nats.
        allowed: Rate of allowed most likely tokens; None without rules.
        allowed_kept: That rate over the model's.
    """

    ce: Interval
    ce_increase: Interval
    kl: Interval
    allowed: Interval | None
    allowed_kept: Interval | None


@dataclass(frozen=True)
class Replaced(Outcome):
    """The model with one site replaced.

    Attributes:
        variance_explained: Of the site.
        recovered_mean: CE recovered against mean ablation.
        recovered_zero: CE recovered against zero ablation; misleading at late sites, where zero can be better than bad.
        kl_recovered: KL recovered against mean ablation.
    """

    variance_explained: Interval
    recovered_mean: Interval
    recovered_zero: Interval
    kl_recovered: Interval


@dataclass(frozen=True)
class Reconstruction:
    """How the reconstruction differs from the site; the formulas are in the module's text."""

    variance_explained_by_token: Interval
    variance_explained_centred: Interval
    variance_explained_by_position: Interval
    cosine: Interval
    relative_bias: Interval
    norm_ratio: Interval


@dataclass(frozen=True)
class SiteFidelity:
    """One dictionary and its controls.

    Attributes:
        site: Site written.
        l0: Active features per token.
        dead_share: Share of features that no held-out token activates, those that only count here included.
        dictionary: The site replaced by the reconstruction.
        reconstruction: Other measures of it.
        pca: The site replaced by its projection on ``components`` principal components.
        random: The site replaced by ``components`` of as many random directions as the dictionary has features.
        components: L0, rounded.
        mean: The site replaced by its mean.
        zero: The site replaced by zero.
        density_F: float64 [F], share of tokens at which each feature is active.
    """

    site: Site
    l0: Interval
    dead_share: float
    dictionary: Replaced
    reconstruction: Reconstruction
    pca: Replaced
    random: Replaced
    components: int
    mean: Replaced
    zero: Replaced
    density_F: np.ndarray = field(repr=False, compare=False)


@dataclass(frozen=True)
class Compound:
    """Several sites replaced at once, each dictionary given what the ones before it left.

    Attributes:
        group: ``all``, or a kind of site.
        sites: The sites written.
        outcome: Of the model.
        single_increases: Sum of the CE increases of the single sites.
        excess: The CE increase over that sum; above 0 the errors make each other worse.
    """

    group: str
    sites: tuple[Site, ...]
    outcome: Outcome
    single_increases: Interval
    excess: Interval


@dataclass(frozen=True)
class SuiteFidelity:
    """A suite over held-out sequences.

    Attributes:
        sequences, tokens: How many were measured.
        firing_tokens: Over how many tokens, these included, a feature had to stay silent to count as dead.
        ce: Of the model itself, nats.
        allowed: Of the model itself; None without rules.
        sites: One entry per dictionary, in the order of depth.
        compound: Sites replaced together: each kind with several, and all.
    """

    sequences: int
    tokens: int
    firing_tokens: int
    ce: Interval
    allowed: Interval | None
    sites: tuple[SiteFidelity, ...]
    compound: tuple[Compound, ...]

    def measured(self) -> dict[Site, dict[str, float]]:
        """The main numbers, as a suite's header stores them; undefined ones are left out."""
        table = {}
        for one in self.sites:
            row = {
                "l0": one.l0.value,
                "variance_explained": one.dictionary.variance_explained.value,
                "ce_recovered_mean": one.dictionary.recovered_mean.value,
                "ce_recovered_zero": one.dictionary.recovered_zero.value,
                "dead_share": one.dead_share,
                "pca_variance_explained": one.pca.variance_explained.value,
            }
            if one.dictionary.allowed is not None and one.dictionary.allowed_kept is not None:
                row |= {"allowed": one.dictionary.allowed.value, "allowed_kept": one.dictionary.allowed_kept.value}
            table[one.site] = {name: round(value, 5) for name, value in row.items() if math.isfinite(value)}
        return table

    def to_json(self) -> dict[str, Any]:
        """As plain values: sites as text, numbers that are not finite as null, feature densities left out."""
        return _plain(self)


def _plain(value: Any) -> Any:
    if isinstance(value, Site):
        return str(value)
    if hasattr(value, "__dataclass_fields__"):
        names = [one for one in value.__dataclass_fields__ if not one.startswith(("draws", "density"))]
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@torch.no_grad()
def measure_suites(
    model: HookedModel,
    suites: Mapping[str, Suite],
    held_out: Sequence[Sample],
    training_side: Sequence[Sample],
    *,
    firing: Sequence[Sample] = (),
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, SuiteFidelity]:
    """Fidelity of suites of one model on the same sequences: each site by itself, then sites together.

    Args:
        model: The model.
        suites: Suites by name; their dictionaries may be at different sites.
        held_out: Sequences that nothing was trained on.
        training_side: Sequences for means and principal components.
        firing: More held-out sequences, only to see which features ever fire: a rare feature is not a dead one.
        seed: Of the bootstrap and of the random directions.
        progress: Told of every site and batch.

    Raises:
        InputError: A suite is not of this model, or the data have no position that counts.
        UsageError: A dictionary writes several sites or needs whole sequences, or two write one site.
    """
    for name, suite in suites.items():
        _check(name, suite)
        suite.attach(model)
    device = next((parameter.device for parameter in model.module.parameters()), torch.device("cpu"))
    written = {config.writes for suite in suites.values() for config in suite.configs.values()}
    baselines = fit_baselines(model, written, [sample.to(device) for sample in training_side])
    table = SequenceSums()
    measurer = BatchMeasurer(model, suites, baselines, table, seed)
    for number, sample in enumerate(held_out):
        measurer.measure(sample.to(device))
        progress("measuring", number + 1, len(held_out))
    if not table.counts:
        raise InputError("The held-out data hold no position to measure on.")
    table.close(seed)
    firing_tokens = int(table.tokens_G.sum()) + sum(int((sample.next_BS >= 0).sum()) for sample in firing)
    for number, sample in enumerate(firing):
        measurer.note_firing(sample.to(device))
        progress("looking for dead features", number + 1, len(firing))
    return {
        name: _collect(name, suite, table, measurer.fired, measurer.components, firing_tokens)
        for name, suite in suites.items()
    }


def _check(name: str, suite: Suite) -> None:
    written = set()
    for site, config in suite.configs.items():
        if config.arch in ("cross_layer", "temporal"):
            raise UsageError(
                f"{name} has a {config.arch} dictionary at {site}, which does not replace one site token by token."
            )
        if config.writes in written:
            raise UsageError(f"{name} has two dictionaries that write {config.writes}.", "Choose one with --kind.")
        written.add(config.writes)


def _recovered(ablated: np.ndarray, replaced: np.ndarray, model: np.ndarray) -> np.ndarray:
    return ratio(ablated - replaced, ablated - model)


def _explained(error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return 1 - ratio(error, spread)


def _outcome(table: SequenceSums, *key: object) -> dict[str, Any]:
    rules = table.known(("allowed", "model"))
    return {
        "ce": table.mean("ce", *key),
        "ce_increase": table.mean("ce", *key) - table.mean("ce", "model"),
        "kl": table.mean("kl", *key),
        "allowed": table.mean("allowed", *key) if rules else None,
        "allowed_kept": table.statistic(ratio, ("allowed", *key), ("allowed", "model")) if rules else None,
    }


def _replaced(table: SequenceSums, site: Site, *key: object) -> Replaced:
    return Replaced(
        **_outcome(table, *key),
        variance_explained=table.statistic(_explained, ("error", *key), ("spread", site)),
        recovered_mean=table.statistic(_recovered, ("ce", "mean", site), ("ce", *key), ("ce", "model")),
        recovered_zero=table.statistic(_recovered, ("ce", "zero", site), ("ce", *key), ("ce", "model")),
        kl_recovered=table.statistic(_explained, ("kl", *key), ("kl", "mean", site)),
    )


def _reconstruction(table: SequenceSums, site: Site, *key: object) -> Reconstruction:
    by_position = 1 - table.position_variance("error", *key) / (table.position_variance(site) or math.nan)
    return Reconstruction(
        variance_explained_by_token=table.statistic(_explained, ("token_share", *key), ("tokens",)),
        variance_explained_centred=table.statistic(_explained, ("spread", "error", *key), ("spread", site)),
        variance_explained_by_position=Interval(by_position, math.nan, math.nan),
        cosine=table.mean("cosine", *key),
        relative_bias=table.statistic(ratio, ("square", *key), ("product", *key)),
        norm_ratio=table.mean("norm_ratio", *key),
    )


def _collect(
    name: str,
    suite: Suite,
    table: SequenceSums,
    fired: Mapping[tuple[str, Site], Tensor],
    components: Mapping[tuple[str, Site], int],
    firing_tokens: int,
) -> SuiteFidelity:
    sites: dict[Site, SiteFidelity] = {}
    for config in suite.configs.values():
        site, key = config.writes, (name, config.writes)
        replaced = partial(_replaced, table, site)
        fired_F = fired[key].double().cpu().numpy()
        sites[site] = SiteFidelity(
            site=site,
            l0=table.mean("l0", *key),
            dead_share=float((fired_F == 0).mean()),
            dictionary=replaced("dictionary", *key),
            reconstruction=_reconstruction(table, site, "dictionary", *key),
            pca=replaced("pca", components[key], site),
            random=replaced("random", components[key], config.n_latents, site),
            components=components[key],
            mean=replaced("mean", site),
            zero=replaced("zero", site),
            density_F=fired_F / firing_tokens,
        )
    compound = []
    for group, members in groups(suite).items():
        outcome = Outcome(**_outcome(table, "together", name, group))
        single = sites[members[0]].dictionary.ce_increase
        for site in members[1:]:
            single = single + sites[site].dictionary.ce_increase
        compound.append(Compound(group, members, outcome, single, outcome.ce_increase - single))
    return SuiteFidelity(
        sequences=len(table.tokens_G),
        tokens=int(table.tokens_G.sum()),
        firing_tokens=firing_tokens,
        ce=table.mean("ce", "model"),
        allowed=table.mean("allowed", "model") if table.known(("allowed", "model")) else None,
        sites=tuple(sites.values()),
        compound=tuple(compound),
    )
