"""Chess games as text, ``;1.e4 e5 2.Nf3 …``: the alphabet, the words, and which move is complete at each character.

This is ChessGPT's notation (https://arxiv.org/abs/2403.15498): a leading semicolon, no space after a move's number,
single spaces, moves in standard algebraic notation. Texts of that training set are cut at a fixed length, often within
a move. ``1. e4 e5``, ``1...e5``, ``0-0``, ``!?``, results and comments in braces are understood too.

Shapes: N games, C characters, P moves of the longest game.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

CHARACTERS = " #+-.0123456789;=BKNOQRabcdefghx"
"""ChessGPT's alphabet: the character of token 0, 1, …, 31."""

UNREADABLE = 0
"""The word of something that is not a move."""
NO_MOVE = -1
"""The word of a result, and what stands after a game's last move."""
SHORT, LONG = 1, 2

_CODE_OF = {character: token for token, character in enumerate(CHARACTERS)}
_PIECE = re.compile(r"(?P<piece>[NBRQK])(?P<file>[a-h]?)(?P<rank>[1-8]?)x?(?P<to>[a-h][1-8])(?:\+{1,2}|#)?[!?]*")
_PAWN = re.compile(r"(?:(?P<file>[a-h])x)?(?P<to>[a-h][1-8])(?:=?(?P<promotion>[NBRQ]))?(?:\+{1,2}|#)?[!?]*")
_CASTLE = re.compile(r"(?:O-O|0-0)(?P<far>-[O0])?(?:\+{1,2}|#)?[!?]*")
_NOT_A_MOVE = re.compile(r"1-0|0-1|1/2-1/2|\*|\$\d+")
_BEGINNING = re.compile(
    r"[NBRQK][a-h]?[1-8]?x?[a-h]?|[a-h](?:x[a-h]?)?|(?:[a-h]x)?[a-h][18]=|O(?:-(?:O-)?)?|0(?:-(?:0-)?)?"
    r"|1-|1/(?:2(?:-(?:1/?)?)?)?|\$"
)
_SPACE, _SEMICOLON, _DOT, _ZERO, _NINE = (ord(character) for character in " ;.09")
_WORD = 8  # characters that fit into one integer
_FIRST_BYTES = np.array([(1 << 8 * length) - 1 for length in range(_WORD + 1)], dtype=np.uint64)
_OTHER = "\x7f"  # stands for every character that no move has and that does not fit into a byte


@dataclass(frozen=True)
class Transcripts:
    """Games cut into words.

    Attributes:
        characters: uint8 [N, C], the texts in ASCII (127 for other characters), 0 after the end.
        lengths: int64 [N], characters per text.
        words: int32 [N, P], what each move says (``read_word``); UNREADABLE or NO_MOVE.
        first: int32 [N, P], the position of a move's first character, after its number.
        stop: int32 [N, P], the position behind its last character.
        counts: int64 [N], moves per game.
        cut: bool [N], the text ends within a move, which is left out.
    """

    characters: npt.NDArray[np.uint8]
    lengths: npt.NDArray[np.int64]
    words: npt.NDArray[np.int32]
    first: npt.NDArray[np.int32]
    stop: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    cut: npt.NDArray[np.bool_]

    def word(self, game: int, ply: int) -> str:
        """The text of one move."""
        return bytes(self.characters[game, self.first[game, ply] : self.stop[game, ply]]).decode("ascii")

    def is_open(self, game: int, ply: int) -> bool:
        """Whether the text ends right behind the move, so that more of it may be missing."""
        return bool(self.stop[game, ply] == self.lengths[game])

    def complete(self, plies: npt.NDArray[np.integer]) -> npt.NDArray[np.int16]:
        """How many moves are complete at each character: the board that a reader of the text so far can know.

        A move is complete from the space behind it on. Its own characters, and the number before it, belong to the
        board before it.

        Args:
            plies: [N], legal moves per game (``Boards.plies``), beyond which the number does not grow.

        Returns:
            int16 [N, C], 0 to ``plies``; behind a text's end its last number.
        """
        ended = np.zeros(self.characters.shape, dtype=np.int16)
        game, ply = np.nonzero(self.stop < np.where(self.words == NO_MOVE, 0, self.lengths[:, None]))
        ended[game, self.stop[game, ply]] = 1
        return np.minimum(np.cumsum(ended, axis=1, dtype=np.int16), plies[:, None].astype(np.int16))

    def positions(self, character: str) -> npt.NDArray[np.bool_]:
        """bool [N, C]: where a character stands, such as ``.`` (White moves next) or a space (a move is complete)."""
        return self.characters == ord(character)


def encode(text: str) -> npt.NDArray[np.uint8]:
    """A text as ChessGPT's tokens, uint8 [C]; raises ValueError for a character outside its alphabet."""
    unknown = sorted(set(text) - set(CHARACTERS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not one of the 32 characters of chess games, {CHARACTERS!r}")
    return np.array([_CODE_OF[character] for character in text], dtype=np.uint8)


def decode(tokens: npt.ArrayLike) -> str:
    """ChessGPT's tokens [C] as text; raises ValueError for a token outside 0..31."""
    array = np.asarray(tokens, dtype=np.int64)
    if array.size and (array.min() < 0 or array.max() >= len(CHARACTERS)):
        raise ValueError(f"chess tokens are 0..{len(CHARACTERS) - 1}, found {array.min()}..{array.max()}")
    return "".join(CHARACTERS[token] for token in array)


def parse(texts: Sequence[str]) -> Transcripts:
    """Cuts games into moves; nothing is checked but the words themselves."""
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    width = int(lengths.max(initial=0)) + _WORD  # blanks behind every text, so that a word ends within its row
    joined = "".join(text.ljust(width) for text in texts)
    if not joined.isascii() or "\0" in joined:
        joined = "".join(character if "\0" < character < _OTHER else _OTHER for character in joined)
    characters = np.frombuffer(joined.encode("ascii"), dtype=np.uint8).reshape(len(texts), width)
    first, stop = _moves_in(characters)
    words = _read_words(characters.reshape(-1), first, stop)
    moves = np.flatnonzero(words != NO_MOVE)
    return _rectangles(characters, lengths, words[moves], first[moves], stop[moves])


@lru_cache(maxsize=1 << 15)
def read_word(text: str) -> int:
    """What a move says, in one integer, or UNREADABLE or NO_MOVE.

    Bits from the lowest: 3 the piece (pawn 0 to king 5), 6 the square it goes to, 4 the file it comes from (1 to 8, 0
    for not said; a pawn's is always known), 4 the rank likewise, 3 the promotion, 2 castling (SHORT, LONG), 1 set.
    """
    if found := _PIECE.fullmatch(text):
        file, rank = found["file"], found["rank"]
        piece, promotion = "PNBRQK".index(found["piece"]), 0
    elif found := _PAWN.fullmatch(text):
        file, rank, piece = found["file"] or found["to"][0], "", 0
        promotion = "PNBRQK".index(found["promotion"] or "P")
        if found["file"] == found["to"][0]:
            return UNREADABLE
    elif found := _CASTLE.fullmatch(text):
        return 5 | (LONG if found["far"] else SHORT) << 20 | 1 << 22
    else:
        return NO_MOVE if _NOT_A_MOVE.fullmatch(text) else UNREADABLE
    target = (ord(found["to"][0]) - ord("a")) + 8 * (int(found["to"][1]) - 1)
    origin = (ord(file) - ord("a") + 1 if file else 0) << 9 | (int(rank) if rank else 0) << 13
    return piece | target << 3 | origin | promotion << 17 | 1 << 22


def _moves_in(characters: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where words begin and stop [M] in all the texts laid end to end, without the numbers of moves."""
    blank = (characters == _SPACE) | ((characters >= 9) & (characters <= 13))
    blank[:, :1] |= characters[:, :1] == _SEMICOLON
    if (opened := characters == ord("{")).any():
        closed = np.zeros_like(opened)
        closed[:, 1:] = characters[:, :-1] == ord("}")
        blank |= np.cumsum(opened, axis=1, dtype=np.int32) > np.cumsum(closed, axis=1, dtype=np.int32)
    flat, text = blank.reshape(-1), characters.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat.size and not flat[0]:
        edges = np.concatenate([[0], edges])
    first, stop = edges[::2], edges[1::2]
    digits = (text >= _ZERO) & (text <= _NINE)
    after_digits = _skip(first, digits)
    after_dots = _skip(after_digits, text == _DOT)
    numbered = (after_dots > after_digits) & ((after_digits > first) | (after_dots == stop))
    bare = after_digits == stop
    first = np.where(numbered | bare, after_dots, first)
    words = np.flatnonzero(first < stop)
    return first[words], stop[words]


def _skip(at: npt.NDArray[np.intp], which: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Moves each position behind the run of marked characters that begins there."""
    at = at.copy()
    rows = np.flatnonzero(which[at])
    while rows.size:
        at[rows] += 1
        rows = rows[which[at[rows]]]
    return at


def _read_words(
    text: npt.NDArray[np.uint8], first: npt.NDArray[np.intp], stop: npt.NDArray[np.intp]
) -> npt.NDArray[np.int32]:
    """The words [M]; each different one is read once."""
    from_each = np.ndarray(len(text) - _WORD + 1 if len(text) else 0, dtype="<u8", buffer=text, strides=(1,))
    keys = from_each[first] & _FIRST_BYTES[np.minimum(stop - first, _WORD)]
    kinds, kind = np.unique(keys, return_inverse=True)
    read = [read_word(int(key).to_bytes(_WORD, "little").rstrip(b"\0").decode("ascii")) for key in kinds]
    words = np.array(read, dtype=np.int32)[kind]
    for long in np.flatnonzero(stop - first > _WORD):
        words[long] = read_word(text[first[long] : stop[long]].tobytes().decode("ascii"))
    return words


def _rectangles(
    characters: npt.NDArray[np.uint8],
    lengths: npt.NDArray[np.int64],
    words: npt.NDArray[np.int32],
    first: npt.NDArray[np.intp],
    stop: npt.NDArray[np.intp],
) -> Transcripts:
    n, width = characters.shape
    game = first // width
    counts = np.bincount(game, minlength=n).astype(np.int64)
    ply = np.arange(len(game)) - (np.cumsum(counts) - counts)[game]
    shape = n, int(counts.max(initial=0))
    words_NP = np.full(shape, NO_MOVE, dtype=np.int32)
    first_NP, stop_NP = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
    words_NP[game, ply] = words
    first_NP[game, ply], stop_NP[game, ply] = first - game * width, stop - game * width
    inside = characters[:, : width - _WORD]
    inside = np.where(np.arange(inside.shape[1]) < lengths[:, None], inside, np.uint8(0))
    found = Transcripts(inside, lengths, words_NP, first_NP, stop_NP, counts, np.zeros(n, dtype=np.bool_))
    _leave_out_cut_moves(found)
    return found


def _leave_out_cut_moves(found: Transcripts) -> None:
    last = np.maximum(found.counts - 1, 0)
    for game in np.flatnonzero(found.counts).tolist():
        ply = int(last[game])
        unfinished = found.words[game, ply] == UNREADABLE and found.is_open(game, ply)
        if unfinished and _BEGINNING.fullmatch(found.word(game, ply)):
            found.words[game, ply], found.cut[game] = NO_MOVE, True
            found.counts[game] = ply
