"""Sequences to measure dictionaries on: held-out ones, training-side ones to fit controls on, and more held-out ones
that only tell which features ever fire.

Everything is a function of the data and the numbers asked for. Held-out sequences are never training sequences: games
of the generator have seeds that no training run uses, and shards have the split ``val``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from saecli.core.errors import InputError
from saecli.core.progress import Progress, silent
from saecli.core.sample import Sample
from saecli.data.games import FITTING_SEED, HELD_OUT_SEED, GameSource
from saecli.data.sets import open_source
from saecli.data.shard_source import ShardSource
from saecli.data.shards import Split
from saecli.data.vocabulary import Vocabulary

_TOKENS: Final = 4096
_LOGITS: Final = 1 << 26
"""Positions, and positions times vocabulary, that one sample has at most."""
_SECOND_HALF: Final = 1 << 41
"""Seeds of games between the halves."""


@dataclass(frozen=True)
class Samples:
    """Sequences in batches.

    Attributes:
        vocabulary: Name of their token vocabulary.
        n_ctx: Positions per sequence.
        held_out: Sequences that nothing was trained on.
        fitting: Sequences of the training side, for means and principal components.
        firing: More held-out sequences, other than ``held_out``; fewer than asked for if the data have no more.
    """

    vocabulary: str
    n_ctx: int
    held_out: tuple[Sample, ...]
    fitting: tuple[Sample, ...]
    firing: tuple[Sample, ...]


def open_samples(
    spec: str,
    sequences: int,
    *,
    fitting: int = 400,
    firing: int = 0,
    n_ctx: int = 0,
    bos: int | None = None,
    pack: bool | None = None,
    half: str = "all",
    vocabulary: Callable[[], Vocabulary] | None = None,
    progress: Progress = silent,
) -> Samples:
    """The sequences of data that a name means.

    Args:
        spec: See :mod:`saecli.data.names`.
        sequences: How many are held out to measure on.
        fitting: How many of the training side.
        firing: How many more that are held out.
        n_ctx: Positions per sequence; 0 for the data's own.
        bos: Token to put before every sequence of shards, None for none; games have none.
        half: Which held-out sequences: ``all``, or those of the ``first`` or ``second`` half.
        pack, vocabulary, progress: As of :func:`saecli.data.sets.open_source`.

    Raises:
        UsageError: No such data, or a context that games do not have.
        InputError: The data are damaged, or too short: the sentence says how many sequences they have.
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
    if isinstance(source, GameSource):
        return Samples(
            source.vocabulary,
            source.n_ctx,
            source.samples(sequences, games_seed(half)),
            source.samples(fitting, FITTING_SEED),
            source.samples(firing, games_seed(half) + 1),
        )
    assert isinstance(source, ShardSource)  # noqa: S101
    numbers_N = held_out_numbers(source, half)
    there = len(numbers_N)
    if there < sequences:
        where = "" if half == "all" else f" in its {half} half"
        raise InputError(
            f"{spec} has {there} held-out sequences of {source.n_ctx} positions{where}, and {sequences} were asked "
            "for.",
            f"{f'Ask for {there}, or make' if there else 'Make'} shards with a larger --val-fraction.",
        )
    chosen = numbers_N[_spread(there, min(there, sequences + firing))]
    measured = _spread(len(chosen), sequences)
    rest = np.setdiff1d(np.arange(len(chosen)), measured)
    return Samples(
        source.vocabulary,
        source.n_ctx,
        _windows(source, "val", chosen[measured]),
        _windows(source, "train", _spread(source.count("train"), min(source.count("train"), fitting))),
        _windows(source, "val", chosen[rest]),
    )


def games_seed(half: str) -> int:
    """Of held-out games: their halves are other games, and all are the first half, as there is no end of them."""
    return HELD_OUT_SEED + (_SECOND_HALF if half == "second" else 0)


def held_out_numbers(source: ShardSource, half: str) -> np.ndarray:
    """int64 [N]: the held-out sequences of shards, or those of one half of them."""
    there = source.count("val")
    start = there // 2 if half == "second" else 0
    return np.arange(start, there // 2 if half == "first" else there, dtype=np.int64)


def _spread(count: int, wanted: int) -> np.ndarray:
    """int64 [wanted]: numbers below ``count``, increasing, at even distances."""
    return np.arange(wanted, dtype=np.int64) * count // max(1, wanted)


def _windows(source: ShardSource, split: Split, numbers_N: np.ndarray) -> tuple[Sample, ...]:
    rows = max(1, min(_TOKENS, _LOGITS // source.vocab_size) // source.n_ctx)
    batches = [source.windows(split, numbers_N[start : start + rows]) for start in range(0, len(numbers_N), rows)]
    return tuple(Sample(batch.tokens_BS, batch.next_BS) for batch in batches)
