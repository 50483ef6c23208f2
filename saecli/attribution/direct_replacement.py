"""The local replacement model of a prompt: active features and errors in the places of MLPs and attention.

What a place adds to the stream is the sum of what active features of all dictionaries that write it add, of their skip
paths and biases, and of an error that makes up for the rest; an MLP that no dictionary stands in for is all error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from saecli.attribution.direct_frozen import FrozenModel
from saecli.attribution.metric import FeatureMetric, Metric
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import UsageError
from saecli.core.model import HookedModel
from saecli.core.site import Site

READ: Final = ("resid_pre", "attn_in", "attn_out", "resid_mid", "mlp_in", "resid_post")
WRITTEN: Final = ("attn_out", "mlp_out")


class Active(NamedTuple):
    """Active features of one dictionary, by position, then index."""

    position_N: Tensor
    index_N: Tensor
    value_N: Tensor

    @classmethod
    def of(cls, dictionary: Dictionary, x_SD: Tensor) -> Active:
        """Those of a sequence [S, d]."""
        acts = dictionary.encode_sparse(x_SD)
        position_N, slot_N = (acts.values_TK != 0).nonzero(as_tuple=True)
        index_N, value_N = acts.indices_TK[position_N, slot_N], acts.values_TK[position_N, slot_N]
        order = torch.argsort(position_N * dictionary.n_latents + index_N)
        return cls(position_N[order], index_N[order], value_N[order])


@dataclass(frozen=True)
class Replacement:
    """The local replacement model of one prompt.

    Attributes:
        frozen: The model's linear parts.
        dictionaries: By the site they read, asked for one after the other.
        configs: Theirs, in order of computation.
        skips: Site read → matrix of the skip path, of dictionaries that have one.
        active: What fires, by the site read.
        errors: Place written → what no dictionary adds there [S, d]; of an MLP without dictionary all that it adds.
    """

    frozen: FrozenModel
    dictionaries: Mapping[Site, Dictionary]
    configs: dict[Site, DictionaryConfig]
    skips: dict[Site, Tensor]
    active: dict[Site, Active]
    errors: dict[Site, Tensor]

    @classmethod
    @torch.no_grad()
    def of(
        cls, model: HookedModel, dictionaries: Mapping[Site, Dictionary], tokens_S: Tensor, metric: Metric
    ) -> Replacement:
        """Run the prompt once; see :func:`saecli.attribution.direct.direct_run`."""
        end = metric.site(model.info)
        if not 0 <= metric.position < len(tokens_S):
            raise UsageError(f"Position {metric.position} is outside the prompt of {len(tokens_S)} tokens.")
        if isinstance(metric, FeatureMetric) and end.kind not in READ:
            raise UsageError(f"A target at {end} does not follow from what is linear.", "Use --method gradient.")
        sites = sorted(dictionaries)
        if late := [str(site) for site in sites if not site < end]:
            raise UsageError(f"The target {metric.target} lies at {end}; {', '.join(late)} cannot act on it.")
        places = [Site(layer, kind) for layer in range(model.info.n_layers) for kind in WRITTEN]
        frozen = FrozenModel.of(model, tokens_S, end, {*places, *sites})
        errors = {place: frozen.values[place].clone() for place in places if place.kind == "mlp_out" and place < end}
        configs, active, skips = {}, {}, {}
        for site in sites:
            dictionary = dictionaries[site]
            configs[site] = dictionary.config
            require_linear({site: dictionary.config})
            if not dictionary.positionwise:
                raise UsageError(f"Features that depend on the positions before them are not traced ({site}).")
            active[site] = Active.of(dictionary, frozen.values[site])
            for place, part_SD in dictionary.contributions(frozen.values[site]).items():
                if place < end:
                    errors[place] = errors.get(place, frozen.values[place]) - part_SD
            if dictionary.W_skip_DO is not None:
                skips[site] = dictionary.W_skip_DO
        errors = dict(sorted(errors.items()))
        return cls(frozen, dictionaries, configs, skips, active, errors)

    @property
    def replaced(self) -> set[Site]:
        """attn_out of layers whose attention dictionaries stand in for."""
        return {place for place in self.errors if place.kind == "attn_out"}

    def writes(self, site: Site, position_N: Tensor, index_N: Tensor) -> dict[Site, Tensor]:
        """What one unit of features of the dictionary that reads at a site adds to every place: [N, d] each."""
        directions = self.dictionaries[site].decoder_directions(self.frozen.values[site][position_N], index_N)
        places = self.configs[site].written
        return dict(zip(places, directions.reshape(len(index_N), len(places), -1).unbind(1), strict=True))

    def reads(self, site: Site, position_N: Tensor, index_N: Tensor) -> Tensor:
        """Gradient of active features with respect to the site they are read at: [N, d]."""
        return self.dictionaries[site].encoder_directions(self.frozen.values[site][position_N], index_N)

    def home(self, place: Site) -> Site:
        """The site under which a place's errors stand: what its dictionary reads, or itself."""
        return next((site for site, config in self.configs.items() if config.writes == place), place)

    def skip(self, place: Site, gradient: Tensor) -> Iterator[tuple[Site, Tensor]]:
        """What passes from a place over skip paths to what their dictionaries read."""
        for site, W_DO in self.skips.items():
            if self.configs[site].writes == place:
                yield site, gradient @ W_DO.T


def require_linear(configs: Mapping[Site, DictionaryConfig]) -> None:
    """Refuse dictionaries that stand in for no module, or read what no linear way leads to.

    Raises:
        UsageError: The first one, and why.
    """
    for site, config in configs.items():
        there = ", ".join(map(str, config.written))
        if site.kind not in READ or any(place.kind not in WRITTEN for place in config.written):
            raise UsageError(
                "--method direct follows dictionaries that stand in for MLPs or for what attention adds, and one "
                f"reads {site} and writes {there}.",
                "Leave it out with --kind, or use --method gradient.",
            )
        if config.writes < site:
            raise UsageError(f"The dictionary that reads {site} cannot write {config.writes}, which comes before it.")
