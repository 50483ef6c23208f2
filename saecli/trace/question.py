"""From what the user asks to tokens and a metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from saecli.attribution.metric import (
    CrossEntropyMetric,
    DivergenceMetric,
    FeatureMetric,
    Metric,
    logit_difference,
)
from saecli.core.address import parse_address
from saecli.core.dictionary import Dictionary
from saecli.core.errors import InputError, UsageError
from saecli.core.graph import Position
from saecli.core.model import HookedModel
from saecli.core.site import Site
from saecli.data.games import HELD_OUT_SEED
from saecli.games import othello
from saecli.trace.config import TraceConfig

DEFAULT_MOVES = 20
"""Length of the default game: the first moves of the first held-out game."""


@dataclass(frozen=True)
class Question:
    """What is traced.

    Attributes:
        tokens_S: The input.
        positions: The input for people.
        metric: What is measured.
    """

    tokens_S: Tensor
    positions: tuple[Position, ...]
    metric: Metric


def ask(model: HookedModel, config: TraceConfig, suite: Mapping[Site, Dictionary], residual: str) -> Question:
    """Read the input and the target.

    Args:
        model: The model.
        config: The user's choices.
        suite: Dictionaries, for a feature as the target.
        residual: The suite's labelling of bare layer numbers.

    Raises:
        InputError: Not a game, an illegal move, longer than the context.
        UsageError: A target that does not exist or never fires.
    """
    if model.info.vocabulary != "othello":
        raise UsageError(
            f"{model.info.name} is no OthelloGPT: its vocabulary is {model.info.vocabulary or 'unknown'!r}.",
            "saecli trace reads Othello games so far.",
        )
    return _othello(model, config, suite, residual)


def _othello(model: HookedModel, config: TraceConfig, suite: Mapping[Site, Dictionary], residual: str) -> Question:
    moves = _moves(config.game)
    if len(moves) > model.info.n_ctx:
        raise InputError(f"The game has {len(moves)} moves; {model.info.name} reads at most {model.info.n_ctx}.")
    try:
        boards = othello.replay([moves])
    except othello.IllegalMove as error:
        played = " ".join(othello.square_name(m) for m in moves[: error.ply])
        raise InputError(
            f"Move {error.ply + 1} of the game, {othello.square_name(error.move)}, is illegal"
            + (f" after {played}." if played else " as a first move.")
        ) from error
    tokens_S = torch.from_numpy(othello.moves_to_tokens(moves)).to(device_of(model))
    positions = tuple(
        Position(token, othello.square_name(move), f"move {i + 1}", board)
        for i, (token, move, board) in enumerate(zip(tokens_S.tolist(), moves, _drawn(boards), strict=True))
    )
    last = len(moves) - 1
    if config.metric == "feature" or (config.target is not None and ":" in config.target):
        return Question(tokens_S, positions, _feature_metric(model, config, suite, residual, tokens_S))
    legal = np.flatnonzero(othello.squares(boards.legal[0, last]))
    if not len(legal):
        raise InputError(f"The game is over after {len(moves)} moves: there is no next move to explain.")
    with torch.no_grad():
        logits_V = model.run(tokens_S[None]).logits
    assert logits_V is not None  # noqa: S101 (nothing stopped the run)
    return Question(tokens_S, positions, _move_metric(config, boards, legal, last, logits_V[0, -1].cpu()))


def device_of(model: HookedModel) -> torch.device:
    """Where the model's weights are."""
    return next((parameter.device for parameter in model.module.parameters()), torch.device("cpu"))


def _moves(game: str | None) -> list[int]:
    if game is None:
        return othello.random_games(1, HELD_OUT_SEED).moves[0, :DEFAULT_MOVES].tolist()
    try:
        moves = othello.parse_game(game)
    except (ValueError, OverflowError) as error:
        raise InputError(f"--game: {error}.") from error
    if -1 in moves:
        raise InputError("--game: token 0 is no move.", "A player without a move passes silently: leave passes out.")
    return moves


def _drawn(boards: othello.Boards) -> list[str]:
    black, white = othello.squares(boards.black[0]), othello.squares(boards.white[0])
    marks = np.where(black, "x", np.where(white, "o", "."))
    return ["".join(row) for row in marks]


def _move_metric(config: TraceConfig, boards: othello.Boards, legal: np.ndarray, last: int, logits_V: Tensor) -> Metric:
    """A metric of the next move: over the mean of the illegal empty squares unless the user says otherwise."""
    legal_tokens = othello.SQUARE_TO_TOKEN[legal].astype(int)
    plus_name, dash, minus_name = (config.target or "").partition("-")
    if dash and not (plus_name and minus_name):
        raise UsageError(f"--target {config.target} is half a pair.", "Write F5, or a pair F5-C3.")
    if config.metric == "kl" and config.target:
        raise UsageError("--metric kl measures the whole next move and takes no --target.")
    if config.metric == "logit-diff" and not dash:
        raise UsageError("--metric logit-diff needs a pair.", "Add --target F5-C3.")
    if plus_name:
        plus = _legal_token(plus_name, legal, f"after {last + 1} moves")
    else:
        plus = int(legal_tokens[int(logits_V[torch.from_numpy(legal_tokens)].argmax())])
    minus = [_token(minus_name)] if minus_name else []
    name = config.metric
    if name == "auto":
        name = "logit-diff" if minus else "over-illegal"
    if bool(minus) != (name == "logit-diff"):
        raise UsageError(
            f"--metric {name} does not fit --target {config.target}.",
            "A pair such as F5-C3 and logit-diff belong together.",
        )
    target, d_vocab = othello.token_name(plus), len(logits_V)
    if name == "logit-diff":
        target = f"{target} over {othello.token_name(minus[0])}"
        return logit_difference(last, d_vocab, plus, minus, name=name, description=f"logit of {target}", target=target)
    if name == "logit":
        return logit_difference(last, d_vocab, plus, [], name=name, description=f"logit of {target}", target=target)
    if name == "ce":
        return CrossEntropyMetric(last, plus, target)
    if name == "kl":
        return DivergenceMetric(last, logits_V, "this move")
    empty = np.flatnonzero(othello.squares(boards.empty[0, last]))
    illegal = sorted(set(empty.tolist()) - set(legal.tolist()))
    if not illegal:
        raise UsageError(
            "Every empty square is a legal move here, so none is left to compare with.", "Add --metric logit."
        )
    return logit_difference(
        last,
        d_vocab,
        plus,
        [int(othello.SQUARE_TO_TOKEN[square]) for square in illegal],
        name=name,
        description=f"logit of {target} minus the mean logit of the {len(illegal)} illegal empty squares",
        target=target,
    )


def _token(name: str) -> int:
    try:
        (square,) = othello.parse_game(name)
        return int(othello.moves_to_tokens([square])[0])
    except ValueError as error:
        raise UsageError(f"--target {name} is no square that can be played.", "Write F5, or a pair F5-C3.") from error


def _legal_token(name: str, legal: np.ndarray, when: str) -> int:
    token = _token(name)
    if int(othello.TOKEN_TO_SQUARE[token]) not in legal:
        moves = ", ".join(othello.square_name(int(square)) for square in legal)
        raise UsageError(f"--target {name.upper()} is not legal {when}.", f"Legal: {moves}.")
    return token


def _feature_metric(
    model: HookedModel, config: TraceConfig, suite: Mapping[Site, Dictionary], residual: str, tokens_S: Tensor
) -> FeatureMetric:
    if config.metric not in ("auto", "feature") or config.target is None or ":" not in config.target:
        raise UsageError("--metric feature and a feature as --target, such as 8:331@19, belong together.")
    address = parse_address(config.target, residual)
    position = len(tokens_S) - 1 if address.position is None else address.position
    dictionary = feature_dictionary(suite, address.site, address.index, config.target)
    if position >= len(tokens_S):
        raise UsageError(f"--target {config.target}: the input has positions 0..{len(tokens_S) - 1}.")
    metric = FeatureMetric(position, dictionary, int(address.index or 0), address.at(position).format(residual))
    with torch.no_grad():
        end = metric.site(model.info)
        x_SD = model.run(tokens_S[None], read=[end], stop_after=end).sites[end][0]
        if metric.measure(model, x_SD[position, None]).item() == 0:
            raise UsageError(f"--target {config.target} does not fire there, so there is nothing to explain.")
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
