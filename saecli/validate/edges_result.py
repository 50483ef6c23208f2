"""What ``saecli validate SUITE… --edges`` returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from saecli.core.result import Result, field_doc
from saecli.validate.result import Estimate
from saecli.validate.wording import aligned, estimated, number

_MOST_LINES = 40


@dataclass(frozen=True)
class EdgePoint:
    """One number of edges."""

    edges: int = field_doc("Edges", "How many are kept, the strongest; 0 leaves the target dictionary's bias.")
    ce: Estimate = field_doc("CE", "Cross-entropy of the next token through them, nats.")
    ce_recovered: Estimate = field_doc(
        "CE recovered", "(CE without edges - CE) / (CE without edges - CE of the model)."
    )
    kl: Estimate = field_doc("KL", "Of the model's predictions from those through the edges, nats per token.")
    kl_circuit: Estimate = field_doc("KL to all edges", "Of the predictions through all edges from those.")
    random_kl: Estimate = field_doc("Random KL", "KL with edges in random order: mean, smallest, largest over draws.")
    random_kl_circuit: Estimate = field_doc("Random KL to all edges", "The same to all edges.")


@dataclass(frozen=True, kw_only=True)
class EdgeCurveRow:
    """One suite's edges between two sites."""

    suite: str = field_doc("Suite", "The dictionaries.")
    pair: str = field_doc("Pair", "Source and target.")
    score: str = field_doc("Score", "By what the edges are ordered.")
    scored_on: str = field_doc("Scored on", "The data of these scores, and their half; empty if the file tells none.")
    possible: int = field_doc("Possible", "Pairs of features.")
    ce_none: Estimate = field_doc("CE without edges", "With the target dictionary's bias alone.")
    ce_dictionary: Estimate = field_doc(
        "CE of the dictionary", "The target replaced by its own reconstruction, without any source."
    )
    kl_dictionary: Estimate = field_doc("KL of the dictionary", "Of the model's predictions from those.")
    points: list[EdgePoint] = field_doc("Points", "Every number of edges, ascending: 0 first, all of them last.")
    area: Estimate = field_doc("Area", "Mean KL over the logarithm of the number of edges, without 0 (trapezium rule).")
    random_area: Estimate = field_doc("Random area", "The same in random order, mean over draws.")
    better_than_random: Estimate = field_doc("Better than random", "Random area - area, paired.")


@dataclass(frozen=True, kw_only=True)
class EdgeDifference:
    """A suite's edges against those of the first suite between the same sites, in the same resamples."""

    suite: str = field_doc("Suite", "The suite.")
    against: str = field_doc("Against", "The first suite.")
    pair: str = field_doc("Pair", "Source and target.")
    area: Estimate = field_doc("Area", "Its area minus the first suite's.")
    edges_ratio: Estimate = field_doc(
        "Edges ratio",
        "Times as many edges as the first suite needs for the same KL, geometric mean over the KL that both reach; "
        "below 1 it needs fewer; null where the curves have no KL in common.",
    )


@dataclass(frozen=True, kw_only=True)
class ComparedSite:
    """One dictionary of a suite."""

    suite: str = field_doc("Suite", "The suite.")
    site: str = field_doc("Site", "The site it writes, named as in pairs.")
    arch: str = field_doc("Architecture", "Its architecture.")
    latents: int = field_doc("Latents", "Its features.")
    l0: Estimate = field_doc("L0", "Active features per token.")
    l0_per_chunk: list[float] | None = field_doc(
        "L0 per chunk", "Of a staircase: active features among those new at the first site, at the second, and so on."
    )
    variance_explained: Estimate = field_doc("Variance explained", "By the reconstruction.")
    ce_increase: Estimate = field_doc("CE increase", "With this site alone replaced, nats per token.")
    jacobian: float | None = field_doc(
        "Jacobian", "Mean size of the pair's derivatives, as recorded when it was trained; null if it was not."
    )


@dataclass(frozen=True, kw_only=True)
class ComparedSuite:
    """One suite as a whole."""

    suite: str = field_doc("Suite", "The suite.")
    dictionaries: int = field_doc("Dictionaries", "How many it has.")
    parameters: int = field_doc("Parameters", "Numbers learnt; what dictionaries share counts once.")
    ce_increase: Estimate = field_doc("CE increase", "With all its sites replaced together, nats per token.")
    single_increases: Estimate = field_doc("Single increases", "The CE increases of single sites, summed.")
    minus_first: Estimate | None = field_doc(
        "Minus first", "Its CE increase minus the first suite's, paired; null for the first, and where sites differ."
    )


@dataclass(frozen=True, kw_only=True)
class EdgesResult(Result):
    """What a model keeps when only the strongest edges between two sites carry information, suite by suite."""

    schema: ClassVar[str] = "saecli.validate-edges/1"

    model: str = field_doc("Model", "The model.")
    data: str = field_doc("Data", "What it read.")
    half: str = field_doc("Half", "Which of the held-out sequences: all, or those of the first or second half.")
    sequences: int = field_doc("Sequences", "Held-out sequences.")
    tokens: int = field_doc("Tokens", "Predictions measured.")
    draws: int = field_doc("Draws", "Random orders.")
    ce_model: Estimate = field_doc("CE of the model", "Nats per token.")
    suites: list[ComparedSuite] = field_doc("Suites", "The suites, in the order given.")
    sites: list[ComparedSite] = field_doc("Sites", "Their dictionaries.")
    curves: list[EdgeCurveRow] = field_doc("Curves", "One per suite and pair of sites.")
    differences: list[EdgeDifference] = field_doc("Differences", "Every further suite against the first.")
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """The suites, one line per number of edges of every curve while these are few, and what differs."""
        half = "" if self.half == "all" else f", their {self.half} half"
        lines = [
            f"{self.model} on {self.sequences} held-out sequences of {self.data}{half}: CE {estimated(self.ce_model)}",
            "",
            *aligned([("suite", "parameters", "CE increase of all sites"), *map(_suite, self.suites)]),
        ]
        short = sum(len(one.points) for one in self.curves) <= _MOST_LINES
        for one in self.curves:
            lines += ["", *_curve(one, short)]
        if self.differences:
            lines.append("")
        for one in self.differences:
            lines.append(
                f"{one.pair}: {one.suite} needs {estimated(one.edges_ratio)} times the edges of {one.against} at equal "
                f"KL, area {estimated(one.area)} from its"
            )
        return lines


def _suite(one: ComparedSuite) -> tuple[str, ...]:
    return one.suite, f"{one.parameters:,}", estimated(one.ce_increase)


def _curve(one: EdgeCurveRow, points: bool) -> Iterator[str]:
    yield f"{one.pair} of {one.suite}, edges by {one.score}"
    yield (
        f"CE of the target dictionary {number(one.ce_dictionary.value)} (KL {number(one.kl_dictionary.value)}), "
        f"without edges {number(one.ce_none.value)}"
    )
    if points:
        rows = [("edges", "KL", "KL to all edges", "CE", "recovered", "random KL")]
        for point in one.points:
            rows.append(
                (
                    f"{point.edges:,}",
                    estimated(point.kl),
                    number(point.kl_circuit.value),
                    number(point.ce.value),
                    number(point.ce_recovered.value),
                    number(point.random_kl.value),
                )
            )
        yield from aligned(rows)
    yield f"Area (mean KL over log edges) {estimated(one.area)}, in random order {number(one.random_area.value)}"
