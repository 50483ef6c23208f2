"""A connected suite as a user names it: dictionaries, connections of several sizes, and the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from saecli.core.connections import Connections
from saecli.core.errors import UsageError
from saecli.core.model import HookedModel
from saecli.core.suite import Suite
from saecli.pruned.suite import PrunedSuite


@dataclass(frozen=True)
class Connected:
    """What is pruned.

    Attributes:
        model: The model, on its device.
        suite: The dictionaries that are connected.
        connections: By name: ``c30`` for a limit that was asked for, the empty name for connections as they are.
    """

    model: HookedModel
    suite: Suite
    connections: dict[str, Connections]

    @property
    def every(self) -> Connections:
        """All connections of the same modules."""
        one = next(iter(self.connections.values()))
        return Connections(one.modules, "all", parallel=one.parallel)


def open_connected(
    suite_name: str,
    file: str | None,
    *,
    model: str = "",
    limits: Sequence[int] = (),
    device: torch.device | str = "cpu",
    compat: bool = False,
) -> Connected:
    """Load what belongs together.

    Args:
        suite_name: A suite of the zoo, or a folder.
        file: Connections; None or ``auto`` for those beside the suite.
        model: The model; empty for the one that the suite was made for.
        limits: Keep so many connections of each feature.
        device: Where everything goes.
        compat: See :class:`saecli.pruned.suite.PrunedSuite`.

    Raises:
        UsageError: More connections than there are.
        InputError: Something is not there, or does not belong together.
    """
    from zoo.load import attach, load_connections, load_model, load_suite

    whole = load_suite(suite_name, device)
    connections = load_connections(suite_name, None if file == "auto" else file)
    loaded = load_model(model or whole.info.model, whole.info.processing, device)
    attach(whole, loaded)
    sites = {one.reads for one in connections.modules}
    suite = whole.only([site for site in whole if site in sites])
    if connections.suite_fingerprint and connections.suite_fingerprint == whole.fingerprint:
        connections = replace(connections, suite_fingerprint=suite.fingerprint)
    PrunedSuite(loaded, suite, connections, compat=compat)  # refuses what does not fit
    most = connections.limit if connections.rule == "per-feature" else None
    if most is not None and limits and max(limits) > most:
        raise UsageError(
            f"--c {max(limits)}: there are {most} connections of each feature.",
            f"Choose more: saecli connect --suite {suite_name} --c {max(limits)}",
        )
    by_name = {f"c{limit}": connections.restrict(per_feature=limit) for limit in limits} or {"": connections}
    return Connected(loaded, suite, by_name)
