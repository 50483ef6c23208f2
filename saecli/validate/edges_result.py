"""What ``saecli validate SUITE --edges`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.result import Result, field_doc
from saecli.validate.result import Estimate
from saecli.validate.wording import aligned, estimated, number


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
class EdgesResult(Result):
    """What a model keeps when only the strongest edges between two sites carry information."""

    schema: ClassVar[str] = "saecli.validate-edges/1"

    model: str = field_doc("Model", "The model.")
    suite: str = field_doc("Suite", "The dictionaries.")
    data: str = field_doc("Data", "What it read.")
    pair: str = field_doc("Pair", "Source and target.")
    score: str = field_doc("Score", "By what the edges are ordered.")
    possible: int = field_doc("Possible", "Pairs of features.")
    sequences: int = field_doc("Sequences", "Held-out sequences.")
    tokens: int = field_doc("Tokens", "Predictions measured.")
    draws: int = field_doc("Draws", "Random orders.")
    ce_model: Estimate = field_doc("CE of the model", "Nats per token.")
    ce_none: Estimate = field_doc("CE without edges", "With the target dictionary's bias alone.")
    ce_dictionary: Estimate = field_doc(
        "CE of the dictionary", "The target replaced by its own reconstruction, without any source."
    )
    kl_dictionary: Estimate = field_doc("KL of the dictionary", "Of the model's predictions from those.")
    points: list[EdgePoint] = field_doc("Points", "Every number of edges, ascending: 0 first, all of them last.")
    area: Estimate = field_doc("Area", "Mean KL over the logarithm of the number of edges, without 0 (trapezium rule).")
    random_area: Estimate = field_doc("Random area", "The same in random order, mean over draws.")
    better_than_random: Estimate = field_doc("Better than random", "Random area - area, paired.")
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """One line per number of edges."""
        rows = [("edges", "KL", "KL to all edges", "CE", "recovered", "random KL")]
        for one in self.points:
            rows.append(
                (
                    f"{one.edges:,}",
                    estimated(one.kl),
                    number(one.kl_circuit.value),
                    number(one.ce.value),
                    number(one.ce_recovered.value),
                    number(one.random_kl.value),
                )
            )
        return [
            f"{self.pair} of {self.suite} on {self.sequences} held-out sequences of {self.data}, edges by {self.score}",
            f"CE of the model {estimated(self.ce_model)}, of its target dictionary {number(self.ce_dictionary.value)} "
            f"(KL {number(self.kl_dictionary.value)}), without edges {number(self.ce_none.value)}",
            "",
            *aligned(rows),
            "",
            f"Area (mean KL over log edges) {estimated(self.area)}, in random order {number(self.random_area.value)}",
        ]
