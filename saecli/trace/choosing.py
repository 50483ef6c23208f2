"""What the user chose among the nodes of a trace, found on its nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saecli.asking.question import Question
from saecli.asking.target import feature_dictionary
from saecli.attribution.clean import SiteNodes
from saecli.core.address import parse_addresses
from saecli.core.errors import UsageError
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.trace.calibrated import calibrated
from saecli.trace.config import TraceConfig
from saecli.trace.extend import stored_graph
from saecli.trace.select import Choice, Pin, pinned_nodes


class Choosing:
    """Finds pins and what counts; called with the nodes of a pass.

    Args:
        config: The user's choices.
        question: What is asked, or the first of many.
        suite, sites: What is traced.

    Attributes:
        stored: The graph of ``--extend``, if there is one.
        totals: By site, of the nodes that were chosen from; see :class:`~saecli.trace.select.Choice`.

    Raises:
        InputError, UsageError: No thresholds where they are asked for, or a graph that cannot be grown so.
    """

    def __init__(self, config: TraceConfig, question: Question, suite: Suite, sites: Sequence[Site]) -> None:
        self.config, self.suite, self.first = config, suite, sites[0]
        self.stored = stored_graph(config, question, suite, sites)
        self.totals: dict[Site, dict[str, float]] = {}
        self._thresholds = {site: one.values_F for site, one in calibrated(config, suite, sites).items()}

    def __call__(self, nodes: Mapping[Site, SiteNodes]) -> Choice:
        """The choice among these nodes.

        Raises:
            UsageError: A pin that is not there.
        """
        pins = [pin for text in self.config.pin for pin in self._pins(text, nodes)]
        if self.stored is not None:
            pins += self.stored.pins(nodes)
        config = self.config
        return Choice(pins, self._thresholds, self.first, config.first_fraction, config.seed, self.totals)

    def _pins(self, text: str, nodes: Mapping[Site, SiteNodes]) -> list[Pin]:
        found: list[Pin] = []
        for address in parse_addresses(text, self.suite.info.residual):
            dictionary = feature_dictionary(self.suite, address.site, address.index, f"--pin {text}")
            pin = Pin(dictionary.config.reads, int(address.index or 0), address.position)
            if pin.site not in nodes:
                raise UsageError(f"--pin {text} lies outside the chosen sites.", "Widen --layers.")
            if not pinned_nodes(nodes[pin.site], [pin]).any():
                where = "" if pin.position is None else f" at position {pin.position}"
                raise UsageError(f"--pin {text} does not fire on this input{where}, so it has no effect.")
            found.append(pin)
        return found
