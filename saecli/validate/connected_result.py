"""What ``saecli validate SUITE --connections`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.result import Result, field_doc
from saecli.validate.result import Estimate
from saecli.validate.wording import aligned, estimated, number


@dataclass(frozen=True)
class ConnectedSet:
    """One set of connections."""

    name: str = field_doc("Name", "all, none, or how many were kept.")
    rule: str = field_doc("Rule", "per-feature, overall or all.")
    limit: int | None = field_doc("Limit", "How many were kept, of each feature or overall; null if unknown or all.")
    edges: int = field_doc("Edges", "Number of connections.")
    ce: Estimate = field_doc("CE", "Cross-entropy of the next token through the connections, nats.")
    ce_increase: Estimate = field_doc("CE increase", "That minus the model's.")
    ce_recovered: Estimate = field_doc(
        "CE recovered", "(CE of the embedding alone - CE) / (CE of the embedding alone - CE of the model)."
    )
    kl: Estimate = field_doc("KL", "Of the model's predictions from those through the connections, nats per token.")
    fvu: float = field_doc("FVU", "Fraction of variance unexplained, mean over modules.")
    l0: float = field_doc("L0", "Active features per token and module.")
    dead_share: float = field_doc("Dead", "Share of features that never fire on these sequences, mean over modules.")
    edges_used: Estimate = field_doc(
        "Edges used", "Connections per token that join two active features, all modules; null of all connections."
    )
    random_ce: Estimate | None = field_doc(
        "Random CE", "CE with as many random connections per row: mean, smallest and largest over draws; null if none."
    )
    better_than_random: Estimate | None = field_doc(
        "Better than random", "CE with random connections, mean over draws, minus CE; interval over sequences."
    )


@dataclass(frozen=True)
class ConnectedModule:
    """One module with one set of connections."""

    name: str = field_doc("Name", "The set.")
    site: str = field_doc("Site", "The site that the module reads.")
    latents: int = field_doc("Latents", "Its features.")
    fvu: Estimate = field_doc("FVU", "Fraction of variance unexplained through the connections.")
    fvu_alone: Estimate = field_doc("FVU alone", "The same of the dictionary on the model's own activations.")
    l0: float = field_doc("L0", "Active features per token.")
    dead_share: float = field_doc("Dead", "Share of features that never fire on these sequences.")
    edges_used: float | None = field_doc("Edges used", "Connections per token that join two active features.")


@dataclass(frozen=True, kw_only=True)
class ConnectedResult(Result):
    """What a suite keeps of its model through its connections."""

    schema: ClassVar[str] = "saecli.validate-connections/1"

    model: str = field_doc("Model", "The model.")
    suite: str = field_doc("Suite", "The dictionaries.")
    data: str = field_doc("Data", "What it read.")
    sequences: int = field_doc("Sequences", "Held-out sequences.")
    tokens: int = field_doc("Tokens", "Predictions measured.")
    score: str = field_doc("Score", "By what the connections were chosen; empty if unknown.")
    draws: int = field_doc("Draws", "Random sets of connections per set.")
    ce_model: Estimate = field_doc("CE of the model", "Nats per token.")
    ce_embedding: Estimate = field_doc("CE of the embedding", "With nothing written by any module.")
    sets: list[ConnectedSet] = field_doc("Sets", "All connections, each set asked for, none.")
    modules: list[ConnectedModule] = field_doc("Modules", "Every module with every set.")
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """One line per set."""
        rows = [("connections", "edges", "CE", "recovered", "FVU", "dead", "used per token", "random CE")]
        for one in self.sets:
            rows.append(
                (
                    one.name,
                    f"{one.edges:,}",
                    estimated(one.ce),
                    number(one.ce_recovered.value),
                    number(one.fvu),
                    f"{one.dead_share:.1%}",
                    number(one.edges_used.value, 0) if one.edges_used.value is not None else "",
                    "" if one.random_ce is None else estimated(one.random_ce),
                )
            )
        return [
            f"{self.model} through {self.suite} on {self.sequences} held-out sequences of {self.data}: CE of the model "
            f"{estimated(self.ce_model)}, of the embedding alone {number(self.ce_embedding.value)}",
            "",
            *aligned(rows),
        ]
