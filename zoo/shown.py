"""What ``saecli zoo show`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from saecli.core.errors import CheckFailed
from saecli.core.result import Result, field_doc

if TYPE_CHECKING:
    from torch import Tensor

_HEADINGS: Final = ("name", "site", "architecture", "sizes", "encoder norms", "decoder norms", "thresholds", "recorded")
_RECORDED: Final = {
    "l0": "L0",
    "variance_explained": "variance explained",
    "dead_share": "dead",
    "jacobian": "Jacobian",
}
_UNIT: Final = 1e-3
"""How far the norms of decoder rows may lie from 1 to be called unit norms."""


@dataclass(frozen=True)
class Spread:
    """Least, middle and largest of a dictionary's numbers."""

    least: float
    median: float
    largest: float

    @classmethod
    def of(cls, values: Tensor) -> Spread:
        values = values.float().flatten()
        return cls(float(values.min()), float(values.median()), float(values.max()))

    def __str__(self) -> str:
        if self.largest - self.least <= _UNIT * abs(self.largest):
            return f"{self.median:.4g}"
        return f"{self.least:.3g}..{self.median:.3g}..{self.largest:.3g}"


@dataclass(frozen=True)
class ShownDictionary:
    """One dictionary."""

    name: str
    architecture: str
    reads: str
    writes: str
    d_in: int
    n_latents: int
    d_out: int
    options: dict[str, Any]
    encoder_norms: Spread
    decoder_norms: Spread
    thresholds: Spread | None
    measured: dict[str, float]
    notes: list[str]


@dataclass(frozen=True)
class ShownProbe:
    """One dictionary on its model."""

    site: str
    tokens: int
    l0: float
    variance_explained: float
    recorded_l0: float | None
    recorded_variance_explained: float | None
    ok: bool
    reason: str

    def __str__(self) -> str:
        def against(value: float | None) -> str:
            return "" if value is None else f" (recorded {value:.3g})"

        return (
            f"{self.site}: L0 {self.l0:.3g}{against(self.recorded_l0)}, variance explained "
            f"{self.variance_explained:.3g}{against(self.recorded_variance_explained)}, {self.tokens:,} tokens"
        )


@dataclass(frozen=True, kw_only=True)
class ShowResult(Result):
    """What something is."""

    schema: ClassVar[str] = "saecli.show/1"

    target: str = field_doc("Target", "What was asked for.")
    kind: str = field_doc("Kind", "model, dictionaries, connections, graph, shards or data.")
    format: str = field_doc("Format", "The format on disk; empty for a name that is not here yet.")
    facts: dict[str, Any] = field_doc("Facts", "What is known beside the dictionaries.")
    dictionaries: list[ShownDictionary] = field_doc("Dictionaries", "One entry each; norms are of rows.")
    probed_on: str = field_doc("Probed on", "With --probe: the model.", default="")
    probe: list[ShownProbe] = field_doc("Probe", "With --probe: each dictionary on about 1,000 tokens.", default=())
    notes: list[str] = field_doc("Notes", "What is odd.")

    def summary_lines(self) -> list[str]:
        lines = [f"{self.target}: {self.kind}" + (f", {self.format}" if self.format else "")]
        lines += [
            f"  {name.replace('_', ' ')}: {value}" for name, value in self.facts.items() if value not in ("", None)
        ]
        lines += _table(self.dictionaries) if self.dictionaries else []
        for row in self.probe:
            lines += [f"probe {row}", *([] if row.ok else [f"    failed: {row.reason}"])]
        return lines + [f"Note: {note}" for note in self.notes]

    def failure(self) -> CheckFailed | None:
        from zoo.probing import failed_probe

        reasons = [row.reason for row in self.probe if not row.ok]
        return failed_probe(reasons, len(self.probe), self.target, self.probed_on) if reasons else None


def _table(dictionaries: Sequence[ShownDictionary]) -> list[str]:
    """One line per dictionary, aligned, and the notes of each below it."""
    rows = [_HEADINGS, *(_cells(one) for one in dictionaries)]
    kept = [column for column in range(len(_HEADINGS)) if any(row[column] for row in rows[1:])]
    widths = {column: max(len(row[column]) for row in rows) for column in kept}
    lines = ["  ".join(row[column].ljust(widths[column]) for column in kept).rstrip() for row in rows]
    return lines[:1] + [
        text
        for line, one in zip(lines[1:], dictionaries, strict=True)
        for text in (line, *(f"    note: {note}" for note in one.notes))
    ]


def _cells(one: ShownDictionary) -> tuple[str, ...]:
    options = [f"{key}={value}" for key, value in one.options.items() if not isinstance(value, list | dict)]
    recorded = [f"{short} {one.measured[name]:.3g}" for name, short in _RECORDED.items() if name in one.measured]
    return (
        one.name if one.name not in (one.reads, "") else "",
        one.reads if one.reads == one.writes else f"{one.reads}>{one.writes}",
        " ".join([one.architecture, *options]),
        f"{one.d_in}>{one.n_latents}>{one.d_out}",
        str(one.encoder_norms),
        str(one.decoder_norms),
        "" if one.thresholds is None else str(one.thresholds),
        ", ".join(recorded),
    )
