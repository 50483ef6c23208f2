"""Data sets of the library ``datasets``, streamed: their documents become token shards as training needs them.

    a chunk of documents → tokens → a shard more in the cache, and where in the data set the next chunk begins

What was read once is in the cache, a few bytes per token, so that training resumes exactly, a second run reads the same
tokens without the network, and nothing is tokenised twice. The folder of a stream is one of token shards; its
``shards.json`` also has an entry ``stream``: what the data set is, how many rows were read, the position after them as
``datasets`` writes it, and whether it has ended.

Held out is the data set's own validation split; without one, its first documents, up to a tenth of what is read first.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from saecli.core.atomic import write_text
from saecli.core.cache import Cache
from saecli.core.errors import InputError
from saecli.core.exclusive import exclusive
from saecli.core.inputs import hash_input
from saecli.core.progress import Progress, silent
from saecli.data.encode import Encoded, Encoder, definition
from saecli.data.hub_rows import Rows, latest, library_version, spoken
from saecli.data.names import HubName
from saecli.data.shard_writer import ShardWriter
from saecli.data.shards import DOCUMENTS, HEADER, Shards, Split, open_shards, read_header
from saecli.data.text_shards import text_separator
from saecli.data.vocabulary import Vocabulary

HELD_OUT_TOKENS: Final = 1 << 18
CHUNK_TOKENS: Final = 1 << 20
_LARGEST_CHUNK: Final = 1 << 24
_VERSION: Final = 1


class HubStream:
    """A data set of which more and more is token shards.

    Args:
        name: Which data set.
        vocabulary: The tokens.
        cache: Where its shards lie; the user's if not given.
        progress: Told of what is read.
        held_out: Most tokens that are held out.
        chunk: Tokens per shard, at least.

    Attributes:
        shards: What there is so far.
        spoken: The data set's name for people.

    Raises:
        InputError: There is no such data set, it cannot be read or reached, has no such column, or is too short.
    """

    def __init__(
        self,
        name: HubName,
        vocabulary: Vocabulary,
        cache: Cache | None = None,
        progress: Progress = silent,
        *,
        held_out: int = HELD_OUT_TOKENS,
        chunk: int = CHUNK_TOKENS,
    ) -> None:
        self._vocabulary, self._progress, self._held_out, self._chunk = vocabulary, progress, held_out, chunk
        cache = cache or Cache.at()
        content = hash_input(Path(name.path)).sha256 if name.local else latest(name, cache, progress)
        self._name = HubName(name.path, name.config, "" if name.local else content, name.column, name.local)
        self.spoken = spoken(name)
        where = Path(name.path).suffix if name.local else name.path
        what = [where, name.config, content, name.column]
        key = [_VERSION, what, definition(vocabulary), held_out, chunk]
        self._identity = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.folder = cache.stream_of(self._identity[:32])
        self._rows: Rows | None = None
        self._batches: Iterator[Encoded] = iter(())
        if not (self.folder / HEADER).is_file():
            with exclusive(self.folder / ".lock"):
                if not (self.folder / HEADER).is_file():
                    self._begin()
        self.shards: Shards = open_shards(self.folder)

    @property
    def ended(self) -> bool:
        """Whether the data set was read to its end."""
        return bool(self.shards.header["stream"]["ended"])

    def grow(self) -> Shards:
        """Reads one chunk more, or finds that another process did; returns what there is now.

        Raises:
            InputError: As of the class.
        """
        with exclusive(self.folder / ".lock"):
            header = read_header(self.folder / HEADER)
            if header["files"] == self.shards.header["files"] and not header["stream"]["ended"]:
                self._extend(header)
        known = {shard.path: shard for shard in self.shards.files["train"]}
        found = open_shards(self.folder)
        train = tuple(known.get(shard.path, shard) for shard in found.files["train"])  # those that are mapped already
        self.shards = replace(found, files={**found.files, "train": train})
        return self.shards

    def _begin(self) -> None:
        """Reads what is held out and the first of the rest."""
        shutil.rmtree(self.folder / DOCUMENTS, ignore_errors=True)
        header: dict[str, Any] = {"files": []}
        own = Rows(self._name, "val", {}) if Rows.has(self._name, "val") else None
        if own is not None:
            self._write(header, "val", self._take(self._encoded(own), self._held_out))
        self._open({})
        first = self._take(self._batches, self._chunk if own is not None else max(self._chunk, 10 * self._held_out))
        if own is None:
            held_out, first = _cut(first, self._held_out)
            self._write(header, "val", held_out)
        self._write(header, "train", first)
        if {entry["split"] for entry in header["files"]} != {"train", "val"}:
            raise InputError(f"{self.spoken} is too short to train on and to hold anything out.")
        self._finish(header)

    def _extend(self, header: dict[str, Any]) -> None:
        stream = header["stream"]
        if self._rows is None or self._rows.read != stream["rows"]:  # this process begins, or another one went on
            self._open(stream)
        done = sum(entry["tokens"] for entry in header["files"])
        try:
            self._write(header, "train", self._take(self._batches, min(max(self._chunk, done // 8), _LARGEST_CHUNK)))
        except BaseException:
            self._rows = None  # what was read and not kept is read again
            raise
        self._finish(header)

    def _open(self, position: dict[str, Any]) -> None:
        self._rows = Rows(self._name, "train", position)
        self._batches = self._encoded(self._rows)

    def _encoded(self, rows: Rows) -> Iterator[Encoded]:
        pieces = rows.pieces()
        first = next(pieces, None)
        if first is None:
            return
        separator = text_separator(self._vocabulary) if isinstance(first.content, str) else "none"
        yield from Encoder(self._vocabulary, separator).encode(itertools.chain([first], pieces), self.spoken)

    def _take(self, batches: Iterator[Encoded], tokens: int) -> list[Encoded]:
        """Batches of documents until there are so many tokens, or no more."""
        taken, count = [], 0
        while count < tokens and (batch := next(batches, None)) is not None:
            taken.append(batch)
            count += len(batch.tokens_T)
            self._progress(f"reading {self.spoken}", min(count, tokens), tokens, f"{count:,} tokens")
        return taken

    def _write(self, header: dict[str, Any], split: Split, batches: list[Encoded]) -> None:
        """Adds a shard to the folder and to the header's list, which is not written yet."""
        if not sum(len(batch.tokens_T) for batch in batches):
            return
        aside = self.folder / ".new"
        shutil.rmtree(aside, ignore_errors=True)
        try:
            with ShardWriter(aside, self._vocabulary.size, 1 << 62) as writer:
                for batch in batches:
                    writer.add(split, batch.tokens_T, batch.lengths_P, batch.begins_P)
                made = writer.finish(vocabulary=definition(self._vocabulary))
            (entry,) = made["files"]
            name = f"{split}_{sum(one['split'] == split for one in header['files']):06d}.npy"
            (self.folder / DOCUMENTS).mkdir(exist_ok=True)
            (aside / DOCUMENTS / entry["name"]).replace(self.folder / DOCUMENTS / name)
            (aside / entry["name"]).replace(self.folder / name)
        except OSError as error:
            raise InputError(
                f"Cannot write {self.folder}: {error.strerror}.", "Make room, or set SAECLI_CACHE."
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        header["files"].append({**entry, "name": name})
        header |= {key: made[key] for key in ("schema", "dtype", "vocabulary")}

    def _finish(self, header: dict[str, Any]) -> None:
        assert self._rows is not None  # noqa: S101
        header["stream"] = {
            "identity": self._identity,
            "name": self.spoken,
            "revision": self._name.revision,
            "rows": self._rows.read,
            "position": self._rows.position(),
            "datasets": library_version(),
            "ended": self._rows.ended,
        }
        write_text(self.folder / HEADER, json.dumps(header, indent=1, ensure_ascii=False) + "\n")


def _cut(batches: list[Encoded], most: int) -> tuple[list[Encoded], list[Encoded]]:
    """The first documents, up to so many tokens or a tenth of all and at least one, and the rest."""
    total = sum(len(batch.tokens_T) for batch in batches)
    room, before, after = min(most, total // 10), [], []
    for number, batch in enumerate(batches):
        ends_P = np.cumsum(batch.lengths_P)
        first = max(int(np.searchsorted(ends_P, room, "right")), int(number == 0))
        room -= int(ends_P[-1]) if first == len(ends_P) else room
        before.append(_part(batch, 0, first))
        after.append(_part(batch, first, len(ends_P)))
    return [one for one in before if one.pieces], [one for one in after if one.pieces]


def _part(batch: Encoded, first: int, last: int) -> Encoded:
    """Some of the pieces of a batch."""
    ends_P = np.concatenate([[0], np.cumsum(batch.lengths_P)])
    tokens_T = batch.tokens_T[ends_P[first] : ends_P[last]]
    return Encoded(tokens_T, batch.lengths_P[first:last], batch.begins_P[first:last], batch.pieces[first:last])
