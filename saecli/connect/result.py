"""What ``saecli connect`` returns."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar

from saecli.connect.config import PAIR_SCORES
from saecli.core.result import Result, field_doc, table_lines


@dataclass(frozen=True)
class ChosenFile:
    """One file of connections."""

    file: str = field_doc("File", "Its name in the run directory.")
    rule: str = field_doc("Rule", "What was kept: the strongest per-feature, overall, or all.")
    limit: int | None = field_doc("Limit", "How many; null if all.")
    connections: int = field_doc("Connections", "How many there are.")
    possible: int = field_doc("Possible", "Pairs of features that could be connected.")
    connected: int = field_doc("Connected", "Downstream features with a connection at least.")
    kept: float | None = field_doc(
        "Kept",
        "Share of the sizes of all scores of a feature that its connections have, mean over features with any score; "
        "null for random connections and all.",
    )
    overlap: float | None = field_doc(
        "Overlap",
        "Share of the connections chosen on one half of the data that the other half chooses too: mean over features, "
        "or for overall that of the whole choice; null without data, for random connections and all.",
    )


@dataclass(frozen=True)
class ModuleRow:
    """One downstream module."""

    site: str = field_doc("Site", "What it reads.")
    features: int = field_doc("Features", "Its features (tokens, of the logits).")
    scored: int = field_doc("Scored", "Features with a score that is not 0.")
    upstream: int = field_doc("Upstream", "Features upstream of it.")
    correlation: float | None = field_doc(
        "Correlation",
        "Spearman's rank correlation of the sizes of scores on both halves of the data, over the connections that are "
        "among a feature's strongest on either, at the largest --c (100 without); mean over features.",
    )


@dataclass(frozen=True, kw_only=True)
class ConnectResult(Result):
    """Connections of a suite."""

    schema: ClassVar[str] = "saecli.connect/1"

    model: str = field_doc("Model", "The model.")
    suite: str = field_doc("Suite", "Its dictionaries.")
    data: str = field_doc("Data", "What was read; empty if nothing.")
    sequences: int = field_doc("Sequences", "Sequences read.")
    tokens: int = field_doc("Tokens", "Tokens read.")
    held_out: int = field_doc("Held out", "How many of the sequences were never trained on.")
    score: str = field_doc("Score", "What made a connection important.")
    chosen: list[ChosenFile] = field_doc("Chosen", "The connections, by rule, fewest first.")
    modules: list[ModuleRow] = field_doc("Modules", "The downstream modules, in the order of computation.")
    correlation: float | None = field_doc(
        "Correlation", "The rank correlation of both halves of the data, mean over the features of all modules."
    )
    files: list[str] = field_doc("Files", "Files of the run.")

    def summary_lines(self) -> list[str]:
        """One line per file."""
        read = f" on {self.tokens:,} tokens of {self.data}" if self.data else ""
        lines = [f"Connections of {self.suite}, {self.score}{read}"]
        rows = [("file", "connections", "of possible", "importance", "halves agree")]
        for one in self.chosen:
            share = one.connections / one.possible if one.possible else 0.0
            rows.append((one.file, f"{one.connections:,}", f"{share:.2%}", _percent(one.kept), _percent(one.overlap)))
        lines += [f"  {line}" for line in table_lines(rows)]
        if self.correlation is not None:
            lines.append(f"Rank correlation of both halves of the data: {self.correlation:.3f}")
        return lines

    def next_command(self) -> str:
        """Train the suite through the most of them; of a pair of sites, measure what its edges carry."""
        if self.score in PAIR_SCORES and self.chosen:
            last = self.chosen[-1]
            counts = "" if last.connections == last.possible else f" --counts {last.connections}"
            return f"saecli validate {shlex.quote(self.suite)} --edges {{run}}/{last.file}{counts}"
        numbered = any(one.rule == "per-feature" for one in self.chosen)
        where = "{run}" if numbered or not self.chosen else f"{{run}}/{self.chosen[0].file}"
        return f"saecli finetune {shlex.quote(self.suite)} --connections {where}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
