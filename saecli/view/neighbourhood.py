"""The strongest connections around features as a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from saecli.core.address import Address
from saecli.core.graph import Edge, FeatureGraph, Metric, Node
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.view.contributions import End
from saecli.view.linked import Link

Feature = tuple[Site, int]

_NAMED: Final = 3
"""Features that the title names."""


@dataclass(frozen=True)
class Centre:
    """A feature and the connections shown of it.

    Attributes:
        feature: Which.
        mean: Its mean activation where it is active.
        upstream, downstream: The strongest connections.
    """

    feature: Feature
    mean: float
    upstream: Sequence[Link]
    downstream: Sequence[Link]


def address_of(end: End) -> Address:
    """A feature, a token, or the logit of one."""
    if end.module.what == "tokens":
        return Address("token", None, end.index)
    if end.module.what == "logits":
        return Address("target", None, end.index)
    return Address("feature", end.module.reads, end.index)


def neighbourhood(
    centres: Iterable[Centre],
    suite: Suite,
    model: str,
    *,
    score: str,
    labels: Mapping[Address, str],
) -> FeatureGraph:
    """The features, what they depend on and what depends on them.

    Edges are minus the mean contributions: how the pre-activation of the child would change without the parent, norm
    scales and attention patterns being as they are. The metric is the sum of the features' mean activations, and the
    effect of a node upstream minus what it contributes to it.

    Args:
        centres: The features in the middle.
        suite: Their dictionaries.
        model: Name of the model.
        score: What the connections were chosen by, in a word.
        labels: Descriptions.
    """
    centres = list(centres)
    middle = {Address("feature", *one.feature): one for one in centres}
    effects = {address: -one.mean for address, one in middle.items()}
    edges: dict[tuple[Address, Address], float] = {}
    for one in centres:
        for link in (*one.upstream, *one.downstream):
            if link.mean is not None:
                ends = address_of(link.up), address_of(link.down)
                edges[ends] = -link.mean
                for end in ends:
                    effects.setdefault(end, 0.0)
    for (up, down), weight in edges.items():
        if down in middle and up not in middle:
            effects[up] += weight
    nodes = tuple(
        Node(
            address,
            effects[address],
            middle[address].mean if address in middle else None,
            labels.get(address, ""),
        )
        for address in sorted(effects, key=lambda one: one.order)
    )
    names = ", ".join(address.format(suite.info.residual) for address in list(middle)[:_NAMED])
    names += f" and {len(middle) - _NAMED} more" if len(middle) > _NAMED else ""
    sites = [site for site in suite if any(address.site == site for address in effects)]
    value = sum(one.mean for one in centres)
    return FeatureGraph(
        title=f"{suite.info.name} · what {'are' if len(middle) > 1 else 'is'} {names} connected with?",
        method="connections",
        edge_meaning="activation",
        metric=Metric(
            "feature",
            f"activation of {names} where active, mean over data{', summed' if len(centres) > 1 else ''}; effects and "
            "edges are mean contributions to pre-activations",
            value,
            1,
            names,
        ),
        positions=(),
        sites=tuple(suite.label(site) for site in sites),
        nodes=nodes,
        edges=tuple(
            Edge(up, down, weight)
            for (up, down), weight in sorted(edges.items(), key=lambda one: (one[0][1].order, one[0][0].order))
        ),
        residual=suite.info.residual,
        provenance={"model": model, "suite": suite.info.name, "suite_fingerprint": suite.fingerprint},
        settings={"connections": score},
    )
