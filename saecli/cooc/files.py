"""What an analysis leaves in its run directory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from torch import Tensor

from saecli.cooc.analysis import Found
from saecli.cooc.config import CoocConfig
from saecli.cooc.heat_map import heat_map
from saecli.cooc.neuronpedia import Neuronpedia
from saecli.cooc.place import Place
from saecli.cooc.probes import probe_table
from saecli.cooc.reference import write_hdf5, write_reference
from saecli.cooc.result import AnalysisRow
from saecli.cooc.subspace_table import tabulate
from saecli.cooc.tables import (
    Written,
    analysis_row,
    cluster_rows,
    cluster_table,
    contexts_table,
    edges_table,
    latents_table,
)
from saecli.data.boards import boards_at
from saecli.formats.cooccurrence import write_edges, write_pairs
from saecli.formats.subspaces import SubspaceTable, write_subspace
from saecli.report.cooc_effects_figure import effects_figures
from saecli.report.cooc_figures import analysis_figures
from saecli.report.cooc_page import cooc_pages
from saecli.report.cooc_tables import Analysis, Report
from saecli.report.figure import as_png, as_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OF_SEVERAL: Final = 3
"""Clusters that get a picture where there are several analyses; the page shows all."""

_DRAWN = 4
"""Clusters of a lone analysis that get a picture; the report has all."""


@dataclass(frozen=True)
class Wanted:
    """What is written, and how.

    Attributes:
        config: The user's choices.
        written: How tokens are written.
        embedding_VD: What each token adds to the residual stream, for the tables of the reference; None without them.
    """

    config: CoocConfig
    written: Written
    embedding_VD: Tensor | None = None


def write_analysis(place: Place, found: Found, wanted: Wanted) -> tuple[AnalysisRow, Analysis]:
    """Write one analysis; returns its row of the result, and what the report shows of it.

    Raises:
        UsageError: A pattern of a probe that cannot be read, or HDF5 without h5py.
        Failure: The disk is full.
    """
    config, written = wanted.config, wanted.written
    neuronpedia = Neuronpedia(config.neuronpedia) if config.neuronpedia else None
    with place.writing("pairs.safetensors") as temporary:
        write_pairs(found.pairs, temporary)
    with place.writing("edges.parquet") as temporary:
        write_edges(found.pairs, temporary)
    clusters = cluster_rows(found, written)
    row = analysis_row(found, place.folder, clusters)
    tables = {
        "clusters": cluster_table(found, clusters),
        "nodes": latents_table(found, written, neuronpedia),
        "curve": found.curve.table(),
        "heat-map": heat_map(found.pairs),
        "contexts": contexts_table(found, written),
    }
    for name, table in tables.items():
        place.write_table(name, table)
    spaces = _spaces(found, written)
    for space in spaces:
        with place.writing(f"subspaces/cluster-{space.cluster}.parquet") as temporary:
            write_subspace(space, temporary)
    if config.probe:
        place.write_table("probes", probe_table(spaces, config.probe, config.seed))
    if config.h5:
        write_hdf5(place, found, spaces, config.max_examples)
    if wanted.embedding_VD is not None:
        write_reference(place, found, written, wanted.embedding_VD, neuronpedia)
    shown = Analysis(
        row=asdict(row),
        curve=tables["curve"],
        clusters=tables["clusters"],
        nodes=tables["nodes"],
        edges=edges_table(found),
        heat_map=tables["heat-map"],
        spaces=spaces,
        clearest=found.clearest,
    )
    _write_figures(place, analysis_figures(shown, config.weight, _OF_SEVERAL if place.folder else _DRAWN))
    return row, shown


def write_report(place: Place, report: Report, most_bytes: int) -> None:
    """Write the pages, as many as there must be, and the figures of the group."""
    if report.effects is not None:
        _write_figures(place, effects_figures(report.effects).items())
    for name, text in cooc_pages(report, max_bytes=most_bytes).items():
        with place.writing(name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _write_figures(place: Place, figures: Iterable[tuple[str, Figure]]) -> None:
    for name, figure in figures:
        with place.writing(f"{name}.png") as temporary:
            temporary.write_bytes(as_png(figure))
        with place.writing(f"{name}.svg") as temporary:
            temporary.write_bytes(as_svg(figure))


def _spaces(found: Found, written: Written) -> list[SubspaceTable]:
    documents = found.seen.documents
    return [
        tabulate(
            one,
            documents,
            written.text,
            written.window,
            {"board": boards_at(written.game, documents, one.at_N)} if written.game else None,
        )
        for one in found.subspaces
    ]
