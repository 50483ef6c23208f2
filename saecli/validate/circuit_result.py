"""What ``saecli validate GRAPH`` returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from saecli.core.errors import CheckFailed, SaecliError
from saecli.core.result import Result, field_doc
from saecli.validate.result import Estimate
from saecli.validate.wording import aligned, estimated, number

ALL: Final = "all"
_REDUNDANT: Final = 0.5
_CARRIES: Final = 0.8


@dataclass(frozen=True)
class CircuitScore:
    """A circuit, or the strongest part of it, by itself."""

    ablation: str = field_doc("Ablation", "What takes the place of what is left out: mean, zero or resample.")
    errors: str = field_doc("Errors", "Errors of dictionaries: as in the circuit, all kept, or all removed.")
    sites: str = field_doc("Sites", "Where anything is replaced: all sites of the graph, or those of one kind.")
    fraction: float = field_doc("Fraction", "Share of the graph's nodes, the strongest first; 1 is the circuit.")
    nodes: float = field_doc("Nodes", "Its nodes at these sites, mean over prompts; errors kept anyway not counted.")
    share: float = field_doc("Share", "Its features that fire, as a share of all features that fire there, 0 to 1.")
    metric: float = field_doc("Metric", "The metric with the circuit alone, mean over prompts.")
    empty: float = field_doc("Empty", "The metric with nothing of it, where faithfulness is 0.")
    faithfulness: Estimate = field_doc(
        "Faithfulness", "Share of the metric that the circuit alone recovers, interval over prompts."
    )
    completeness: Estimate = field_doc(
        "Completeness", "Share that everything but the circuit recovers: low where nothing is missing from it."
    )
    random: Estimate = field_doc(
        "Random", "Faithfulness of matched random circuits: mean, smallest and largest over draws."
    )
    all_features: float | None = field_doc(
        "All features", "Faithfulness of every feature together: 1 unless errors are removed."
    )


@dataclass(frozen=True, kw_only=True)
class CircuitResult(Result):
    """Circuits in numbers."""

    schema: ClassVar[str] = "saecli.validate-circuit/1"

    graphs: list[str] = field_doc("Graphs", "The graphs, as they were named.")
    model: str = field_doc("Model", "The model.")
    suite: str = field_doc("Suite", "The dictionaries.")
    sites: list[str] = field_doc("Sites", "Sites of the graph, in order of computation.")
    metric: str = field_doc("Metric", "What faithfulness is a share of.")
    targets: list[str] = field_doc("Targets", "What is explained, per prompt.")
    prompts: int = field_doc("Prompts", "Prompts measured on.")
    own: bool = field_doc("Own", "Whether they are the graphs' own prompts; otherwise held-out ones.")
    prompts_file: str = field_doc("Prompts file", "The file of --prompts that they are of; empty without.")
    data: str = field_doc("Data", "What means, resampled activations and held-out prompts are of.")
    reference_prompts: int = field_doc("Reference prompts", "Prompts behind the means.")
    draws: int = field_doc("Draws", "Random circuits per circuit.")
    features: int = field_doc("Features", "Features of the graphs, all together.")
    errors: int = field_doc("Errors", "Errors of the graphs.")
    active: float = field_doc("Active", "Features that fire on a prompt at the sites, mean over prompts.")
    value: float = field_doc("Value", "The metric of the model, mean over prompts.")
    ablation: str = field_doc("Ablation", "That of the curve.")
    policy: str = field_doc("Policy", "What becomes of errors where a single number is asked for.")
    scores: list[CircuitScore] = field_doc("Scores", "The whole circuit, per ablation, policy and kind of site.")
    curve: list[CircuitScore] = field_doc("Curve", "Parts of it, the strongest nodes first.")
    redundant: bool = field_doc("Redundant", "Faithful, but what is left out would do as well.")
    min_faithfulness: float | None = field_doc("Min faithfulness", "What was asked for; null if nothing.")
    files: list[str] = field_doc("Files", "Files in the run directory.")

    @property
    def chosen(self) -> CircuitScore:
        """The score that ``--ablation`` and ``--errors`` choose."""
        return next(
            one for one in self.scores if (one.ablation, one.errors, one.sites) == (self.ablation, self.policy, ALL)
        )

    def summary_lines(self) -> list[str]:
        """What was measured, one aligned table, and what to think of it."""
        what = "a circuit graph" if len(self.graphs) == 1 else f"{len(self.graphs)} circuit graphs"
        where = "its own prompt" if len(self.graphs) == 1 else "their own prompts"
        if not self.own:
            where = f"{self.prompts} held-out prompts of {self.data}"
        if self.prompts_file:
            where = f"{self.prompts} prompts of {self.prompts_file}" + (", its own" if self.own else "")
        why = self.targets[0] if len(set(self.targets)) == 1 else "the target"
        rows = [("ablation", "errors", "sites", "nodes", "nothing", "faithful", "without it", "random", "all features")]
        rows += [
            (
                one.ablation,
                {"circuit": "as in circuit"}.get(one.errors, one.errors),
                one.sites,
                f"{one.nodes:,.0f}",
                f"{one.empty:+.2f}",
                estimated(one.faithfulness),
                estimated(one.completeness),
                estimated(one.random),
                number(one.all_features),
            )
            for one in self.scores
        ]
        return [
            f"{' '.join(self.graphs)}: {what} of {self.model}, why {why}?  Measured on {where}, "
            f"{self.metric} = {self.value:+.3f}",
            f"{self.features:,} features and {self.errors:,} errors at {len(self.sites)} sites; "
            f"{self.active:,.0f} features fire on a prompt",
            "",
            *aligned(rows),
            "",
            *self._remarks(),
        ]

    def _remarks(self) -> Iterator[str]:
        for policy in dict.fromkeys(one.errors for one in self.curve):
            points = [one for one in self.curve if one.errors == policy]
            enough = [one for one in points if (one.faithfulness.value or 0) >= _CARRIES]
            how = {"circuit": "errors as in the circuit", "kept": "all errors kept"}.get(policy, "all errors removed")
            if enough:
                one = min(enough, key=lambda one: one.fraction)
                yield (
                    f"{how}: {one.nodes:,.0f} nodes ({one.share:.1%} of the firing features) reach "
                    f"{estimated(one.faithfulness)}, random ones {estimated(one.random)}"
                )
            else:
                yield f"{how}: no part of the circuit reaches {_CARRIES}"
        if self.redundant:
            yield (
                "Redundant: the model does without this circuit what it does with it alone; what backs it up is not in "
                "the graph."
            )
        if self.min_faithfulness is not None and self.failure() is None:
            yield f"--min-faithfulness {self.min_faithfulness:g} holds"

    def next_command(self) -> str:
        """Look at the curve."""
        return "look at {run}/circuit-curve.svg"

    def failure(self) -> SaecliError | None:
        """Not as faithful as asked for; where it is undefined neither."""
        value = self.chosen.faithfulness.value
        if self.min_faithfulness is None or (value is not None and value >= self.min_faithfulness):
            return None
        return CheckFailed(
            f"--min-faithfulness {self.min_faithfulness:g} fails: with {self.ablation} ablation and errors "
            f"{ {'circuit': 'as in the circuit'}.get(self.policy, self.policy) } it is {number(value, 4)}.",
            "A graph with more nodes (saecli trace --keep) or errors kept (--errors kept) may reach it.",
        )


def is_redundant(score: CircuitScore) -> bool:
    """Whether the circuit alone, and all the rest alone, both do half of the job or more."""
    ratios = score.faithfulness.value, score.completeness.value
    return all(value is not None and value >= _REDUNDANT for value in ratios)
