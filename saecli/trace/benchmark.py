"""``saecli trace --benchmark``: planted circuits, traced by every method and compared with what is there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from saecli.asking.question import Question
from saecli.core.address import Address
from saecli.core.config import config_fields
from saecli.core.errors import UsageError
from saecli.core.graph import Position
from saecli.core.progress import Progress, silent
from saecli.core.run import Run
from saecli.core.suite import Suite, SuiteInfo
from saecli.formats.tables import as_csv
from saecli.report.benchmark_plot import Recovered, benchmark_figure
from saecli.report.figure import as_png, as_svg
from saecli.trace.benchmark_result import BenchmarkResult, MethodScore, Recovery
from saecli.trace.config import TraceConfig
from saecli.trace.methods import method
from saecli.trace.passes import Passes
from saecli.trace.planted.case import Case
from saecli.trace.planted.known import known_cases
from saecli.trace.planted.random_programs import PER_SIZE, SIZES, random_cases
from saecli.trace.planted.score import Counts, count_edges, count_nodes, faithfulness

THRESHOLD: Final = 0.01
"""Nodes and edges count from this share of the metric's absolute value on."""

METHODS: Final[tuple[str, ...]] = next(
    item.option.choices or () for item in config_fields(TraceConfig) if item.name == "method"
)


_ASKS_OTHERWISE: Final = {
    "search": "it asks what keeps a whole prediction, and a planted circuit has one output.",
}
"""Methods that planted circuits are no question for."""


@dataclass(frozen=True)
class Outcome:
    """One method on one circuit; no counts where it does not apply, and why."""

    case: Case
    method: str
    nodes: Counts | None = None
    edges: Counts | None = None
    faithful: tuple[float, float] = (math.nan, math.nan)
    note: str = ""


def plan_benchmark() -> list[str]:
    """What ``--plan`` prints."""
    known = list(dict.fromkeys(case.group for case in known_cases()))
    sizes = [f"{PER_SIZE} {size.name}" for size in SIZES]
    return [f"Traces planted circuits by {', '.join(METHODS)}: {', '.join([*known, *sizes])}"]


def run_benchmark(config: TraceConfig, run: Run, progress: Progress) -> BenchmarkResult:
    """Trace every planted circuit by every method, and write table and picture."""
    cases = [*known_cases(), *random_cases(config.seed)]
    outcomes = []
    for done, case in enumerate(cases):
        progress("planted circuits", done, len(cases), case.name)
        outcomes += [judge(case, name, config.seed) for name in METHODS]
    scores = [
        together([one for one in outcomes if (one.case.group, one.method) == (group, name)])
        for group in dict.fromkeys(case.group for case in cases)
        for name in METHODS
    ]
    run.write_text("benchmark.csv", as_csv([_row(one) for one in outcomes], _COLUMNS))
    figure = benchmark_figure([_recovered(one) for one in scores if not one.note])
    run.write_bytes("benchmark.svg", as_svg(figure))
    run.write_bytes("benchmark.png", as_png(figure))
    files = ["benchmark.csv", "benchmark.png", "benchmark.svg"]
    return BenchmarkResult(threshold=THRESHOLD, scores=scores, files=files)


def judge(case: Case, name: str, seed: int = 0) -> Outcome:
    """Trace a case by one method and compare what it finds with the truth."""
    clean = case.clean()
    try:
        nodes, edges = find(case, name, THRESHOLD * abs(clean.value), seed)
    except UsageError as error:
        return Outcome(case, name, note=error.message)
    return Outcome(
        case,
        name,
        count_nodes(nodes, case.truth, clean),
        count_edges(edges, case.truth, clean),
        faithfulness(nodes, clean, seed),
    )


def find(case: Case, name: str, least: float, seed: int = 0) -> tuple[set[Address], set[tuple[Address, Address]]]:
    """Features and errors that a method keeps, and the edges among them and into the target.

    Args:
        case: The planted circuit.
        name: The method.
        least: Smallest effect and edge that count.
        seed: Of what is random.

    Raises:
        UsageError: The method does not apply.
    """
    if name in _ASKS_OTHERWISE:
        raise UsageError(_ASKS_OTHERWISE[name])
    limits = {"node_threshold": repr(least), "edge_threshold": repr(least), "top_edges": None}
    config = TraceConfig(method=name, seed=seed, labels="none", **limits)  # type: ignore[arg-type]
    suite = Suite.of(SuiteInfo(case.name, case.name), list(case.dictionaries.values()))
    passes = Passes(config, case.model, suite, tuple(suite), silent)
    positions = tuple(Position(token, str(token)) for token in case.tokens_S.tolist())
    question = Question(case.tokens_S, positions, case.metric)
    with torch.random.fork_rng():
        draft = method(name)(config, question, passes, lambda _: [], silent)
    nodes = {address for address in draft.nodes if address.kind in ("feature", "error")}
    ends = nodes | {Address("target", position=case.metric.position)}
    return nodes, {(edge.source, edge.target) for edge in draft.edges if edge.source in nodes and edge.target in ends}


def together(outcomes: Sequence[Outcome]) -> MethodScore:
    """The numbers of all circuits of a case: counts are added up, faithfulness is averaged."""
    first = outcomes[0]
    applies = [one for one in outcomes if one.nodes is not None and one.edges is not None]
    return MethodScore(
        case=first.case.group,
        method=first.method,
        circuits=len(outcomes),
        note="" if applies else first.note,
        nodes=_recovery(one.nodes for one in applies),
        edges=_recovery(one.edges for one in applies),
        faithfulness=_mean(one.faithful[0] for one in applies),
        random_faithfulness=_mean(one.faithful[1] for one in applies),
    )


def _recovery(counts: Iterable[Counts | None]) -> Recovery | None:
    known = [one for one in counts if one is not None]
    if not known:
        return None
    true, found, hits = (sum(getattr(one, name) for one in known) for name in ("true", "found", "hits"))
    expected = math.fsum(one.expected_hits for one in known)
    return Recovery(
        true=true,
        found=found,
        hits=hits,
        precision=hits / found if found else None,
        recall=hits / true if true else None,
        random_precision=expected / found if found else None,
        random_recall=expected / true if true else None,
    )


def _mean(values: Iterable[float]) -> float | None:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else None


_COLUMNS: Final = (
    *("case", "circuit", "method"),
    *(
        f"{what}_{name}"
        for what in ("nodes", "edges")
        for name in ("true", "found", "hits", "precision", "recall", "random_precision", "random_recall")
    ),
    *("faithfulness", "random_faithfulness", "note"),
)


def _row(one: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {"case": one.case.group, "circuit": one.case.name, "method": one.method, "note": one.note}
    for what, counts in (("nodes", one.nodes), ("edges", one.edges)):
        if found := _recovery([counts]):
            row |= {f"{what}_{name}": value for name, value in vars(found).items()}
    row["faithfulness"], row["random_faithfulness"] = (_mean([value]) for value in one.faithful)
    return row


def _recovered(one: MethodScore) -> Recovered:
    def pair(of: Recovery | None, name: str) -> tuple[float | None, float | None]:
        return (None, None) if of is None else (getattr(of, name), getattr(of, f"random_{name}"))

    measures = [(of, name) for of in (one.nodes, one.edges) for name in ("precision", "recall")]
    return Recovered(one.case, one.method, tuple(pair(of, name) for of, name in measures))
