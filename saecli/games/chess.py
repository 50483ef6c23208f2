"""Chess, many games at once: replayed from their texts, or played at random.

All games advance together, one move of each at a time, as arrays of bitboards. Bit ``rank * 8 + file`` is a square: A1
is bit 0, H1 bit 7, H8 bit 63. Texts are in ChessGPT's notation, ``;1.e4 e5 2.Nf3`` (``chess_text``).

Shapes: N games, L plies (half-moves) of the longest game.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from saecli.core.errors import InputError
from saecli.games.chess_faults import Fault, fault
from saecli.games.chess_moves import LegalMoves, codes, legal_moves, steps_of
from saecli.games.chess_position import PAWN, PIECE_LETTERS, SQUARE_NAMES, Position, Steps
from saecli.games.chess_san import Meaning, meaning
from saecli.games.chess_tables import Bitboards, square_of
from saecli.games.chess_text import Transcripts, parse
from saecli.games.chess_writer import Games, play

OPEN, CHECKMATE, STALEMATE = 0, 1, 2
"""How a game stands after its last move: it may go on, the player to move is mated, has no move."""

_GAMES_PER_CHUNK = 4096  # large enough to hide the cost of a call, small enough for the second-level cache
_RANDOM_GAMES_PER_CHUNK = 4096  # part of what a seed means
_CORNER_OF_RIGHT = np.array([1 << 7, 1 << 0, 1 << 63, 1 << 56], dtype=np.uint64)
_CORNERS_OF_RIGHTS: Bitboards = np.array(
    [sum(int(_CORNER_OF_RIGHT[right]) for right in range(4) if rights >> right & 1) for rights in range(16)],
    dtype=np.uint64,
)
_RIGHTS = np.zeros(512, dtype=np.uint8)  # by the corners 1 << 7, 1 << 0, and 1 << 63, 1 << 56 shifted down by 55
for _rights in range(16):
    _RIGHTS[sum(_bit for _at, _bit in enumerate((0x80, 0x01, 0x100, 0x02)) if _rights >> _at & 1)] = _rights
_SQUARE_OR_NONE = np.array([*range(64), -1], dtype=np.int8)


class IllegalMove(InputError, ValueError):
    """A coded move is against the rules.

    Attributes:
        game: index of the game, from 0.
        ply: index of the move within the game, from 0.
    """

    def __init__(self, game: int, ply: int, code: int):
        self.game, self.ply = game, ply
        origin, target = (SQUARE_NAMES[square] for square in (code & 63, code >> 6 & 63))
        promotion = PIECE_LETTERS[code >> 12] if 1 <= code >> 12 <= 4 else ""
        super().__init__(f"game {game}, ply {ply}: {origin}{target}{promotion} is not a legal chess move there")


@dataclass(frozen=True)
class Boards:
    """The positions of some games: index 0 the start, index p after p moves; zeros (no square: -1) after the end.

    Attributes:
        pieces: uint64 [N, L + 1, 12], White's pawns, knights, bishops, rooks, queens and king, then Black's.
        castling: uint8 [N, L + 1], bits 0 to 3: White may still castle short, long, Black short, long.
        en_passant: int8 [N, L + 1], the square a pawn has just jumped over, capture or no capture, or -1.
        check: bool [N, L + 1], the player to move is in check.
        quiet: int16 [N, L + 1], half-moves since the last capture or pawn move.
        moves: uint16 [N, L], from | to << 6 | promotion << 12 (1 knight, 2 bishop, 3 rook, 4 queen), 0 after the end.
        plies: int64 [N], legal moves of each game.
        ending: int8 [N], OPEN, CHECKMATE or STALEMATE after them.
        cut: bool [N], the text ends within a move.
        faults: what is wrong with games, at most one each; such a game stands before its fault.
    """

    pieces: Bitboards
    castling: npt.NDArray[np.uint8]
    en_passant: npt.NDArray[np.int8]
    check: npt.NDArray[np.bool_]
    quiet: npt.NDArray[np.int16]
    moves: npt.NDArray[np.uint16]
    plies: npt.NDArray[np.int64]
    ending: npt.NDArray[np.int8]
    cut: npt.NDArray[np.bool_]
    faults: list[Fault]

    def at(self, games: npt.NDArray[np.integer], plies: npt.NDArray[np.integer]) -> Position:
        """Chosen positions, ready for ``legal_moves`` and the like.

        Args:
            games: [R], game indices.
            plies: [R], 0 to each game's number of moves.
        """
        square = self.en_passant[games, plies]
        jumped = np.where(square >= 0, np.uint64(1) << np.maximum(square, 0).astype(np.uint64), np.uint64(0))
        rights = _CORNERS_OF_RIGHTS[self.castling[games, plies]]
        return Position.of_boards(self.pieces[games, plies], rights, jumped, np.asarray(plies) % 2 == 1)


def replay(games: Sequence[str] | Transcripts) -> Boards:
    """Plays recorded games and returns every position.

    A text that ends within a move is cut there, which is normal. Anything else that is not a legal move, and words that
    fit several, end their game with a fault. As in other readers, the signs of capture, check and mate are not held
    against the position. A text that ends with ``O-O`` is read as that, though it may be the beginning of ``O-O-O``.

    Args:
        games: texts, or what ``chess_text.parse`` made of them.
    """
    transcripts = games if isinstance(games, Transcripts) else parse(games)
    n, length = transcripts.words.shape
    boards = Boards(
        # Written ply by ply, so laid out ply by ply.
        pieces=np.zeros((length + 1, n, 12), dtype=np.uint64).swapaxes(0, 1),
        castling=np.zeros((length + 1, n), dtype=np.uint8).T,
        en_passant=np.full((length + 1, n), -1, dtype=np.int8).T,
        check=np.zeros((length + 1, n), dtype=np.bool_).T,
        quiet=np.zeros((length + 1, n), dtype=np.int16).T,
        moves=np.zeros((length, n), dtype=np.uint16).T,
        plies=transcripts.counts.copy(),
        ending=np.zeros(n, dtype=np.int8),
        cut=transcripts.cut.copy(),
        faults=[],
    )
    for rows in np.array_split(np.arange(n), max(1, -(-n // _GAMES_PER_CHUNK))):
        _replay_chunk(transcripts, boards, rows)
        final = boards.at(rows, boards.plies[rows])
        stuck = legal_moves(final).count == 0
        boards.ending[rows] = np.where(stuck, np.where(final.checkers != 0, CHECKMATE, STALEMATE), OPEN)
    boards.faults.sort(key=lambda found: found.game)
    return boards


def random_games(n: int, seed: int, max_chars: int = 1023) -> Games:
    """Plays ``n`` games in which every move is uniform over the legal ones, and writes them down.

    A game ends with mate, with stalemate, or where its text is cut at ``max_chars`` characters, within a move or not;
    it is never drawn by repetition, by the fifty-move rule or for want of material. The same seed gives the same games,
    and more games only append: ``random_games(5, s)`` begins ``random_games(9, s)``.

    Args:
        n: number of games, at least 0.
        seed: non-negative integer.
        max_chars: length of the longest texts; 1,023 is ChessGPT's context.
    """
    chunks = []
    for start in range(0, n, _RANDOM_GAMES_PER_CHUNK):
        draw = np.random.default_rng([seed, start // _RANDOM_GAMES_PER_CHUNK])

        def choose(ply: int, games: npt.NDArray[np.intp], legal: LegalMoves, draw: np.random.Generator = draw) -> Steps:
            count = legal.count
            uniform = draw.random(_RANDOM_GAMES_PER_CHUNK)[games]
            return legal.pick(np.minimum((uniform * count).astype(np.int64), np.maximum(count, 1) - 1))

        chunks.append(play(min(_RANDOM_GAMES_PER_CHUNK, n - start), choose, max_chars))
    return Games([text for chunk in chunks for text in chunk.texts], _below([chunk.moves for chunk in chunks]))


def write(moves: npt.NDArray[np.uint16]) -> list[str]:
    """Writes games down from the start, with the signs of check and mate.

    Args:
        moves: uint16 [N, L], coded as in ``Boards.moves``, 0 after a game's end.

    Raises:
        IllegalMove: a move is against the rules.
    """

    def choose(ply: int, games: npt.NDArray[np.intp], legal: LegalMoves) -> Steps:
        code = moves[games, ply] if ply < moves.shape[1] else np.zeros(len(games), dtype=np.uint16)
        steps = steps_of(legal.position, code)
        wrong = np.flatnonzero((code != 0) & ~legal.allows(steps))
        if wrong.size:
            raise IllegalMove(int(games[wrong[0]]), ply, int(code[wrong[0]]))
        return steps

    return play(len(moves), choose).texts


def _below(moves: list[npt.NDArray[np.uint16]]) -> npt.NDArray[np.uint16]:
    """Moves of several batches of games [N, L], one below the other."""
    found = np.zeros((sum(map(len, moves)), max((part.shape[1] for part in moves), default=0)), dtype=np.uint16)
    start = 0
    for part in moves:
        found[start : start + len(part), : part.shape[1]] = part
        start += len(part)
    return found


def _replay_chunk(transcripts: Transcripts, boards: Boards, games: npt.NDArray[np.intp]) -> None:
    """Plays some games to their ends, the longest first in every array so that those still going are a prefix."""
    games = games[np.argsort(-transcripts.counts[games], kind="stable")]
    position = Position.start(len(games))
    quiet = np.zeros(len(games), dtype=np.int16)
    _record(boards, games, 0, position, quiet)
    for ply in range(int(transcripts.counts[games].max(initial=0))):
        going = slice(0, int(np.count_nonzero(transcripts.counts[games] > ply)))
        games, quiet, position = games[going], quiet[going], position.take(going)
        said = meaning(position, transcripts.words[games, ply])
        steps = said.steps
        wrong = np.flatnonzero(steps.origin == 0)
        if wrong.size:
            _stop(transcripts, boards, games, ply, position, said, wrong)
            rows = np.flatnonzero(steps.origin)
            games, quiet, position, steps = games[rows], quiet[rows], position.take(rows), steps.take(rows)
        boards.moves[games, ply] = codes(position, steps)
        loud = (steps.piece == PAWN) | (steps.target & position.their != 0)
        quiet = np.where(loud, np.int16(0), quiet + np.int16(1))
        position = position.play(steps)
        _record(boards, games, ply + 1, position, quiet)


def _record(
    boards: Boards, games: npt.NDArray[np.intp], ply: int, position: Position, quiet: npt.NDArray[np.int16]
) -> None:
    boards.pieces[games, ply] = position.boards()
    rights = position.real(position.castling)
    boards.castling[games, ply] = _RIGHTS[(rights & np.uint64(0x81) | rights >> 55 & np.uint64(0x102)).astype(np.intp)]
    boards.en_passant[games, ply] = _SQUARE_OR_NONE[square_of(position.real(position.en_passant))]
    boards.check[games, ply] = position.checkers != 0
    boards.quiet[games, ply] = quiet


def _stop(
    transcripts: Transcripts,
    boards: Boards,
    games: npt.NDArray[np.intp],
    ply: int,
    position: Position,
    said: Meaning,
    wrong: npt.NDArray[np.intp],
) -> None:
    """Ends games whose next word is no legal move: cut, or with a fault."""
    for row in wrong:
        game = int(games[row])
        boards.plies[game] = ply
        found = fault(transcripts, game, ply, position.take(row[None]), int(said.able[row]), int(said.legal[row]))
        if found is None:
            boards.cut[game] = True
        else:
            boards.faults.append(found)
