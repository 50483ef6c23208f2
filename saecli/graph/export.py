"""``saecli graph export``: a stored graph in another format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final

from saecli.core.atomic import write_bytes
from saecli.core.errors import InputError
from saecli.core.graph import FeatureGraph
from saecli.core.manifest import read_manifest
from saecli.core.progress import Progress
from saecli.core.result import Result, field_doc
from saecli.formats.documents import read_document
from saecli.formats.graph_file import read_graph_file
from saecli.formats.neuronpedia_write import to_document
from saecli.formats.supernodes import read_supernodes
from saecli.graph.config import ExportConfig
from saecli.graph.source import source_path

INDEX: Final = "graph-metadata.json"
"""The list of graphs in a folder that circuit-tracer's viewer serves."""

_SUFFIXES: Final = {"neuronpedia": ".neuronpedia.json", "saecli": ".saecli.json", "circuit-tracer": "", "csv": "-csv"}


@dataclass(frozen=True, kw_only=True)
class ExportResult(Result):
    """What was written."""

    schema: ClassVar[str] = "saecli.graph-export/1"

    to: str = field_doc("To", "The format.")
    destination: str = field_doc("Destination", "The file, or the folder that the files are in.")
    files: list[str] = field_doc("Files", "Names of the files.")
    nodes: int = field_doc("Nodes", "Of the graph.")
    edges: int = field_doc("Edges", "Of the graph.")
    written: bool = field_doc("Written", "False with --plan.")

    def summary_lines(self) -> list[str]:
        """What was written, or with ``--plan`` what would be."""
        verb = "Wrote" if self.written else "Would write"
        many = f" ({', '.join(self.files)})" if self.files != [Path(self.destination).name] else ""
        return [f"{verb} {self.destination}{many}: {self.nodes:,} nodes, {self.edges:,} edges"]

    def next_command(self) -> str:
        """Where the file can be looked at."""
        if not self.written:
            return ""
        return {
            "neuronpedia": "upload it at neuronpedia.org/graph/validator",
            "circuit-tracer": f"circuit-tracer start-server --graph_file_dir {self.destination}",
            "dot": f"dot -Tsvg {self.destination} -O",
        }.get(self.to, "")


def run(config: ExportConfig, progress: Progress) -> ExportResult:
    """Write a graph in another format, whole or not at all.

    Raises:
        InputError: No graph, or a destination that is there already.
        UsageError: A graph that the format has no place for.
    """
    path = source_path(config.graph)
    graph, _ = read_graph_file(path)
    if config.supernodes is not None:
        graph = replace(graph, supernodes=read_supernodes(Path(config.supernodes), graph))
    to = config.to or ""
    out = Path(config.out or f"{_stem(path)}{_SUFFIXES.get(to, f'.{to}')}")
    folder = to in ("csv", "circuit-tracer")
    made = _files(graph, to, out)
    where = out if folder else out.parent
    _refuse(config, path, out, [where / name for name in made if name != INDEX], folder)
    if not config.plan:
        contents = {name: make() for name, make in made.items()}  # all before the first is written
        for name, content in contents.items():
            write_bytes(where / name, content)
    return ExportResult(
        to=to,
        destination=str(out),
        files=list(made),
        nodes=len(graph.nodes),
        edges=len(graph.edges),
        written=not config.plan,
    )


def _files(graph: FeatureGraph, to: str, out: Path) -> dict[str, Callable[[], bytes]]:
    """Names of the files, with what makes each."""
    if to == "csv":
        from saecli.report.tables import edges_csv, nodes_csv

        return {"nodes.csv": lambda: nodes_csv(graph), "edges.csv": lambda: edges_csv(graph)}
    if to == "circuit-tracer":
        document = to_document(graph)
        slug = _safe(str(document["metadata"].get("slug", "")))
        document["metadata"]["slug"] = slug
        listed = {key: value for key, value in document["metadata"].items() if key != "saecli"}
        return {f"{slug}.json": lambda: _json(document), INDEX: lambda: _json(_listing(out / INDEX, listed))}
    return {out.name: lambda: _one_file(graph, to)}


def _one_file(graph: FeatureGraph, to: str) -> bytes:
    match to:
        case "saecli":
            return graph.dumps().encode()
        case "neuronpedia":
            return _json(to_document(graph))
        case "dot":
            from saecli.report.dot import to_dot

            return to_dot(graph).encode()
        case "graphml":
            from saecli.report.graphml import to_graphml

            return to_graphml(graph)
        case "svg":
            from saecli.report.svg import to_svg

            return to_svg(graph).encode()
        case "html":
            from saecli.report.html import to_html

            return to_html(graph).encode()
        case "png":
            from saecli.report.png import to_png

            return to_png(graph)
    from saecli.report.pdf import to_pdf

    return to_pdf(graph)


def _json(document: object) -> bytes:
    return (json.dumps(document, allow_nan=False) + "\n").encode()


def _listing(path: Path, metadata: dict[str, object]) -> dict[str, object]:
    """The folder's list of graphs with one more, in the place of one of the same name."""
    known = read_document(path, "a list of graphs", 1 << 26) if path.exists() else {}
    graphs = known.get("graphs", [])
    if not isinstance(graphs, list) or not all(isinstance(one, dict) for one in graphs):
        raise InputError(f"{path} is no list of graphs.", "Name another --out.")
    return {**known, "graphs": [*(one for one in graphs if one.get("slug") != metadata["slug"]), metadata]}


def _refuse(config: ExportConfig, source: Path, out: Path, files: list[Path], folder: bool) -> None:
    """Raises InputError if something stands in the way of the files."""
    if folder and out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file.", "Name the folder to write to with --out.")
    for file in files:
        if file.is_dir() or (file.exists() and file.samefile(source)):
            raise InputError(f"{file} is {'a folder' if file.is_dir() else 'the source'}.", "Name another --out.")
        if file.exists() and not config.overwrite:
            raise InputError(f"{file} is there already.", "Name another --out, or add --overwrite.")


def _stem(path: Path) -> str:
    """A name for files made of a graph: that of its run directory, or of its file."""
    return path.resolve().parent.name if read_manifest(path.parent) is not None else path.name.split(".")[0] or "graph"


def _safe(name: str) -> str:
    """A slug that is a file name and nothing else."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "graph"
