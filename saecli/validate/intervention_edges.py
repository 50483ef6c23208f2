"""What a graph predicts of a change of features, beside what the model does.

Removing all of a feature u of activation a changes the metric by its effect E(u), and by its edges w(u, t) what they
lead to. Changing a to a' is, in the linear picture, to remove the share r = (a − a') / a of it:

    Δ metric = Σ_u r_u E(u)

Edges of an ablation graph are changes of their child's activation after all that happens in between, so
Δ a_t = Σ_u r_u w(u, t), with nothing held. Those of a first-order graph are the part of u's effect that passes directly
through t, w(u, t) = (∂m/∂a_t) Δ a_t, where E(t) = −(∂m/∂a_t) a_t. So

    Δ a_t = −a_t / E(t) Σ_u r_u w(u, t)

and what is measured is direct too: every site of the graph between u and t keeps its unmodified value. An edge into
the target is a change of the metric in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from saecli.attribution.intervene import FeatureChange, Intervention
from saecli.core.address import Address
from saecli.core.errors import UsageError
from saecli.core.graph import FeatureGraph, Node
from saecli.core.model import Edit
from saecli.core.site import Site
from saecli.validate.intervention_result import EdgeCheck, GraphCheck
from saecli.validate.intervention_scene import Pass, Scene

_DIRECT: Final = {"gradient": True, "ig": True, "ablation": False}
"""Methods whose edges can be measured; whether they are direct effects."""


def nodes_changed(scene: Scene, changes: Sequence[FeatureChange]) -> list[FeatureChange]:
    """The changes at the positions at which the graph has their features.

    Raises:
        UsageError: A graph of which nothing can be predicted, a feature that it has not, or one that is silent.
    """
    graph = scene.graph
    assert graph is not None  # noqa: S101 (callers have one)
    if graph.method not in _DIRECT:
        raise UsageError(f"What a graph of --method {graph.method} predicts of --set is not known.")
    if (instead := graph.settings.get("ablation", "zero")) != "zero":
        raise UsageError(
            f"{scene.name} was traced with --ablation {instead}, so its weights are not of a removal.",
            "Trace with --ablation zero to compare predictions.",
        )
    out: list[FeatureChange] = []
    for one in changes:
        nodes = [node for node in _nodes(graph, one.site, one.index) if node.activation]
        wanted = [n for n in nodes if one.position is None or n.address.position in (None, one.position)]
        if not wanted:
            raise UsageError(f"{scene.name} has no active node {scene.label(one)}.", "saecli graph show lists them.")
        for node in wanted:
            if node.address.position is None and (one.change.how != "scale" and one.change.value != 0):
                raise UsageError(
                    f"{scene.name} has {graph.id_of(node.address)} at all positions together.", "Write =0 or =2x."
                )
            out.append(FeatureChange(one.site, one.index, node.address.position, one.change))
    return out


def compare(scene: Scene, changes: Sequence[FeatureChange], before: Pass, after: Pass) -> GraphCheck:
    """Predictions beside measurements for every edge out of the changed features.

    Args:
        scene: With a graph.
        changes: From :func:`nodes_changed`.
        before, after: The unmodified pass, and that with all changes.
    """
    graph = scene.graph
    assert graph is not None  # noqa: S101 (callers have one)
    by_site: dict[Site, list[FeatureChange]] = {}
    for one in changes:
        by_site.setdefault(one.site, []).append(one)
    edges = [row for site, some in sorted(by_site.items()) for row in _edges_of(scene, site, some, before)]
    moved = [(one.predicted, one.measured) for one in edges if one.unit == "activation"]
    return GraphCheck(
        scene.name,
        "direct" if _DIRECT[graph.method] else "total",
        sum(_share(graph, one) * _node(graph, one).effect for one in changes),
        float(after.value_B[0] - before.value_B[0]),
        edges,
        _correlation(moved),
        _slope(moved),
        sum(
            edge.target.kind == "error"
            for one in changes
            for edge in graph.children(Address("feature", one.site, one.index, one.position))
        ),
    )


def _edges_of(scene: Scene, site: Site, changes: Sequence[FeatureChange], before: Pass) -> Iterator[EdgeCheck]:
    """Every child of the changed features of one site."""
    graph = scene.graph
    assert graph is not None  # noqa: S101 (callers have one)
    weights: dict[Address, float] = {}
    predicted: dict[Address, float] = {}
    parents: dict[Address, int] = {}
    for one in changes:
        share = _share(graph, one)
        for edge in graph.children(Address("feature", site, one.index, one.position)):
            weights[edge.target] = weights.get(edge.target, 0.0) + edge.weight
            predicted[edge.target] = predicted.get(edge.target, 0.0) + share * edge.weight
            parents[edge.target] = parents.get(edge.target, 0) + 1
    measured: dict[Site | None, Pass] = {}
    for child in sorted(weights, key=lambda address: address.order):
        if child.kind == "error":
            continue
        if child.site not in measured:
            measured[child.site] = _measure(scene, changes, child.site, before)
        gain, unit = 1.0, "metric"
        if child.kind == "feature":
            gain, unit = _gain(graph, child), "activation"
            if gain is None:
                continue
        yield EdgeCheck(
            graph.id_of(child),
            parents[child],
            scene.suite.label(site),
            unit,
            weights[child],
            predicted[child] * gain,
            _change(scene, child, before, measured[child.site]),
        )


def _gain(graph: FeatureGraph, child: Address) -> float | None:
    """Change of the child's activation per weight; None where the metric does not feel the child at all."""
    if graph.edge_meaning == "activation":
        return 1.0
    node = graph.node(child)
    assert node is not None  # noqa: S101 (edges lead to nodes)
    return -(node.activation or 0.0) / node.effect if node.effect else None


def _measure(scene: Scene, changes: Sequence[FeatureChange], child: Site | None, before: Pass) -> Pass:
    """The pass with the changes, and of direct effects with everything held between them and the child."""
    graph = scene.graph
    assert graph is not None  # noqa: S101 (callers have one)
    write = Intervention(scene.suite, changes).edits()
    if _DIRECT[graph.method]:
        first = min(write)
        held = [site for site in scene.dictionaries if site > first and (child is None or site < child)]
        write = write | {site: _keep(before.values[site]) for site in held}
    return scene.run(write)


def _keep(value_BSD: Tensor) -> Edit:
    return lambda _: value_BSD


def _change(scene: Scene, child: Address, before: Pass, after: Pass) -> float:
    """Change of the child's activation (at all positions together if it has none), or of the metric."""
    if child.site is None:
        return float(after.value_B[0] - before.value_B[0])
    act = [scene.activations(one.values, child.site)[0, :, child.index or 0] for one in (before, after)]
    change_S = act[1] - act[0]
    return float(change_S.sum() if child.position is None else change_S[child.position])


def _nodes(graph: FeatureGraph, site: Site, index: int) -> list[Node]:
    return [
        n for n in graph.nodes if n.address.kind == "feature" and (n.address.site, n.address.index) == (site, index)
    ]


def _node(graph: FeatureGraph, one: FeatureChange) -> Node:
    node = graph.node(Address("feature", one.site, one.index, one.position))
    assert node is not None  # noqa: S101 (nodes_changed looked)
    return node


def _share(graph: FeatureGraph, one: FeatureChange) -> float:
    """How much of the feature is taken away: 1 for =0, −1 for =2x."""
    activation = _node(graph, one).activation or 0.0
    return 1 - float(one.change(torch.tensor([[activation]], dtype=torch.float64))) / activation


def _correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    if len(pairs) < 3:
        return None
    both = torch.tensor(pairs, dtype=torch.float64).T
    if bool((both.std(1) == 0).any()):
        return None
    return float(torch.corrcoef(both)[0, 1])


def _slope(pairs: Sequence[tuple[float, float]]) -> float | None:
    square = sum(x * x for x, _ in pairs)
    return sum(x * y for x, y in pairs) / square if square else None
