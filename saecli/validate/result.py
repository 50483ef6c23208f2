"""What ``saecli validate`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from saecli.core.errors import CheckFailed, SaecliError
from saecli.core.result import Result, field_doc
from saecli.validate.wording import aligned, estimated, number

CHOSEN = "chosen"
"""Folder of the suite that was chosen."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval."""

    value: float | None = field_doc("Value", "The number; null where it is not defined.")
    low: float | None = field_doc("Low", "Lower end of the 95 % interval over sequences; null where none is known.")
    high: float | None = field_doc("High", "Upper end of it.")


@dataclass(frozen=True)
class MeasuredSite:
    """One dictionary."""

    suite: str = field_doc("Suite", "The suite it belongs to.")
    site: str = field_doc("Site", "The site it writes, in the suite's own numbers.")
    kind: str = field_doc("Kind", "Kind of that site.")
    arch: str = field_doc("Architecture", "Its architecture.")
    latents: int = field_doc("Latents", "Number of its features.")
    components: int = field_doc("Components", "Principal components and random directions of the controls: L0 rounded.")
    metrics: dict[str, Estimate] = field_doc("Metrics", "By name; the names are those of sites.csv and --require.")
    density_quantiles: list[float] = field_doc(
        "Density quantiles",
        "log10 of the share of tokens at which a feature is active: 5, 25, 50, 75 and 95 % of the live features.",
    )
    density_counts: list[int] = field_doc("Density counts", "Live features per bin of density_edges.")


@dataclass(frozen=True)
class MeasuredGroup:
    """Sites replaced together."""

    suite: str = field_doc("Suite", "The suite.")
    group: str = field_doc("Group", "A kind of site, or all.")
    sites: list[str] = field_doc("Sites", "The sites replaced.")
    metrics: dict[str, Estimate] = field_doc("Metrics", "By name.")


@dataclass(frozen=True)
class Difference:
    """A suite minus the first one at a site that both have, in the same resamples of the same sequences."""

    suite: str = field_doc("Suite", "The suite.")
    minus: str = field_doc("Minus", "The first suite.")
    site: str = field_doc("Site", "The site, or the group of sites replaced together.")
    metrics: dict[str, Estimate] = field_doc("Metrics", "Differences by name.")


@dataclass(frozen=True)
class Required:
    """One ``--require``."""

    text: str = field_doc("Text", "As it was asked for.")
    holds: bool = field_doc("Holds", "Whether every chosen site keeps it.")
    suite: str = field_doc("Suite", "Suite of the site where it is closest to failing, or fails most.")
    site: str = field_doc("Site", "That site.")
    value: float | None = field_doc("Value", "The metric there; null where it is not defined.")


@dataclass(frozen=True, kw_only=True)
class ValidateResult(Result):
    """Suites in numbers."""

    schema: ClassVar[str] = "saecli.validate/1"

    model: str = field_doc("Model", "The model.")
    data: str = field_doc("Data", "What it read.")
    sequences: int = field_doc("Sequences", "Held-out sequences measured.")
    n_ctx: int = field_doc("Context", "Positions per sequence.")
    tokens: int = field_doc("Tokens", "Predictions measured.")
    firing_tokens: int = field_doc("Firing tokens", "Tokens at which a dead feature stayed silent.")
    ce: Estimate = field_doc("CE", "Cross-entropy of the model itself, nats.")
    allowed: Estimate | None = field_doc("Allowed", "Rate of allowed most likely tokens; null without rules.")
    suites: list[str] = field_doc("Suites", "The suites.")
    density_edges: list[float] = field_doc("Density edges", "Edges of the bins of log10 feature density.")
    sites: list[MeasuredSite] = field_doc("Sites", "One entry per suite and site.")
    compound: list[MeasuredGroup] = field_doc("Compound", "Sites replaced together.")
    differences: list[Difference] = field_doc("Differences", "Every further suite against the first.")
    required: list[Required] = field_doc("Required", "What --require asked for.")
    chosen: str | None = field_doc("Chosen", "The suite that --choose kept; null without it.", default=None)
    files: list[str] = field_doc("Files", "Files in the run directory.")

    def summary_lines(self) -> list[str]:
        """One aligned table per suite, what sites do together, differences and requirements."""
        legal = "" if self.allowed is None else f", most likely token allowed {estimated(self.allowed)}"
        lines = [
            f"{self.model} on {self.sequences} held-out sequences of {self.data} ({self.tokens:,} predictions): "
            f"CE {estimated(self.ce)}{legal}",
        ]
        for suite in self.suites:
            lines += ["", suite, *self._sites(suite), *self._groups(suite)]
        for one in self.differences:
            if one.site == "all" and "compound_ce_increase" in one.metrics:
                change = one.metrics["compound_ce_increase"]
                lines += ["", f"{one.suite} minus {one.minus}: CE increase of all sites together {estimated(change)}"]
        if self.chosen is not None:
            lines += ["", f"Chosen: {self.chosen}"]
        if self.required:
            lines.append("")
        for one in self.required:
            word = "holds" if one.holds else "fails"
            lines.append(f"{one.text} {word}: {number(one.value)} at {one.site} of {one.suite}")
        return lines

    def _sites(self, suite: str) -> list[str]:
        rows = [("site", "L0", "variance expl.", "PCA", "CE recovered", "CE increase", "allowed", "dead*")]
        for one in self.sites:
            if one.suite == suite:
                of = one.metrics
                rows.append(
                    (
                        one.site,
                        number(of["l0"].value, 1),
                        estimated(of["variance_explained"]),
                        number(of["pca_variance_explained"].value),
                        estimated(of["ce_recovered"]),
                        estimated(of["ce_increase"]),
                        number(of["allowed_kept"].value) if "allowed_kept" in of else "-",
                        number(of["dead_share"].value),
                    )
                )
        if all(row[6] == "-" for row in rows[1:]):
            rows = [(*row[:6], row[7]) for row in rows]
        return [*aligned(rows), f"  * silent at all of {self.firing_tokens:,} tokens"]

    def _groups(self, suite: str) -> list[str]:
        lines = []
        for one in self.compound:
            if one.suite == suite:
                increase, single = one.metrics["compound_ce_increase"], one.metrics["compound_single_increases"]
                lines.append(
                    f"{one.group} together ({len(one.sites)} sites): CE increase {estimated(increase)}, "
                    f"single ones sum to {estimated(single)}"
                )
        return lines

    def next_command(self) -> str:
        """Trace with the first suite, where positions are moves of Othello; connect the chosen one."""
        if self.chosen is not None:
            return f"saecli connect {self.model} --suite {{run}}/{CHOSEN} --pair SITE:SITE"
        return f"saecli trace {self.model} --suite {self.suites[0]}" if self.data == "othello" else ""

    def failure(self) -> SaecliError | None:
        """The first requirement that does not hold."""
        failed = [one for one in self.required if not one.holds]
        if not failed:
            return None
        one, more = failed[0], len(failed) - 1
        also = f" ({more} more {'fails' if more == 1 else 'fail'})" if more else ""
        return CheckFailed(
            f"--require {one.text} fails at {one.site} of {one.suite}, where it is {number(one.value, 4)}{also}.",
            "The table says what every site reaches.",
        )
