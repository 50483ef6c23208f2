"""Chess as training data: what the batches hold, and how a model's knowledge of the rules is measured."""

from __future__ import annotations

import chess as oracle
import numpy as np
import pytest
import torch
from torch import nn

from saecli.core.gpt import GPT, GPTConfig
from saecli.data.chess_games import ChessSource, chess_batch, chess_quality
from saecli.games import chess, chess_next
from saecli.games.chess_text import CHARACTERS, decode
from saecli.games.chess_writer import Games


class Perfect(nn.Module):
    """Knows the distribution of every character of some games."""

    def __init__(self, games: Games, n_ctx: int):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        batch = chess_batch(games, n_ctx)
        assert batch.expected_BSV is not None
        self.known = dict(zip(map(tuple, batch.tokens_BS.tolist()), batch.expected_BSV, strict=True))

    def forward(self, tokens_BS: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.known[tuple(row)].clamp_min(1e-30).log() for row in tokens_BS.tolist()])


def test_batches_are_the_games_and_their_distribution() -> None:
    source = ChessSource(4, seed=1, n_ctx=60)
    batch = source.batch(3)
    games = source.play(4096, 1 << 28)
    for row in range(4):
        text = games.texts[12 + row]
        assert decode(batch.tokens_BS[row]) == text[:-1]
        assert decode(batch.next_BS[row]) == text[1:]
    assert batch.expected_BSV is not None
    chances_BS = batch.expected_BSV.gather(-1, batch.next_BS[..., None])[..., 0]
    assert chances_BS.min() > 0
    torch.testing.assert_close(batch.expected_BSV.sum(-1), torch.ones(4, 60))
    again = ChessSource(4, seed=1, n_ctx=60).batch(3)
    assert torch.equal(batch.tokens_BS, again.tokens_BS)
    assert not torch.equal(batch.tokens_BS, ChessSource(4, seed=2, n_ctx=60).batch(3).tokens_BS)


def test_nothing_is_predicted_behind_the_end_of_a_game() -> None:
    board, codes = oracle.Board(), []
    for san in ("f3", "e5", "g4", "Qh4#"):
        move = board.push_san(san)
        codes.append(move.from_square | move.to_square << 6)
    moves = np.array([codes], dtype=np.uint16)
    texts = chess.write(moves)
    batch = chess_batch(Games(texts, moves), 30)
    ended = len(texts[0]) - 1
    assert batch.next_BS[0, ended - 1] == CHARACTERS.index("#")
    assert (batch.next_BS[0, ended:] == -1).all()
    assert batch.expected_BSV is not None
    assert not batch.expected_BSV[0, ended:].any()


def test_the_perfect_model() -> None:
    games = chess.random_games(6, 3, 81)
    found = chess_quality(Perfect(games, 80), games, 80, batch_games=4)
    assert found["kl"] == pytest.approx(0, abs=1e-6)
    assert found["top1_legal"] == 1
    assert found["legal_mass"] == pytest.approx(1)
    expected = chess_next.next_characters(games)
    entropy = -(expected * np.log(np.maximum(expected, 1e-30))).sum() / expected.sum()
    assert abs(found["ce"] - entropy) < 0.2  # what was drawn, against its mean


def test_legal_moves_are_what_python_chess_accepts() -> None:
    torch.manual_seed(0)
    model = GPT(GPTConfig(32, 80, 1, 2, 16)).eval()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    source = ChessSource(16, 0, n_ctx=80)
    for step in range(60):
        batch = source.batch(step)
        assert batch.expected_BSV is not None
        loss = -(batch.expected_BSV * model(batch.tokens_BS).log_softmax(-1)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    games = chess.random_games(3, 5, 81)
    legal = total = 0
    for text in games.texts:
        for start in chess_next.word_starts(chess_next.as_array([text]))[2]:
            if start + 6 > 80:
                continue
            board = oracle.Board()
            for word in text[1:start].replace(".", ". ").split():
                if not word.endswith("."):
                    board.push_san(word)
            made = ""
            while len(made) < 7 and not set(made) & set(" +#"):
                read = torch.tensor([[CHARACTERS.index(character) for character in text[:start] + made]])
                made += CHARACTERS[int(model(read)[0, -1].argmax())]
            total += 1
            legal += made.rstrip(" +#") in {board.san(move).rstrip("+#") for move in board.legal_moves}
    found = chess_quality(model, games, 80, batch_games=2)
    assert found["legal_moves"] == pytest.approx(legal / total)
    assert legal
