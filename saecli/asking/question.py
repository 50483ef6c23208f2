"""From what the user asks to tokens and a metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from saecli.asking.inputs import Input, Reader
from saecli.asking.target import asks_for_a_feature, feature_metric, token_metric
from saecli.attribution.metric import Metric
from saecli.core.dictionary import Dictionary
from saecli.core.errors import InputError, UsageError
from saecli.core.graph import Position
from saecli.core.model import HookedModel
from saecli.core.site import Site


class Asked(Protocol):
    """What the user wrote: the flags ``--prompt``, ``--game``, ``--patch``, ``--at``, ``--target`` and ``--metric``."""

    @property
    def model(self) -> str:
        """The model as the user named it."""
        ...

    @property
    def prompt(self) -> str | None: ...

    @property
    def game(self) -> str | None: ...

    @property
    def patch(self) -> str | None: ...

    @property
    def at(self) -> int | None: ...

    @property
    def target(self) -> str | None: ...

    @property
    def metric(self) -> str: ...


@dataclass(frozen=True)
class Question:
    """What is traced.

    Attributes:
        tokens_S: The input, up to the position that is explained.
        positions: The input for people.
        metric: What is measured.
        patch_S: The counterfactual input of the same length, if there is one.
    """

    tokens_S: Tensor
    positions: tuple[Position, ...]
    metric: Metric
    patch_S: Tensor | None = None


def ask(
    model: HookedModel,
    asked: Asked,
    suite: Mapping[Site, Dictionary],
    residual: str,
    *,
    bos: int | None = None,
) -> Question:
    """Read the input and the target.

    Args:
        model: The model.
        asked: What the user wrote.
        suite: Dictionaries, for a feature as the target.
        residual: The suite's labelling of bare layer numbers.
        bos: Token that the dictionaries' sequences began with; it is put before a text.

    Raises:
        InputError: Not a game, an illegal move, a text that the vocabulary cannot write, longer than the context, or
            a counterfactual of another length.
        UsageError: An input of another kind than the model reads, or a target that does not exist or never fires.
    """
    reader = open_reader(model, asked.model, bos)
    for flag, given in (("--game", asked.game), ("--prompt", asked.prompt)):
        if given is not None and flag != reader.flag:
            kind = "games" if reader.flag == "--game" else "text"
            raise UsageError(f"{flag} is not for {model.info.name}, which reads {kind}.", f"Use {reader.flag}.")
    whole = reader.read(asked.game if reader.flag == "--game" else asked.prompt, reader.flag)
    end = _end(asked.at, len(whole.tokens))
    given = whole.until(end)
    tokens_S = _tensor(given.tokens, model)
    patch_S = None if asked.patch is None else _tensor(_patch(asked.patch, reader, whole, end), model)
    if asks_for_a_feature(asked.target, asked.metric, reader):
        metric: Metric = feature_metric(model, asked.target, asked.metric, suite, residual, tokens_S)
    else:
        with torch.no_grad():
            logits_V = model.run(tokens_S[None]).logits
        assert logits_V is not None  # noqa: S101 (nothing stopped the run)
        metric = token_metric(asked.target, asked.metric, end, logits_V[0, -1].cpu(), reader.answers(given))
    return Question(tokens_S, given.positions, metric, patch_S)


def open_reader(model: HookedModel, name: str, bos: int | None) -> Reader:
    """What reads the inputs of a model.

    Raises:
        InputError: Its vocabulary is not known.
    """
    info = model.info
    if info.vocabulary == "othello":
        from saecli.asking.othello import OthelloReader

        return OthelloReader(info)
    from saecli.asking.text import ChessReader, TextReader
    from zoo.load import load_vocabulary

    vocabulary = load_vocabulary(name, info.vocabulary)
    if vocabulary.name == "chess":
        return ChessReader(info, vocabulary)
    return TextReader(info, vocabulary, name, bos)


def device_of(model: HookedModel) -> torch.device:
    """Where the model's weights are."""
    return next((parameter.device for parameter in model.module.parameters()), torch.device("cpu"))


def _tensor(tokens: list[int], model: HookedModel) -> Tensor:
    return torch.tensor(tokens, dtype=torch.int64, device=device_of(model))


def _end(at: int | None, length: int) -> int:
    """The position that is explained."""
    if at is None:
        return length - 1
    if not -length <= at < length:
        raise UsageError(f"--at {at}: the input has positions 0..{length - 1}.", "Negative ones count from its end.")
    return at % length


def _patch(text: str, reader: Reader, given: Input, end: int) -> list[int]:
    """Tokens of the counterfactual."""
    patch = reader.read(text, "--patch")
    if len(patch.tokens) != len(given.tokens):
        raise InputError(
            f"--patch has {len(patch.tokens)} {reader.unit}, and the input has {len(given.tokens)}.",
            "Write a counterfactual of equal length, so that positions correspond.",
        )
    tokens = patch.until(end).tokens
    if tokens == given.until(end).tokens:
        where = "" if end == len(given.tokens) - 1 else f" up to position {end}"
        raise UsageError(f"--patch is the input itself{where}, so nothing changes.")
    return tokens
