"""Data by name: a folder of token shards, a prepared data set of the zoo (``data:NAME``), or a generator of games."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from saecli.core.cache import Cache
from saecli.core.errors import InputError, UsageError
from saecli.data.games import OthelloSource
from saecli.data.shard_source import ShardSource
from saecli.data.shards import is_shards, open_shards
from saecli.data.source import TokenSource
from saecli.data.windows import Cut

OTHELLO: Final = "othello"
"""Endless random games, made as they are needed."""
PREFIX: Final = "data:"

_CONTEXT: Final = {"othello": 59, "chess": 256}
_DEFAULT_CONTEXT: Final = 128
_CUTS: Final[dict[str, Cut]] = {"othello": "starts", "chess": "starts"}


def locate_data(spec: str, cache: Cache | None = None) -> Path:
    """The folder of shards that ``data:NAME`` or a path means.

    Raises:
        InputError: the data set is not prepared, or the folder holds no shards.
        UsageError: there is no such folder.
    """
    if spec.startswith(PREFIX):
        folder = (cache or Cache.at()).shards_of(spec.removeprefix(PREFIX))
        if not is_shards(folder):
            raise InputError(f"The data set {spec} is not on this machine.", f"Fetch it: saecli download {spec}.")
        return folder
    folder = Path(spec)
    if not folder.exists():
        raise UsageError(f"--data {spec} is neither {OTHELLO}, nor data:NAME, nor a folder of shards.")
    if not is_shards(folder):
        raise InputError(f"{folder} holds no token shards.", f"Make some: saecli convert {spec} SHARDS --to shards.")
    return folder


def open_source(
    spec: str, *, batch_size: int, seed: int, held_out: int, n_ctx: int = 0, bos: int | None = None
) -> TokenSource:
    """The data that a name means, ready to train on.

    Games are read one per sequence, from their start; text runs on across documents.

    Args:
        spec: ``othello``, ``data:NAME``, or a folder of shards.
        batch_size: sequences per batch.
        seed: from 0.
        held_out: held-out sequences to evaluate on.
        n_ctx: positions per sequence; 0 for the data's own (59 for Othello, 256 for chess, 128 for text).
        bos: token to put before every sequence of shards, None for none.

    Raises:
        UsageError, InputError: as :func:`locate_data`; the shards are damaged; a context that Othello has not.
    """
    if spec == OTHELLO:
        if n_ctx not in (0, OthelloSource.n_ctx):
            raise UsageError(f"--n-ctx {n_ctx}: a game of Othello has {OthelloSource.n_ctx} positions to predict from.")
        return OthelloSource(batch_size, seed, held_out)
    shards = open_shards(locate_data(spec))
    name = shards.vocabulary
    n_ctx = n_ctx or _CONTEXT.get(name, _DEFAULT_CONTEXT)
    return ShardSource(shards, n_ctx, batch_size, seed, held_out, _CUTS.get(name, "packed"), bos)
