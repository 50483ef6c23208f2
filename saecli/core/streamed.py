"""Dictionaries that are too large to be held together: read when they are asked for, and only the last is held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.site import Site

KEPT_WEIGHTS: Final = 1 << 29
"""Weights of dictionaries that are held together; 2 GB in fp32."""


def fit_together(configs: Iterable[DictionaryConfig]) -> bool:
    """Whether dictionaries are small enough to be held together."""
    return sum(config.n_latents * (config.d_in + config.d_out) for config in configs) <= KEPT_WEIGHTS


class Streamed(Mapping[Site, Dictionary]):
    """Site → dictionary.

    Args:
        sites: In the order of depth.
        load: Reads the dictionary of a site; called again and again.
    """

    def __init__(self, sites: Sequence[Site], load: Callable[[Site], Dictionary]) -> None:
        self._sites = tuple(sites)
        self._load = load
        self._held: tuple[Site, Dictionary] | None = None

    def __getitem__(self, site: Site) -> Dictionary:
        if site not in self._sites:
            raise KeyError(site)
        if self._held is None or self._held[0] != site:
            self._held = None  # before the next takes its memory
            self._held = (site, self._load(site))
        return self._held[1]

    def __iter__(self) -> Iterator[Site]:
        return iter(self._sites)

    def __len__(self) -> int:
        return len(self._sites)

    def __contains__(self, site: object) -> bool:
        return site in self._sites
