"""Features set, scaled or shifted while the model runs; the errors of dictionaries and every other feature stay.

With f_i the activation of feature i on what arrives at its site and g_i the change that is asked for:

    x' = x + Σ_i (g_i(f_i(x)) − f_i(x)) w_i

A feature of a transcoder is read where its dictionary reads and changes what its dictionary writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.core.errors import UsageError
from saecli.core.model import Edit
from saecli.core.site import Site


@dataclass(frozen=True)
class Change:
    """What becomes of an activation.

    Attributes:
        how: It is set to a value, multiplied by it, or the value is added.
        value: A number, or one for every row of a batch [B].
    """

    how: Literal["set", "scale", "add"]
    value: float | Tensor

    def __call__(self, act: Tensor) -> Tensor:
        """Activations [..., B, S] → changed activations."""
        value = self.value[:, None] if isinstance(self.value, Tensor) else self.value
        if self.how == "scale":
            return act * value
        return act + value if self.how == "add" else torch.zeros_like(act) + value


@dataclass(frozen=True, eq=False)
class FeatureChange:
    """One feature and what becomes of it.

    Attributes:
        site: Where its dictionary reads.
        index: Which one.
        position: At this position, or (None) at all.
        change: What becomes of it.
    """

    site: Site
    index: int
    position: int | None
    change: Change


class Intervention:
    """Edits of a forward pass that change features.

    Args:
        dictionaries: By the site that they read.
        features: What to change; all of it together.

    Attributes:
        seen: Per feature of ``features`` its activation on what arrived in the last pass [B, S].

    Raises:
        UsageError: A dictionary that writes several sites, or whose features depend on the positions before them.
    """

    def __init__(self, dictionaries: Mapping[Site, Dictionary], features: Sequence[FeatureChange]) -> None:
        self.features = tuple(features)
        self.seen: dict[FeatureChange, Tensor] = {}
        self._by_site: dict[Site, list[FeatureChange]] = {}
        for feature in self.features:
            self._by_site.setdefault(feature.site, []).append(feature)
        self._dictionaries = {site: dictionaries[site] for site in self._by_site}
        self._pending: dict[Site, list[Tensor]] = {}
        for site, dictionary in self._dictionaries.items():
            if len(dictionary.config.written) > 1:
                raise UsageError(f"Features at {site} write several sites and cannot be set.")
            if not dictionary.positionwise:
                raise UsageError(f"Features at {site} depend on the positions before them and cannot be set.")

    def edits(self) -> dict[Site, Edit]:
        """What the pass is given as ``write``."""
        sites = {*self._by_site, *(one.config.writes for one in self._dictionaries.values())}
        return {site: self._edit(site) for site in sorted(sites)}

    def _edit(self, site: Site) -> Edit:
        def edit(x_BSD: Tensor) -> Tensor:
            for delta_BSD in self._pending.pop(site, []):
                x_BSD = x_BSD + delta_BSD
            if site not in self._by_site:
                return x_BSD
            dictionary = self._dictionaries[site]
            delta_BSD = self._delta(dictionary, self._by_site[site], x_BSD)
            if dictionary.config.writes == site:
                return x_BSD + delta_BSD
            self._pending.setdefault(dictionary.config.writes, []).append(delta_BSD)
            return x_BSD

        return edit

    def _delta(self, dictionary: Dictionary, features: Sequence[FeatureChange], x_BSD: Tensor) -> Tensor:
        """What changes at the site that the dictionary writes [B, S, d]."""
        flat_TD = x_BSD.flatten(0, 1)
        acts = dictionary.encode_sparse(flat_TD)
        out = x_BSD.new_zeros(*x_BSD.shape[:2], dictionary.config.d_out)
        for feature in features:
            act_BS = (acts.values_TK * (acts.indices_TK == feature.index)).sum(-1).view(x_BSD.shape[:2])
            self.seen[feature] = act_BS
            gain_BS = feature.change(act_BS) - act_BS
            if feature.position is not None:
                here_S = torch.arange(x_BSD.shape[1], device=x_BSD.device) == feature.position
                gain_BS = gain_BS * here_S
            index_T = torch.full((len(flat_TD),), feature.index, dtype=torch.int64, device=x_BSD.device)
            out = out + gain_BS[..., None] * dictionary.decoder_directions(flat_TD, index_T).view_as(out)
        return out


def activations(dictionary: Dictionary, x_BSD: Tensor) -> Tensor:
    """Dense activations [B, S, F] of what arrives at a dictionary, through its sparse path."""
    acts = dictionary.encode_sparse(x_BSD.flatten(0, 1))
    out_TF = x_BSD.new_zeros(len(acts.indices_TK), dictionary.n_latents)
    return out_TF.scatter_add_(1, acts.indices_TK, acts.values_TK).view(*x_BSD.shape[:2], -1)
