"""Token shards as training data: batches by step number, and the cross-entropy on the held-out split.

Every epoch visits every window once, in another order and with other boundaries; which windows a step holds depends on
the seed and the step alone, so training can resume at any step without reading what came before.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from saecli.core.errors import InputError
from saecli.core.progress import Progress, silent
from saecli.data.permutation import shuffled
from saecli.data.shards import Shards, Split, check_range
from saecli.data.source import Batch
from saecli.data.windows import Cut, DocumentWindows, PackedWindows, Stream, windows

_EVALUATION_TOKENS = 1 << 14
_UNIGRAM_TOKENS = 1 << 24


class Growth(Protocol):
    """Shards that become more; see :class:`saecli.data.hub_stream.HubStream`."""

    shards: Shards

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        ...

    def grow(self) -> Shards:
        """Adds training shards, or comes to the end; returns all there are now."""
        ...


class ShardSource:
    """Endless batches of windows of a folder of shards.

    Args:
        shards: the data; the split ``train`` is trained on, ``val`` is held out.
        n_ctx: positions per sequence.
        batch_size: sequences per batch.
        seed: from 0.
        held_out: most held-out windows to evaluate on; spread over the split if it has more.
        cut: how documents are cut into sequences.
        bos: token to put before every sequence, None for none.
        growth: where more training shards come from. Then the first pass takes the windows in their order.
        progress: told when the data are read again.

    Raises:
        InputError: a split is empty or shorter than one sequence.
    """

    def __init__(
        self,
        shards: Shards,
        n_ctx: int,
        batch_size: int,
        seed: int,
        held_out: int = 500,
        cut: Cut = "packed",
        bos: int | None = None,
        growth: Growth | None = None,
        progress: Progress = silent,
    ) -> None:
        if bos is not None and not 0 <= bos < shards.vocab_size:
            raise ValueError(f"token {bos} is not one of the {shards.vocab_size} of {shards.vocabulary}")
        self.shards, self.vocabulary, self.vocab_size = shards, shards.vocabulary, shards.vocab_size
        self.n_ctx, self.batch_size, self.seed, self.held_out, self.bos = n_ctx, batch_size, seed, held_out, bos
        self._cut: Cut = cut
        self._growth, self._progress, self._epoch = growth, progress, 0
        self._train, self._train_windows = self._opened("train")
        self._val, self._val_windows = self._opened("val")
        for split, found in (("train", self._train_windows), ("val", self._val_windows)):
            if found.count < 1:
                raise InputError(
                    f"{shards.folder} has no sequence to predict in its split {split!r}.",
                    "Make shards of more text, or with another --split or --val-fraction.",
                )
        self._unigram_V: Tensor | None = None

    def batch(self, step: int) -> Batch:
        """The batch of a step, from 0."""
        numbers_B = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        self._reach(int(numbers_B[-1]))
        epochs_B, places_B = np.divmod(numbers_B, self._train_windows.count)
        spans = []
        for epoch in range(int(epochs_B[0]), int(epochs_B[-1]) + 1):
            here = places_B[epochs_B == epoch]
            if epoch == 0 and self._growth is not None:  # how many there will be is not known yet
                spans.append(self._train_windows.spans(here, 0.0))
            else:
                chosen = shuffled(here, self._train_windows.count, self.seed, epoch)
                spans.append(self._train_windows.spans(chosen, _fraction(self.seed, epoch)))
        return self._batch(self._train, np.concatenate(spans))

    def _reach(self, number: int) -> None:
        """Reads on until there is a window of this number or the data end; says so when they are read again."""
        while self._growth is not None and number >= self._train_windows.count and not self._growth.ended:
            self.shards = self._growth.grow()
            self._train, self._train_windows = self._opened("train")
        if number >= self._train_windows.count and not self._epoch:
            self._epoch = 1
            count = self.shards.tokens("train")
            self._progress(f"All {count:,} training tokens were read; they are read again, in another order.")

    def _opened(self, split: Split) -> tuple[Stream, PackedWindows | DocumentWindows]:
        stream = Stream(self.shards, split)
        return stream, windows(stream, self._cut, self.n_ctx, bos=self.bos is not None)

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Cross-entropy on held-out windows, each read once.

        Returns:
            ``ce``: mean over predictions, nats. ``ce_unigram``: the same for guessing every token by its frequency in
            the training split. ``count``: number of predictions.
        """
        device = next(model.parameters()).device
        every = self.count("val")
        few = min(every, self.held_out)
        chosen = np.arange(few, dtype=np.int64) * every // few
        unigram_V = self._unigram()
        ce = ce_unigram = 0.0
        count = 0
        per_batch = max(1, _EVALUATION_TOKENS // self.n_ctx)
        for start in range(0, few, per_batch):
            batch = self.windows("val", chosen[start : start + per_batch])
            here_BS = batch.next_BS >= 0
            logits_NV = model(batch.tokens_BS.to(device))[here_BS.to(device)].float()
            next_N = batch.next_BS[here_BS]
            ce += nn.functional.cross_entropy(logits_NV, next_N.to(device), reduction="sum").item()
            ce_unigram -= unigram_V[next_N].sum().item()
            count += len(next_N)
        return {"ce": ce / count, "ce_unigram": ce_unigram / count, "count": float(count)}

    def count(self, split: Split) -> int:
        """Sequences in one pass over a split."""
        return (self._train_windows if split == "train" else self._val_windows).count

    def windows(self, split: Split, numbers_N: npt.NDArray[np.int64]) -> Batch:
        """Some sequences of a split by number, 0 to its count, with boundaries that never move."""
        if split == "train":
            return self._batch(self._train, self._train_windows.spans(numbers_N, 0.0))
        return self._batch(self._val, self._val_windows.spans(numbers_N, 0.0))

    def _batch(self, stream: Stream, spans_B2: npt.NDArray[np.int64]) -> Batch:
        tokens_BS = np.zeros((len(spans_B2), self.n_ctx), np.int64)
        next_BS = np.full((len(spans_B2), self.n_ctx), -1, np.int64)
        for row, (start, stop) in enumerate(spans_B2.tolist()):
            read = stream.read(start, stop)
            if self.bos is None:
                tokens_BS[row, : len(read) - 1], next_BS[row, : len(read) - 1] = read[:-1], read[1:]
            else:
                tokens_BS[row, 0], tokens_BS[row, 1 : len(read)], next_BS[row, : len(read)] = self.bos, read[:-1], read
        check_range(next_BS, self.shards)
        check_range(tokens_BS[:, 0], self.shards)
        return Batch(torch.from_numpy(tokens_BS), torch.from_numpy(next_BS))

    def _unigram(self) -> Tensor:
        """float64 [V]: log frequency of each token at the start of the training split, plus one."""
        if self._unigram_V is None:
            counts_V = np.ones(self.vocab_size)
            read: npt.NDArray[Any] = self._train.read(0, min(len(self._train), _UNIGRAM_TOKENS))
            check_range(read, self.shards)
            counts_V += np.bincount(read, minlength=self.vocab_size)
            self._unigram_V = torch.from_numpy(np.log(counts_V / counts_V.sum()))
        return self._unigram_V


def _fraction(*seed: int) -> float:
    """A number 0..1 (exclusive) that depends on whole numbers alone."""
    return int.from_bytes(hashlib.sha256(repr(("offset", *seed)).encode()).digest()[:6], "little") / (1 << 48)
