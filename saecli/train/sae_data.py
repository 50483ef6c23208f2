"""What the model of ``saecli train sae`` reads: held-out and training sides of the same data."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from saecli.core.errors import InputError, SaecliError, UsageError
from saecli.core.model import ModelInfo
from saecli.core.sample import Sample
from saecli.data.encode import definition
from saecli.data.games import CONTEXT
from saecli.data.samples import Samples, open_samples
from saecli.data.sets import OTHELLO, PREFIX, open_source
from saecli.data.shard_source import ShardSource
from saecli.data.shards import fingerprint
from saecli.data.source import TokenSource
from saecli.train.sae_config import TrainSaeConfig

_GAMES_SEED: Final = 1 << 31  # so that the dictionaries' games are not those of a model trained with the same seed
_FITTING: Final = 400
_FIRING: Final = 10  # times the sequences measured: a feature is dead if it is silent in all of these


def data_name(config: TrainSaeConfig, info: ModelInfo) -> str:
    """``--data``, or the data that the zoo names for the model.

    Raises:
        UsageError: Neither says.
    """
    from zoo.index import find_model
    from zoo.load import RANDOM

    if config.data:
        return config.data
    match = RANDOM.fullmatch(config.model)
    found = find_model(match["name"] if match else config.model)
    known = found[1].data if found else ""
    if known == OTHELLO or (not known and info.vocabulary == OTHELLO):
        return OTHELLO
    if known:
        return PREFIX + known
    raise UsageError(
        f"What {info.name} reads is not known.", "Name it with --data: othello, data:NAME or a folder of token shards."
    )


def open_data(config: TrainSaeConfig, info: ModelInfo) -> TokenSource:
    """The training data of a configuration; sequences begin with the model's BOS if it has one.

    Raises:
        UsageError: No such data, or a context that the model or the data do not have.
        InputError: The data are not here, damaged, empty, or of another vocabulary than the model's.
    """
    spec, context = data_name(config, info), config.context
    if context > info.n_ctx:
        raise UsageError(f"--context {context} is more than the {info.n_ctx} positions of {info.name}.")
    games = spec == OTHELLO
    source = _opened(spec, config, None, 0 if games else context)
    _check_vocabulary(config, info, source)
    if games and (context not in (0, CONTEXT) or info.n_ctx < CONTEXT):
        asked = f"--context {context}" if context else f"{info.name} with {info.n_ctx} positions"
        raise UsageError(f"{asked} does not fit games of Othello, which have {CONTEXT}.")
    if games:
        return source
    if source.n_ctx > info.n_ctx or info.bos is not None:
        source = _opened(spec, config, info.bos, context or min(source.n_ctx, info.n_ctx))
    return source


def left_out(config: TrainSaeConfig, info: ModelInfo, source: TokenSource) -> int | None:
    """The special token whose vectors are not learned, None if all are."""
    return info.bos if config.drop_bos and isinstance(source, ShardSource) else None


def data_fingerprint(source: TokenSource) -> str:
    """What identifies training data: vocabulary, context, and the content of shards."""
    content = fingerprint(source.shards) if isinstance(source, ShardSource) else ""
    return f"{source.vocabulary}/{source.n_ctx}/{content}"


def open_held_out(config: TrainSaeConfig, info: ModelInfo, source: TokenSource) -> Samples:
    """The sequences to measure on: ``--held-out`` of them, or as many as there are.

    Positions of the special token that training leaves out do not count.

    Raises:
        InputError: As :func:`saecli.data.samples.open_samples`.
    """
    count = min(config.held_out, source.count("val")) if isinstance(source, ShardSource) else config.held_out
    bos = info.bos if isinstance(source, ShardSource) else None
    data = open_samples(
        data_name(config, info), count, fitting=_FITTING, firing=_FIRING * count, n_ctx=source.n_ctx, bos=bos
    )
    special = left_out(config, info, source)
    if special is None:
        return data

    def counted(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        return tuple(replace(one, next_BS=one.next_BS.masked_fill(one.tokens_BS == special, -1)) for one in samples)

    return replace(data, held_out=counted(data.held_out), fitting=counted(data.fitting), firing=counted(data.firing))


def _opened(spec: str, config: TrainSaeConfig, bos: int | None, context: int) -> TokenSource:
    seed = (config.seed + _GAMES_SEED) % (1 << 32)
    return open_source(spec, batch_size=config.sequences, seed=seed, held_out=1, n_ctx=context, bos=bos)


def _check_vocabulary(config: TrainSaeConfig, info: ModelInfo, source: TokenSource) -> None:
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
    from zoo.load import load_vocabulary

    try:
        return definition(load_vocabulary(model, vocabulary))["sha256"]
    except SaecliError:
        return ""  # a model without a vocabulary: names and sizes tell
