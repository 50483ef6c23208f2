"""Which connections some features have, and what passes through them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from saecli.core.connections import Connections, Module
from saecli.core.errors import UsageError
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.data.sequences import Sequences
from saecli.view.contributions import End, mean_contributions


@dataclass(frozen=True)
class Link:
    """A connection.

    Attributes:
        down, up: Its ends.
        mean: Mean contribution of `up` to the pre-activation of `down` where that is active; None if it never is.
        score: What the file of connections says of it; None if nothing.
    """

    down: End
    up: End
    mean: float | None
    score: float | None

    @property
    def size(self) -> float:
        """How strong it is."""
        return abs(self.mean or 0.0)


@dataclass
class Links:
    """The connections at some features, of a suite with connections.

    Args:
        model, suite, connections: They belong together.
        sequences: What means are taken over.
        progress: Told how far it is.

    Raises:
        UsageError: Everything is connected with everything.
    """

    model: HookedModel
    suite: Suite
    connections: Connections
    sequences: Sequences
    progress: Progress = silent
    _known: dict[tuple[End, End], Link] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.connections.rule == "all":
            raise UsageError(
                "These connections are all there could be, so none stands out.",
                f"Choose some: saecli connect --suite {self.suite.info.name} --c 30",
            )

    def measure(self, features: Iterable[tuple[Site, int]]) -> None:
        """Take the means of all connections into and out of some features."""
        found: dict[tuple[End, End], float | None] = {}
        for site, index in features:
            here = self.end(site, index)
            found |= self._into(here) | self._out_of(here) if here is not None else {}
        new = {pair: score for pair, score in found.items() if pair not in self._known}
        means = mean_contributions(self.model, self.suite, new.keys(), self.sequences, self.progress)
        self._known |= {pair: Link(*pair, mean, new[pair]) for pair, mean in means.items()}

    def end(self, site: Site, index: int) -> End | None:
        """A feature as an end of connections; None if its module has none."""
        module = self._module(site)
        return None if module is None else End(module, index)

    def upstream(self, site: Site, index: int) -> list[Link]:
        """What a feature depends on, the strongest first."""
        return self._strongest(link for link in self._known.values() if _is(link.down, site, index))

    def downstream(self, site: Site, index: int) -> list[Link]:
        """What depends on a feature, the strongest first."""
        return self._strongest(link for link in self._known.values() if _is(link.up, site, index))

    def _strongest(self, links: Iterable[Link]) -> list[Link]:
        return sorted(links, key=lambda one: (-one.size, one.down.module.reads, one.up.module.reads, one.down.index))

    def _into(self, down: End) -> dict[tuple[End, End], float | None]:
        found: dict[tuple[End, End], float | None] = {}
        for pair in self.connections.pairs:
            if pair[0] == down.module.reads:
                row, up = self.connections.row(*pair, down.index), self._module(pair[1])
                assert up is not None  # noqa: S101
                scores: Sequence[float | None] = (
                    [None] * len(row.indices_E) if row.scores_E is None else row.scores_E.tolist()
                )
                found |= {(down, End(up, i)): score for i, score in zip(row.indices_E.tolist(), scores, strict=True)}
        return found

    def _out_of(self, up: End) -> dict[tuple[End, End], float | None]:
        found: dict[tuple[End, End], float | None] = {}
        for pair, rows in self.connections.rows.items():
            if pair[1] == up.module.reads:
                down = self._module(pair[0])
                assert down is not None  # noqa: S101
                for place in (rows.indices == up.index).nonzero()[:, 0].tolist():
                    row = int((rows.indptr <= place).sum()) - 1
                    score = None if rows.scores is None else float(rows.scores[place])
                    found[End(down, row), up] = score
        return found

    def _module(self, site: Site) -> Module | None:
        return next((one for one in self.connections.modules if one.reads == site), None)


def _is(end: End, site: Site, index: int) -> bool:
    return end.module.what == "features" and (end.module.reads, end.index) == (site, index)
