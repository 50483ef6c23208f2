"""The data of a trace: sequences that what stands in is drawn from."""

from __future__ import annotations

from saecli.core.errors import InputError, UsageError
from saecli.core.model import HookedModel
from saecli.core.progress import Progress
from saecli.data.sequences import Sequences
from saecli.trace.config import TraceConfig


def open_data(config: TraceConfig, model: HookedModel, bos: int | None, length: int, progress: Progress) -> Sequences:
    """``--sequences`` of ``--data``, or of what the zoo names for the model.

    Args:
        config: The user's choices.
        model: The model.
        bos: Token that the dictionaries' sequences began with.
        length: Tokens of a sequence; games have their own.
        progress: Told what is made.

    Raises:
        UsageError: No data are known.
        InputError: They are written in another vocabulary, or have tokens that the model does not know.
    """
    from saecli.data.names import GAMES
    from saecli.data.sequences import open_sequences
    from zoo.load import load_vocabulary
    from zoo.reading import data_of, make_data, other_data

    info = model.info
    data = config.data or data_of(config.model, info.vocabulary)
    if not data:
        raise UsageError(
            f"{info.name} reads {info.vocabulary or 'an unknown vocabulary'}, and no data are named.",
            "Add --data: data:NAME, token shards, text, or hf:ORG/NAME.",
        )
    make_data(data, progress)
    if notice := other_data(config.model, data):
        progress(notice)
    found = open_sequences(
        data,
        config.sequences,
        n_ctx=0 if data in GAMES else length,
        bos=bos,
        vocabulary=lambda: load_vocabulary(config.model, info.vocabulary),
        progress=progress,
    )
    if info.vocabulary and found.vocabulary and info.vocabulary != found.vocabulary:
        raise InputError(f"{data} is written in {found.vocabulary!r}, and {info.name} reads {info.vocabulary!r}.")
    if int(found.tokens_BS.max()) >= info.d_vocab:
        raise InputError(f"{data} has token {int(found.tokens_BS.max())}; {info.name} knows 0..{info.d_vocab - 1}.")
    return found
