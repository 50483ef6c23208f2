"""What ``saecli view`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.result import Result, field_doc
from saecli.report.measure import number_text, visible

_SHOWN = 20


@dataclass(frozen=True)
class JoinedRow:
    """A connection of a feature."""

    feature: str = field_doc("Feature", "The other end: an address, token:N, or target:N for the logit of token N.")
    mean: float | None = field_doc(
        "Mean contribution",
        "To the downstream feature's pre-activation, mean over the tokens where it is active; null if it never is.",
    )
    score: float | None = field_doc("Score", "What the file of connections says; null if nothing.")


@dataclass(frozen=True)
class FeatureRow:
    """One feature."""

    feature: str = field_doc("Feature", "Its address.")
    label: str = field_doc("Label", "What it is about; empty if nothing is known.")
    page: str = field_doc("Page", "Its page in the run directory.")
    active: int = field_doc("Active", "Tokens on which it fires.")
    frequency: float = field_doc("Frequency", "Their share of all tokens looked at.")
    mean: float = field_doc("Mean", "Its mean activation where it is active; 0 if it never is.")
    strongest: float = field_doc("Strongest", "Its activation of the largest size; 0 if it never is active.")
    in_degree: int = field_doc("In-degree", "Features that it may depend on.")
    out_degree: int = field_doc("Out-degree", "Features that may depend on it.")
    upstream: list[JoinedRow] = field_doc("Upstream", "The strongest of those it depends on.")
    downstream: list[JoinedRow] = field_doc("Downstream", "The strongest of those that depend on it.")
    circuits: int = field_doc("Circuits", "Circuits of the runs looked through that have it.")
    clusters: int = field_doc("Clusters", "Clusters of the runs looked through that have it.")


@dataclass(frozen=True, kw_only=True)
class ViewResult(Result):
    """Pages of features."""

    schema: ClassVar[str] = "saecli.view/1"

    model: str = field_doc("Model", "The model.")
    suite: str = field_doc("Suite", "Its dictionaries.")
    data: str = field_doc("Data", "What was read.")
    sequences: int = field_doc("Sequences", "Sequences read.")
    tokens: int = field_doc("Tokens", "Their tokens.")
    score: str = field_doc("Score", "What connections were chosen by; empty without connections.")
    features: list[FeatureRow] = field_doc("Features", "The features, one page each.")
    page: str = field_doc("Page", "The page to open first.")
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """A line per feature."""
        lines = [f"{self.suite} on {self.tokens:,} tokens of {self.data}"]
        for one in self.features[:_SHOWN]:
            label = f" {visible(one.label)}" if one.label else ""
            if not one.active:
                lines.append(f"{one.feature}{label}: never fires here")
                continue
            linked = f", depends on {one.in_degree:,}, used by {one.out_degree:,}" if self.score else ""
            runs = ((one.circuits, "circuit"), (one.clusters, "cluster"))
            several = [f"{count} {name}{'s' * (count != 1)}" for count, name in runs if count]
            found = f", in {' and '.join(several)}" if several else ""
            lines.append(
                f"{one.feature}{label}: active on {100 * one.frequency:.3g} % of tokens, "
                f"up to {number_text(one.strongest)}{linked}{found}"
            )
        if more := len(self.features) - _SHOWN:
            lines += [f"… and {more} more"] if more > 0 else []
        return [*lines, f"Page: {self.page}"]

    def next_command(self) -> str:
        """Open it."""
        return "saecli view {run} --open"


@dataclass(frozen=True, kw_only=True)
class PageResult(Result):
    """A page that is there."""

    schema: ClassVar[str] = "saecli.view-page/1"

    page: str = field_doc("Page", "The page, in the run directory or folder that is named.")
