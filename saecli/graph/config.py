"""Configurations of ``saecli graph …``. Imports nothing heavy: the command lines are made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from saecli.core.config import CallConfig, OutputConfig, PlaceConfig, argument, option, threshold
from saecli.core.errors import UsageError
from saecli.graph.source import source_path

ONE: Final = "graph.json, a run directory, or JSON of circuit-tracer or Neuronpedia; the latest trace if not given."


@dataclass(frozen=True, kw_only=True)
class ShowConfig(OutputConfig):
    """Which graph to look at, and which of its nodes."""

    command: ClassVar[str] = "graph show"

    graph: str = argument("", help=ONE, metavar="FILE", complete="files")
    node: str | None = option(
        None, help="List the strongest edges into and out of this node.", metavar="7:331@42", panel="What"
    )
    top: int = option(5, help="Nodes and edges of each sign to list.", minimum=0, panel="What")


@dataclass(frozen=True, kw_only=True)
class PruneConfig(PlaceConfig):
    """What of a graph to keep."""

    command: ClassVar[str] = "graph prune"

    graph: str = argument("", help=ONE, metavar="FILE", complete="files")

    node_threshold: str | None = option(
        None, help="Keep nodes of at least this absolute effect: 0.05 or 2**-4.", metavar="VALUE", panel="Nodes"
    )
    top_nodes: int | None = option(
        None, help="Keep at most this many nodes per site, by absolute effect.", minimum=1, panel="Nodes"
    )
    influence: float | None = option(
        None,
        help="Keep the most influential nodes up to this share of all influence on the targets (circuit-tracer's rule; "
        "its default is 0.8).",
        minimum=0.0,
        maximum=1.0,
        panel="Nodes",
    )
    connected: bool = option(
        False, help="Keep only nodes from which kept edges lead to a target.", flag="--connected", panel="Nodes"
    )
    pin: tuple[str, ...] = option(
        (), help="Keep this node whatever the rules say. Repeatable.", metavar="7:331", panel="Nodes"
    )
    edge_threshold: str | None = option(
        None, help="Keep edges of at least this absolute weight: 0.01 or 2**-6.", metavar="VALUE", panel="Edges"
    )
    top_edges: int | None = option(
        None, help="Keep, into every node, this many most positive and as many most negative edges.", minimum=1,
        panel="Edges",
    )  # fmt: skip
    top_edges_out: int | None = option(
        None, help="Keep, out of every node, this many most positive and as many most negative edges.", minimum=1,
        panel="Edges",
    )  # fmt: skip
    edge_influence: float | None = option(
        None,
        help="Keep the most influential edges up to this share of all influence (circuit-tracer's default is 0.98), "
        "and no node that ends loose.",
        minimum=0.0,
        maximum=1.0,
        panel="Edges",
    )
    group: str = option(
        "none",
        help="Make a supernode of the features that share a label.",
        choices=("none", "labels"),
        panel="Supernodes",
    )

    def validate(self) -> None:
        """Refuse thresholds that are none, and a call that keeps everything."""
        threshold(self.node_threshold, "--node-threshold")
        threshold(self.edge_threshold, "--edge-threshold")
        rules = (self.node_threshold, self.top_nodes, self.influence, self.edge_threshold, self.top_edges)
        rules += (self.top_edges_out, self.edge_influence)
        if all(rule is None for rule in rules) and not self.connected and self.group == "none" and not self.show_config:
            raise UsageError("Say what to prune by, such as --top-nodes 10 or --influence 0.8 --edge-influence 0.98.")

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """The graph's file: a run directory stands for the one in it."""
        return {"graph": (str(source_path(self.graph)),)}


FORMATS: Final = ("neuronpedia", "circuit-tracer", "saecli", "dot", "graphml", "csv", "svg", "png", "pdf", "html")
"""What a graph can be exported to."""


@dataclass(frozen=True, kw_only=True)
class ExportConfig(CallConfig):
    """Which graph to write in which format."""

    command: ClassVar[str] = "graph export"

    graph: str = argument("", help=ONE, metavar="FILE", complete="files")
    to: str | None = option(None, help="Format to write.", choices=FORMATS)
    out: str | None = option(
        None,
        help="File to write (csv and circuit-tracer: folder); named after the graph if not given.",
        metavar="PATH",
        complete="files",
        session=True,
    )
    supernodes: str | None = option(
        None,
        help="Groups of nodes in place of the graph's own: a file that its page saved.",
        metavar="FILE",
        complete="files",
    )
    overwrite: bool = option(False, help="Replace what is there.", flag="--overwrite", session=True)

    def validate(self) -> None:
        """Refuse a call that names no format."""
        if not self.to and not self.show_config:
            raise UsageError(f"Say what to write with --to: {', '.join(FORMATS)}.")


_POSITIONS: Final = ("auto", "keep", "sum")


@dataclass(frozen=True, kw_only=True)
class MergeConfig(PlaceConfig):
    """Which graphs to merge, and how."""

    command: ClassVar[str] = "graph merge"

    graphs: tuple[str, ...] = argument(
        (), help="Graphs: graph.json, run directories, JSON of circuit-tracer or Neuronpedia.", metavar="FILE…",
        complete="files",
    )  # fmt: skip
    how: str = option(
        "union", help="Keep what any graph has, or only what all have.", choices=("union", "intersection")
    )
    positions: str = option(
        "auto",
        help="Match nodes position by position, or sum over positions; auto keeps them if all inputs are the same.",
        choices=_POSITIONS,
    )

    def validate(self) -> None:
        """Refuse a call with fewer than two graphs."""
        if len(self.graphs) < 2 and not self.show_config:
            raise UsageError("merge needs two graphs or more: saecli graph merge A B.")

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """The graphs' files: run directories stand for those in them."""
        return {"graphs": tuple(str(source_path(one)) for one in self.graphs)}


@dataclass(frozen=True, kw_only=True)
class DiffConfig(PlaceConfig):
    """Which two graphs to compare."""

    command: ClassVar[str] = "graph diff"

    graphs: tuple[str, ...] = argument(
        (), help="Two graphs: graph.json, run directories, JSON of circuit-tracer or Neuronpedia.", metavar="A B",
        complete="files",
    )  # fmt: skip
    positions: str = option(
        "auto",
        help="Match nodes position by position, or sum over positions; auto keeps them if the inputs are the same.",
        choices=_POSITIONS,
    )
    top: int = option(5, help="Differences of each kind to list; the tables have all.", minimum=0)

    def validate(self) -> None:
        """Refuse a call with any other number of graphs."""
        if len(self.graphs) != 2 and not self.show_config:
            raise UsageError("diff compares two graphs: saecli graph diff A B.")

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """The graphs' files: run directories stand for those in them."""
        return {"graphs": tuple(str(source_path(one)) for one in self.graphs)}
