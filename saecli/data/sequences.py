"""Sequences to look at: as many as asked for, held-out ones first, then ones of the training side."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from saecli.core.errors import InputError
from saecli.core.progress import Progress, silent
from saecli.data.games import GameSource
from saecli.data.samples import games_seed, held_out_numbers
from saecli.data.sets import open_source
from saecli.data.shard_source import ShardSource
from saecli.data.shards import Split
from saecli.data.source import Batch
from saecli.data.vocabulary import Vocabulary

_TOKENS: Final = 1 << 16
"""Of the sequences that are read together, nearly."""


@dataclass(frozen=True)
class Sequences:
    """Token sequences.

    Attributes:
        vocabulary: Name of their token vocabulary.
        tokens_BS: int32 [B, S]; what follows a sequence's length is padding.
        lengths_B: int64 [B], tokens of each that were read to predict another one, 1 at least.
        held_out: The first so many were never trained on.
    """

    vocabulary: str
    tokens_BS: Tensor
    lengths_B: Tensor
    held_out: int

    def __len__(self) -> int:
        """How many there are."""
        return len(self.tokens_BS)

    @property
    def tokens(self) -> int:
        """Tokens of all sequences together."""
        return int(self.lengths_B.sum())

    @property
    def digest(self) -> str:
        """sha256 of the tokens and lengths."""
        shape = repr(tuple(self.tokens_BS.shape)).encode()
        parts = (shape, self.tokens_BS.numpy().tobytes(), self.lengths_B.numpy().tobytes())
        return hashlib.sha256(b"".join(parts)).hexdigest()


def open_sequences(
    spec: str,
    sequences: int,
    *,
    usual_tokens: int = 1 << 17,
    n_ctx: int = 0,
    bos: int | None = None,
    pack: bool | None = None,
    half: str = "all",
    vocabulary: Callable[[], Vocabulary] | None = None,
    progress: Progress = silent,
) -> Sequences:
    """Some sequences of data that a name means; random games are all held out.

    Args:
        spec: See :mod:`saecli.data.names`.
        sequences: How many; 0 for as many as have ``usual_tokens`` positions, or all there are.
        usual_tokens: See there.
        n_ctx: Positions per sequence; 0 for the data's own.
        bos: Token to put before every sequence of shards, None for none; games have none.
        half: Which held-out ones: ``all``, or those of the ``first`` or ``second`` half.
        pack, vocabulary, progress: As of :func:`saecli.data.sets.open_source`.

    Raises:
        UsageError: No such data, or a context that games do not have.
        InputError: The data are damaged, or have fewer sequences.
    """
    source = open_source(
        spec,
        batch_size=1,
        seed=0,
        held_out=1,
        n_ctx=n_ctx,
        bos=bos,
        pack=pack,
        vocabulary=vocabulary,
        progress=progress,
    )
    wanted = sequences or -(-usual_tokens // source.n_ctx)
    if isinstance(source, GameSource):
        games, rows = source.play(wanted, games_seed(half)), max(1, _TOKENS // source.n_ctx)
        batches = [source.read(source.part(games, slice(at, at + rows))) for at in range(0, wanted, rows)]
        return _joined(source.vocabulary, batches, wanted)
    assert isinstance(source, ShardSource)  # noqa: S101
    val_N, train_N = held_out_numbers(source, half), np.arange(source.count("train"))
    there = len(val_N) + len(train_N)
    if there < sequences:
        raise InputError(
            f"{spec} has {there:,} sequences of {source.n_ctx} positions, and {sequences:,} were asked for.",
            f"Ask for {there}, or for shorter ones with --n-ctx.",
        )
    wanted = min(there, wanted)
    held_out = min(len(val_N), wanted)
    batches = [*_windows(source, "val", val_N, held_out), *_windows(source, "train", train_N, wanted - held_out)]
    return _joined(source.vocabulary, batches, held_out)


def _windows(source: ShardSource, split: Split, from_N: np.ndarray, wanted: int) -> list[Batch]:
    """So many sequences of a split, at even distances."""
    numbers_N = from_N[np.arange(wanted, dtype=np.int64) * len(from_N) // max(1, wanted)]
    rows = max(1, _TOKENS // source.n_ctx)
    return [source.windows(split, numbers_N[at : at + rows]) for at in range(0, wanted, rows)]


def _joined(vocabulary: str, batches: list[Batch], held_out: int) -> Sequences:
    tokens_BS = torch.cat([batch.tokens_BS.int() for batch in batches])
    read_BS = torch.cat([batch.next_BS for batch in batches]) >= 0
    positions_S = torch.arange(1, tokens_BS.shape[1] + 1)
    lengths_B = torch.where(read_BS, positions_S, 0).amax(1).clamp_min(1)
    return Sequences(vocabulary, tokens_BS, lengths_B, held_out)
