"""Circuit graphs with the model and the dictionaries that they were traced with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from saecli.core.dictionary import Dictionary
from saecli.core.errors import InputError, UsageError
from saecli.core.graph import FeatureGraph
from saecli.core.graph_check import require_nodes
from saecli.core.machine import torch_dtype
from saecli.core.manifest import read_manifest
from saecli.core.model import HookedModel
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.formats.graph_file import graph_path, read_graph_file
from saecli.validate.config import ValidateConfig
from saecli.validate.data import device_for


@dataclass(frozen=True)
class Traced:
    """What was traced, with what.

    Attributes:
        names: The graphs, as they were named.
        graphs: Of one model, one suite, the same sites and the same metric.
        model_name: What loads the model.
        model, suite: Attached to each other.
        dictionaries: Those of the graphs' sites, in order of computation.
    """

    names: tuple[str, ...]
    graphs: tuple[FeatureGraph, ...]
    model_name: str
    model: HookedModel
    suite: Suite
    dictionaries: dict[Site, Dictionary]

    @property
    def everywhere(self) -> bool:
        """Whether the graph names no positions: its nodes stand for all of them."""
        return _everywhere(self.graphs[0])

    @property
    def many(self) -> bool:
        """Whether the graph is of many prompts."""
        return _of_many(self.graphs[0])

    def data(self, config: ValidateConfig) -> str:
        """``--data``, or what the zoo names for the model; empty if that is unknown."""
        from zoo.reading import data_of

        return config.data or data_of(self.model_name, self.model.info.vocabulary)


def open_traced(config: ValidateConfig, names: Sequence[str], device: str = "") -> Traced:
    """Read graphs and load what they were traced with.

    Raises:
        InputError: A damaged graph, one of another program, or another model or suite than it was traced with.
        UsageError: Graphs that do not belong together.
    """
    from zoo.load import attach, load_model, load_suite

    graphs = [_read(name, config) for name in names]
    _require_alike(names, graphs)
    first, notes = graphs[0], _notes(names[0])
    model_name = config.model or notes.get("model") or str(first.provenance.get("model", ""))
    suite_name = config.of_suite or notes.get("suite") or notes.get("model") or str(first.provenance.get("suite", ""))
    where = device_for(device or config.device)
    suite = load_suite(suite_name, device=where, dtype=torch.float32)
    model = load_model(model_name, suite.info.processing, where)
    attach(suite, model)
    for key, found, flag in (
        ("model_fingerprint", suite.info.model_fingerprint, "--model"),
        ("suite_fingerprint", suite.fingerprint, "--suite"),
    ):
        if first.provenance.get(key) != found:
            what, name = ("model", model_name) if flag == "--model" else ("dictionaries", suite_name)
            raise InputError(
                f"{names[0]} was not traced with the {what} of {name}: their fingerprints differ.",
                f"Name what it was traced with by {flag}.",
            )
    by_label = {suite.label(site): site for site in suite}
    if missing := [label for label in first.sites if label not in by_label]:
        raise InputError(f"{names[0]} has nodes at {', '.join(missing)}, where {suite_name} has no dictionary.")
    if first.method == "direct":
        raise UsageError(
            f"{names[0]} is of transcoders, which add nothing at the sites that they read, and only what is there can "
            "be replaced.",
            "Graphs of autoencoders can be validated.",
        )
    dictionaries = {by_label[label]: suite[by_label[label]] for label in first.sites}
    for name, graph in zip(names, graphs, strict=True):
        _require_known(name, graph, dictionaries)
    dtype = torch_dtype(config.dtype)
    for module in (model.module, *dictionaries.values()):  # after their fingerprints were compared
        module.to(dtype)
    return Traced(tuple(names), tuple(graphs), model_name, model, suite, dictionaries)


def _read(name: str, config: ValidateConfig) -> FeatureGraph:
    graph, kind = read_graph_file(Path(name))
    if kind != "saecli":
        raise InputError(
            f"{name} is a {kind} graph: its file does not say with which weights it was traced.",
            "Graphs of saecli trace can be validated.",
        )
    if _of_many(graph) and (config.prompts is None or config.set):
        raise InputError(
            f"{name} was traced on many prompts, which its file does not hold.",
            "Graphs of one prompt can be changed by --set."
            if config.set
            else "Name them, or held-out ones of their kind: --prompts FILE.jsonl.",
        )
    if config.prompts is not None and not _of_many(graph):
        raise UsageError(f"{name} was traced on one prompt, which it holds.", "Leave out --prompts.")
    return graph


def _of_many(graph: FeatureGraph) -> bool:
    return "aggregate" in graph.settings or graph.settings.get("prompts", 1) != 1 or not graph.positions


def _notes(name: str) -> dict[str, Any]:
    """The configuration of the run that a graph lies in; empty if it lies in none."""
    manifest = read_manifest(graph_path(Path(name)).parent) or {}
    config = manifest.get("config")
    return config if manifest.get("command") == "trace" and isinstance(config, dict) else {}


def _require_alike(names: Sequence[str], graphs: Sequence[FeatureGraph]) -> None:
    first = graphs[0]
    for name, graph in zip(names[1:], graphs[1:], strict=True):
        for what, one, other in (
            ("model", first.provenance.get("model_fingerprint"), graph.provenance.get("model_fingerprint")),
            ("dictionaries", first.provenance.get("suite_fingerprint"), graph.provenance.get("suite_fingerprint")),
            ("sites", first.sites, graph.sites),
            ("metric", first.metric.name, graph.metric.name),
        ):
            if one != other:
                raise UsageError(f"{names[0]} and {name} differ in their {what}.", "Validate them one by one.")
        if _of_many(graph) or _of_many(first):
            raise UsageError(f"{name if _of_many(graph) else names[0]} is of many prompts.", "Validate it alone.")
        if _everywhere(graph) or _everywhere(first):
            raise UsageError(
                f"{name if _everywhere(graph) else names[0]} has no positions, so it is scored on held-out prompts.",
                "Validate it alone.",
            )


def _everywhere(graph: FeatureGraph) -> bool:
    nodes = [node for node in graph.nodes if node.address.kind in ("feature", "error")]
    return bool(nodes) and all(node.address.position is None for node in nodes)


def _require_known(name: str, graph: FeatureGraph, dictionaries: dict[Site, Dictionary]) -> None:
    """Refuse nodes that the dictionaries or the prompt do not have, and a graph of no feature at all."""
    if not any(node.address.kind == "feature" for node in graph.nodes):
        raise InputError(f"{name} has no feature, so there is no circuit to measure.")
    require_nodes(name, graph, {site: one.n_latents for site, one in dictionaries.items()})
    for node in graph.nodes:
        position = node.address.position
        if node.address.kind in ("feature", "error") and position is not None and position >= len(graph.positions):
            raise InputError(
                f"{name} has the node {graph.id_of(node.address)}, and its input has {len(graph.positions)} tokens."
            )
