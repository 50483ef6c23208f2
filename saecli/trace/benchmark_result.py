"""What ``saecli trace --benchmark`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.result import Result, field_doc


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Nodes or edges of planted circuits that a method found, over all circuits of a case."""

    true: int = field_doc("True", "How many the true graphs have.")
    found: int = field_doc("Found", "How many the method's graphs have.")
    hits: int = field_doc("Hits", "How many are in both.")
    precision: float | None = field_doc("Precision", "hits / found; null if nothing was found.")
    recall: float | None = field_doc("Recall", "hits / true.")
    random_precision: float | None = field_doc(
        "Random precision", "The precision expected of as many drawn at random from what is active on the input."
    )
    random_recall: float | None = field_doc("Random recall", "The recall expected of them.")


@dataclass(frozen=True, kw_only=True)
class MethodScore:
    """One method on the circuits of one case."""

    case: str = field_doc("Case", "The planted circuit, or the size of generated programs.")
    method: str = field_doc("Method", "The method.")
    circuits: int = field_doc("Circuits", "How many circuits the case has.")
    note: str = field_doc("Note", "Why the method does not apply; empty if it does.")
    nodes: Recovery | None = field_doc("Nodes", "Features and errors; null if the method does not apply.")
    edges: Recovery | None = field_doc("Edges", "Direct edges among them and into the target.")
    faithfulness: float | None = field_doc(
        "Faithfulness",
        "Share of the output that the nodes found carry when all others are set to 0, mean over circuits; null if the "
        "method does not apply.",
    )
    random_faithfulness: float | None = field_doc(
        "Random faithfulness", "The same of as many active nodes drawn at random, mean of 20."
    )


@dataclass(frozen=True, kw_only=True)
class BenchmarkResult(Result):
    """Planted circuits found again, by method."""

    schema: ClassVar[str] = "saecli.trace-benchmark/1"

    threshold: float = field_doc(
        "Threshold", "Nodes and edges below this share of the metric's absolute value are left out."
    )
    scores: list[MethodScore] = field_doc("Scores", "One per case and method.")
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """A table: precision and recall of nodes and edges, those of random circuits in brackets."""
        lines: list[str] = [
            f"{'':<17}{'':<10}{'nodes':<26}edges",
            f"{'circuit':<17}{'method':<10}{'precision    recall       ' * 2}faithful",
        ]
        before = ""
        for one in self.scores:
            if one.nodes is None or one.edges is None:
                continue
            name = "" if one.case == before else one.case
            before = one.case
            lines.append(f"{name:<17}{one.method:<10}{_cells(one, one.nodes, one.edges)}".rstrip())
        return [
            *lines,
            "(in brackets: as many nodes or edges drawn at random from what is active; –: nothing found)",
            *self._left_out(),
        ]

    def _left_out(self) -> list[str]:
        """Methods that do not apply, where and why."""
        where: dict[tuple[str, str], list[str]] = {}
        for one in self.scores:
            if one.note:
                where.setdefault((one.method, one.note), []).append(one.case)
        cases = len({one.case for one in self.scores})
        return [
            f"{method} does not apply{'' if len(names) == cases else ' to ' + ', '.join(names)}: {note}"
            for (method, note), names in where.items()
        ]

    def next_command(self) -> str:
        """Where to look."""
        return "open {run}/benchmark.svg"


def _cells(one: MethodScore, nodes: Recovery, edges: Recovery) -> str:
    pairs = [
        (nodes.precision, nodes.random_precision),
        (nodes.recall, nodes.random_recall),
        (edges.precision, edges.random_precision),
        (edges.recall, edges.random_recall),
        (one.faithfulness, one.random_faithfulness),
    ]
    return "".join(f"{f'{_short(value)} ({_short(random)})':<13}" for value, random in pairs)


def _short(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}"
