"""Random chess games as characters, and how well a model knows the rules of chess.

Shapes: B games, S positions (position s reads character s and predicts character s + 1), V = 32 characters, P places
where a move begins.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from saecli.core.gpt import GPT
from saecli.core.greedy import continue_greedily
from saecli.data.games import HELD_OUT_SEED, GameSource, quality_sums
from saecli.data.source import Batch
from saecli.games import chess, chess_next
from saecli.games.chess_text import CHARACTERS
from saecli.games.chess_writer import Games

CONTEXT: Final = 256
_WORD: Final = chess_next.LONGEST_WORD - 1
"""Characters of the longest move, its sign included."""
_TOKEN: Final = np.zeros(256, dtype=np.int64)
_TOKEN[np.frombuffer(CHARACTERS.encode(), dtype=np.uint8)] = np.arange(len(CHARACTERS))
_CHARACTER: Final = np.frombuffer(CHARACTERS.encode(), dtype=np.uint8)


class ChessSource(GameSource[Games]):
    """Random games of chess, a token per character.

    Args:
        batch_games, seed, held_out: as of :class:`saecli.data.games.GameSource`.
        n_ctx: positions per sequence; games are played until they fill it.
    """

    vocabulary = "chess"
    vocab_size = len(CHARACTERS)

    def __init__(self, batch_games: int, seed: int, held_out: int = 500, n_ctx: int = CONTEXT):
        super().__init__(batch_games, seed, held_out)
        self.n_ctx = n_ctx

    def play(self, count: int, seed: int) -> Games:
        """Random games, one character longer than a sequence."""
        return chess.random_games(count, seed, self.n_ctx + 1)

    def part(self, games: Games, chosen: slice) -> Games:
        """Some of the games."""
        return Games(games.texts[chosen], games.moves[chosen])

    def read(self, games: Games) -> Batch:
        """See :func:`chess_batch`."""
        return chess_batch(games, self.n_ctx)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Measures a model on the held-out games; see :func:`chess_quality`."""
        return chess_quality(model, self.play(self.held_out, HELD_OUT_SEED), self.n_ctx)


def chess_batch(games: Games, n_ctx: int = CONTEXT) -> Batch:
    """Games of at most ``n_ctx + 1`` characters with the generator's own distribution of each next character.

    Behind a game's end stand spaces, from which nothing is to be predicted.
    """
    characters_BC = chess_next.as_array(games.texts)
    expected_BSV = np.zeros((len(games.texts), n_ctx, len(CHARACTERS)), dtype=np.float32)
    expected_BSV[:, : characters_BC.shape[1] - 1] = chess_next.next_characters(games)
    characters_BC = np.pad(characters_BC, ((0, 0), (0, n_ctx + 1 - characters_BC.shape[1])))
    tokens_BC = torch.from_numpy(_TOKEN[characters_BC])
    next_BS = tokens_BC[:, 1:].masked_fill(torch.from_numpy(characters_BC[:, 1:] == 0), -1)
    return Batch(tokens_BC[:, :-1].contiguous(), next_BS, torch.from_numpy(expected_BSV))


@torch.no_grad()
def chess_quality(model: nn.Module, games: Games, n_ctx: int = CONTEXT, batch_games: int = 16) -> dict[str, float]:
    """How well a model knows the rules, over all characters of some games behind the first.

    Returns:
        ``ce``: mean cross-entropy of the characters written, nats. ``kl``: mean divergence of the model from the
        generator's own distribution, nats (0 is perfect). ``top1_legal``: rate at which the most likely character may
        follow. ``legal_mass``: mean probability on characters that may follow. Of a :class:`saecli.core.gpt.GPT` also
        ``legal_moves``: see :func:`legal_move_rate`.
    """
    sums = torch.zeros(5, dtype=torch.float64)
    moves = torch.zeros(2, dtype=torch.float64)
    device = next(model.parameters()).device
    for start in range(0, len(games.texts), batch_games):
        some = Games(games.texts[start : start + batch_games], games.moves[start : start + batch_games])
        batch = chess_batch(some, n_ctx)
        logits_BSV = model(batch.tokens_BS.to(device)).float().cpu()
        assert batch.expected_BSV is not None  # noqa: S101
        sums += quality_sums(logits_BSV, batch.next_BS, batch.expected_BSV)
        if isinstance(model, GPT):
            moves += _legal_moves(model, some, batch.tokens_BS)
    ce, kl, top1, mass, count = sums.tolist()
    found = {"ce": ce / count, "kl": kl / count, "top1_legal": top1 / count, "legal_mass": mass / count}
    legal, written = moves.tolist()
    return found | ({"legal_moves": legal / written} if written else {})


def _legal_moves(model: GPT, games: Games, tokens_BS: Tensor) -> Tensor:
    """At every place where a move begins, the model writes one: how many are legal, and how many there are, [2]."""
    legal = chess_next.legal_words(games)
    fits_P = legal.start + _WORD - 1 <= tokens_BS.shape[1]
    number_P = np.arange(len(legal.game)) - np.searchsorted(legal.game, legal.game)
    starts_BP = np.ones((len(games.texts), number_P.max(initial=0) + 1), dtype=np.int64)
    starts_BP[legal.game[fits_P], number_P[fits_P]] = legal.start[fits_P]
    device = next(model.parameters()).device
    made_BPN = continue_greedily(model, tokens_BS.to(device), torch.from_numpy(starts_BP).to(device), _WORD)
    written_PN = _CHARACTER[made_BPN.cpu().numpy()[legal.game, number_P]]
    ended_PN = np.cumsum(np.isin(written_PN, np.frombuffer(b" +#", dtype=np.uint8)), axis=1) > 0
    words_P = chess_next.packed(np.where(ended_PN, np.uint8(0), written_PN))
    return torch.tensor([np.count_nonzero(legal.hold(words_P) & fits_P), np.count_nonzero(fits_P)], dtype=torch.float64)
