"""``saecli trace --extend``: a stored graph and a new trace over other sites, joined to one graph.

Effects are of the same metric on the same input, so a node is the same in both. An edge passes over no chosen site, so
one of either graph is an edge of the joined one if no site that only the other graph has lies between its ends; where
one does, the other graph tells what the edge is made of, and it is left out. Sites that only one of them has must be
separated from those that only the other has by a residual site of both: else edges between them would be missing. At
the sites of both the stored graph's nodes are those that count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from saecli.asking.question import Question
from saecli.attribution.circuit_metric import recipe_of
from saecli.attribution.clean import ERROR, SiteNodes
from saecli.core.address import Address
from saecli.core.comparable import require_comparable
from saecli.core.errors import InputError, UsageError
from saecli.core.graph import Edge, FeatureGraph, Node
from saecli.core.graph_check import require_nodes
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.formats.graph_file import read_graph_file
from saecli.trace.config import TraceConfig
from saecli.trace.select import Pin

Totals = Mapping[Site, Mapping[str, float]]
_SETTINGS = ("ablation", "patch", "positions")
_OF_DATA = ("sequences",)
_OF_PATHS = ("steps", "rule")
_DIFFERENCE = 1e-3
"""Of effects of the same node, relative to the largest, from which on they are not of the same thing."""


@dataclass(frozen=True)
class Stored:
    """The graph that is grown.

    Attributes:
        graph: It.
        name: As it was named.
        sites: Its sites.
    """

    graph: FeatureGraph
    name: str
    sites: tuple[Site, ...]

    def pins(self, nodes: Mapping[Site, SiteNodes]) -> list[Pin]:
        """Its nodes at sites that are traced anew."""
        found = (node.address for node in self.graph.nodes if node.address.site in nodes)
        return [Pin(one.site, ERROR if one.index is None else one.index, one.position) for one in found if one.site]


def stored_graph(config: TraceConfig, question: Question, suite: Suite, sites: Collection[Site]) -> Stored | None:
    """The graph of ``--extend``, if the new trace can be joined to it.

    Raises:
        InputError: It is of another model, suite, input, metric or method, or of another program.
        UsageError: The chosen sites add nothing, or do not meet its own.
    """
    if config.extend is None:
        return None
    name = config.extend
    graph, kind = read_graph_file(Path(name))
    if kind != "saecli":
        raise InputError(f"--extend {name} is a {kind} graph, and a trace of saecli is needed.")
    for what, one, other in (
        ("model", graph.provenance.get("model_fingerprint"), suite.info.model_fingerprint),
        ("dictionaries", graph.provenance.get("suite_fingerprint"), suite.fingerprint),
        ("input", [position.token for position in graph.positions], question.tokens_S.tolist()),
        ("metric", graph.provenance.get("metric"), recipe_of(question.metric)),
        ("method", graph.method, config.method),
    ):
        if one != other:
            raise InputError(
                f"--extend {name} has another {what} than this trace.",
                "Trace with the flags that it was traced with, but for --layers.",
            )
    by_label = {suite.label(site): site for site in suite}
    if missing := [label for label in graph.sites if label not in by_label]:
        raise InputError(f"--extend {name} has nodes at {', '.join(missing)}, where the suite has no dictionary.")
    own = tuple(by_label[label] for label in graph.sites)
    require_nodes(f"--extend {name}", graph, {site: suite.configs[site].n_latents for site in own})
    if set(sites) <= set(own):
        raise UsageError(f"--extend {name} has all sites that --layers {config.layers} chooses.", "Choose others.")
    both = [site for site in own if site in sites and site.is_residual]
    for old in set(own) - set(sites):
        for new in set(sites) - set(own):
            if not any(min(old, new) < site < max(old, new) for site in both):
                raise UsageError(
                    f"--extend {name} has {' '.join(graph.sites)}, and no residual site of it lies between "
                    f"{suite.label(min(old, new))} and {suite.label(max(old, new))} in the new ones.",
                    "Choose --layers that begin or end with a residual site of the graph.",
                )
    return Stored(graph, name, own)


def extended(stored: Stored, new: FeatureGraph, sites: Sequence[Site], counted: Totals) -> FeatureGraph:
    """Both graphs as one.

    Args:
        stored: The graph that is grown.
        new: The trace that goes on from it, with the stored graph's nodes pinned.
        sites: Its sites.
        counted: By site, sums over all that it could choose from.

    Raises:
        InputError: The graphs were made in different ways, or do not agree on a node.
    """
    old = stored.graph
    require_comparable(old, new, (stored.name, "this trace"))
    keys = _SETTINGS + (_OF_PATHS if new.method == "ig" else ())
    keys += _OF_DATA if new.settings.get("ablation") in ("mean", "resample") else ()
    for key in keys:
        if old.settings.get(key) != new.settings.get(key):
            raise InputError(
                f"--extend {stored.name} has another --{key} than this trace: {old.settings.get(key)} and "
                f"{new.settings.get(key)}."
            )
    _require_agreement(stored, new)
    shared = set(stored.sites) & set(sites)
    known = {node.address for node in old.nodes}
    nodes = {node.address: node for node in new.nodes if node.address.site not in shared or node.address in known}
    nodes |= {node.address: node for node in old.nodes}
    edges: dict[tuple[Address, Address], Edge] = {}
    for graph, others in ((new, set(stored.sites) - shared), (old, set(sites) - shared)):
        for edge in graph.edges:
            ends = edge.source in nodes and edge.target in nodes
            if ends and not any(_between(edge, site) for site in others):
                edges[edge.source, edge.target] = edge
    linked = {address for pair in edges for address in pair}
    kept = [node for address, node in nodes.items() if address.kind != "token" or address in linked]
    union = sorted({*stored.sites, *sites})
    labels = dict(zip([*stored.sites, *sites], [*old.sites, *new.sites], strict=True))
    return replace(
        new,
        sites=tuple(labels[site] for site in union),
        nodes=tuple(sorted(kept, key=lambda node: node.address.order)),
        edges=tuple(sorted(edges.values(), key=lambda edge: (edge.target.order, edge.source.order))),
        totals=_totals(old, new, kept, shared, counted),
        settings=new.settings | {"extended": {"sites": list(old.sites), "layers": old.settings.get("layers")}},
        supernodes=old.supernodes,
        pinned=old.pinned,
    )


def _between(edge: Edge, site: Site) -> bool:
    after = edge.source.site is None or edge.source.site < site
    return after and (edge.target.site is None or site < edge.target.site)


def _require_agreement(stored: Stored, new: FeatureGraph) -> None:
    largest = max((abs(node.effect) for node in stored.graph.nodes), default=0.0)
    for node in stored.graph.nodes:
        other = new.node(node.address)
        if other is not None and abs(other.effect - node.effect) > _DIFFERENCE * largest:
            raise InputError(
                f"--extend {stored.name} and this trace do not agree on {new.id_of(node.address)}: effects "
                f"{node.effect:.4g} and {other.effect:.4g}."
            )


def _totals(
    old: FeatureGraph, new: FeatureGraph, kept: Sequence[Node], shared: Collection[Site], counted: Totals
) -> dict[str, float]:
    """Sums over both, what both have counted once."""
    found = dict(new.totals)
    for name in ("absolute_effect", "error_absolute_effect", "active_nodes"):
        found[name] += old.totals[name] - sum(counted[site][name] for site in shared)
    found["kept_absolute_effect"] = sum(abs(node.effect) for node in kept if node.address.kind in ("feature", "error"))
    return found
