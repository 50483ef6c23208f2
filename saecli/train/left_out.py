"""The tokens whose vectors ``saecli train sae`` does not learn."""

from __future__ import annotations

from saecli.core.errors import UsageError
from saecli.core.model import ModelInfo
from saecli.data.shard_source import ShardSource
from saecli.data.source import TokenSource
from saecli.train.sae_config import TrainSaeConfig
from zoo.load import load_vocabulary


def left_out(config: TrainSaeConfig, info: ModelInfo, source: TokenSource) -> frozenset[int]:
    """The tokens whose vectors are not learned.

    Raises:
        UsageError: A special token that the model's vocabulary does not have.
    """
    asked = set(config.dropped_tokens)
    numbers = {one for one in asked if isinstance(one, int)}
    if beyond := [one for one in numbers if one >= info.d_vocab]:
        raise UsageError(f"--drop {beyond[0]}: {info.name} has tokens 0..{info.d_vocab - 1}.")
    every = "special" in asked
    found = {"bos": info.bos if isinstance(source, ShardSource) else None}
    if every or {"eos", "pad"} & asked:
        vocabulary = load_vocabulary(config.model, info.vocabulary)
        found |= {"eos": vocabulary.eos, "pad": vocabulary.pad}
    for name in sorted({"eos", "pad"} & asked):
        if found[name] is None:
            raise UsageError(f"--drop {name}: the vocabulary of {info.name} has no such token.")
    return frozenset(
        numbers | {token for name, token in found.items() if token is not None and (every or name in asked)}
    )
