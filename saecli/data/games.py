"""Random Othello games as tokens for training and held-out measurement.

The generator plays every legal move with equal probability, so the exact distribution of the next token is known. A
model can be trained on the sampled next token, or on that distribution itself: the same minimum with far less noise.

Shapes: B games, S = 59 positions (position s reads move s and predicts move s + 1), V = 61 tokens.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from saecli.data.source import Batch
from saecli.games import othello

CONTEXT = othello.MAX_MOVES - 1
HELD_OUT_SEED = 1 << 62
"""Held-out games have this seed or a larger one; training games have seeds below it."""
_CHUNKS_PER_SEED = 1 << 28
_CHUNK_GAMES = 4096


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


class OthelloSource:
    """Endless batches of random games; batch number ``step`` depends on the seed and the step alone.

    Args:
        batch_games: games per batch.
        seed: 0..2**32 - 1.
        held_out: games to evaluate on.
    """

    vocabulary = "othello"
    vocab_size = othello.VOCAB_SIZE
    n_ctx = CONTEXT

    def __init__(self, batch_games: int, seed: int, held_out: int = 500):
        if not 0 <= seed < 1 << 32:
            raise ValueError(f"the seed of the training games must be 0..{(1 << 32) - 1}, not {seed}")
        self.batch_games = batch_games
        self.seed = seed
        self.held_out = held_out
        self._steps_per_chunk = max(1, _CHUNK_GAMES // batch_games)
        self._chunk: tuple[int, othello.Games] | None = None

    def batch(self, step: int) -> Batch:
        """The batch of a step, from 0."""
        number, place = divmod(step, self._steps_per_chunk)
        if self._chunk is None or self._chunk[0] != number:
            games = othello.random_games(
                self._steps_per_chunk * self.batch_games, self.seed * _CHUNKS_PER_SEED + number
            )
            self._chunk = number, games
        games = self._chunk[1]
        part = slice(place * self.batch_games, (place + 1) * self.batch_games)
        return game_batch(othello.Games(games.moves[part], games.legal[part]))

    def evaluate(self, model: torch.nn.Module) -> dict[str, float]:
        """Measures a model on the held-out games; see ``othello_quality``."""
        return othello_quality(model, held_out_games(self.held_out))


@torch.no_grad()
def othello_quality(model: torch.nn.Module, games: othello.Games, batch_games: int = 50) -> dict[str, float]:
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
        sums += _quality_sums(logits_BSV, batch.next_BS, next_move_distribution(some))
    ce, kl, top1, mass, count = sums.tolist()
    return {"ce": ce / count, "kl": kl / count, "top1_legal": top1 / count, "legal_mass": mass / count}


def _quality_sums(logits_BSV: Tensor, next_BS: Tensor, expected_BSV: Tensor) -> Tensor:
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
