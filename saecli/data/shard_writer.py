"""Writing of token shards (see :mod:`saecli.data.shards`), piece by piece and of any length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from saecli.core.atomic import write_text
from saecli.core.inputs import hash_file
from saecli.data.shards import DOCUMENTS, HEADER, MAJOR, SCHEMA, SPLITS, Split


class ShardWriter:
    """Writes shards into a folder; it is complete when :meth:`finish` has written ``shards.json``.

    A shard ends before the piece that would make it longer than ``shard_tokens``, so documents stay whole unless one
    alone is longer. Only one piece is in memory at a time.

    Args:
        folder: created if needed; holds no shards yet.
        vocab_size: number of tokens; decides between uint16 and uint32.
        shard_tokens: most tokens of a shard.
    """

    def __init__(self, folder: Path, vocab_size: int, shard_tokens: int) -> None:
        self.folder, self.shard_tokens = folder, shard_tokens
        self.dtype = np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")
        (folder / DOCUMENTS).mkdir(parents=True, exist_ok=True)
        self._open: dict[Split, _File] = {}
        self._done: dict[Split, list[_File]] = {split: [] for split in SPLITS}

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.handle.close()

    def add(
        self,
        split: Split,
        tokens_T: npt.NDArray[Any],
        lengths_P: npt.NDArray[np.int64],
        begins_P: npt.NDArray[np.bool_],
    ) -> None:
        """Appends pieces of documents.

        Args:
            split: where to.
            tokens_T: the tokens of all pieces, one after the other.
            lengths_P: tokens of each piece.
            begins_P: whether a piece is the first of its document.
        """
        ends_P = np.cumsum(lengths_P)
        piece, here = 0, 0
        while piece < len(lengths_P):
            file = self._file(split)
            fits = int(np.searchsorted(ends_P, here + self.shard_tokens - file.tokens, "right"))
            if fits > piece:
                starts_P = ends_P[piece:fits] - lengths_P[piece:fits] - here
                filled = begins_P[piece:fits] & (lengths_P[piece:fits] > 0)
                file.append(tokens_T[here : ends_P[fits - 1]], starts_P[filled])
                piece, here = fits, int(ends_P[fits - 1])
            elif file.tokens:
                self._close(split)
            else:  # longer than a shard
                start = np.zeros(int(begins_P[piece]), np.int64)
                file.append(tokens_T[here : here + self.shard_tokens], start)
                here += self.shard_tokens
                lengths_P, begins_P = lengths_P.copy(), begins_P.copy()
                lengths_P[piece] = ends_P[piece] - here
                begins_P[piece] = False

    def tokens(self, split: Split) -> int:
        """Tokens written so far."""
        return sum(file.tokens for file in [*self._done[split], *filter(None, [self._open.get(split)])])

    def finish(self, **facts: Any) -> dict[str, Any]:
        """Closes the shards and writes ``shards.json``, last of all.

        Args:
            facts: what the header says beside the list of files: ``vocabulary`` and how the shards were made.

        Returns:
            The header.
        """
        for split in list(self._open):
            self._close(split)
        files = [file.entry(split) for split in SPLITS for file in self._done[split]]
        header = {"schema": f"{SCHEMA}/{MAJOR}", "dtype": self.dtype.name, **facts, "files": files}
        write_text(self.folder / HEADER, json.dumps(header, indent=1, ensure_ascii=False) + "\n")
        return header

    def _file(self, split: Split) -> _File:
        if split not in self._open:
            name = f"{split}_{len(self._done[split]):06d}.npy"
            self._open[split] = _File(self.folder, name, self.dtype)
        return self._open[split]

    def _close(self, split: Split) -> None:
        file = self._open.pop(split)
        file.close()
        self._done[split].append(file)


class _File:
    """A shard being written: a header for no tokens, the tokens, and at the end the header again."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype[Any]) -> None:
        self.path, self.documents, self.dtype = folder / name, folder / DOCUMENTS / name, dtype
        self.tokens, self.count, self.continues = 0, 0, False
        self._starts: list[npt.NDArray[np.int64]] = []
        self.handle: BinaryIO = self.path.open("wb")
        self._write_header()

    def append(self, tokens_T: npt.NDArray[Any], starts_D: npt.NDArray[np.int64]) -> None:
        self._starts.append(starts_D + self.tokens)
        self.handle.write(np.ascontiguousarray(tokens_T, self.dtype).data)
        self.tokens += len(tokens_T)

    def close(self) -> None:
        self.handle.seek(0)
        self._write_header()
        self.handle.close()
        starts_D = np.concatenate(self._starts) if self._starts else np.zeros(0, np.int64)
        self.continues = not len(starts_D) or starts_D[0] != 0
        if self.continues:
            starts_D = np.concatenate([np.zeros(1, np.int64), starts_D])
        self.count = len(starts_D)
        np.save(self.documents, starts_D)

    def entry(self, split: Split) -> dict[str, Any]:
        return {
            "name": self.path.name,
            "split": split,
            "tokens": self.tokens,
            "documents": self.count,
            "continues": bool(self.continues),
            "sha256": hash_file(self.path),
            "documents_sha256": hash_file(self.documents),
        }

    def _write_header(self) -> None:
        """The header as ``numpy.save`` writes it: its length does not depend on the number of tokens."""
        shape = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.tokens,)}
        np.lib.format.write_array_header_1_0(self.handle, shape)
