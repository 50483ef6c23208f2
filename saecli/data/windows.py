"""How a split of token shards is cut into sequences: across documents, within them, or the start of each.

Everything here is arithmetic on positions of one long stream: the tokens of all shards of a split, in order.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from saecli.data.shards import Shards, Split

Cut = Literal["packed", "documents", "starts"]
"""``packed``: windows run across documents. ``documents``: a window ends with its document. ``starts``: one window per
document, from its first token; the rest of a longer document is not read."""


class Stream:
    """The tokens of all shards of a split as one array that is never in memory."""

    def __init__(self, shards: Shards, split: Split) -> None:
        self.shards = shards.files[split]
        self.ends = np.cumsum([shard.tokens for shard in self.shards], dtype=np.int64).tolist()

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """The tokens from ``start`` up to ``stop``, as they are stored."""
        parts = []
        number = bisect_right(self.ends, start)
        while start < stop:
            base = self.ends[number - 1] if number else 0
            end = min(stop, self.ends[number])
            parts.append(self.shards[number].tokens_T[start - base : end - base])
            start, number = end, number + 1
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def document_starts(self) -> npt.NDArray[np.int64]:
        """int64 [D + 1]: where each document starts, and the end of the last."""
        parts = [
            shard.starts_D[int(shard.continues) :] + end - shard.tokens
            for shard, end in zip(self.shards, self.ends, strict=True)
        ]
        return np.concatenate([*parts, np.array([len(self)], np.int64)])


class PackedWindows:
    """Windows of equal length, one after the other, beginning anywhere in the first.

    Args:
        length: tokens of the stream.
        stride: predictions per window.
        extra: 1 if a window begins with a token that it does not predict, 0 if with a token put before it.
    """

    def __init__(self, length: int, stride: int, extra: int) -> None:
        self.stride, self.extra, self.length = stride, extra, length
        usable = max(0, length - extra)
        self.count = max(min(1, usable), (usable - stride + 1) // stride)
        self.slack = max(0, min(usable - self.count * stride, stride - 1))

    def spans(self, numbers: npt.NDArray[np.int64], offset: float) -> npt.NDArray[np.int64]:
        """int64 [N, 2]: first and last (exclusive) token of some windows.

        Args:
            numbers: int64 [N], which windows.
            offset: 0..1 (exclusive), moves all boundaries by that share of what is free.
        """
        starts_N = numbers * self.stride + int(offset * (self.slack + 1))
        return np.stack([starts_N, np.minimum(starts_N + self.stride + self.extra, self.length)], axis=1)


class DocumentWindows:
    """Windows within documents; the last window of a document is as short as it must be.

    Args:
        starts: int64 [D + 1], where documents start, and the end of the last.
        stride, extra: as in ``PackedWindows``.
        whole: False for the first window of each document only.
    """

    def __init__(self, starts: npt.NDArray[np.int64], stride: int, extra: int, *, whole: bool) -> None:
        self.stride, self.extra, self.starts = stride, extra, starts
        counts_D = np.maximum(0, -((extra - np.diff(starts)) // stride))
        self.whole = whole
        self._until = np.cumsum(counts_D if whole else np.minimum(counts_D, 1))
        self.count = int(self._until[-1]) if len(self._until) else 0

    def spans(self, numbers: npt.NDArray[np.int64], offset: float) -> npt.NDArray[np.int64]:
        """As in ``PackedWindows``; documents of one window are not moved, in longer ones no token is left out."""
        document_N = np.searchsorted(self._until, numbers, "right")
        first_N, end_N = self.starts[document_N], self.starts[document_N + 1]
        before_N = np.where(document_N > 0, self._until[document_N - 1], 0)
        free_N = self.stride * (self._until[document_N] - before_N) - (end_N - first_N - self.extra)
        many_N = self._until[document_N] - before_N > 1
        moved_N = np.where(many_N, (offset * (free_N + 1)).astype(np.int64), 0)
        starts_N = first_N + (numbers - before_N) * self.stride - moved_N
        stops_N = np.minimum(starts_N + self.stride + self.extra, end_N)
        return np.stack([np.maximum(starts_N, first_N), stops_N], axis=1)


def windows(stream: Stream, cut: Cut, n_ctx: int, *, bos: bool) -> PackedWindows | DocumentWindows:
    """The windows of a stream.

    Args:
        stream: the tokens.
        cut: how.
        n_ctx: positions of a sequence, so predictions of a full window.
        bos: whether a token is put before every window.
    """
    extra = 0 if bos else 1
    if cut == "packed":
        return PackedWindows(len(stream), n_ctx, extra)
    return DocumentWindows(stream.document_starts(), n_ctx, extra, whole=cut == "documents")
