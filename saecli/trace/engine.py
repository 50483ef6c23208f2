"""``saecli trace``: from a question to a circuit graph on disk."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from saecli.asking.flags import names_pairs
from saecli.asking.prompts import ask_many, require_one_length
from saecli.asking.question import Question, ask
from saecli.asking.sequences import ask_sequences
from saecli.attribution.circuit_metric import recipe_of
from saecli.core.errors import Failure, UsageError
from saecli.core.graph import FeatureGraph, Metric, Node, Position
from saecli.core.labels import Labels
from saecli.core.machine import torch_device, torch_dtype
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.ranks import ONE, Ranks
from saecli.core.run import Run
from saecli.core.suite import Suite
from saecli.formats.labels import find_labels
from saecli.report.write import write_graph
from saecli.trace.benchmark_result import BenchmarkResult
from saecli.trace.calibrate_result import CalibrateResult
from saecli.trace.calibrated import calibrated, noted
from saecli.trace.choosing import Choosing
from saecli.trace.config import TraceConfig
from saecli.trace.draft import target_address
from saecli.trace.extend import extended
from saecli.trace.many import by_prompts
from saecli.trace.methods import method, with_method
from saecli.trace.passes import Passes
from saecli.trace.result import TraceResult, searched_sites
from saecli.trace.rules_result import RulesResult
from saecli.trace.search_config import SearchMixin
from saecli.trace.told import tell


def plan(config: TraceConfig) -> list[str]:
    """What ``--plan`` prints: the sites that would be traced."""
    if config.benchmark:
        from saecli.trace.benchmark import plan_benchmark

        return plan_benchmark()
    if config.calibrate is not None:
        from saecli.trace.calibrate import plan_calibrate

        return plan_calibrate(config)
    from zoo.load import load_suite

    suite = load_suite(config.suite or config.model)
    config = with_method(config, suite)
    labels = " ".join(suite.label(site) for site in suite.resolve(config.layers, config.kind))
    lines = [f"Traces {config.model} by {config.method} at {labels}"]
    if config.method == "exact":
        from saecli.trace.exact import cost
        from zoo.load import attach, load_model

        model = load_model(config.model, suite.info.processing)
        attach(suite, model)
        questions, passes, pin = _prepare(config, model, suite, silent)
        lines.append(cost(config, questions[0], passes, pin))
    return lines


def run(
    config: TraceConfig, run: Run, progress: Progress
) -> TraceResult | BenchmarkResult | CalibrateResult | RulesResult | None:
    """Trace and write the graph in every format; None on processes other than the first."""
    ranks = run.ranks
    if ranks.size > 1 and config.prompts is None:
        raise UsageError(
            "Several processes share out many prompts, and none are named.", "Add --prompts, or start without torchrun."
        )
    if config.benchmark:
        from saecli.trace.benchmark import run_benchmark

        return run_benchmark(config, run, progress)
    if config.calibrate is not None:
        from saecli.trace.calibrate import run_calibrate

        return run_calibrate(config, run, progress)
    from zoo.load import attach, load_model, load_suite, locate_model, locate_suite

    device, dtype = torch_device(config.device), torch_dtype(config.dtype)
    ranks.join(device.type)
    locate_model(config.model)  # a model that is not there is named before its suite
    suite = load_suite(config.suite or config.model, device=device, dtype=dtype)
    sites = suite.resolve(config.layers, config.kind)
    config = with_method(config, suite)
    place = locate_suite(config.suite or config.model)
    labels = find_labels(config.labels, place, (suite.fingerprints[site] for site in sites))
    model = load_model(config.model, suite.info.processing, device)
    attach(suite, model)
    if config.probe:
        from zoo.load import load_vocabulary
        from zoo.probing import require_probe

        progress("probing")
        require_probe(model, suite, load_vocabulary(config.model), sites)
    model.module.to(dtype)  # after the suite has recognised the weights as they are stored
    if config.rules is not None:
        from saecli.trace.rules_run import run_rules

        return run_rules(config, model, suite, labels, run, progress)
    graph = trace(config, model, suite, progress, labels=labels, ranks=ranks)
    if not ranks.first:
        return None
    graph = tell(graph, config, model, suite, progress)
    progress("drawing")
    files = write_graph(graph, run.write_bytes)
    return TraceResult(
        model=str(graph.provenance["model"]),
        suite=str(graph.provenance["suite"]),
        sites=list(graph.sites),
        method=graph.method,
        target=graph.metric.target,
        metric=graph.metric.name,
        value=graph.metric.value,
        patched_value=graph.totals.get("patched_value"),
        tokens=[position.token for position in graph.positions] if config.prompts is None else [],
        prompts=int(graph.settings.get("prompts", 1)),
        nodes=len(graph.nodes),
        edges=len(graph.edges),
        active=int(graph.totals["active_nodes"]),
        coverage=graph.coverage,
        error_share=graph.totals["error_absolute_effect"] / graph.totals["absolute_effect"]
        if config.method not in ("ablation", "search")
        else None,
        gap=graph.totals.get("gap"),
        searched=searched_sites(graph.settings.get("search")),
        files=sorted(files),
    )


def trace(
    config: TraceConfig,
    model: HookedModel,
    suite: Suite,
    progress: Progress = silent,
    *,
    labels: Labels | None = None,
    ranks: Ranks = ONE,
) -> FeatureGraph:
    """The circuit graph of one input.

    Args:
        config: Input, target, method and selection; device and directories are not used.
        model: The model, on its device.
        suite: Dictionaries attached to it.
        progress: Told what is going on.
        labels: Descriptions of features.
        ranks: The processes that share out many prompts; each calls this with the same arguments.

    Raises:
        UsageError: A choice that selects nothing, or a target or pin that does not exist or never fires.
        InputError: An input that cannot be read, is illegal, or too long.
        Failure: Nothing has any effect on the target.
    """
    config = with_method(config, suite)
    questions, passes, pin = _prepare(config, model, suite, progress)
    first = questions[0]
    names = [suite.label(site) for site in passes.sites]
    progress(f"sites: {' '.join(names)}")
    if config.prompts is not None:
        each = partial(map, passes.replaced) if config.method == "direct" else passes.each
        draft, target = by_prompts(config, questions, each, pin, progress, ranks)
        passes.share(ranks)
    else:
        draft = method(config.method)(config, first, passes, pin, progress)
        target = target_address(first.metric)
    passes.tell()
    draft.totals |= passes.totals
    asked = _metric(config, questions, passes.value)
    if not draft.totals["absolute_effect"] > 0:
        raise Failure(
            f"No feature or error at {' '.join(names)} has any effect on {asked.target}.",
            "Choose other --layers or another --target.",
        )
    positions = first.positions if len(questions) == 1 else _columns(config, questions)
    graph = FeatureGraph(
        title=f"{_name(model)} · why {asked.target}?",
        method=str(config.method),
        edge_meaning="activation" if config.method in ("ablation", "search", "direct") else "metric",
        metric=asked,
        positions=positions,
        sites=tuple(names),
        nodes=(
            *sorted(draft.nodes.values(), key=lambda node: node.address.order),
            Node(target, 0.0, asked.value, asked.target),
        ),
        edges=tuple(sorted(draft.edges, key=lambda edge: (edge.target.order, edge.source.order))),
        residual=suite.info.residual,
        totals=draft.totals,
        provenance={
            "model": _name(model),
            "model_fingerprint": suite.info.model_fingerprint,
            "suite": Path(suite.info.name).name,
            "suite_fingerprint": suite.fingerprint,
            **({"metric": recipe_of(first.metric)} if config.prompts is None else {}),
        },
        settings=_settings(config, len(questions), passes.stands_in)
        | noted(calibrated(config, suite, passes.sites))
        | ({"first_fraction": config.first_fraction} if config.first_fraction < 1 else {})
        | draft.details,
    )
    if pin.stored is not None:
        graph = extended(pin.stored, graph, passes.sites, pin.totals)
    return _labelled(graph, suite, labels or Labels())


def _prepare(
    config: TraceConfig, model: HookedModel, suite: Suite, progress: Progress
) -> tuple[list[Question], Passes, Choosing]:
    """What is asked, what runs it, and what finds pinned nodes."""
    if config.method == "search":
        config = replace(config, metric="kl")
    if config.prompts is None:
        questions = [ask(model, config, suite, suite.info.residual, bos=suite.info.bos)]
    elif not names_pairs(config.prompts):
        questions = ask_sequences(
            model,
            config.model,
            config.prompts,
            suite,
            wanted=config.n_prompts,
            at=config.at,
            metric=config.metric,
            progress=progress,
        )
    else:
        questions = ask_many(
            model,
            config.model,
            config.prompts,
            wanted=config.n_prompts,
            metric=config.metric,
            bos=suite.info.bos,
            patches=config.ablation in (None, "patch") and config.method != "direct",
        )
    if config.prompts is not None and config.aggregate == "none":
        require_one_length(config.prompts, questions)
    first = questions[0]
    sites = suite.resolve(config.layers, config.kind)
    if first.metric.name == "feature":
        end = first.metric.site(model.info)
        sites = tuple(site for site in sites if site < end)
        if not sites:
            raise UsageError(f"--layers {config.layers} selects no site before the target {config.target}.")
    if config.method == "search":
        sites = tuple(site for site in sites if site.is_residual)
        if not sites:
            raise UsageError(f"--method search looks at residual sites, and --layers {config.layers} selects none.")
    passes = Passes(config, model, suite, sites, progress)
    return questions, passes, Choosing(config, first, suite, sites)


SETTINGS = (
    "layers",
    "kind",
    "steps",
    "rule",
    "norms",
    "positions",
    "keep",
    "top_nodes",
    "node_threshold",
    "influence",
    "top_edges",
    "edge_threshold",
    "pin",
    "patch",
    "ablation",
    "sequences",
)
"""Choices that a graph file records."""
SEARCH_SETTINGS = tuple(item.name for item in fields(SearchMixin))
"""More of them, of a search."""


def _metric(config: TraceConfig, questions: list[Question], value: float) -> Metric:
    """What is measured, in words; of many prompts the mean."""
    metric = questions[0].metric
    description, target = metric.description, metric.target
    if config.prompts is not None:
        same = len({question.metric.target for question in questions}) == 1
        target = target if same else "the answers"
        description = f"mean over {len(questions)} prompts, of which the first has: {metric.description}"
    return Metric(metric.name, description, value, metric.direction, target)


def _columns(config: TraceConfig, questions: list[Question]) -> tuple[Position, ...]:
    """Positions of prompts of one length: the token where they agree; none where positions were added up."""
    if config.aggregate != "none":
        return ()
    columns = zip(*(question.positions for question in questions), strict=True)
    return tuple(
        column[0] if len({one.token for one in column}) == 1 else replace(column[0], text="*") for column in columns
    )


def _name(model: HookedModel) -> str:
    return Path(model.info.name).name  # files do not tell where the user keeps things


def _settings(config: TraceConfig, prompts: int, stands_in: str) -> dict[str, Any]:
    values = config.values() | {"keep": config.kept_share, "ablation": stands_in}
    names = (*SETTINGS, *SEARCH_SETTINGS) if config.method == "search" else SETTINGS
    found = {name: values[name] for name in names if name in values}
    return found if config.prompts is None else found | {"aggregate": config.aggregate, "prompts": prompts}


def _labelled(graph: FeatureGraph, suite: Suite, labels: Labels) -> FeatureGraph:
    nodes = (
        replace(node, label=labels.describe(suite, node.address, node.activation) or node.label) for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))
