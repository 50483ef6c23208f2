"""From a target as the user writes it to a metric."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from saecli.asking.inputs import Answers, Reader
from saecli.attribution.metric import (
    CrossEntropyMetric,
    DivergenceMetric,
    FeatureMetric,
    Metric,
    logit_difference,
)
from saecli.core.address import parse_address
from saecli.core.dictionary import Dictionary
from saecli.core.errors import UsageError
from saecli.core.model import HookedModel
from saecli.core.site import Site

_FEATURE = re.compile(r"\d+(\.\w+)?:\d+(@\d+)?")


def asks_for_a_feature(target: str | None, metric: str, reader: Reader) -> bool:
    """Whether the target is a feature: said so, or written as one (a text may have colons of its own)."""
    target = target or ""
    written = ":" in target if reader.features_first else bool(_FEATURE.fullmatch(target))
    return metric == "feature" or (metric == "auto" and written)


def token_metric(asked: str | None, name: str, position: int, logits_V: Tensor, answers: Answers) -> Metric:
    """A metric of the next token: over the mean of other tokens unless the user says otherwise.

    Args:
        asked: ``--target``; the model's choice if None.
        name: ``--metric``.
        position: Where the token is predicted.
        logits_V: What the model predicts there.
        answers: What may be asked there.

    Raises:
        UsageError: No such token, or a metric that does not fit the target.
    """
    plus_name, minus_name = answers.split(asked) if asked else ("", "")
    if name == "kl" and asked:
        raise UsageError("--metric kl measures the whole prediction and takes no --target.")
    if name == "logit-diff" and not minus_name:
        raise UsageError("--metric logit-diff needs a pair.", f"Add --target {answers.example}.")
    plus = answers.read(plus_name) if plus_name else answers.best(logits_V)
    minus = [answers.read(minus_name)] if minus_name else []
    if name == "auto":
        name = "logit-diff" if minus else answers.over
    if bool(minus) != (name == "logit-diff"):
        raise UsageError(
            f"--metric {name} does not fit --target {asked}.",
            f"A pair such as {answers.example} and logit-diff belong together.",
        )
    target, d_vocab = answers.name(plus), len(logits_V)
    words = f"logit of {target}"
    if name == "logit-diff":
        target = f"{target} over {answers.name(minus[0])}"
        return logit_difference(
            position, d_vocab, plus, minus, name=name, description=f"logit of {target}", target=target
        )
    if name == "logit":
        return logit_difference(position, d_vocab, plus, [], name=name, description=words, target=target)
    if name == "ce":
        return CrossEntropyMetric(position, plus, target)
    if name == "kl":
        return DivergenceMetric(position, logits_V, "this prediction")
    if name == "over-mean":
        others, which = list(range(d_vocab)), f"all {d_vocab:,} tokens"
    elif name == answers.over:
        others, which = answers.others, answers.words
    else:
        raise UsageError(f"--metric {name} belongs to board models.", f"Here the default is {answers.over}.")
    if isinstance(others, str):
        raise UsageError(others, "Add --metric logit.")
    description = f"{words} minus the mean logit of {which}"
    return logit_difference(position, d_vocab, plus, others, name=name, description=description, target=target)


def feature_metric(
    model: HookedModel, asked: str | None, name: str, suite: Mapping[Site, Dictionary], residual: str, tokens_S: Tensor
) -> FeatureMetric:
    """The activation of the feature that is the target.

    Raises:
        UsageError: No feature, no dictionary there, or one that does not fire.
    """
    if name not in ("auto", "feature") or asked is None or ":" not in asked:
        raise UsageError("--metric feature and a feature as --target, such as 8:331@19, belong together.")
    address = parse_address(asked, residual)
    position = len(tokens_S) - 1 if address.position is None else address.position
    dictionary = feature_dictionary(suite, address.site, address.index, asked)
    if position >= len(tokens_S):
        raise UsageError(f"--target {asked}: the input has positions 0..{len(tokens_S) - 1}.")
    metric = FeatureMetric(position, dictionary, int(address.index or 0), address.at(position).format(residual))
    with torch.no_grad():
        end = metric.site(model.info)
        x_SD = model.run(tokens_S[None], read=[end], stop_after=end).sites[end][0]
        if metric.measure(model, x_SD[position, None]).item() == 0:
            raise UsageError(f"--target {asked} does not fire there, so there is nothing to explain.")
    return metric


def feature_dictionary(
    suite: Mapping[Site, Dictionary], site: Site | None, index: int | None, given: str
) -> Dictionary:
    """The dictionary of an address.

    Raises:
        UsageError: No feature, no dictionary there, or an index out of range.
    """
    if site is None or index is None:
        raise UsageError(f"{given} is no feature.", "Write 7:331 or 7.attn_out:331@19.")
    if site not in suite:
        raise UsageError(f"{given}: there is no dictionary at {site}.")
    dictionary = suite[site]
    if index >= dictionary.n_latents:
        raise UsageError(f"{given}: the dictionary at {site} has features 0..{dictionary.n_latents - 1}.")
    return dictionary
