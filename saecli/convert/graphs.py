"""Circuit graphs between this project's JSON and that of circuit-tracer and Neuronpedia."""

from __future__ import annotations

from pathlib import Path

from saecli.convert.config import ConvertConfig
from saecli.convert.engine import only_source, refuse_file
from saecli.convert.result import ConvertResult
from saecli.core.atomic import write_text
from saecli.core.errors import InputError
from saecli.core.graph import FeatureGraph
from saecli.core.progress import Progress
from saecli.formats.documents import read_document
from saecli.formats.neuronpedia_graph import MAX_BYTES, graph_kind, read_graph
from saecli.formats.neuronpedia_write import write_graph


def convert(config: ConvertConfig, progress: Progress) -> ConvertResult:
    """Convert one graph file.

    Raises:
        UsageError: Several sources.
        InputError: No graph, or a destination that is there already.
    """
    source, target = only_source(config), Path(config.destination)
    kind = graph_kind(source)
    if not kind:
        raise InputError(f"{source} is no circuit graph that is known.")
    refuse_file(config)
    if config.plan:
        step = f"{source}, a graph of {kind}, would be written as {target}"
        return ConvertResult(to=str(config.to), destination=config.destination, steps=(step,))
    graph = read_own_graph(source) if kind == "saecli" else read_graph(source)
    if config.to == "saecli-graph":
        write_text(target, graph.dumps())
    else:
        write_graph(graph, target)
    fact = f"{len(graph.nodes):,} nodes, {len(graph.edges):,} edges, from {kind}"
    return ConvertResult(to=str(config.to), destination=config.destination, facts=(fact,))


def read_own_graph(path: Path) -> FeatureGraph:
    """Read a graph of this project; raises InputError."""
    return FeatureGraph.from_json(read_document(path, "a circuit graph", MAX_BYTES))
