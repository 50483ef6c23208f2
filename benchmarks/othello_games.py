"""Random legal Othello games per second of one core: python benchmarks/othello_games.py [games]."""

from __future__ import annotations

import sys
import time

from saecli.games import othello


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
    began = time.process_time()
    games = othello.random_games(n, seed=0)
    played = time.process_time()
    othello.replay(games.moves)
    replayed = time.process_time()
    print(f"played {n / (played - began):,.0f} games/s, replayed {n / (replayed - played):,.0f} games/s")


if __name__ == "__main__":
    main()
