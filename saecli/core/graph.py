"""FeatureGraph: a circuit as a plain noun.

Signs: every stored effect is metric(without) − metric(with), so a negative effect means that the node *helps* a metric
whose higher value is better. ``Metric.direction`` says which way is better; pictures are coloured from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

from saecli.core.address import Address, parse_address
from saecli.core.errors import InputError

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
    """

    address: Address
    effect: float
    activation: float | None = None
    label: str = ""


@dataclass(frozen=True)
class Edge:
    """A direct connection from an earlier to a later node.

    Attributes:
        source, target: Addresses of nodes of the graph.
        weight: In metric units the part of the source's effect that passes directly through the target, or the change
            of the target's activation when the source is removed; :meth:`FeatureGraph.meaning` tells which.
    """

    source: Address
    target: Address
    weight: float


@dataclass(frozen=True)
class FeatureGraph:
    """A circuit graph with all that is needed to read, re-draw and re-threshold it.

    Attributes:
        title: The question the graph answers (``othello-mini · why F5?``).
        method: ``gradient`` or ``ablation``.
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

    # --- reading ----------------------------------------------------------------------------------------------------

    def id_of(self, address: Address) -> str:
        """The node id: the address in this graph's labelling."""
        return address.format(self.residual)

    def node(self, address: Address) -> Node | None:
        """The node at an address, or None."""
        return self._by_address().get(address)

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

    # --- changing ---------------------------------------------------------------------------------------------------

    def restrict(self, keep: Iterable[Address]) -> FeatureGraph:
        """The sub-graph on the given nodes; edges between them stay, and :attr:`coverage` is that of what is left."""
        kept = set(keep)
        nodes = tuple(node for node in self.nodes if node.address in kept)
        effect = sum(abs(node.effect) for node in nodes if node.address.kind in ("feature", "error"))
        return replace(
            self,
            nodes=nodes,
            edges=tuple(edge for edge in self.edges if edge.source in kept and edge.target in kept),
            totals={**self.totals, "kept_absolute_effect": effect},
        )

    # --- own JSON ---------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The whole graph as plain JSON values; nodes and edges name addresses by their text form."""
        data = {**asdict(replace(self, nodes=(), edges=())), "schema": SCHEMA}
        data["nodes"] = [
            {"id": self.id_of(n.address), "effect": n.effect, "activation": n.activation, "label": n.label}
            for n in self.nodes
        ]
        data["edges"] = [
            {"source": self.id_of(e.source), "target": self.id_of(e.target), "weight": e.weight} for e in self.edges
        ]
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
            residual = data["residual"]
            return cls(
                **{
                    **{key: value for key, value in data.items() if key != "schema"},
                    "metric": Metric(**data["metric"]),
                    "positions": tuple(Position(**p) for p in data["positions"]),
                    "sites": tuple(data["sites"]),
                    "nodes": tuple(
                        Node(parse_address(n["id"], residual), n["effect"], n["activation"], n["label"])
                        for n in data["nodes"]
                    ),
                    "edges": tuple(
                        Edge(parse_address(e["source"], residual), parse_address(e["target"], residual), e["weight"])
                        for e in data["edges"]
                    ),
                }
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"The graph is damaged: {error!r}.") from error

    def _by_address(self) -> dict[Address, Node]:
        return {node.address: node for node in self.nodes}
