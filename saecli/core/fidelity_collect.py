"""From sums over sequences to the numbers of a suite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from saecli.core.fidelity_batch import Firing, groups
from saecli.core.fidelity_numbers import Compound, Outcome, Reconstruction, Replaced, SiteFidelity, SuiteFidelity
from saecli.core.intervals import Interval, SequenceSums, ratio
from saecli.core.site import Site
from saecli.core.suite import Suite


def collect(
    name: str,
    suite: Suite,
    table: SequenceSums,
    firing: Mapping[tuple[str, Site], Firing],
    components: Mapping[tuple[str, Site], int],
    firing_tokens: int,
) -> SuiteFidelity:
    """The numbers of one suite.

    Args:
        name: Its name in the table's keys.
        suite: The suite.
        table: Closed sums of everything measured.
        firing: Which features were active, by suite and site written.
        components: Principal components of the controls, likewise.
        firing_tokens: Tokens over which features were counted.
    """
    sites: dict[Site, SiteFidelity] = {}
    for config in suite.configs.values():
        site, key = config.writes, (name, config.writes)
        replaced = partial(_replaced, table, site)
        fired_F, measured_F, sequences_F = firing[key].numbers()
        sites[site] = SiteFidelity(
            site=site,
            l0=table.mean("l0", *key),
            l1=table.mean("l1", *key),
            dead_share=float((fired_F == 0).mean()),
            dictionary=replaced("dictionary", *key),
            reconstruction=_reconstruction(table, site, "dictionary", *key),
            pca=replaced("pca", components[key], site),
            random=replaced("random", components[key], config.n_latents, site),
            components=components[key],
            mean=replaced("mean", site),
            zero=replaced("zero", site),
            density_F=fired_F / firing_tokens,
            active_F=measured_F / max(1, int(table.tokens_G.sum())),
            per_sequence_F=ratio(measured_F, sequences_F),
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


def _recovered(ablated: np.ndarray, replaced: np.ndarray, model: np.ndarray) -> np.ndarray:
    return ratio(ablated - replaced, ablated - model)


def _explained(error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return 1 - ratio(error, spread)


def _outcome(table: SequenceSums, *key: object) -> dict[str, Any]:
    rules = table.known(("allowed", "model"))
    ce = table.mean("ce", *key)
    return {
        "ce": ce,
        "ce_increase": ce - table.mean("ce", "model"),
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
        kl_recovered_zero=table.statistic(_explained, ("kl", *key), ("kl", "zero", site)),
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
        norm_in=table.mean("norm", site),
        norm_out=table.mean("norm_out", *key),
        mse=table.mean("error", *key),
    )
