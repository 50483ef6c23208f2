"""Where features appear in earlier runs: circuits that were traced, clusters that fire together."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saecli.core.address import Address
from saecli.core.errors import InputError
from saecli.core.graph import FeatureGraph, Node
from saecli.core.site import Site
from saecli.formats.graph_file import read_graph_file
from saecli.formats.safe import safetensors_metadata
from saecli.report.measure import number_text
from saecli.view.runs import complete

Feature = tuple[Site, int]


@dataclass(frozen=True)
class Appearance:
    """One run that has a feature.

    Attributes:
        page: The page of the run.
        fragment: What the page is told to show.
        title: What the run says of itself.
        about: Where in it the feature is.
    """

    page: Path
    fragment: str
    title: str
    about: str


def circuits(
    manifests: Iterable[Path], fingerprint: str, features: Sequence[Feature]
) -> dict[Feature, list[Appearance]]:
    """The traced graphs of a suite that have any of the features; graphs that cannot be read have none."""
    found: dict[Feature, list[Appearance]] = {one: [] for one in features}
    for manifest in manifests:
        path = manifest.parent / "graph.json"
        if (complete(manifest) or {}).get("command") == "cooc" or not path.is_file():
            continue
        try:
            graph, _ = read_graph_file(path)
        except InputError:
            continue
        if graph.provenance.get("suite_fingerprint") != fingerprint:
            continue
        for site, index in features:
            nodes = [n for n in graph.nodes if n.address.at(None) == Address("feature", site, index)]
            if nodes and (path.parent / "graph.html").is_file():
                found[site, index].append(_circuit(path.parent / "graph.html", graph, nodes))
    return found


def _circuit(page: Path, graph: FeatureGraph, nodes: Sequence[Node]) -> Appearance:
    strongest = max(nodes, key=lambda node: abs(node.effect))
    verb = "helps" if graph.helps(strongest.effect) else "hurts" if strongest.effect else "does nothing"
    at = strongest.address.position
    where = "" if at is None or at >= len(graph.positions) else f" at {graph.positions[at].text}, position {at}"
    more = f", the strongest of {len(nodes)} nodes" if len(nodes) > 1 else ""
    about = f"{verb}{where}: effect {number_text(strongest.effect, signed=True)}{more}"
    return Appearance(page, f"node={graph.id_of(strongest.address)}", graph.title, about)


def clusters(
    manifests: Iterable[Path], fingerprints: Mapping[Site, str], features: Sequence[Feature]
) -> dict[Feature, list[Appearance]]:
    """The clusters of latents that have any of the features, by the fingerprints of their dictionaries."""
    found: dict[Feature, list[Appearance]] = {one: [] for one in features}
    for manifest in manifests:
        if (complete(manifest) or {}).get("command") != "cooc":
            continue
        page = manifest.parent / "report.html"
        try:
            result = json.loads((manifest.parent / "result.json").read_text(encoding="utf-8"))
            analyses = [(str(one["folder"]), str(one["site"]), float(one["threshold"])) for one in result["analyses"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        for number, (folder, site, threshold) in enumerate(analyses):
            place = manifest.parent / folder
            header = _header(place / "pairs.safetensors")
            here, known = header.get("site"), header.get("suite_fingerprint")
            wanted = {i: (own, i) for own, i in features if str(own) == here and fingerprints[own] == known}
            if not wanted or not page.is_file():
                continue
            for latent, cluster, size in _rows(place / "nodes.csv"):
                if latent in wanted and cluster >= 0:
                    at = f", activation > {threshold:g}" if threshold else ""
                    found[wanted[latent]].append(
                        Appearance(
                            page,
                            f"analysis={number}&cluster={cluster}&latent={latent}",
                            f"cluster {cluster} of {site}{at}",
                            f"{size} latents that fire together",
                        )
                    )
    return found


def _header(path: Path) -> dict[str, Any]:
    """What a file of pairs says of itself; nothing if it cannot be read."""
    try:
        found = json.loads(safetensors_metadata(path).get("header", "{}"))
    except (InputError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _rows(path: Path) -> list[tuple[int, int, int]]:
    """Latent, cluster and size of the cluster, row by row; nothing of a table that cannot be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            names = ("latent", "cluster", "cluster_size")
            rows = [[float(row[name] or math.nan) for name in names] for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, csv.Error):
        return []
    return [(int(a), int(b), int(c)) for a, b, c in rows if all(map(math.isfinite, (a, b, c)))]
