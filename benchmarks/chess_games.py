"""Paired runs of chess as bitboards over many games and of python-chess, in CPU seconds of one thread.

Three jobs: replaying games from text, keeping every board; playing random games and writing them down; counting legal
moves. python-chess does a part of each job, between two of our runs, and times are compared per half-move. Games are
random ones of 1,023 characters. Run: ``python benchmarks/chess_games.py [games] [--pairs 7]``. Exits with 1 where
results differ or replay is less than 20 times as fast.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import chess
import numpy as np

from saecli.games import chess as ours
from saecli.games.chess_moves import legal_moves
from tests.twins import chess as twin

LEAST_RATIO = 20.0
TWIN_GAMES = 20

Job = Callable[[], tuple[int, object]]
"""Does the work and returns how many half-moves it was, and the results to compare."""


def replayed(texts: list[str], count: int) -> tuple[int, list[list[object]]]:
    boards = ours.replay(texts)
    kept = (boards.pieces, boards.castling, boards.en_passant, boards.check, boards.quiet)
    plies = boards.plies[:count]
    return int(boards.plies.sum()), [
        [[part[game, ply].tolist() for part in kept] for ply in range(plies[game] + 1)] for game in range(count)
    ]


def replayed_by_twin(texts: list[str]) -> tuple[int, list[list[object]]]:
    games = []
    for text in texts:
        board = chess.Board()
        kept = [_kept(board)]
        for word in text[1:].split(" "):
            try:
                board.push_san(word[word.rfind(".") + 1 :])
            except ValueError:  # the cut last move
                break
            kept.append(_kept(board))
        games.append(kept)
    return sum(len(kept) - 1 for kept in games), games


def _kept(board: chess.Board) -> list[object]:
    jumped = -1 if board.ep_square is None else board.ep_square
    return [twin.pieces(board), twin.rights(board), jumped, board.is_check(), board.halfmove_clock]


def moves_only_by_twin(texts: list[str]) -> tuple[int, None]:
    plies = 0
    for text in texts:
        board = chess.Board()
        for word in text[1:].split(" "):
            try:
                board.push_san(word[word.rfind(".") + 1 :])
            except ValueError:
                break
        plies += board.ply()
    return plies, None


def played(n: int) -> tuple[int, None]:
    return int(np.count_nonzero(ours.random_games(n, 1).moves)), None


def played_by_twin(chooser: random.Random) -> tuple[int, None]:
    board, text = chess.Board(), ";"
    while len(text) < 1023 and (moves := list(board.legal_moves)):
        move = chooser.choice(moves)
        text += f"{board.fullmove_number}." * board.turn + board.san(move) + " "
        board.push(move)
    return board.ply(), None


def counted(boards: ours.Boards, games: np.ndarray, plies: np.ndarray, first: int) -> tuple[int, list[int]]:
    parts = np.array_split(np.arange(len(games)), max(1, len(games) // 4096))
    found = np.concatenate([legal_moves(boards.at(games[part], plies[part])).count for part in parts])
    return len(games), found[:first].tolist()


def counted_by_twin(positions: list[chess.Board]) -> tuple[int, list[int]]:
    return len(positions), [board.legal_moves.count() for board in positions]


def paired(name: str, job: Job, other: Job, pairs: int) -> float:
    """Runs two jobs in turn, prints the times per half-move and returns the median ratio."""
    mine, theirs = [], []
    for _ in range(pairs):
        for times, run in ((mine, job), (theirs, other)):
            began = time.process_time()
            plies, result = run()
            times.append((time.process_time() - began) / plies)
            if times is mine:
                expected = result
        assert expected is None or result is None or expected == result, f"{name}: results differ"
    ratios = sorted(slow / fast for fast, slow in zip(mine, theirs, strict=True))
    rate = 1 / statistics.median(mine)
    print(
        f"{name}: {rate:,.0f} half-moves/s, python-chess {1 / statistics.median(theirs):,.0f}; "
        f"ratio {statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
    )
    return statistics.median(ratios)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("games", type=int, nargs="?", default=4000)
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    texts = ours.random_games(options.games, 0).texts
    boards = ours.replay(texts)
    some = texts[:TWIN_GAMES]
    games, plies = np.nonzero(np.arange(boards.pieces.shape[1]) < boards.plies[:, None])
    sample = np.random.default_rng(0).permutation(len(games))[: 40 * 4096]
    games, plies = games[sample], plies[sample]
    positions = [_board(boards, game, ply) for game, ply in zip(games[:2000], plies[:2000], strict=True)]
    chooser = random.Random(0)
    assert replayed(texts, TWIN_GAMES)[1] == replayed_by_twin(some)[1], "boards differ"
    ratio = paired(
        "replay, boards kept", lambda: replayed(texts, 0), lambda: (replayed_by_twin(some)[0], None), options.pairs
    )
    paired(
        "replay, python-chess keeps none", lambda: replayed(texts, 0), lambda: moves_only_by_twin(some), options.pairs
    )
    paired("random games", lambda: played(options.games), lambda: played_by_twin(chooser), options.pairs)
    paired(
        "legal moves", lambda: counted(boards, games, plies, 2000), lambda: counted_by_twin(positions), options.pairs
    )
    print(f"{options.games:,} games; every board and count of the shared part is equal")
    return 0 if ratio >= LEAST_RATIO else 1


def _board(boards: ours.Boards, game: int, ply: int) -> chess.Board:
    board = chess.Board()
    for code in boards.moves[game, :ply].tolist():
        board.push(twin.move_of(code))
    return board.copy(stack=False)


if __name__ == "__main__":
    sys.exit(main())
