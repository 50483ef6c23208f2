"""What a model reads while dictionaries learn: training and held-out sides of the same data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final, Protocol

import torch

from saecli.core.errors import InputError, SaecliError, UsageError
from saecli.core.model import ModelInfo
from saecli.core.progress import Progress, silent
from saecli.core.sample import Sample
from saecli.data.encode import definition
from saecli.data.games import CONTEXT
from saecli.data.names import GAMES, OTHELLO
from saecli.data.samples import Samples, open_samples
from saecli.data.sets import open_source, prepared
from saecli.data.shard_source import ShardSource
from saecli.data.shards import fingerprint
from saecli.data.source import TokenSource
from zoo.load import load_vocabulary
from zoo.reading import data_of, make_data, other_data

_GAMES_SEED: Final = 1 << 31  # so that the dictionaries' games are not those of a model trained with the same seed
_FITTING: Final = 400
_FIRING: Final = 10  # times the sequences measured: a feature is dead if it is silent in all of these


class Reads(Protocol):
    """What a configuration says of its data."""

    @property
    def model(self) -> str:
        """Name or folder of the model."""
        ...

    @property
    def data(self) -> str:
        """What it reads; empty for what the zoo names."""
        ...

    @property
    def context(self) -> int:
        """Positions per sequence; 0 for the data's own."""
        ...

    @property
    def sequences(self) -> int:
        """Sequences per batch."""
        ...

    @property
    def held_out(self) -> int:
        """Sequences to measure on."""
        ...

    @property
    def pack(self) -> bool | None:
        """Whether sequences run on across documents."""
        ...

    @property
    def seed(self) -> int:
        """Of the order of the data, and of random games."""
        ...


def data_name(config: Reads, info: ModelInfo) -> str:
    """``--data``, or the data that the zoo names for the model.

    Raises:
        UsageError: Neither says.
    """
    if config.data:
        return config.data
    if known := data_of(config.model, info.vocabulary):
        return known
    raise UsageError(
        f"What {info.name} reads is not known.",
        f"Name it with --data: {', '.join(GAMES)}, data:NAME, a folder of token shards, text, or hf:ORG/NAME.",
    )


def describe_data(config: Reads, info: ModelInfo) -> str:
    """What the model will read, in words; nothing is tokenised or fetched for it. Raises as :func:`open_data`."""
    spec = data_name(config, info)
    make_data(spec)
    if spec not in GAMES and prepared(spec) is None:
        return f"{spec}, tokenised for {info.name}"
    source = open_data(config, info)
    return f"{source.vocabulary} data in sequences of {source.n_ctx}"


def open_data(config: Reads, info: ModelInfo, progress: Progress = silent) -> TokenSource:
    """The training data of a configuration; sequences begin with the model's BOS if it has one.

    Raises:
        UsageError: No such data, or a context that the model or the data do not have.
        InputError: The data are not here, damaged, empty, or of another vocabulary than the model's.
    """
    spec, context = data_name(config, info), config.context
    if context > info.n_ctx:
        raise UsageError(f"--context {context} is more than the {info.n_ctx} positions of {info.name}.")
    make_data(spec, progress)
    games = spec == OTHELLO
    source = _opened(spec, config, info, None, 0 if games else context, progress)
    _check_vocabulary(config, info, source)
    if games and (context not in (0, CONTEXT) or info.n_ctx < CONTEXT):
        asked = f"--context {context}" if context else f"{info.name} with {info.n_ctx} positions"
        raise UsageError(f"{asked} does not fit games of Othello, which have {CONTEXT}.")
    if games:
        return source
    if notice := other_data(config.model, spec):
        progress(notice)
    if source.n_ctx > info.n_ctx or info.bos is not None:
        source = _opened(spec, config, info, info.bos, context or min(source.n_ctx, info.n_ctx), progress)
    return source


def data_fingerprint(source: TokenSource) -> str:
    """What identifies training data: vocabulary, context, and the content of shards."""
    content = fingerprint(source.shards) if isinstance(source, ShardSource) else ""
    return f"{source.vocabulary}/{source.n_ctx}/{content}"


def open_held_out(
    config: Reads, info: ModelInfo, source: TokenSource, left_out: Collection[int] = frozenset()
) -> Samples:
    """The sequences to measure on: ``--held-out`` of them, or as many as there are.

    Args:
        config: The choices of data.
        info: The model.
        source: The training side, of :func:`open_data`.
        left_out: Tokens whose positions do not count.

    Raises:
        InputError: As :func:`saecli.data.samples.open_samples`.
    """
    count = min(config.held_out, source.count("val")) if isinstance(source, ShardSource) else config.held_out
    bos = info.bos if isinstance(source, ShardSource) else None
    data = open_samples(
        data_name(config, info),
        count,
        fitting=_FITTING,
        firing=_FIRING * count,
        n_ctx=source.n_ctx,
        bos=bos,
        pack=config.pack,
        vocabulary=lambda: load_vocabulary(config.model, info.vocabulary),
    )
    unwanted = torch.tensor(sorted(left_out), dtype=torch.int64)
    if not len(unwanted):
        return data

    def counted(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        return tuple(
            replace(one, next_BS=one.next_BS.masked_fill(torch.isin(one.tokens_BS, unwanted), -1)) for one in samples
        )

    return replace(data, held_out=counted(data.held_out), fitting=counted(data.fitting), firing=counted(data.firing))


def _opened(
    spec: str, config: Reads, info: ModelInfo, bos: int | None, context: int, progress: Progress
) -> TokenSource:
    return open_source(
        spec,
        batch_size=config.sequences,
        seed=(config.seed + _GAMES_SEED) % (1 << 32),
        held_out=1,
        n_ctx=context,
        bos=bos,
        pack=config.pack,
        vocabulary=lambda: load_vocabulary(config.model, info.vocabulary),
        progress=progress,
    )


def _check_vocabulary(config: Reads, info: ModelInfo, source: TokenSource) -> None:
    header = source.shards.header if isinstance(source, ShardSource) else {}
    recorded = header.get("vocabulary", {}).get("sha256")
    same = info.vocabulary == source.vocabulary
    own = _vocabulary_sha256(config.model, info.vocabulary) if recorded and not same else ""
    if info.vocabulary and not same and own != recorded:
        raise InputError(
            f"{info.name} reads the vocabulary {info.vocabulary!r}, and the data are {source.vocabulary!r}.",
            "Choose other data with --data.",
        )
    if own and own != recorded:
        raise InputError(
            f"{info.name} and the data have different vocabularies: sha256 {own[:12]} and {str(recorded)[:12]}.",
            "Make shards with the model's own: saecli convert TEXT SHARDS --to shards --tokenizer MODEL.",
        )
    if source.vocab_size > info.d_vocab:
        raise InputError(
            f"The data have {source.vocab_size:,} tokens of the vocabulary {source.vocabulary!r}, and {info.name} "
            f"reads {info.d_vocab:,}."
        )
    if info.bos is not None and isinstance(source, ShardSource) and info.bos >= source.vocab_size:
        raise InputError(f"{info.name} begins with token {info.bos}, and the data have only {source.vocab_size:,}.")


def _vocabulary_sha256(model: str, vocabulary: str) -> str:
    try:
        return definition(load_vocabulary(model, vocabulary))["sha256"]
    except SaecliError:
        return ""  # a model without a vocabulary: names and sizes tell
