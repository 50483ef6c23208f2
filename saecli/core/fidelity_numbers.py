"""What fidelity comes to: the numbers of a suite, of its sites and of sites replaced together.

The formulas are in :mod:`saecli.core.fidelity`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saecli.core.intervals import Interval
from saecli.core.site import Site


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
        kl_recovered_zero: KL recovered against zero ablation.
    """

    variance_explained: Interval
    recovered_mean: Interval
    recovered_zero: Interval
    kl_recovered: Interval
    kl_recovered_zero: Interval


@dataclass(frozen=True)
class Reconstruction:
    """How the reconstruction differs from the site.

    Attributes:
        mse: Mean over tokens of |x − x̂|², summed over dimensions.
        norm_in, norm_out: Mean |x| and mean |x̂|.
    """

    variance_explained_by_token: Interval
    variance_explained_centred: Interval
    variance_explained_by_position: Interval
    cosine: Interval
    relative_bias: Interval
    norm_ratio: Interval
    norm_in: Interval
    norm_out: Interval
    mse: Interval


@dataclass(frozen=True)
class SiteFidelity:
    """One dictionary and its controls.

    Attributes:
        site: Site written.
        l0: Active features per token.
        l1: Sum of their absolute activations per token.
        dead_share: Share of features that no held-out token activates, those that only count here included.
        dictionary: The site replaced by the reconstruction.
        reconstruction: Other measures of it.
        pca: The site replaced by its projection on ``components`` principal components.
        random: The site replaced by ``components`` of as many random directions as the dictionary has features.
        components: L0, rounded.
        mean: The site replaced by its mean.
        zero: The site replaced by zero.
        density_F: float64 [F], share of ``firing_tokens`` at which each feature is active.
        active_F: float64 [F], the same of the tokens measured: it sums to ``l0``.
        per_sequence_F: float64 [F], at how many tokens a feature is active in a measured sequence that has it at all;
            NaN where none has.
    """

    site: Site
    l0: Interval
    l1: Interval
    dead_share: float
    dictionary: Replaced
    reconstruction: Reconstruction
    pca: Replaced
    random: Replaced
    components: int
    mean: Replaced
    zero: Replaced
    density_F: np.ndarray = field(repr=False, compare=False)
    active_F: np.ndarray = field(repr=False, compare=False)
    per_sequence_F: np.ndarray = field(repr=False, compare=False)


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

    @property
    def together(self) -> Interval:
        """The CE increase with all sites replaced: of one site, that one."""
        every = [one.outcome.ce_increase for one in self.compound if one.group == "all"]
        return every[0] if every else self.sites[0].dictionary.ce_increase

    @property
    def single_increases(self) -> Interval:
        """The CE increases of single sites, summed."""
        every = [one.single_increases for one in self.compound if one.group == "all"]
        return every[0] if every else self.sites[0].dictionary.ce_increase

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
        names = [name for name, one in value.__dataclass_fields__.items() if one.compare]  # without long arrays
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
