"""What a model reads: the data that the zoo names for it, made on this machine where that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from saecli.core.cache import Cache
from saecli.core.errors import InputError, SaecliError, UsageError
from saecli.core.progress import Progress, silent
from saecli.data.names import CHESS, GAMES, OTHELLO, PREFIX
from zoo.generate import GENERATE, GENERATORS
from zoo.index import find_data, find_model

if TYPE_CHECKING:
    from saecli.core.model import ModelInfo
    from saecli.core.suite import Suite
    from saecli.data.sequences import Sequences
    from saecli.data.vocabulary import Vocabulary

_OF_VOCABULARY: Final = {"othello": OTHELLO, "chess": CHESS}
_RANDOM: Final = "random:"
_TEXT_CONTEXT: Final = 128


def data_of(model: str, vocabulary: str = "") -> str:
    """What ``--data`` is for a model if nobody says, empty if that is not known.

    Args:
        model: A name of the zoo, with ``random:`` before it or not, or a folder.
        vocabulary: Its token vocabulary, for models that the zoo does not know: random games for that of a game.
    """
    found = find_model(model.removeprefix(_RANDOM).partition("@")[0])
    known = found[1].data if found else ""
    if not known:
        return _OF_VOCABULARY.get(vocabulary, "")
    return known if known in GAMES else PREFIX + known


def make_data(spec: str, progress: Progress = silent) -> None:
    """Makes a data set of the zoo that is not here yet, if that takes seconds and no network; leaves all others alone.

    Args:
        spec: What ``--data`` says.
        progress: Told how far it is.
    """
    from saecli.data.shards import is_shards
    from zoo.data import prepare

    name = spec.removeprefix(PREFIX)
    found = find_data(name) if spec.startswith(PREFIX) else None
    source = found[1].source if found else ""
    if found is None or not source.startswith(GENERATE) or not GENERATORS[source.removeprefix(GENERATE)].quick:
        return
    folder = Cache.at().shards_of(name)
    if not is_shards(folder):
        progress(f"{spec} is made, once for this machine.")
        prepare(found[1], (), folder, progress)


def other_data(model: str, spec: str) -> str:
    """A line for the user if a model was trained on a data set of this name but of other content, else empty.

    Args:
        model: As of :func:`zoo.load.load_model`.
        spec: What ``--data`` says; only a data set of the zoo is looked at.
    """
    from saecli.data.sets import prepared
    from saecli.data.shards import fingerprint, open_shards
    from saecli.formats.hf_gpt2 import read_extras
    from zoo.load import locate_model

    folder = prepared(spec) if spec.startswith(PREFIX) else None
    if folder is None:
        return ""
    try:
        noted = read_extras(locate_model(model)).get("data")
    except SaecliError:  # a layout without notes
        return ""
    if (
        not isinstance(noted, dict)
        or noted.get("name") != spec
        or noted.get("sha256") == fingerprint(open_shards(folder))
    ):
        return ""
    here = "this Python's standard library is another one" if spec == f"{PREFIX}python" else "this is another one"
    return f"{model} was trained on another {spec}: {here}, so numbers differ from those of its card."


def read_sequences(
    model: str,
    suites: Sequence[Suite],
    info: ModelInfo,
    vocabulary: Vocabulary,
    *,
    data: str | None,
    sequences: int,
    usual_tokens: int,
    n_ctx: int,
    pack: bool | None,
    half: str = "all",
    progress: Progress = silent,
) -> tuple[str, Sequences]:
    """What a model and dictionaries of it read, and its name.

    Args:
        model: The name under which the model was loaded.
        suites: The dictionaries.
        info: The model.
        vocabulary: Its vocabulary.
        data: What ``--data`` says; None for what the zoo names.
        sequences, usual_tokens, pack, half: See :func:`saecli.data.sequences.open_sequences`.
        n_ctx: Positions per sequence; 0 for those that the dictionaries were trained on, or 128.
        progress: Told how far it is.

    Raises:
        UsageError: No data are named, a context that the model does not have, or suites that cannot read the same.
        InputError: They are of another vocabulary.
    """
    from saecli.data.sequences import open_sequences

    name = data or data_of(model, info.vocabulary)
    if not name:
        raise UsageError(
            f"{info.name} reads {info.vocabulary or 'an unknown vocabulary'}, and no data are named.",
            "Add --data: data:NAME, token shards, text, or hf:ORG/NAME.",
        )
    make_data(name, progress)
    if notice := other_data(model, name):
        progress(notice)
    starts = {suite.info.bos for suite in suites}
    if len(starts) > 1:
        names = " and ".join(suite.info.name for suite in suites)
        raise UsageError(
            f"{names} were trained on sequences that begin differently, so no tokens suit all.",
            "Look at them one by one.",
        )
    if name != OTHELLO and not n_ctx:
        n_ctx = min([suite.info.context or _TEXT_CONTEXT for suite in suites] + [info.n_ctx])
    if n_ctx > info.n_ctx:
        raise UsageError(f"--n-ctx {n_ctx}: {info.name} reads at most {info.n_ctx} positions.")
    found = open_sequences(
        name,
        sequences,
        usual_tokens=usual_tokens,
        n_ctx=n_ctx,
        bos=starts.pop(),
        pack=pack,
        half=half,
        vocabulary=lambda: vocabulary,
        progress=progress,
    )
    if info.vocabulary and found.vocabulary and info.vocabulary != found.vocabulary:
        raise InputError(f"{name} is written in {found.vocabulary!r}, and {info.name} reads {info.vocabulary!r}.")
    if (highest := int(found.tokens_BS.max())) >= info.d_vocab:
        raise InputError(f"{name} has token {highest}, and {info.name} knows tokens 0..{info.d_vocab - 1}.")
    return name, found
