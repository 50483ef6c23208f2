"""What ``saecli trace`` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from saecli.core.result import Result, field_doc


@dataclass(frozen=True)
class SearchedSite:
    """What a search found at one site.

    Attributes:
        site: Its label.
        features: Features kept.
        active: Features that fire there.
        divergence: KL divergence in nats with those kept.
        all: The same with every feature kept, that of the dictionary itself.
        none: The same with none.
        reached: Whether it is below the threshold.
        tokens: Positions whose features were candidates.
    """

    site: str
    features: int
    active: int
    divergence: float
    all: float
    none: float
    reached: bool
    tokens: list[int]

    def line(self) -> str:
        """In words."""
        missed = "" if self.reached else ", above the threshold"
        return (
            f"{self.site}: {self.features} of {self.active:,} active features keep it within {self.divergence:.3g} nats"
            f"{missed} (all: {self.all:.3g}, none: {self.none:.3g})"
        )


def searched_sites(found: Mapping[str, Any] | None) -> list[SearchedSite] | None:
    """From what the graph's settings say of a search."""
    return None if found is None else [SearchedSite(site=site, **one) for site, one in found["sites"].items()]


@dataclass(frozen=True, kw_only=True)
class TraceResult(Result):
    """A circuit graph in numbers."""

    schema: ClassVar[str] = "saecli.trace/1"

    model: str = field_doc("Model", "The model traced.")
    suite: str = field_doc("Suite", "The dictionaries used.")
    sites: list[str] = field_doc("Sites", "Labels of the dictionaries' sites, in order of computation.")
    method: str = field_doc("Method", "gradient, ig, ablation, exact or search.")
    target: str = field_doc("Target", "What is explained.")
    metric: str = field_doc("Metric", "What effects are measured in.")
    value: float = field_doc("Value", "The metric on the unmodified input.")
    patched_value: float | None = field_doc(
        "Patched value", "The metric on the input that stands in for what is removed; null without one."
    )
    tokens: list[int] = field_doc("Tokens", "The traced input; empty for many prompts.")
    prompts: int = field_doc("Prompts", "How many prompts were traced.")
    nodes: int = field_doc("Nodes", "Nodes kept, target and tokens included.")
    edges: int = field_doc("Edges", "Edges kept.")
    active: int = field_doc("Active", "Active features and errors at the chosen sites before any choice.")
    coverage: float = field_doc("Coverage", "Share of their total absolute effect that the kept ones carry, 0 to 1.")
    error_share: float | None = field_doc(
        "Error share",
        "Share of that total carried by what the dictionaries do not explain; null if errors were not removed.",
    )
    gap: float | None = field_doc(
        "Gap",
        "Of integrated gradients: how far the effects of a site are, at most, from what the removal of all of it "
        "changes, relative to that; null with other methods.",
    )
    searched: list[SearchedSite] | None = field_doc(
        "Searched", "Of a search, what was found at each site; null with other methods."
    )
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """What was found, in a few lines."""
        what = "active features" if self.error_share is None else "active features and errors"
        errors = "" if self.error_share is None else f" ({self.error_share:.0%} lies in errors)"
        patched = "" if self.patched_value is None else f", {self.patched_value:+.3f} on the other input"
        if self.searched is not None:
            return [
                f"{self.model}: what keeps {self.target}?",
                *(one.line() for one in self.searched),
                f"{self.edges} edges",
            ]
        gap = [] if self.gap is None else [f"effects add up to the removal of each site within {self.gap:.1%}"]
        return [
            f"{self.model}: why {self.target}?  {self.metric} = {self.value:+.3f}{patched}",
            f"sites {' '.join(self.sites)}",
            f"{self.nodes} nodes, {self.edges} edges; they carry {self.coverage:.0%} of the absolute effect of "
            f"{self.active:,} {what}{errors}",
            *gap,
        ]

    def next_command(self) -> str:
        """Where to look."""
        return "open {run}/graph.html in a browser"
