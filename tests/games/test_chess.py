"""Chess games replayed from text and played at random, against python-chess."""

from __future__ import annotations

import chess
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.games import chess as ours
from saecli.games.chess_moves import legal_moves
from saecli.games.chess_text import CHARACTERS, encode, parse
from tests.twins import chess as twin

GAME = ";1.e4 e5 2.Nf3 Nc6 3.Bb5 a6 4.Bx"
OPERA = (
    ";1.e4 e5 2.Nf3 d6 3.d4 Bg4 4.dxe5 Bxf3 5.Qxf3 dxe5 6.Bc4 Nf6 7.Qb3 Qe7 8.Nc3 c6 9.Bg5 b5 10.Nxb5 cxb5 "
    "11.Bxb5+ Nbd7 12.O-O-O Rd8 13.Rxd7 Rxd7 14.Rd1 Qe6 15.Bxd7+ Nxd7 16.Qb8+ Nxb8 17.Rd8#"
)
STALEMATE = ";1.e3 a5 2.Qh5 Ra6 3.Qxa5 h5 4.h4 Rah6 5.Qxc7 f6 6.Qxd7+ Kf7 7.Qxb7 Qd3 8.Qxb8 Qh7 9.Qxc8 Kg6 10.Qe6"


def assert_boards_equal(boards: ours.Boards, game: int, ply: int, board: chess.Board) -> None:
    assert boards.pieces[game, ply].tolist() == twin.pieces(board)
    assert boards.castling[game, ply] == twin.rights(board)
    assert boards.en_passant[game, ply] == (-1 if board.ep_square is None else board.ep_square)
    assert boards.check[game, ply] == board.is_check()
    assert boards.quiet[game, ply] == board.halfmove_clock


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 200)), min_size=1, max_size=4))
def test_replay_of_random_games_equals_python_chess(games: list[tuple[int, int]]):
    boards = ours.replay([twin.transcript(seed, plies) for seed, plies in games])
    assert boards.faults == []
    assert not boards.cut.any()
    for game, (seed, plies) in enumerate(games):
        board, ply = chess.Board(), 0
        for ply, (board, move) in enumerate(twin.game(seed, plies), start=1):
            assert_boards_equal(boards, game, ply - 1, board)
            assert boards.moves[game, ply - 1] == twin.code(move)
        assert boards.plies[game] == ply
        assert_boards_equal(boards, game, ply, board)  # the twin's board has made its last move by now
        ending = ours.CHECKMATE if board.is_checkmate() else ours.STALEMATE if board.is_stalemate() else ours.OPEN
        assert boards.ending[game] == ending
        assert not boards.pieces[game, ply + 1 :].any()
        assert not boards.moves[game, ply:].any()


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 200)), min_size=1, max_size=4))
def test_written_games_equal_python_chess(games: list[tuple[int, int]]):
    texts = [twin.transcript(seed, plies) for seed, plies in games]
    assert ours.write(ours.replay(texts).moves) == texts


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**40))
def test_random_games_equal_python_chess(seed: int):
    games = ours.random_games(4, seed, max_chars=600)
    for text, moves in zip(games.texts, games.moves, strict=True):
        board, words = chess.Board(), []
        for code in moves[moves > 0].tolist():
            move = twin.move_of(code)
            assert move in board.legal_moves
            words.append(f"{board.fullmove_number}." * board.turn + board.san(move))
            board.push(move)
        assert text == (";" + " ".join(words))[:600]
        assert len(text) == 600 or not any(board.legal_moves)


def test_every_kind_of_move_occurs_in_what_the_twin_plays():
    texts = [twin.transcript(seed, 200) for seed in range(20)]
    words = {word for text in texts for word in text.replace(".", " ").split()}
    endings = {word[-2:].strip("+#")[-1:] for word in words if "=" in word}
    assert endings == set("NBRQ")
    assert {"O-O", "O-O-O"} <= {word.strip("+#") for word in words}
    passing = sum(board.is_en_passant(move) for seed in range(20) for board, move in twin.game(seed, 200))
    assert passing > 2


def test_a_famous_game():
    boards = ours.replay([OPERA, STALEMATE])
    assert boards.plies.tolist() == [33, 19]
    assert boards.ending.tolist() == [ours.CHECKMATE, ours.STALEMATE]
    assert boards.check[0, [21, 29, 31, 33]].all()
    assert np.count_nonzero(boards.check[0]) == 4
    assert ours.write(boards.moves) == [OPERA, STALEMATE]


def test_boards_for_characters():
    transcripts = parse([GAME])
    boards = ours.replay(transcripts)
    assert boards.plies.tolist() == [6]
    assert boards.cut.tolist() == [True]
    dots = transcripts.complete(boards.plies)[transcripts.positions(".")]
    assert dots.tolist() == [0, 2, 4, 6]
    position = boards.at(np.zeros(4, dtype=int), dots)
    assert not position.black.any()
    assert legal_moves(position).count.tolist() == [20, 29, 27, 32]


@pytest.mark.parametrize(
    ("text", "number", "word", "reason"),
    [
        (";1.e4 e5 2.Ke3 Nc6", "2.", "Ke3", "is illegal: no king of White can make it"),
        (";1.e4 zz 2.d4", "1...", "zz", "is not a move in algebraic notation"),
        (";1.d3 e5 2.Nd2 a6 3.Nf3", "3.", "Nf3", "is ambiguous: it fits the knights on g1 and d2"),
        (
            ";1.d3 e5 2.Nc3 Bb4 3.Bd2 a6 4.a3 a5 5.Nb5 Bxd2+ 6.a4 a3",
            "6.",
            "a4",
            "is illegal: it leaves White's king in check",
        ),
        (";1.e4 e5 2.O-O Nc6", "2.", "O-O", "is illegal: White cannot castle short here"),
        (
            ";1.d4 d5 2.Nc3 Nc6 3.Bf4 Bf5 4.Qd2 Qd7 5.O-O-O O-O 6.e4",
            "5...",
            "O-O",
            "is illegal: Black cannot castle short here",
        ),
        (";1.f3 e5 2.g4 Qh4# 3.a3", "3.", "a3", "follows the end of the game: White is mated"),
        (STALEMATE + " a6 ", "10...", "a6", "follows the end of the game: Black is stalemated"),
        (";1.e4 e5 2.exd5 d5", "2.", "exd5", "is illegal: no pawn of White can make it"),
        (";1.e4 e5 2.e5 d5", "2.", "e5", "is illegal: no pawn of White can make it"),
        (";1.a8=Q", "1.", "a8=Q", "is illegal: no pawn of White can make it"),
    ],
)
def test_faults_are_named_and_leave_the_game_before_them(text: str, number: str, word: str, reason: str):
    good = ";1.d4 d5 2.c4 e6 3.Nc3 Nf6 4.Bg5 Be7 5.e3 O-O 6.Nf3 Nbd7"
    boards = ours.replay([good, text, good])
    found = boards.faults[0]
    assert text[found.character :].startswith(found.text)
    where = f"game 1, move {number}{word} (character {found.character})"
    assert [str(found) for found in boards.faults] == [f"{where} {reason}"]
    assert boards.plies.tolist() == [12, found.ply, 12]
    assert not boards.cut.any()
    assert np.array_equal(boards.pieces[0, :13], boards.pieces[2, :13])
    board = chess.Board()
    for word in text[1:].replace(".", " ").split()[: found.ply * 3 // 2 + 2]:
        if board.ply() < found.ply and not word.isdigit():
            board.push_san(word)
    assert_boards_equal(boards, 1, found.ply, board)


@pytest.mark.parametrize(
    ("text", "plies"),
    [
        (";1.Nf3 e5 2.Nd4 e4 3.Nb3 e3 4.N1", 6),
        (";1.Nf3 e5 2.Nd4 e4 3.Nd4", 4),  # Nd4f5
        (";1.a4 b5 2.axb5 a6 3.bxa6 Nc6 4.a7 e5 5.a8", 8),  # a8=Q
        (";1.a4 b5 2.axb5 a6 3.bxa6 Nc6 4.a7 e5 5.axb8", 8),
        (";1.d4 d5 2.Nc3 Nc6 3.Bf4 Bf5 4.Qd2 Qd7 5.O-O", 8),  # O-O-O
    ],
)
def test_a_cut_last_move_is_no_fault(text: str, plies: int):
    boards = ours.replay([text, text + " "])
    assert boards.cut[0]
    assert boards.plies.tolist() == [plies, plies]
    assert [(found.game, found.ply) for found in boards.faults] == [(1, plies)]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 400))
def test_a_text_cut_anywhere_is_no_fault(seed: int, length: int):
    text = twin.transcript(seed, 80)[:length]
    boards = ours.replay([text])
    assert boards.faults == []
    whole = ours.replay([twin.transcript(seed, 80)])
    known = int(parse([text + " "]).counts[0])
    assert known - 1 <= boards.plies[0] <= known
    behind = text.count(" ")  # moves that are complete whatever follows
    assert np.array_equal(boards.pieces[0, : behind + 1], whole.pieces[0, : behind + 1])


def test_games_do_not_depend_on_their_neighbours():
    texts = [twin.transcript(seed, 60)[: 40 * seed + 1] for seed in range(8)]
    together = ours.replay(texts)
    for game, text in enumerate(texts):
        alone = ours.replay([text])
        plies = int(alone.plies[0])
        assert together.plies[game] == plies
        assert together.cut[game] == alone.cut[0]
        assert np.array_equal(together.pieces[game, : plies + 1], alone.pieces[0, : plies + 1])


def test_same_seed_same_games_and_more_only_append():
    few, many = ours.random_games(3, 3, 30), ours.random_games(4100, 3, 30)
    assert few.texts == many.texts[:3]
    assert few.texts != ours.random_games(3, 4, 30).texts
    assert len(set(many.texts)) > 4000
    assert many.moves.shape[0] == len(many.texts) == 4100


def test_random_moves_are_uniform_over_the_legal_ones():
    first = ours.random_games(8000, 1, max_chars=4).moves[:, 0]
    counts = np.unique(first, return_counts=True)[1]
    assert len(counts) == 20
    assert ((counts - 400) ** 2 / 400).sum() < 43.8  # chi-squared, 19 degrees of freedom, p = 0.001


def test_texts_use_chessgpts_alphabet_and_stop_at_their_length():
    texts = ours.random_games(20, 0, max_chars=256).texts
    assert {len(text) for text in texts} == {256}
    assert all(encode(text).max() < len(CHARACTERS) for text in texts)
    longer = ours.random_games(20, 0, max_chars=300).texts
    assert [text[:256] for text in longer] == texts


def test_writing_an_illegal_move():
    moves = np.zeros((2, 3), dtype=np.uint16)
    moves[:, 0] = twin.code(chess.Move.from_uci("e2e4"))
    moves[1, 1] = twin.code(chess.Move.from_uci("e2e4"))
    with pytest.raises(ours.IllegalMove, match="game 1, ply 1: e2e4 is not a legal chess move there"):
        ours.write(moves)


def test_no_games():
    assert ours.random_games(0, 0).texts == []
    assert ours.replay([]).pieces.shape == (0, 1, 12)
    assert ours.replay([";"]).plies.tolist() == [0]
    assert ours.write(np.zeros((2, 0), dtype=np.uint16)) == [";", ";"]
