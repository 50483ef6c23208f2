"""What ``saecli trace --rules`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.result import Result, field_doc


@dataclass(frozen=True, kw_only=True)
class LabelClass:
    """Labels that mean one thing to the target, over all games."""

    name: str = field_doc("Name", "The class.")
    says: str = field_doc("Says", "What its labels say.")
    share: float = field_doc("Share", "Share of the absolute effect of all active features, 0 to 1.")
    low: float = field_doc("Low", "Lower end of its 95 % interval over games.")
    high: float = field_doc("High", "Upper end of its 95 % interval over games.")
    random: float = field_doc(
        "Random", "The share if effects were dealt out at random among the features active at a site and position."
    )
    features: float = field_doc("Features", "Share of the active features.")
    helps: float | None = field_doc("Helps", "Share of its effect that helps the target; null if it has none.")


@dataclass(frozen=True, kw_only=True)
class RulesResult(Result):
    """Whether the features that carry the target are those that the rules speak of."""

    schema: ClassVar[str] = "saecli.trace-rules/1"

    model: str = field_doc("Model", "The model traced.")
    suite: str = field_doc("Suite", "The dictionaries used.")
    sites: list[str] = field_doc("Sites", "Labels of the dictionaries' sites.")
    method: str = field_doc("Method", "gradient or ig.")
    games: int = field_doc("Games", "Games traced, each at one of its moves.")
    active: int = field_doc("Active", "Active features over all games.")
    error_share: float = field_doc("Error share", "Share of all absolute effect that lies in errors.")
    classes: list[LabelClass] = field_doc("Classes", "Classes of labels.")
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """A table."""
        lines = [
            f"{self.model}, {self.games} games, {self.active:,} active features by {self.method}: "
            "shares of their absolute effect on the target",
            f"{'effect':>8} {'95 %':>13} {'random':>7} {'helps':>6}  label says that",
        ]
        for one in self.classes:
            helps = "" if one.helps is None else f"{one.helps:.0%}"
            lines.append(
                f"{one.share:>8.1%} {one.low:>6.1%}–{one.high:<6.1%} {one.random:>7.1%} {helps:>6}  {one.says}"
            )
        return lines

    def next_command(self) -> str:
        """Where to look."""
        return "open {run}/rules.html in a browser"
