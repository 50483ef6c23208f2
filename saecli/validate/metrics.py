"""Names of what is measured, in the order of the tables, and where each number stands. Imports nothing heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from saecli.core.errors import UsageError, did_you_mean

_CONTROLS: Final = ("pca", "random", "mean", "zero")
_OF_CONTROLS: Final = {
    "variance_explained": "variance_explained",
    "ce_increase": "ce_increase",
    "ce_recovered": "recovered_mean",
    "kl": "kl",
}

SITE_METRICS: Final = {
    "l0": "l0",
    "l1": "l1",
    "variance_explained": "dictionary.variance_explained",
    "variance_explained_by_token": "reconstruction.variance_explained_by_token",
    "variance_explained_centred": "reconstruction.variance_explained_centred",
    "variance_explained_by_position": "reconstruction.variance_explained_by_position",
    "cosine": "reconstruction.cosine",
    "relative_bias": "reconstruction.relative_bias",
    "norm_ratio": "reconstruction.norm_ratio",
    "norm_in": "reconstruction.norm_in",
    "norm_out": "reconstruction.norm_out",
    "mse": "reconstruction.mse",
    "ce": "dictionary.ce",
    "ce_increase": "dictionary.ce_increase",
    "ce_recovered": "dictionary.recovered_mean",
    "ce_recovered_zero": "dictionary.recovered_zero",
    "kl": "dictionary.kl",
    "kl_recovered": "dictionary.kl_recovered",
    "kl_recovered_zero": "dictionary.kl_recovered_zero",
    "allowed": "dictionary.allowed",
    "allowed_kept": "dictionary.allowed_kept",
    "dead_share": "dead_share",
    **{f"{control}_{name}": f"{control}.{path}" for control in _CONTROLS for name, path in _OF_CONTROLS.items()},
}
"""Per site: name → attributes of a ``SiteFidelity``."""

COMPOUND_METRICS: Final = {
    "compound_ce": "outcome.ce",
    "compound_ce_increase": "outcome.ce_increase",
    "compound_single_increases": "single_increases",
    "compound_excess": "excess",
    "compound_kl": "outcome.kl",
    "compound_allowed": "outcome.allowed",
    "compound_allowed_kept": "outcome.allowed_kept",
}
"""Sites replaced together: name → attributes of a ``Compound``."""

_REQUIREMENT: Final = re.compile(r"\s*(\w+)\s*(>=|<=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


@dataclass(frozen=True)
class Bound:
    """What a metric must be at every site.

    Attributes:
        text: As the user wrote it, without spaces.
        metric: Its name.
        at_least: True for a lower bound.
        value: The bound.
    """

    text: str
    metric: str
    at_least: bool
    value: float

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Read ``ce_recovered>=0.95``; raises UsageError."""
        match = _REQUIREMENT.fullmatch(text)
        if match is None:
            raise UsageError(f"--require {text} is no bound.", "Write it as 'ce_recovered>=0.95' or 'dead_share<=0.1'.")
        known = (*SITE_METRICS, *COMPOUND_METRICS)
        if match[1] not in known:
            hint = did_you_mean(match[1], known) or f"Known: {', '.join(known)}."
            raise UsageError(f"--require {text}: there is no metric {match[1]}.", hint)
        return cls("".join(match.groups()), match[1], match[2] == ">=", float(match[3]))

    def holds(self, value: float) -> bool:
        """Whether a value keeps it; one that is not defined does not."""
        return value >= self.value if self.at_least else value <= self.value
