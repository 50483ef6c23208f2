"""Random games as tokens for training and held-out measurement.

The generators play every legal move with equal probability, so the exact distribution of the next token is known. A
model can be trained on the sampled next token, or on that distribution itself: the same minimum with far less noise.

Shapes: B games, S positions (position s reads token s and predicts token s + 1), V tokens. Othello has one token per
move, S = 59 and V = 61; chess one per character, V = 32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Final, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from saecli.core.sample import Sample
from saecli.data.source import Batch
from saecli.games import othello

CONTEXT = othello.MAX_MOVES - 1
HELD_OUT_SEED = 1 << 62
"""Held-out games have this seed or a larger one; training games have seeds below it."""
FITTING_SEED: Final = HELD_OUT_SEED - 1
"""Above every seed of a training run: games on neither side of training."""
_CHUNKS_PER_SEED = 1 << 28
_CHUNK_GAMES = 4096
_TOKENS: Final = 4096
"""Positions of one sample, nearly."""


Games = TypeVar("Games")


class GameSource(ABC, Generic[Games]):
    """Endless batches of random games; batch number ``step`` depends on the seed and the step alone.

    Args:
        batch_games: games per batch.
        seed: 0..2**32 - 1.
        held_out: games to evaluate on.
    """

    vocabulary: ClassVar[str]
    vocab_size: ClassVar[int]
    n_ctx: int

    def __init__(self, batch_games: int, seed: int, held_out: int = 500):
        if not 0 <= seed < 1 << 32:
            raise ValueError(f"the seed of the training games must be 0..{(1 << 32) - 1}, not {seed}")
        self.batch_games = batch_games
        self.seed = seed
        self.held_out = held_out
        self._steps_per_chunk = max(1, _CHUNK_GAMES // batch_games)
        self._chunk: tuple[int, Games] | None = None

    @abstractmethod
    def play(self, count: int, seed: int) -> Games:
        """Random games."""

    @abstractmethod
    def part(self, games: Games, chosen: slice) -> Games:
        """Some of the games."""

    @abstractmethod
    def read(self, games: Games) -> Batch:
        """Games as tokens, with the generator's own distribution of each next one."""

    @abstractmethod
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Measures a model on the held-out games."""

    def batch(self, step: int) -> Batch:
        """The batch of a step, from 0."""
        number, place = divmod(step, self._steps_per_chunk)
        if self._chunk is None or self._chunk[0] != number:
            games = self.play(self._steps_per_chunk * self.batch_games, self.seed * _CHUNKS_PER_SEED + number)
            self._chunk = number, games
        return self.read(self.part(self._chunk[1], slice(place * self.batch_games, (place + 1) * self.batch_games)))

    def samples(self, count: int, seed: int) -> tuple[Sample, ...]:
        """Games to measure on; what the rules allow is what the generator may write."""
        if not count:
            return ()
        games, rows, samples = self.play(count, seed), max(1, _TOKENS // self.n_ctx), []
        for start in range(0, count, rows):
            batch = self.read(self.part(games, slice(start, start + rows)))
            assert batch.expected_BSV is not None  # noqa: S101
            samples.append(Sample(batch.tokens_BS, batch.next_BS, batch.expected_BSV > 0))
        return tuple(samples)


def game_batch(games: othello.Games) -> Batch:
    """Games as a batch with the generator's own next-move distribution (uniform over the legal moves)."""
    tokens = torch.from_numpy(games.tokens())
    following = tokens[:, 1:]
    next_BS = following.masked_fill(following == 0, -1)
    return Batch(tokens[:, :-1].contiguous(), next_BS, next_move_distribution(games))


def next_move_distribution(games: othello.Games) -> Tensor:
    """float32 [B, S, 61]: the probability with which the generator plays each token next; 0 after a game's end."""
    legal_BSV = legal_tokens(games.legal[:, 1:]).float()
    return legal_BSV / legal_BSV.sum(-1, keepdim=True).clamp_min(1)


def legal_tokens(legal: othello.Bitboards) -> Tensor:
    """Legal-move bitboards [...] to bool [..., 61] over tokens; the pass token is never legal."""
    allowed = othello.squares(legal)[..., np.maximum(othello.TOKEN_TO_SQUARE, 0)]
    allowed[..., 0] = False
    return torch.from_numpy(np.ascontiguousarray(allowed))


def held_out_games(n: int, shift: int = 0) -> othello.Games:
    """Games that no training run with a source of this module has seen.

    Args:
        n: number of games.
        shift: another value gives other held-out games.
    """
    return othello.random_games(n, HELD_OUT_SEED + shift)


class OthelloSource(GameSource[othello.Games]):
    """Random games of Othello, a token per move."""

    vocabulary = "othello"
    vocab_size = othello.VOCAB_SIZE
    n_ctx = CONTEXT

    def play(self, count: int, seed: int) -> othello.Games:
        """Random games."""
        return othello.random_games(count, seed)

    def part(self, games: othello.Games, chosen: slice) -> othello.Games:
        """Some of the games."""
        return othello.Games(games.moves[chosen], games.legal[chosen])

    def read(self, games: othello.Games) -> Batch:
        """See :func:`game_batch`."""
        return game_batch(games)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Measures a model on the held-out games; see ``othello_quality``."""
        return othello_quality(model, held_out_games(self.held_out))


@torch.no_grad()
def othello_quality(model: nn.Module, games: othello.Games, batch_games: int = 50) -> dict[str, float]:
    """How well a model knows the rules, over all predictions in some games (moves 2 to 60).

    Returns:
        ``ce``: mean cross-entropy of the moves played, nats. ``kl``: mean divergence of the model from the
        uniform distribution over legal moves, nats (0 is perfect). ``top1_legal``: rate at which the most likely
        token is legal. ``legal_mass``: mean probability on legal moves.
    """
    sums = torch.zeros(5, dtype=torch.float64)
    device = next(model.parameters()).device
    for start in range(0, len(games.moves), batch_games):
        some = othello.Games(games.moves[start : start + batch_games], games.legal[start : start + batch_games])
        batch = game_batch(some)
        logits_BSV = model(batch.tokens_BS.to(device)).float().cpu()
        sums += quality_sums(logits_BSV, batch.next_BS, next_move_distribution(some))
    ce, kl, top1, mass, count = sums.tolist()
    return {"ce": ce / count, "kl": kl / count, "top1_legal": top1 / count, "legal_mass": mass / count}


def quality_sums(logits_BSV: Tensor, next_BS: Tensor, expected_BSV: Tensor) -> Tensor:
    """Sums of ce, kl, top-1 legal and legal mass over the predictions, and their number; float64 [5]."""
    here_BS = next_BS >= 0
    logp_NV = logits_BSV[here_BS].log_softmax(-1)
    expected_NV = expected_BSV[here_BS]
    legal_NV = expected_NV > 0
    ce = -logp_NV.gather(1, next_BS[here_BS][:, None]).sum()
    kl = (torch.xlogy(expected_NV, expected_NV) - expected_NV * logp_NV).sum()
    top1 = legal_NV.gather(1, logp_NV.argmax(-1, keepdim=True)).sum()
    mass = (logp_NV.exp() * legal_NV).sum()
    return torch.stack([value.double() for value in (ce, kl, top1, mass, here_BS.sum())])
