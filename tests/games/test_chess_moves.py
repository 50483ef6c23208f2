"""Legal moves: counted to known depths, and equal to python-chess move by move."""

from __future__ import annotations

import chess
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.games.chess_moves import codes, legal_moves, steps_of
from saecli.games.chess_position import Position
from saecli.games.chess_san import meaning, written
from saecli.games.chess_tables import attack_map
from saecli.games.chess_text import read_word
from tests.twins import chess as twin

# Positions and node counts that move generators are commonly checked by (https://www.chessprogramming.org/Perft_Results).
KNOWN = {
    chess.STARTING_FEN: [20, 400, 8902, 197281],
    "r3k2r/p1ppqpb1/bn2pnp1/3PN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq - 0 1": [48, 2039, 97862],
    "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1": [14, 191, 2812, 43238],
    "r3k2r/Pppp1ppp/1b3nbN/nP6/BBP1P3/q4N2/Pp1P2PP/R2Q1RK1 w kq - 0 1": [6, 264, 9467],
    "r2q1rk1/pP1p2pp/Q4n2/bbp1p3/Np6/1B3NBn/pPPP1PPP/R3K2R b KQ - 0 1": [6, 264, 9467],
    "rnbq1k1r/pp1Pbppp/2p5/8/2B5/8/PPP1NnPP/RNBQK2R w KQ - 1 8": [44, 1486, 62379],
    "r4rk1/1pp1qppp/p1np1n2/2b1p1B1/2B1P1b1/P1NP1N2/1PP1QPPP/R4RK1 w - - 0 10": [46, 2079, 89890],
}
CORNER_CASES = [
    "8/8/8/K2pP2r/8/8/8/4k3 w - d6 0 1",  # en passant would open the rank to the rook
    "4k3/8/8/3pP3/8/8/8/K3r3 w - d6 0 1",
    "4r3/8/8/3pP3/8/8/8/k3K3 w - d6 0 1",  # the capturing pawn is pinned
    "8/8/8/2k5/3Pp3/8/8/4K3 b - d3 0 1",  # en passant takes the pawn that gives check
    "8/8/8/8/3Pp1k1/8/8/3BK3 b - d3 0 1",
    "4k3/8/8/8/4n3/8/3r4/4K3 w - - 0 1",
    "4k3/8/8/8/8/3n4/8/r3K2R w K - 0 1",  # double check
    "r3k2r/8/8/8/8/8/6p1/R3K2R w KQkq - 0 1",  # castling past an attacked square
    "r3k2r/8/8/8/1b6/8/8/R3K2R w KQkq - 0 1",
    "1r2k2r/8/8/8/8/8/8/R3K2R w KQk - 0 1",  # only the rook's way is attacked: castling long is allowed
    "rn2k3/8/8/8/8/8/8/RN2K2R w KQq - 0 1",
    "1n1n3k/P1P4P/8/8/8/8/p1p4p/K2N1N2 w - - 0 1",
    "1n1n3k/P1P4P/8/8/8/8/p1p4p/K2N1N2 b - - 0 1",
    "R6R/3Q4/1Q4Q1/4Q3/2Q4Q/Q4Q2/pp1Q4/kBNN1KB1 w - - 0 1",  # 218 moves, the most there are
    "k7/8/8/8/4Q2Q/8/8/K6Q w - - 0 1",  # Qh4e1: file and rank are needed
    "7k/5Q2/6K1/8/8/8/8/8 b - - 0 1",  # stalemate
    "R5k1/5ppp/8/8/8/8/8/4K3 b - - 0 1",  # mate
]
H4_E1 = np.array([chess.H4 | chess.E1 << 6], dtype=np.uint16)


def nodes(position: Position, depth: int) -> int:
    legal = legal_moves(position)
    if depth == 1:
        return int(legal.count.sum())
    table = legal.table()
    row, column = np.nonzero(table)
    before = position.take(row)
    return nodes(before.play(steps_of(before, table[row, column])), depth - 1)


def listed(position: Position) -> list[list[int]]:
    return [sorted(row[row > 0].tolist()) for row in legal_moves(position).table()]


def expected(boards: list[chess.Board]) -> list[list[int]]:
    return [sorted(twin.code(move) for move in board.legal_moves) for board in boards]


@pytest.mark.parametrize("fen", KNOWN)
def test_known_node_counts(fen: str):
    position = twin.position([chess.Board(fen)])
    assert [nodes(position, depth + 1) for depth in range(len(KNOWN[fen]))] == KNOWN[fen]


@pytest.mark.slow
def test_known_node_counts_deep():
    assert nodes(Position.start(1), 5) == 4865609
    assert nodes(twin.position([chess.Board(list(KNOWN)[1])]), 4) == 4085603


def test_corner_cases_and_their_mirror_images():
    boards = [chess.Board(fen) for fen in CORNER_CASES]
    boards += [board.mirror() for board in boards]
    assert listed(twin.position(boards)) == expected(boards)
    assert max(map(len, expected(boards))) == 218


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32))
def test_moves_of_random_games_equal_python_chess(seed: int):
    boards = [board.copy(stack=False) for board, _ in twin.game(seed, 120)]
    position = twin.position(boards)
    assert listed(position) == expected(boards)
    assert (position.checkers != 0).tolist() == [board.is_check() for board in boards]
    pins = [sum(1 << s for s in chess.SQUARES if b.is_pinned(b.turn, s)) for b in boards]
    own = [b.occupied_co[b.turn] for b in boards]
    assert position.real(position.pinned).tolist() == [pin & mine for pin, mine in zip(pins, own, strict=True)]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_attacked_squares_equal_python_chess(seed: int):
    boards = [board.copy(stack=False) for board, _ in twin.game(seed, 80)]
    pieces = np.array([twin.pieces(board) for board in boards], dtype=np.uint64).T
    occupied = np.array([board.occupied for board in boards], dtype=np.uint64)
    for colour, kinds in ((chess.WHITE, pieces[:6]), (chess.BLACK, pieces[6:])):
        found = attack_map(kinds, occupied, upward=colour)
        want = [sum(1 << s for s in chess.SQUARES if board.is_attacked_by(colour, s)) for board in boards]
        assert found.tolist() == want


def test_every_rank_picks_a_different_move():
    boards = [chess.Board(fen) for fen in (*KNOWN, *CORNER_CASES)]
    position = twin.position(boards)
    legal = legal_moves(position)
    picked: list[list[int]] = [[] for _ in boards]
    for rank in range(int(legal.count.max())):
        steps = legal.pick(np.minimum(rank, np.maximum(legal.count - 1, 0)))
        assert legal.allows(steps).tolist() == (legal.count > 0).tolist()
        for row, code in enumerate(codes(position, steps).tolist()):
            if rank < legal.count[row]:
                picked[row].append(code)
    assert [sorted(row) for row in picked] == expected(boards)


def test_destinations_are_those_of_the_listed_moves():
    boards = [chess.Board(fen) for fen in (*KNOWN, *CORNER_CASES)]
    want = [sum({1 << move.to_square for move in board.legal_moves}) for board in boards]
    assert legal_moves(twin.position(boards)).destinations.tolist() == want


def assert_notation_equals(boards: list[chess.Board]) -> None:
    pairs = [(board, move) for board in boards for move in board.legal_moves]
    position = twin.position([board for board, _ in pairs])
    steps = steps_of(position, np.array([twin.code(move) for _, move in pairs], dtype=np.uint16))
    texts = [bytes(row).replace(b"\0", b"").decode() for row in written(position, steps)]
    want = [board.san(move) for board, move in pairs]
    assert texts == [text.rstrip("+#") for text in want]
    said = meaning(position, np.array([read_word(text) for text in want], dtype=np.int32)).steps
    assert codes(position, said).tolist() == codes(position, steps).tolist()


def test_notation_of_every_move_of_corner_cases():
    boards = [chess.Board(fen) for fen in (*KNOWN, *CORNER_CASES)]
    assert_notation_equals(boards + [board.mirror() for board in boards])
    queens = twin.position(boards[-3:-2])
    assert bytes(written(queens, steps_of(queens, H4_E1))[0]).replace(b"\0", b"") == b"Qh4e1"


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_notation_of_every_move_of_random_games(seed: int):
    assert_notation_equals([board.copy(stack=False) for board, _ in twin.game(seed, 60)])


def test_illegal_steps_are_not_allowed():
    board = chess.Board(CORNER_CASES[11])
    position = twin.position([board] * 3)
    legal = legal_moves(position)
    moves = [chess.Move(chess.A7, chess.B8), chess.Move(chess.A7, chess.B8, chess.ROOK), chess.Move(chess.A1, chess.A3)]
    steps = steps_of(position, np.array([twin.code(move) for move in moves], dtype=np.uint16))
    assert legal.allows(steps).tolist() == [False, True, False]


def test_no_positions():
    legal = legal_moves(Position.start(0))
    assert legal.count.shape == (0,)
    assert legal.table().shape == (0, 218)
