"""Do traced circuits carry the behaviour? Everything outside of them is replaced, and the metric is measured again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch

from saecli.attribution.circuit_reference import (
    References,
    mean_reference,
    resampled_reference,
    zero_reference,
)
from saecli.attribution.clean import clean_run
from saecli.core.errors import InputError
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.site import Site
from saecli.data.names import GAMES
from saecli.validate.circuit_case import FRACTIONS, Case, Measured, Ranking, measure, random_features
from saecli.validate.circuit_files import write_circuit
from saecli.validate.circuit_input import Traced, open_traced
from saecli.validate.circuit_many import asked_prompts, is_own
from saecli.validate.circuit_memory import circuits_together
from saecli.validate.circuit_prompts import Prompt, complete_rows, held_out_prompts, own_prompt
from saecli.validate.circuit_result import ALL, CircuitResult, CircuitScore, is_redundant
from saecli.validate.circuit_scores import scores
from saecli.validate.config import ABLATIONS, ERRORS, ValidateConfig
from saecli.validate.data import data_for, samples_for

_KINDS: Final = {"residual": ("resid_pre", "resid_mid", "resid_post"), "attention": ("attn_out",), "mlp": ("mlp_out",)}
_FEWEST: Final = 2
_ROWS: Final = 64
"""Prompts that means are taken of at a time, at most."""


def plan_circuits(config: ValidateConfig, names: Sequence[str]) -> list[str]:
    """What ``--plan`` prints."""
    traced = open_traced(config, names, "cpu")
    sites = " ".join(traced.graphs[0].sites)
    where = f"{config.sequences} held-out prompts" if traced.everywhere else "the prompt it was traced on"
    if traced.many:
        where = f"prompts of {config.prompts}"
    return [
        f"{' '.join(names)}: circuit of {traced.model_name}, {traced.graphs[0].metric.name}",
        f"Replaces everything outside of it at {sites} on {where}",
    ]


def validate_circuits(config: ValidateConfig, names: Sequence[str], run: Run, progress: Progress) -> CircuitResult:
    """Measure faithfulness and completeness of circuit graphs.

    Raises:
        UsageError, InputError: Graphs of different models or sites, a graph that is damaged, a model or dictionaries
            other than it was traced with, or no data.
    """
    traced = open_traced(config, names)
    model, dictionaries = traced.model, traced.dictionaries
    progress(f"{' '.join(names)}: circuit graph, {len(dictionaries)} sites of {model.info.name}")
    own = asked_prompts(config, traced) if traced.many else [own_prompt(traced, graph) for graph in traced.graphs]
    length = max(prompt.metric.position + 1 for prompt in own)
    rows = circuits_together(model, dictionaries, length, config.draws + 1, config.batch_items, config.max_memory_bytes)
    material = _material(config, traced, own, rows or _ROWS, progress)
    references = material.references(traced, config.draws)
    generator = torch.Generator().manual_seed(config.seed)
    rankings = [Ranking.of(graph) for graph in traced.graphs]
    random = random_features(rankings[0], material.activity(), config.draws, generator) if traced.everywhere else ()
    scopes = _scopes(dictionaries)
    measured: dict[tuple[str, str, str], list[Measured]] = {}
    values: list[float] = []
    active: list[int] = []
    for done, (prompt, ranking) in enumerate(_paired(material.prompts, rankings)):
        progress("running circuits", done, len(material.prompts), prompt.metric.target)
        tokens_S = prompt.tokens_S[: prompt.metric.position + 1]
        case = Case.of(clean_run(model, dictionaries, tokens_S, prompt.metric), ranking, random)
        values.append(case.clean.value)
        active.append(case.active)
        for ablation, made in references.items():
            for errors in ERRORS:
                for scope, sites in scopes.items():
                    if scope != ALL and ablation != config.ablation:
                        continue
                    points = _fractions(config, ablation, scope)
                    found = measure(case, made, errors, points, config.draws, generator, sites, rows)
                    measured.setdefault((ablation, errors, scope), []).append(found)
    rows = [
        row
        for (ablation, errors, scope), found in measured.items()
        for row in scores(
            found,
            values,
            _fractions(config, ablation, scope),
            ablation=ablation,
            errors=errors,
            sites=scope,
            seed=config.seed,
        )
    ]
    result = CircuitResult(
        graphs=list(names),
        model=model.info.name,
        suite=traced.suite.info.name,
        sites=list(traced.graphs[0].sites),
        metric=traced.graphs[0].metric.name,
        targets=[prompt.metric.target for prompt in material.prompts],
        prompts=len(material.prompts),
        own=is_own(config, names[0]) if traced.many else not traced.everywhere,
        prompts_file=config.prompts or "",
        data=material.data,
        reference_prompts=len(material.fitting),
        draws=config.draws,
        features=sum(node.address.kind == "feature" for one in rankings for node in one.nodes),
        errors=sum(node.address.kind == "error" for one in rankings for node in one.nodes),
        active=sum(active) / len(active),
        value=sum(values) / len(values),
        ablation=config.ablation,
        policy=config.errors,
        scores=[row for row in rows if row.fraction == 1],
        curve=_curve(config, rows),
        redundant=False,
        min_faithfulness=config.min_faithfulness,
        files=[],
    )
    progress("drawing")
    return replace(result, redundant=is_redundant(result.chosen), files=write_circuit(run, result))


@dataclass(frozen=True)
class _Material:
    """What is run: prompts, and what takes the place of what is left out.

    Attributes:
        prompts: To measure on.
        data: Name of the data; empty if none were needed.
        fitting: Token ids [P, S] of prompts that means and resampled activations are of.
        means: Of the activations over them; empty without data.
    """

    prompts: list[Prompt]
    data: str
    fitting: torch.Tensor
    means: References

    def references(self, traced: Traced, draws: int) -> dict[str, list[References]]:
        """By ablation, those over which the metric is averaged."""
        found: dict[str, list[References]] = {"zero": [zero_reference(list(traced.dictionaries))]}
        if len(self.fitting):
            found["mean"] = [self.means]
            found["resample"] = [
                resampled_reference(traced.model, traced.dictionaries, tokens_S) for tokens_S in self.fitting[:draws]
            ]
        return {name: found[name] for name in ABLATIONS if name in found}

    def activity(self) -> dict[Site, torch.Tensor]:
        """How active every feature is: its mean over prompts and positions."""
        return {site: one.acts_SF.mean(0) for site, one in self.means.items() if one.acts_SF is not None}


def _material(config: ValidateConfig, traced: Traced, own: list[Prompt], rows: int, progress: Progress) -> _Material:
    """Prompts and reference data of the length of the longest graph."""
    length = max(prompt.metric.position + 1 for prompt in own)
    data = traced.data(config)
    if not data and config.ablation == "zero" and not traced.everywhere:
        none = torch.zeros(0, length, dtype=torch.int64)
        return _Material(own, "", none, {})
    data = data_for(config, traced.suite.info.model, traced.model.info, progress)
    sequences = _FEWEST if traced.many else config.sequences  # of which none is measured
    asked = replace(config, sequences=sequences, firing=0, n_ctx=0 if data in GAMES else length)
    suites = {traced.suite.info.name: traced.suite}
    samples = samples_for(asked, data, suites, traced.model_name, traced.model.info, progress)
    fitting = complete_rows(samples.fitting, length).to(own[0].tokens_S.device)
    if not len(fitting):
        raise InputError(f"{data} has no sequence of {length} tokens to take means of.", "Name other --data.")
    means = mean_reference(traced.model, traced.dictionaries, fitting.split(min(rows, _ROWS)))
    prompts = held_out_prompts(traced, own[0], samples.held_out) if traced.everywhere and not traced.many else own
    return _Material(prompts, data, fitting, means)


def _scopes(sites: Iterable[Site]) -> dict[str, tuple[Site, ...]]:
    """All sites, then those of each kind if there are several."""
    sites = tuple(sites)
    kinds = {name: tuple(site for site in sites if site.kind in kinds) for name, kinds in _KINDS.items()}
    kinds = {name: some for name, some in kinds.items() if some}
    return {ALL: sites} | (kinds if len(kinds) > 1 else {})


def _fractions(config: ValidateConfig, ablation: str, scope: str) -> tuple[float, ...]:
    return FRACTIONS if (ablation, scope) == (config.ablation, ALL) else FRACTIONS[-1:]


def _curve(config: ValidateConfig, rows: Iterable[CircuitScore]) -> list[CircuitScore]:
    return [row for row in rows if (row.ablation, row.sites) == (config.ablation, ALL)]


def _paired(prompts: Sequence[Prompt], rankings: Sequence[Ranking]) -> Iterator[tuple[Prompt, Ranking]]:
    """Every prompt with its graph: its own, or the only one."""
    yield from zip(prompts, rankings if len(rankings) == len(prompts) else [rankings[0]] * len(prompts), strict=True)
