"""Othello square by square, as slowly and plainly as possible: the twin of saecli.games.othello."""

from __future__ import annotations

DIRECTIONS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


class PlainOthello:
    """A board of rows and columns; 1 is Black, -1 White, 0 empty."""

    def __init__(self) -> None:
        self.board = [[0] * 8 for _ in range(8)]
        self.board[3][4] = self.board[4][3] = 1
        self.board[3][3] = self.board[4][4] = -1
        self.player = 1

    def turned(self, square: int, player: int) -> list[tuple[int, int]]:
        row, col = divmod(square, 8)
        if self.board[row][col]:
            return []
        found = []
        for down, right in DIRECTIONS:
            line, r, c = [], row + down, col + right
            while 0 <= r < 8 and 0 <= c < 8 and self.board[r][c] == -player:
                line.append((r, c))
                r, c = r + down, c + right
            if 0 <= r < 8 and 0 <= c < 8 and self.board[r][c] == player:
                found += line
        return found

    def legal(self, player: int | None = None) -> list[int]:
        return [square for square in range(64) if self.turned(square, player or self.player)]

    def play(self, square: int) -> None:
        turned = self.turned(square, self.player)
        assert turned
        for row, col in [*turned, divmod(square, 8)]:
            self.board[row][col] = self.player
        if self.legal(-self.player) or not self.legal():
            self.player = -self.player

    def discs(self, player: int) -> list[int]:
        return [square for square in range(64) if self.board[square // 8][square % 8] == player]
