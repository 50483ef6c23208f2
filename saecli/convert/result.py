"""What ``saecli convert`` did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.result import Result, field_doc


@dataclass(frozen=True, kw_only=True)
class ShardsMade:
    """Text that became token shards."""

    vocabulary: str = field_doc("Vocabulary", "Name of the token vocabulary.")
    split: str = field_doc("Split", "Rule by which documents were held out: documents, head or names.")
    train_tokens: int = field_doc("Training tokens", "Tokens of the split train.")
    val_tokens: int = field_doc("Held-out tokens", "Tokens of the split val.")
    train_documents: int = field_doc("Training documents", "Documents of the split train, or parts that shards cut.")
    val_documents: int = field_doc("Held-out documents", "Documents of the split val, or parts that shards cut.")
    files: int = field_doc("Files", "Number of shards.")
    replaced: int = field_doc("Replaced", "Characters that the vocabulary lacks, written as '?'.")
    first_replaced: str = field_doc("First replaced", "Where the first of them is; empty without any.")

    def summary_lines(self) -> list[str]:
        """Sizes of the splits, and what was replaced."""
        lines = [
            f"train: {self.train_tokens:,} tokens, {self.train_documents:,} documents",
            f"val: {self.val_tokens:,} tokens, {self.val_documents:,} documents (split by {self.split})",
        ]
        if self.replaced:
            lines.append(f"{self.replaced:,} characters became '?'; the first: {self.first_replaced.rstrip(',')}")
        return lines


@dataclass(frozen=True, kw_only=True)
class ConvertResult(Result):
    """What was made of what."""

    schema: ClassVar[str] = "saecli.convert/1"

    to: str = field_doc("To", "What was to be made, as --to names it.")
    destination: str = field_doc("Destination", "The folder that was made, as it was given.")
    shards: ShardsMade | None = field_doc("Shards", "The token shards, if that is what was made.", default=None)
    steps: tuple[str, ...] = field_doc("Steps", "With --plan: what would be done; otherwise empty.", default=())

    def summary_lines(self) -> list[str]:
        """What was made, or with --plan what would be."""
        made = self.shards.summary_lines() if self.shards is not None else []
        return [*self.steps, *made, *([] if self.steps else [f"Made {self.destination}"])]

    def next_command(self) -> str:
        """Train on the shards."""
        if self.steps or self.shards is None:
            return ""
        return f"saecli train lm --data {self.destination}"
