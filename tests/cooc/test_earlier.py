"""What was played before, and the board then."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saecli.cooc.earlier import Earlier
from saecli.core.documents import Documents
from saecli.data.boards import boards_at
from saecli.data.sequences import open_sequences
from saecli.games import chess, chess_text, othello


def documents(games: list[list[int]]) -> Documents:
    lengths = torch.tensor([len(one) for one in games])
    return Documents(
        torch.tensor([token for one in games for token in one], dtype=torch.int32),
        torch.cat([torch.zeros(1).long(), lengths.cumsum(0)]),
    )


def test_shares_are_those_of_the_plain_way() -> None:
    rng = np.random.default_rng(0)
    games = [rng.permutation(12)[: rng.integers(4, 12)].tolist() for _ in range(50)]
    known = documents(games)
    at = sorted(rng.choice(len(known.tokens_T), 40, replace=False).tolist())
    played, usual = np.zeros((40, 12)), np.zeros((40, 12))
    for row, token in enumerate(at):
        game = int(known.document_of(torch.tensor([token])))
        position = token - int(known.starts_D[game])
        played[row, games[game][: position + 1]] = 1
        long = [one for one in games if len(one) > position]
        for one in long:
            usual[row, one[: position + 1]] += 1 / len(long)
    here_V, usual_V = Earlier(known, 12).shares(np.array(at))
    assert here_V == pytest.approx(played.mean(0))
    assert usual_V == pytest.approx(usual.mean(0))


def test_boards_of_othello_are_those_of_the_rules() -> None:
    found = open_sequences("othello", 5)
    games = [row[:length].tolist() for row, length in zip(found.tokens_BS, found.lengths_B, strict=True)]
    known = documents(games)
    at = torch.arange(3, len(known.tokens_T), 17)
    for token, board in zip(at.tolist(), boards_at("othello", known, at), strict=True):
        game = int(known.document_of(torch.tensor([token])))
        moves = othello.tokens_to_moves(np.array(games[game][: token - int(known.starts_D[game]) + 1]))
        after = othello.replay([moves.tolist()])
        black, white = (othello.squares(side[0, -1]) for side in (after.black, after.white))
        assert board == "".join("x" if b else "o" if w else "." for b, w in zip(black, white, strict=True))


def test_a_game_that_breaks_the_rules_or_passes_keeps_its_last_board() -> None:
    first = int(othello.SQUARE_TO_TOKEN[othello.parse_game("F5")[0]])
    boards = boards_at("othello", documents([[first, first, 0]]), torch.arange(3))
    assert boards[0] == boards[1] == boards[2]
    assert sum(map(boards[0].count, "xo")) == 5
    assert boards_at("othello", documents([[first]]), torch.arange(0)) == []


def test_boards_of_chess_follow_the_moves_that_are_complete() -> None:
    text = ";1.e4 e5 2.Nf3 "
    known = documents([chess_text.encode(text).tolist()])
    before, after = boards_at("chess", known, torch.tensor([text.index("e4"), len(text) - 1]))
    assert before == "RNBQKBNRPPPPPPPP" + "." * 32 + "pppppppprnbqkbnr"
    assert (after[12], after[28], after[21], after[6]) == (".", "P", "N", ".")
    assert chess.replay(chess_text.parse([text])).plies.tolist() == [3]
