"""A planted circuit: a model, its dictionaries, an input, what is asked of it, and the true graph."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.attribution.clean import CleanRun, clean_run
from saecli.attribution.metric import LinearMetric
from saecli.core.address import Address
from saecli.core.dictionary import Dictionary
from saecli.core.model import HookedModel
from saecli.core.site import Site
from saecli.trace.planted.mechanism import Truth


@dataclass(frozen=True)
class Case:
    """One planted circuit.

    Attributes:
        name: What it is called.
        group: Cases whose numbers are added up.
        model, dictionaries, tokens_S: What is traced.
        metric: The output, at the last position.
        truth: What is there.
        feature_names: Names of the features of every dictionary, by index.
    """

    name: str
    group: str
    model: HookedModel
    dictionaries: dict[Site, Dictionary]
    tokens_S: Tensor
    metric: LinearMetric
    truth: Truth
    feature_names: Sequence[str] = ()

    def clean(self, sites: Collection[Site] | None = None) -> CleanRun:
        """The unmodified pass, with the dictionaries of some of the sites only if they are given."""
        chosen = {site: one for site, one in self.dictionaries.items() if sites is None or site in sites}
        return clean_run(self.model, chosen, self.tokens_S, self.metric)


def output_at(position: int) -> LinearMetric:
    """The one output of a model at a position."""
    return LinearMetric(position, torch.ones(1, dtype=torch.float64), "y", "the output", "y")


def target_at(position: int) -> Address:
    """Its node."""
    return Address("target", position=position)


def feature(site: Site, index: int, position: int) -> Address:
    """A feature's node."""
    return Address("feature", site, index, position)
