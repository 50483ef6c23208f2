"""Every character's distribution against python-chess, and what may follow where."""

from __future__ import annotations

import chess as oracle
import numpy as np
import pytest

from saecli.games import chess, chess_next
from saecli.games.chess_text import CHARACTERS
from saecli.games.chess_writer import Games
from tests.twins import chess as twin


def as_table(rows: list[dict[str, float]], width: int) -> np.ndarray:
    table = np.zeros((width - 1, len(CHARACTERS)))
    for at, row in enumerate(rows):
        for character, chance in row.items():
            table[at, CHARACTERS.index(character)] = chance
    return table


def assert_as_listed(games: Games) -> None:
    found = chess_next.next_characters(games)
    for number, text in enumerate(games.texts):
        wanted = as_table(twin.next_characters(games.moves[number].tolist(), len(text)), len(text))
        np.testing.assert_allclose(found[number, : len(text) - 1], wanted, atol=1e-7, err_msg=text)
        assert not found[number, len(text) - 1 :].any()


def test_random_games_as_python_chess_lists_them() -> None:
    assert_as_listed(chess.random_games(8, seed=3, max_chars=257))


@pytest.mark.slow
def test_many_long_random_games_as_python_chess_lists_them() -> None:
    assert_as_listed(chess.random_games(60, seed=4, max_chars=1500))


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 6, 9, 11, 12])
def test_texts_cut_anywhere(cut: int) -> None:
    assert_as_listed(chess.random_games(4, seed=5, max_chars=cut))


CHOSEN = {
    "mate": "f3 e5 g4 Qh4#",
    "stalemate": "e3 a5 Qh5 Ra6 Qxa5 h5 h4 Rah6 Qxc7 f6 Qxd7+ Kf7 Qxb7 Qd3 Qxb8 Qh7 Qxc8 Kg6 Qe6",
    "castling": "Nf3 Nf6 g3 g6 Bg2 Bg7 Nc3 Nc6 b3 b6 Bb2 Bb7 e3 e6 Qe2 Qe7 O-O-O O-O",
    "en passant": "e4 a6 e5 d5 exd6 Nh6 dxc7 Ng8 cxb8=N",
    "promotion with check": "a4 b5 axb5 a6 bxa6 Bb7 axb7 c6 bxa8=Q Qa5 Rxa5 Kd8 Qxb8#",
    "three rooks and knights": "Nc3 a6 Ne4 a5 Nf3 a4 Neg5 a3 Nd4 h6 Ndf3 Rh7 Nxh7 Nf6 Nhg5 Nh7 Nxh7 Nc6 Nfg5",
}


@pytest.mark.parametrize("name", CHOSEN)
def test_what_is_rare(name: str) -> None:
    board, codes = oracle.Board(), []
    for san in CHOSEN[name].split():
        codes.append(twin.code(board.push_san(san)))
    moves = np.array([codes], dtype=np.uint16)
    assert_as_listed(Games(chess.write(moves), moves))


def test_both_castlings_part_behind_the_short_one() -> None:
    board, codes = oracle.Board(), []
    for san in CHOSEN["castling"].removesuffix(" O-O").split():
        codes.append(twin.code(board.push_san(san)))
    moves = np.array([codes], dtype=np.uint16)
    text = chess.write(moves)[0]
    found = chess_next.next_characters(Games([text], moves))[0, len(text) - 3]
    assert {CHARACTERS[v]: found[v] for v in np.flatnonzero(found)} == {" ": 0.5, "-": 0.5}


def test_other_moves_than_the_texts_are_refused() -> None:
    games = chess.random_games(2, seed=6, max_chars=60)
    with pytest.raises(ValueError, match="do not say"):
        chess_next.next_characters(Games(games.texts[::-1], games.moves))


def test_legal_words_are_the_moves_as_written() -> None:
    games = chess.random_games(3, seed=7, max_chars=120)
    legal = chess_next.legal_words(games)
    played = np.zeros(len(legal.game), dtype=np.uint64)
    for row, (game, start) in enumerate(zip(legal.game, legal.start, strict=True)):
        text, board = games.texts[game], oracle.Board()
        for word in text[1:start].replace(".", ". ").split():
            if not word.endswith("."):
                board.push_san(word)
        wanted = {board.san(move).rstrip("+#") for move in board.legal_moves}
        found = [int(word).to_bytes(8, "little").rstrip(b"\0").decode() for word in legal.word[legal.row == row]]
        assert len(found) == len(wanted)
        assert set(found) == wanted
        played[row] = int.from_bytes(text[start:].partition(" ")[0].rstrip("+#").encode(), "little")
    cut = [text.rpartition(" ")[2] for text in games.texts]
    assert np.count_nonzero(~legal.hold(played)) <= len(cut)
    assert not legal.hold(np.zeros_like(played)).any()
