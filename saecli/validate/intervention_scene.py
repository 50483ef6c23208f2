"""The input on which features are changed: one that the user names, or that of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.asking.inputs import Reader
from saecli.asking.question import ask, open_reader
from saecli.asking.target import feature_dictionary
from saecli.attribution.intervene import Change, FeatureChange, activations
from saecli.attribution.metric import Metric
from saecli.core.address import parse_addresses
from saecli.core.dictionary import Dictionary
from saecli.core.errors import UsageError
from saecli.core.graph import FeatureGraph
from saecli.core.machine import torch_dtype
from saecli.core.model import Edit, HookedModel
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.validate.circuit_input import open_traced
from saecli.validate.circuit_prompts import own_prompt
from saecli.validate.config import ValidateConfig
from saecli.validate.data import device_for
from saecli.validate.intervention_flags import Setting
from saecli.validate.subject import Subject


@dataclass(frozen=True)
class Scene:
    """One input, what is measured on it, and where features are watched.

    Attributes:
        model, suite: Attached to each other.
        reader: Reads and judges the model's inputs.
        dictionaries: Those watched, by site in order of computation.
        tokens_S: The input.
        metric: What is measured.
        graph: The graph that the input is of, if it is of one.
        name: Of the graph.
    """

    model: HookedModel
    suite: Suite
    reader: Reader
    dictionaries: dict[Site, Dictionary]
    tokens_S: Tensor
    metric: Metric
    graph: FeatureGraph | None = None
    name: str = ""

    @torch.no_grad()
    def run(self, write: Mapping[Site, Edit] | None = None, rows: int = 1) -> Pass:
        """The input through the model, edited or not, as many times as an edit has rows."""
        end = self.metric.site(self.model.info)
        tokens_BS = self.tokens_S.expand(rows, -1)
        run = self.model.run(tokens_BS, read={end, *self.dictionaries}, write=write)
        assert run.logits is not None  # noqa: S101 (nothing stopped the run)
        value_B = self.metric.measure(self.model, run.sites[end][:, self.metric.position])
        return Pass(run.logits[:, -1], value_B, run.sites)

    def changes(self, settings: Sequence[Setting]) -> list[FeatureChange]:
        """The features that ``--set`` names.

        Raises:
            UsageError: No such feature or position, or one that is changed twice.
        """
        found: list[FeatureChange] = []
        for one in settings:
            for address in parse_addresses(one.address, self.suite.info.residual):
                if address.kind != "feature":
                    raise UsageError(f"--set {one.text} names no feature.", "Write 7:331=0 or 7.mlp_out:12@42=2x.")
                dictionary = feature_dictionary(self.suite, address.site, address.index, f"--set {one.text}")
                if address.position is not None and address.position >= len(self.tokens_S):
                    raise UsageError(f"--set {one.text}: the input has positions 0..{len(self.tokens_S) - 1}.")
                how = "scale" if one.how == "sweep" else one.how
                change = Change(how, one.value)  # type: ignore[arg-type]
                found.append(FeatureChange(dictionary.config.reads, int(address.index or 0), address.position, change))
        for number, one in enumerate(found):
            for other in found[:number]:
                same = (one.site, one.index) == (other.site, other.index)
                if same and (one.position == other.position or None in (one.position, other.position)):
                    raise UsageError(f"--set changes {self.label(one)} twice.", "Name each feature once.")
        return found

    def label(self, one: FeatureChange) -> str:
        """The address of a feature."""
        place = "" if one.position is None else f"@{one.position}"
        return f"{self.suite.label(one.site)}:{one.index}{place}"

    def later(self, changes: Sequence[FeatureChange]) -> list[Site]:
        """Watched sites behind the first that is changed."""
        first = min(self.suite[one.site].config.writes for one in changes)
        return [site for site in self.dictionaries if site > first]

    def activations(self, values: Mapping[Site, Tensor], site: Site) -> Tensor:
        """Activations of a watched site [B, S, F], of positions that the metric can see."""
        return activations(self.dictionaries[site], values[site][:, : self.metric.position + 1])


@dataclass(frozen=True)
class Pass:
    """What one pass gave.

    Attributes:
        logits_BV: Of the next token.
        value_B: The metric.
        values: Watched sites, [B, S, d] each.
    """

    logits_BV: Tensor
    value_B: Tensor
    values: Mapping[Site, Tensor]


@dataclass(frozen=True)
class _Asked:
    model: str
    prompt: str | None
    game: str | None
    at: int | None
    target: str | None
    metric: str
    patch: None = None


def open_scene(config: ValidateConfig, subject: Subject) -> Scene:
    """Load what is needed and read the input.

    Raises:
        UsageError, InputError: As of ``saecli trace`` and ``saecli validate GRAPH``.
    """
    if subject.kind == "graphs":
        return _of_graph(config, subject.names[0])
    from zoo.load import attach, load_model, load_suite

    device, dtype = device_for(config.device), torch_dtype(config.dtype)
    suite = load_suite(subject.names[0], device=device, dtype=dtype)
    name = config.model or suite.info.model
    if not name:
        raise UsageError(f"{suite.info.name} does not say for which model it was made.", "Name it with --model.")
    model = load_model(name, suite.info.processing, device)
    attach(suite, model)
    model.module.to(dtype)
    sites = suite.resolve(config.layers, config.kind)
    asked = _Asked(name, config.prompt, config.game, config.at, config.target, config.metric)
    question = ask(model, asked, suite, suite.info.residual, bos=suite.info.bos)
    reader = open_reader(model, name, suite.info.bos)
    watched = {site: suite[site] for site in sites if suite[site].positionwise}
    return Scene(model, suite, reader, watched, question.tokens_S, question.metric)


def _of_graph(config: ValidateConfig, name: str) -> Scene:
    traced = open_traced(config, [name])
    prompt = own_prompt(traced, traced.graphs[0])
    reader = open_reader(traced.model, traced.model_name, traced.suite.info.bos)
    return Scene(
        traced.model,
        traced.suite,
        reader,
        traced.dictionaries,
        prompt.tokens_S,
        prompt.metric,
        traced.graphs[0],
        name,
    )
