"""What ``saecli validate --set`` returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from saecli.core.result import Result, field_doc
from saecli.validate.wording import aligned, number

_SHOWN: Final = 8


@dataclass(frozen=True)
class SetFeature:
    """One feature that was changed."""

    address: str = field_doc("Address", "Which one, with its position if only one was changed.")
    change: str = field_doc("Change", "What became of it: =0, =2x, =+5.")
    positions: int = field_doc("Positions", "At how many positions of the input that changed anything.")
    before: float = field_doc("Before", "Its largest activation there.")
    after: float = field_doc("After", "What became of that activation.")


@dataclass(frozen=True)
class NextToken:
    """A next token whose probability changed."""

    token: int = field_doc("Token", "Its id.")
    text: str = field_doc("Text", "How it is written.")
    before: float = field_doc("Before", "Its probability in the model.")
    after: float = field_doc("After", "Its probability with the features changed.")
    logit_change: float = field_doc("Logit change", "How much its logit moved.")
    legal: bool | None = field_doc("Legal", "Whether the rules allow it; null where they say nothing of tokens.")

    @property
    def change(self) -> float:
        """After − before."""
        return self.after - self.before


@dataclass(frozen=True)
class ChangedFeature:
    """A feature at a later site whose activation changed."""

    address: str = field_doc("Address", "Which one, and where.")
    before: float = field_doc("Before", "Its activation in the model.")
    after: float = field_doc("After", "The same with the features changed.")


@dataclass(frozen=True)
class Written:
    """A continuation."""

    steered: bool = field_doc("Steered", "Whether the features were changed.")
    tokens: list[int] = field_doc("Tokens", "What was written.")
    text: str = field_doc("Text", "The same for people.")
    illegal: str = field_doc("Illegal", "The first move that the rules do not allow; empty if there is none.")


@dataclass(frozen=True)
class EdgeCheck:
    """An edge of a graph: what its weight predicts, and what happens."""

    child: str = field_doc("Child", "The node that the edges lead to.")
    parents: int = field_doc("Parents", "How many of the changed features have an edge to it.")
    site: str = field_doc("Site", "Where the features were changed.")
    unit: str = field_doc("Unit", "What changes: the child's activation, or the metric.")
    weight: float = field_doc("Weight", "Sum of the weights of the edges.")
    predicted: float = field_doc("Predicted", "The change that the weights predict, linear in that of the features.")
    measured: float = field_doc("Measured", "The change that the model shows.")


@dataclass(frozen=True)
class GraphCheck:
    """Predictions of a graph beside what was measured."""

    graph: str = field_doc("Graph", "The graph, as it was named.")
    meaning: str = field_doc(
        "Meaning",
        "Of what edges speak, which decides what is held still: direct (every other site of the graph in between has "
        "its unmodified value) or total (nothing is held).",
    )
    predicted: float = field_doc("Predicted", "Change of the metric that the effects of the features predict.")
    measured: float = field_doc("Measured", "Change of the metric that the model shows, nothing held.")
    edges: list[EdgeCheck] = field_doc("Edges", "Every edge out of a changed feature.")
    correlation: float | None = field_doc(
        "Correlation", "Pearson's, of predicted and measured changes of activation; null with fewer than three."
    )
    slope: float | None = field_doc(
        "Slope", "Measured per predicted, least squares through 0; 1 where the model is linear. Null without edges."
    )
    errors_left_out: int = field_doc("Errors left out", "Edges into errors, which have no activation to measure.")


@dataclass(frozen=True, kw_only=True)
class InterventionResult(Result):
    """What changing features of one input does."""

    schema: ClassVar[str] = "saecli.validate-set/1"

    model: str = field_doc("Model", "The model.")
    suite: str = field_doc("Suite", "The dictionaries.")
    tokens: list[int] = field_doc("Tokens", "The input.")
    features: list[SetFeature] = field_doc("Features", "What was changed.")
    metric: str = field_doc("Metric", "What is measured.")
    target: str = field_doc("Target", "Of which target.")
    position: int = field_doc("Position", "The position that predicts it.")
    before: float = field_doc("Before", "The metric of the model.")
    after: float = field_doc("After", "The metric with the features changed.")
    kl: float = field_doc("KL", "Divergence of the next-token distribution from the model's own, nats.")
    best_before: str = field_doc("Best before", "The model's most likely next token.")
    best_after: str = field_doc("Best after", "The most likely one with the features changed.")
    up: list[NextToken] = field_doc("Up", "Next tokens that became likelier, the largest change first.")
    down: list[NextToken] = field_doc("Down", "Next tokens that became less likely.")
    downstream: list[ChangedFeature] = field_doc(
        "Downstream", "Features of later sites that changed most, up to the position of the target."
    )
    written: list[Written] = field_doc("Written", "Continuations without and with the change; empty without any.")
    check: GraphCheck | None = field_doc("Check", "Of a graph: predicted and measured; null without one.")
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """What was changed, what it did to the metric and the next token, and what the graph had said."""
        what = ", ".join(f"{one.address}{one.change}" for one in self.features)
        lines = [f"{self.model} with {what}"]
        lines += [
            f"  {one.address}: {number(one.before)} -> {number(one.after)} at its strongest, changed at "
            f"{one.positions} of {len(self.tokens)} positions"
            for one in self.features
        ]
        best = self.best_before if self.best_before == self.best_after else f"{self.best_before} -> {self.best_after}"
        lines += [
            f"{self.metric} of {self.target}: {self.before:+.3f} -> {self.after:+.3f} "
            f"({self.after - self.before:+.3f})",
            f"most likely next: {best}; KL {number(self.kl)} nats",
            "",
            *self._tokens(),
        ]
        if self.check is None:
            lines += ["", *self._downstream()]
        else:
            lines += ["", *self._check(self.check)]
        return [*lines, *self._written()]

    def _tokens(self) -> list[str]:
        rows = [("up", "before", "after", "down", "before", "after")]
        pad = [None] * _SHOWN
        for up, down in zip([*self.up, *pad][:_SHOWN], [*self.down, *pad][:_SHOWN], strict=True):
            if up or down:
                rows.append((*_cells(up), *_cells(down)))
        return aligned(rows) if len(rows) > 1 else ["  no next token's probability changed"]

    def _downstream(self) -> list[str]:
        if not self.downstream:
            return ["no feature at a later chosen site changed"]
        rows = [("feature", "before", "after")]
        rows += [(one.address, number(one.before), number(one.after)) for one in self.downstream[:_SHOWN]]
        return aligned(rows)

    def _check(self, check: GraphCheck) -> Iterator[str]:
        how = "others in between held" if check.meaning == "direct" else "nothing held"
        yield f"{check.graph}: edges are {check.meaning} effects ({how})"
        rows = [("edge to", "of", "weight", "predicted", "measured")]
        strongest = sorted(check.edges, key=lambda one: -abs(one.predicted))
        rows += [
            (one.child, one.unit, *(f"{x:+.4f}" for x in (one.weight, one.predicted, one.measured)))
            for one in strongest[: 2 * _SHOWN]
        ]
        if len(rows) > 1:
            yield from aligned(rows)
        else:
            yield "  no edge of the graph leaves these features"
        yield (
            f"metric: predicted {check.predicted:+.4f}, measured {check.measured:+.4f}; activations: correlation "
            f"{number(check.correlation)}, measured per predicted {number(check.slope)}"
        )
        if check.errors_left_out:
            yield f"{check.errors_left_out} edges into errors are left out"

    def _written(self) -> Iterator[str]:
        for one in self.written:
            yield ""
            yield "with the change:" if one.steered else "without:"
            yield f"  {one.text!r}" if "\n" in one.text or one.text != one.text.strip() else f"  {one.text}"
            if one.illegal:
                yield f"  {one.illegal}; what follows is not judged"


def _cells(one: NextToken | None) -> tuple[str, str, str]:
    if one is None:
        return "", "", ""
    return one.text + (" (illegal)" if one.legal is False else ""), f"{one.before:.4f}", f"{one.after:.4f}"
