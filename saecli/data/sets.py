"""Data by name: token shards, text, data sets of the zoo and of the Hugging Face hub, generators of games.

What a name may be stands in :mod:`saecli.data.names`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from saecli.core.cache import Cache
from saecli.core.errors import InputError, UsageError
from saecli.core.progress import Progress, silent
from saecli.data.chess_games import ChessSource
from saecli.data.games import OthelloSource
from saecli.data.hub_stream import HubStream
from saecli.data.names import CHESS, GAMES, HUB, OTHELLO, PREFIX, hub_name, text_name
from saecli.data.shard_source import ShardSource
from saecli.data.shards import Shards, is_shards, open_shards
from saecli.data.source import TokenSource
from saecli.data.text import data_files
from saecli.data.text_shards import text_shards
from saecli.data.vocabulary import Vocabulary
from saecli.data.windows import Cut

_CONTEXT: Final = {"othello": 59, "chess": 256}
_DEFAULT_CONTEXT: Final = 128
_GAMES: Final = ("othello", "chess")
"""Vocabularies whose documents are read one per sequence, from their start, if nobody says otherwise."""


def prepared(spec: str, cache: Cache | None = None) -> Path | None:
    """The folder of token shards that ``data:NAME`` or a path means; None for what is no shards yet.

    Raises:
        InputError: the data set is not prepared, or the folder holds neither shards nor text.
        UsageError: nothing is there.
    """
    if spec in GAMES:
        return None
    if spec.startswith(HUB):
        hub_name(spec)
        return None
    if spec.startswith(PREFIX):
        folder = (cache or Cache.at()).shards_of(spec.removeprefix(PREFIX))
        if not is_shards(folder):
            raise InputError(f"The data set {spec} is not on this machine.", f"Fetch it: saecli download {spec}.")
        return folder
    if is_shards(Path(spec)):
        return Path(spec)
    named = text_name(spec)
    if named is None:
        raise UsageError(
            f"--data {spec} is neither {' nor '.join(GAMES)}, nor data:NAME, nor hf:ORG/NAME, nor a folder of shards, "
            "nor text.",
            "Text is a file, a folder or a pattern; :COLUMN after it names the column of a table.",
        )
    for path in named.paths:
        data_files(path)
    return None


def open_tokens(
    spec: str,
    vocabulary: Callable[[], Vocabulary] | None = None,
    progress: Progress = silent,
) -> tuple[Shards, HubStream | None]:
    """The tokens that a name other than ``othello`` means; text is tokenised if it is not yet.

    Args:
        spec: See :mod:`saecli.data.names`.
        vocabulary: Gives the tokens for text; only called for text.
        progress: Told of what takes long.

    Returns:
        The shards, and where more of them come from if they are of a streamed data set.

    Raises:
        UsageError, InputError: as :func:`prepared`; the data are damaged, or have what the vocabulary has not.
    """
    folder = prepared(spec)
    if folder is not None:
        return open_shards(folder), None
    if vocabulary is None:
        raise InputError(f"{spec} is text, and token shards are needed.", "Make some: saecli convert --to shards.")
    if spec.startswith(HUB):
        stream = HubStream(hub_name(spec), vocabulary(), progress=progress)
        return stream.shards, stream
    named = text_name(spec)
    assert named is not None  # noqa: S101
    return text_shards(named.paths, vocabulary(), named.column, progress=progress), None


def open_source(
    spec: str,
    *,
    batch_size: int,
    seed: int,
    held_out: int,
    n_ctx: int = 0,
    bos: int | None = None,
    pack: bool | None = None,
    vocabulary: Callable[[], Vocabulary] | None = None,
    progress: Progress = silent,
) -> TokenSource:
    """The data that a name means, ready to train on.

    Args:
        spec: see :mod:`saecli.data.names`.
        batch_size: sequences per batch.
        seed: from 0.
        held_out: held-out sequences to evaluate on.
        n_ctx: positions per sequence; 0 for the data's own (59 for Othello, 256 for chess, 128 for text).
        bos: token to put before every sequence of tokens, None for none.
        pack: True lets sequences run on across documents, False makes one of each document; None for the data's own:
            True for text, False for games.
        vocabulary: gives the tokens for text.
        progress: told of what takes long.

    Raises:
        UsageError, InputError: as :func:`open_tokens`; a context that Othello has not.
    """
    if spec == OTHELLO:
        if n_ctx not in (0, OthelloSource.n_ctx):
            raise UsageError(f"--n-ctx {n_ctx}: a game of Othello has {OthelloSource.n_ctx} positions to predict from.")
        return OthelloSource(batch_size, seed, held_out)
    if spec == CHESS:
        return ChessSource(batch_size, seed, held_out, n_ctx or _CONTEXT["chess"])
    shards, growth = open_tokens(spec, vocabulary, progress)
    n_ctx = n_ctx or _CONTEXT.get(shards.vocabulary, _DEFAULT_CONTEXT)
    return ShardSource(shards, n_ctx, batch_size, seed, held_out, _cut(shards.vocabulary, pack), bos, growth, progress)


def _cut(vocabulary: str, pack: bool | None) -> Cut:
    packed = vocabulary not in _GAMES if pack is None else pack
    return "packed" if packed else "starts"
