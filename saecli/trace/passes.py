"""The passes of a trace: each question through the model, and what is known of all of them together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch

from saecli.asking.question import Question, device_of
from saecli.attribution.clean import CleanRun, Prompt, clean_runs
from saecli.attribution.direct import DirectRun, direct_run
from saecli.attribution.direct_replacement import require_linear
from saecli.attribution.integrated import integrate
from saecli.attribution.metric import FeatureMetric
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.ranks import Ranks
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.trace.baseline import Baselines
from saecli.trace.config import TraceConfig

WIDE_GAP = 0.05
"""From here on the user is told that the steps of integrated gradients are few."""

VECTORS = 1 << 21
"""Numbers at one site and position, times sites, times positions, of the prompts that are run together."""


class Passes:
    """Runs questions.

    Args:
        config: The user's choices.
        model, suite, sites: What is traced.
        progress: Told what is going on.

    Attributes:
        sites: Where dictionaries are traced.
        stands_in: What took the place of what was removed.
    """

    def __init__(
        self, config: TraceConfig, model: HookedModel, suite: Suite, sites: Sequence[Site], progress: Progress
    ) -> None:
        self.config, self.model, self.suite, self.progress = config, model, suite, progress
        self.sites = tuple(sites)
        self.stands_in = "zero"
        self._chosen = suite.some(sites)
        self._baselines = Baselines(config, model, self._chosen, suite.info.bos, progress)
        self._values: dict[int, float] = {}
        self._others: dict[int, float] = {}
        self._gaps: dict[Site, float] = {}

    def run(self, question: Question) -> CleanRun:
        """The unmodified pass; with ``ig`` its gradients and effects are those along the path.

        An edge is then what passes directly at the unmodified input, as in Marks et al. 2024.
        """
        return next(self.each([question]))

    def each(self, questions: Sequence[Question]) -> Iterator[CleanRun]:
        """The same of many questions in their order, several in one pass of the model and the dictionaries."""
        size = len(self.sites) * self.model.info.d_model * max(len(question.tokens_S) for question in questions)
        step = max(1, VECTORS // size)
        for start in range(0, len(questions), step):
            together = questions[start : start + step]
            prompts = [self._prompt(question) for question in together]
            runs = clean_runs(self.model, self._chosen, prompts, live_norms=self.config.norms == "live")
            yield from map(self._finished, together, runs)

    def _prompt(self, question: Question) -> Prompt:
        stand_in = None if self.config.method == "search" else self._baselines.of(question)
        metric = question.metric
        frozen = self.config.norms != "live" and self.config.method in (None, "gradient", "ig")
        if frozen and isinstance(metric, FeatureMetric):
            metric = metric.frozen(self.model, question.tokens_S)
        return Prompt(question.tokens_S, metric, stand_in)

    def _finished(self, question: Question, clean: CleanRun) -> CleanRun:
        stand_in = clean.stand_in
        self._values[id(question)] = clean.value
        if stand_in is not None:
            self.stands_in = stand_in.name
            if stand_in.value is not None:
                self._others[id(question)] = stand_in.value
        if self.config.method != "ig":
            return clean
        told = self.progress if self.config.prompts is None else silent
        done = integrate(clean, steps=self.config.steps, rule=self.config.rule, progress=told)  # type: ignore[arg-type]
        for site, gap in done.gaps().items():
            self._gaps[site] = max(gap, self._gaps.get(site, 0.0))
        return done.clean

    def replaced(self, question: Question) -> DirectRun:
        """The pass in the local replacement model.

        Raises:
            UsageError: A dictionary that stands in for no module.
        """
        require_linear({site: self.suite.configs[site] for site in self.sites})
        found = direct_run(self.model, self._chosen, question.tokens_S, question.metric)
        self._values[id(question)] = found.value
        return found

    def share(self, ranks: Ranks) -> None:
        """Know what the passes of all processes found."""
        if ranks.size == 1:
            return
        self._values, self._others = (_gathered(found, self.device, ranks) for found in (self._values, self._others))
        gaps_1N = torch.tensor([[self._gaps.get(site, -1.0) for site in self.sites]], dtype=torch.float64)
        gaps_N = ranks.gather_rows(gaps_1N.to(self.device)).amax(0).tolist()
        self._gaps = {site: gap for site, gap in zip(self.sites, gaps_N, strict=True) if gap >= 0}

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return device_of(self.model)

    @property
    def value(self) -> float:
        """The metric, mean over questions."""
        return math.fsum(self._values.values()) / len(self._values)

    @property
    def totals(self) -> dict[str, float]:
        """What the graph records beside its sums of effects."""
        found = {}
        if self._others:
            found["patched_value"] = math.fsum(self._others.values()) / len(self._others)
        if self._gaps:
            found["gap"] = max(self._gaps.values())
        return found

    def tell(self) -> None:
        """Tell the user if effects do not add up."""
        worst = max(self._gaps, key=lambda site: self._gaps[site], default=None)
        if worst is not None and self._gaps[worst] > WIDE_GAP:
            self.progress(
                f"the effects at {self.suite.label(worst)} miss {self._gaps[worst]:.0%} of what its removal changes: "
                f"raise --steps above {self.config.steps}"
            )


def _gathered(mine: Mapping[int, float], device: torch.device, ranks: Ranks) -> dict[int, float]:
    found_N = ranks.gather_rows(torch.tensor([*mine.values()], dtype=torch.float64, device=device))
    return dict(enumerate(found_N.tolist()))
