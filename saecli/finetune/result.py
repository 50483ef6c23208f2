"""What ``saecli finetune`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.result import Result, field_doc, table_lines

COLUMNS = ("connections", "CE before", "after", "gap closed", "FVU before", "after", "dead")


@dataclass(frozen=True, kw_only=True)
class Finetuned:
    """One suite, before and after."""

    suite: str = field_doc("Suite", "Its folder in the run directory; its connections lie in it.")
    rule: str = field_doc("Rule", "How its connections were kept: per-feature, overall or all.")
    limit: int | None = field_doc("Limit", "How many were kept, of each feature or overall; null if unknown or all.")
    edges: int = field_doc("Edges", "Number of connections.")
    ce_before: float = field_doc("CE before", "Cross-entropy through the connections, nats per token.")
    ce_after: float = field_doc("CE after", "The same after finetuning.")
    ce_change: float = field_doc("CE change", "After minus before.")
    ce_change_low: float = field_doc("CE change, low", "Lower bound of its 95 % interval over sequences.")
    ce_change_high: float = field_doc("CE change, high", "Upper bound.")
    gap_closed: float | None = field_doc(
        "Gap closed",
        "(CE before - after) / (CE before - CE with all connections before finetuning): the share of what pruning "
        "lost; null if pruning lost nothing.",
    )
    gap_closed_low: float | None = field_doc("Gap closed, low", "Lower bound of its 95 % interval over sequences.")
    gap_closed_high: float | None = field_doc("Gap closed, high", "Upper bound.")
    recovered_before: float = field_doc(
        "Recovered before", "(CE of the embedding alone - CE) / (CE of the embedding alone - CE of the model)."
    )
    recovered_after: float = field_doc("Recovered after", "The same after finetuning.")
    kl_before: float = field_doc("KL before", "Divergence of the model's predictions from the suite's, nats per token.")
    kl_after: float = field_doc("KL after", "The same after finetuning.")
    fvu_before: float = field_doc("FVU before", "Fraction of variance unexplained, mean over modules.")
    fvu_after: float = field_doc("FVU after", "The same after finetuning.")
    l0: float = field_doc("L0", "Active features per token and module, after finetuning.")
    dead_share: float = field_doc("Dead", "Share of features that never fire on the held-out sequences, after.")


@dataclass(frozen=True, kw_only=True)
class FinetuneResult(Result):
    """Finetuned suites in numbers."""

    schema: ClassVar[str] = "saecli.finetune/1"

    model: str = field_doc("Model", "The model whose modules the suite stands for.")
    suite: str = field_doc("Suite", "What finetuning began with.")
    loss: str = field_doc("Loss", "What was made small.")
    steps: int = field_doc("Steps", "Optimiser steps.")
    tokens: int = field_doc("Tokens", "Tokens seen.")
    ce_model: float = field_doc("CE of the model", "Nats per token, on the held-out sequences.")
    ce_all: float = field_doc("CE with all connections", "Of the suite before finetuning, every feature connected.")
    suites: list[Finetuned] = field_doc("Suites", "One per set of connections.")

    def summary_lines(self) -> list[str]:
        """Before and after, one line per suite."""
        rows: list[tuple[str, ...]] = [COLUMNS]
        for one in self.suites:
            if one.rule == "overall":
                kept = f"{one.edges:,} in all"
            else:
                kept = "all" if one.rule == "all" else f"{one.limit or '?'} per feature"
            rows.append(
                (
                    kept,
                    f"{one.ce_before:.3f}",
                    f"{one.ce_after:.3f}",
                    "none" if one.gap_closed is None else f"{one.gap_closed:.0%}",
                    f"{one.fvu_before:.3f}",
                    f"{one.fvu_after:.3f}",
                    f"{one.dead_share:.1%}",
                )
            )
        return [
            f"{self.model}: CE {self.ce_model:.3f}; through {self.suite} with all connections {self.ce_all:.3f}",
            *table_lines(rows),
        ]

    def next_command(self) -> str:
        """Measure the first of them."""
        folder = f"{{run}}/{self.suites[0].suite}"
        return f"saecli validate {folder} --connections {folder}"
