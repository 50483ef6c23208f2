"""Documents to token ids, many at a time and fast: by table where a token is a character, else in batches of texts."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from saecli.core.errors import InputError, UsageError
from saecli.data.text import Piece
from saecli.data.vocabulary import Vocabulary

_BATCH_CHARACTERS = 1 << 21
_BATCH_PIECES = 1 << 14
_UNKNOWN = 255


@dataclass(frozen=True)
class Encoded:
    """Some pieces of documents as tokens.

    Attributes:
        tokens_T: the tokens of all pieces, one after the other.
        lengths_P: int64 [P], tokens of each piece.
        begins_P: bool [P], whether a piece is the first of its document.
        pieces: the pieces as they were read.
    """

    tokens_T: npt.NDArray[Any]
    lengths_P: npt.NDArray[np.int64]
    begins_P: npt.NDArray[np.bool_]
    pieces: list[Piece]


@dataclass
class Replaced:
    """Characters that the vocabulary lacks and that were replaced: how many, and where the first was."""

    characters: int = 0
    first: str = ""

    def note(self, number: int, where: str) -> None:
        """Counts some more."""
        self.first = self.first or where
        self.characters += number


@dataclass
class Encoder:
    """Encodes the documents of one file after the other.

    Args:
        vocabulary: the tokens.
        separator: what follows every document: ``newline``, ``eos`` or ``none``.

    Attributes:
        replaced: what was replaced so far.

    Raises:
        UsageError: the vocabulary has no such separator.
    """

    vocabulary: Vocabulary
    separator: str = "none"
    replaced: Replaced = field(default_factory=Replaced)

    def __post_init__(self) -> None:
        self._after = np.zeros(0, np.int64)
        if self.separator == "eos":
            if self.vocabulary.eos is None:
                raise UsageError(f"The vocabulary {self.vocabulary.name} has no token that ends a document.")
            self._after = np.array([self.vocabulary.eos])
        elif self.separator == "newline":
            self._after = np.asarray(self.vocabulary.encode("\n"), np.int64)
        self._table = character_table(self.vocabulary)

    def encode(self, pieces: Iterable[Piece], where: str) -> Iterator[Encoded]:
        """Encodes the documents of a file in batches.

        Args:
            pieces: the documents.
            where: name of the file, for messages.

        Raises:
            InputError: a character or token that the vocabulary has not (``ascii`` has ``?`` for it).
        """
        batch: list[Piece] = []
        size, begins, place = 0, True, Place(where)
        for piece in pieces:
            batch.append(piece)
            size += len(piece.content)
            # a document that goes on is always last in its batch, so the next begins with its next piece
            if size >= _BATCH_CHARACTERS or len(batch) >= _BATCH_PIECES or not piece.ends:
                yield self._batch(batch, begins, place)
                ended = sum(one.ends for one in batch)
                inside = 0 if piece.ends else len(piece.content) + (0 if ended else place.inside)
                place = Place(where, place.document + ended, inside)
                begins, batch, size = piece.ends, [], 0
        if batch:
            yield self._batch(batch, begins, place)

    def _batch(self, pieces: list[Piece], begins: bool, place: Place) -> Encoded:
        if all(isinstance(piece.content, str) for piece in pieces):
            texts = [str(piece.content) for piece in pieces]
            tokens_T, lengths_P = self._texts(texts) if self._table is None else self._characters(texts, place)
        else:
            tokens_T, lengths_P = self._ids(pieces, place.file)
        ends_P = np.array([piece.ends for piece in pieces], bool)
        if len(self._after):
            places = np.repeat(np.cumsum(lengths_P)[ends_P], len(self._after))
            tokens_T = np.insert(tokens_T, places, np.tile(self._after, int(ends_P.sum())))
            lengths_P = lengths_P + ends_P * len(self._after)
        return Encoded(tokens_T, lengths_P, np.concatenate([[begins], ends_P[:-1]]), pieces)

    def _texts(self, texts: list[str]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        ids = self.vocabulary.encode_batch(texts)
        lengths_P = np.array([len(one) for one in ids], np.int64)
        flat = itertools.chain.from_iterable(ids)
        return np.fromiter(flat, np.int64, int(lengths_P.sum())), lengths_P

    def _characters(self, texts: list[str], where: Place) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        assert self._table is not None  # noqa: S101
        lengths_P = np.array([len(text) for text in texts], np.int64)
        joined = "".join(texts)
        tokens_T = self._table[np.frombuffer(joined.encode("ascii", "replace"), np.uint8)]
        if self.vocabulary.name == "ascii":
            if not joined.isascii():
                foreign = [place for place, character in enumerate(joined) if character > "\x7f"]
                self.replaced.note(len(foreign), where.of(foreign[0], joined, lengths_P))
            return tokens_T, lengths_P
        known = self._table != _UNKNOWN
        if not joined.isascii() or not known[np.frombuffer(joined.encode("ascii", "replace"), np.uint8)].all():
            bad = next(place for place, one in enumerate(joined) if one > "\x7f" or not known[ord(one)])
            raise InputError(f"{where.of(bad, joined, lengths_P)} is not in the vocabulary {self.vocabulary.name}.")
        return tokens_T, lengths_P

    def _ids(self, pieces: list[Piece], file: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        if any(isinstance(piece.content, str) for piece in pieces):
            raise InputError(f"{file} holds text and token ids in one column.")
        tokens_T = np.concatenate([np.asarray(piece.content) for piece in pieces])
        if tokens_T.size and not 0 <= tokens_T.min() <= tokens_T.max() < self.vocabulary.size:
            wrong = int(tokens_T.min()) if tokens_T.min() < 0 else int(tokens_T.max())
            size, name = self.vocabulary.size, self.vocabulary.name
            raise InputError(f"{file} holds the token {wrong}; the vocabulary {name} has 0..{size - 1}.")
        return tokens_T, np.array([len(piece.content) for piece in pieces], np.int64)


@dataclass
class Place:
    """Where in a file a batch begins, to say where a character is."""

    file: str
    document: int = 0
    inside: int = 0

    def of(self, at: int, joined: str, lengths_P: npt.NDArray[np.int64]) -> str:
        """Names a character of the batch: the character, its place in its document, and the document's in the file."""
        ends_P = np.cumsum(lengths_P)
        piece = int(np.searchsorted(ends_P, at, "right"))
        here = at - int(ends_P[piece] - lengths_P[piece]) + (self.inside if piece == 0 else 0)
        character = joined[at]
        return (
            f"{self.file}: {character!r} (U+{ord(character):04X}), character {here + 1:,} of document "
            f"{self.document + piece + 1:,},"
        )


def character_table(vocabulary: Vocabulary) -> npt.NDArray[np.uint8] | None:
    """uint8 [128]: ASCII character to token, 255 where none; None unless every token is one such character."""
    if vocabulary.size > 128:
        return None
    table = np.full(128, _UNKNOWN, np.uint8)
    for token in range(vocabulary.size):
        character = vocabulary.decode([token])
        if len(character) != 1 or not character.isascii():
            return None
        table[ord(character)] = token
    return table


def definition(vocabulary: Vocabulary) -> dict[str, Any]:
    """What ``shards.json`` says of a vocabulary: name, size, end token, and the sha256 of its file or of its tokens."""
    record = vocabulary.record()
    digest = record.pop("tokenizer_sha256", "")
    if not digest:
        texts = "\0".join(vocabulary.decode([token]) for token in range(vocabulary.size))
        digest = hashlib.sha256(texts.encode()).hexdigest()
    return {**record, "eos": vocabulary.eos, "sha256": digest}
