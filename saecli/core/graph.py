"""FeatureGraph: a circuit as a plain noun.

Signs: every stored effect is metric(without) − metric(with), so a negative effect means that the node *helps* a metric
whose higher value is better. ``Metric.direction`` says which way is better; pictures are coloured from it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any, Final, Literal

from saecli.core.address import Address, parse_address
from saecli.core.errors import InputError, UsageError
from saecli.core.evidence import Evidence

SCHEMA: Final = "saecli.graph/1"

EdgeMeaning = Literal["metric", "activation"]


@dataclass(frozen=True)
class Position:
    """One token of the traced input.

    Attributes:
        token: Token id.
        text: How it is written for people (``F5``, or the token's text).
        note: A short second line (``move 19``).
        board: 64 characters row by row from A1 to H8 (``x`` black, ``o`` white, ``.`` empty) after this token,
            for board games.
    """

    token: int
    text: str
    note: str = ""
    board: str | None = None


@dataclass(frozen=True)
class Metric:
    """What the effects are measured in.

    Attributes:
        name: ``over-illegal``, ``logit``, ``logit-diff``, ``ce``, ``kl``, ``feature``.
        description: One plain sentence.
        value: The metric on the unmodified input.
        direction: 1 if higher is better for the target, −1 if lower is.
        target: How the target is written for people (``F5``, ``F5 over C3``).
    """

    name: str
    description: str
    value: float
    direction: Literal[1, -1]
    target: str


@dataclass(frozen=True)
class Node:
    """A feature, error, token or target node.

    Attributes:
        address: Which node; its text form is the node's id.
        effect: metric(without) − metric(with); 0 for token nodes that were not measured.
        activation: Feature activation; the norm of the vector for an error; None else.
        label: A description for people, empty if there is none.
        influence: Cumulative share of the influence on the targets, down to this node in falling order, in the graph
            that it was measured on (:mod:`saecli.graph.influence`); None if it has none or was not measured.
        graphs: Of a merged graph: how many of the graphs have the node.
    """

    address: Address
    effect: float
    activation: float | None = None
    label: str = ""
    influence: float | None = None
    graphs: int | None = None


@dataclass(frozen=True)
class Edge:
    """A direct connection from an earlier to a later node.

    Attributes:
        source, target: Addresses of nodes of the graph.
        weight: In metric units the part of the source's effect that passes directly through the target, or the change
            of the target's activation when the source is removed; :meth:`FeatureGraph.meaning` tells which.
        influence, graphs: As of :class:`Node`.
    """

    source: Address
    target: Address
    weight: float
    influence: float | None = None
    graphs: int | None = None


@dataclass(frozen=True)
class FeatureGraph:
    """A circuit graph with all that is needed to read, re-draw and re-threshold it.

    Attributes:
        title: The question the graph answers (``othello-mini · why F5?``).
        method: A choice of ``--method`` of ``saecli trace``, or what another program says.
        edge_meaning: What edge weights are, see :class:`Edge`; edges into the target are in metric units always.
        metric: What effects are measured in.
        positions: The traced input.
        sites: Labels of the chosen dictionaries' sites, in order of computation.
        residual: Labelling of bare numbers in addresses (``resid_pre`` or ``resid_post``).
        nodes, edges: The graph.
        totals: ``absolute_effect`` (sum over every active node before any choice), ``kept_absolute_effect``,
            ``active_nodes``, ``error_absolute_effect``, ...
        provenance: Model and suite names, fingerprints, versions of what was read.
        settings: The choices that led here (thresholds, positions, ...).
        supernodes: Groups of nodes by name, made by hand or by label; a node may be in several.
        pinned: Nodes that someone chose to look at: they survive pruning, and are the subgraph that Neuronpedia saves.
        features: What is known of features, once for all positions (the addresses have none).
    """

    title: str
    method: str
    edge_meaning: EdgeMeaning
    metric: Metric
    positions: tuple[Position, ...]
    sites: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    residual: str = "resid_pre"
    totals: dict[str, float] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    supernodes: dict[str, tuple[Address, ...]] = field(default_factory=dict)
    pinned: tuple[Address, ...] = ()
    features: dict[Address, Evidence] = field(default_factory=dict)

    # --- reading ----------------------------------------------------------------------------------------------------

    def id_of(self, address: Address) -> str:
        """The node id: the address in this graph's labelling."""
        return address.format(self.residual)

    def node(self, address: Address) -> Node | None:
        """The node at an address, or None."""
        return self._by_address().get(address)

    def evidence(self, address: Address) -> Evidence | None:
        """What is known of the feature at an address, or None."""
        return self.features.get(address.at(None))

    def helps(self, effect: float) -> bool:
        """Whether a node or edge of this effect helps the target (removing it makes the metric worse)."""
        return effect * self.metric.direction < 0

    def meaning(self, edge: Edge) -> EdgeMeaning:
        """What an edge's weight is; one into the target is a change of the metric whatever the others are."""
        return "metric" if edge.target.kind == "target" else self.edge_meaning

    def parents(self, address: Address) -> Iterator[Edge]:
        """Edges into a node."""
        return (edge for edge in self.edges if edge.target == address)

    def children(self, address: Address) -> Iterator[Edge]:
        """Edges out of a node."""
        return (edge for edge in self.edges if edge.source == address)

    @property
    def coverage(self) -> float:
        """Share of the total absolute effect that the graph's nodes carry; NaN if nothing had an effect."""
        total = self.totals.get("absolute_effect", 0.0)
        return self.totals.get("kept_absolute_effect", 0.0) / total if total else float("nan")

    @property
    def accounted(self) -> float:
        """Share of the effects of features and errors that the edges out of them account for.

        1 − Σ_u |E(u) − Σ_t w(u, t)| / Σ_u |E(u)|: 1 where no edge was left out, by the conservation of direct effects.
        NaN if edges are not in the metric's unit or nothing has an effect.
        """
        left = {n.address: n.effect for n in self.nodes if n.address.kind in ("feature", "error")}
        whole = math.fsum(map(abs, left.values()))
        if self.edge_meaning != "metric" or not whole:
            return float("nan")
        for edge in self.edges:
            if edge.source in left:
                left[edge.source] -= edge.weight
        return 1 - math.fsum(map(abs, left.values())) / whole

    # --- changing ---------------------------------------------------------------------------------------------------

    def restrict(self, keep: Iterable[Address]) -> FeatureGraph:
        """The sub-graph on the given nodes; edges between them stay, and :attr:`coverage` is that of what is left."""
        kept = set(keep)
        places = {address.at(None) for address in kept}
        nodes = tuple(node for node in self.nodes if node.address in kept)
        effect = sum(abs(node.effect) for node in nodes if node.address.kind in ("feature", "error"))
        return replace(
            self,
            nodes=nodes,
            edges=tuple(edge for edge in self.edges if edge.source in kept and edge.target in kept),
            totals={**self.totals, "kept_absolute_effect": effect},
            supernodes={
                name: left
                for name, members in self.supernodes.items()
                if (left := tuple(member for member in members if member in kept))
            },
            pinned=tuple(address for address in self.pinned if address in kept),
            features={address: one for address, one in self.features.items() if address in places},
        )

    # --- own JSON ---------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The whole graph as plain JSON values; nodes and edges name addresses by their text form."""
        data = {**asdict(replace(self, nodes=(), edges=(), supernodes={}, pinned=(), features={})), "schema": SCHEMA}
        data["nodes"] = [
            {"id": self.id_of(n.address), "effect": n.effect, "activation": n.activation, "label": n.label, **_known(n)}
            for n in self.nodes
        ]
        data["edges"] = [
            {"source": self.id_of(e.source), "target": self.id_of(e.target), "weight": e.weight, **_known(e)}
            for e in self.edges
        ]
        del data["supernodes"], data["pinned"], data["features"]
        if self.supernodes:
            data["supernodes"] = {name: [self.id_of(a) for a in members] for name, members in self.supernodes.items()}
        if self.pinned:
            data["pinned"] = [self.id_of(address) for address in self.pinned]
        if self.features:
            data["features"] = {self.id_of(address): one.to_json() for address, one in self.features.items()}
        return data

    def dumps(self) -> str:
        """The JSON text; the same graph gives the same bytes."""
        return json.dumps(self.to_json(), indent=1, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> FeatureGraph:
        """Inverse of :meth:`to_json`.

        Raises:
            InputError: Not a graph of this schema, or of a newer major version.
        """
        name, _, major = str(data.get("schema", "")).partition("/")
        if name != SCHEMA.partition("/")[0]:
            raise InputError(f"This is no saecli graph: its schema is {data.get('schema')!r}.")
        if major != SCHEMA.partition("/")[2]:
            raise InputError(
                f"This graph has schema {data['schema']}, and this saecli reads {SCHEMA}.", "Update saecli."
            )
        try:
            return cls(**_parts(data))
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise InputError(f"The graph is damaged: {error!r}.") from error
        except UsageError as error:
            raise InputError(f"The graph is damaged: {error.message}") from error

    def _by_address(self) -> dict[Address, Node]:
        return {node.address: node for node in self.nodes}


def _known(one: Node | Edge) -> dict[str, Any]:
    """What only some nodes and edges have."""
    return {key: value for key in ("influence", "graphs") if (value := getattr(one, key)) is not None}


def _parts(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of a graph from its JSON values."""
    residual = data["residual"]

    @cache  # edges name every node many times
    def address(text: str) -> Address:
        return parse_address(text, residual)

    def addresses(texts: Sequence[str]) -> tuple[Address, ...]:
        return tuple(address(text) for text in texts)

    return {
        **{key: value for key, value in data.items() if key != "schema"},
        "metric": Metric(**data["metric"]),
        "positions": tuple(Position(**p) for p in data["positions"]),
        "sites": tuple(data["sites"]),
        "nodes": tuple(
            Node(address(n["id"]), n["effect"], n["activation"], n["label"], n.get("influence"), n.get("graphs"))
            for n in data["nodes"]
        ),
        "edges": tuple(
            Edge(address(e["source"]), address(e["target"]), e["weight"], e.get("influence"), e.get("graphs"))
            for e in data["edges"]
        ),
        "supernodes": {name: addresses(members) for name, members in data.get("supernodes", {}).items()},
        "pinned": addresses(data.get("pinned", ())),
        "features": {address(name): Evidence.from_json(one) for name, one in data.get("features", {}).items()},
    }
