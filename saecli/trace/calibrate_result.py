"""What ``saecli trace --calibrate`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.result import Result, field_doc


@dataclass(frozen=True)
class CalibratedSite:
    """Thresholds of one dictionary."""

    site: str = field_doc("Site", "Label of its site.")
    features: int = field_doc("Features", "Its features.")
    above: int = field_doc("Above", "Those with a threshold above 0; of the others every activation counts.")
    quantiles: list[float] = field_doc("Quantiles", "Of these thresholds: 5, 50 and 95 %; empty if there are none.")


@dataclass(frozen=True, kw_only=True)
class CalibrateResult(Result):
    """Thresholds in numbers."""

    schema: ClassVar[str] = "saecli.trace-calibrate/1"

    model: str = field_doc("Model", "The model.")
    suite: str = field_doc("Suite", "The dictionaries.")
    data: str = field_doc("Data", "What it read.")
    sequences: int = field_doc("Sequences", "How many sequences.")
    tokens: int = field_doc("Tokens", "Their tokens, padding left out.")
    counted: int = field_doc("Counted", "Tokens that percentiles are over: those of the cluster, or all.")
    percentile: float = field_doc("Percentile", "Which one.")
    cluster: str | None = field_doc("Cluster", "Of how many clusters which one, k:n; null without.")
    cluster_tokens: list[str] = field_doc("Cluster tokens", "Its most common tokens.")
    sites: list[CalibratedSite] = field_doc("Sites", "One entry per dictionary.")
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """What was kept, and of how much."""
        lines = [
            f"{self.model}: percentile {self.percentile:g} of every feature's activation over {self.counted:,} tokens "
            f"of {self.data}, kept for --node-threshold calibrated"
        ]
        if self.cluster is not None:
            words = " ".join(f'"{text}"' for text in self.cluster_tokens)
            lines.append(f"cluster {self.cluster} of {self.tokens:,} tokens, most common: {words}")
        if (self.counted - 1) * (1 - self.percentile / 100) < 1:
            lines.append("of so few tokens that is nearly every feature's largest activation")
        for one in self.sites:
            spread = " to ".join(f"{value:.3g}" for value in one.quantiles[::2])
            lines.append(
                f"  {one.site}: {one.above:,} of {one.features:,} features above 0"
                + (f", most of them {spread}" if one.quantiles else "")
            )
        return lines

    def next_command(self) -> str:
        """Use them."""
        return f"saecli trace {self.model} --node-threshold calibrated"
