"""What a model reads: the data that the zoo names for it, made on this machine where that needs no network."""

from __future__ import annotations

from typing import Final

from saecli.core.cache import Cache
from saecli.core.errors import SaecliError
from saecli.core.progress import Progress, silent
from saecli.data.names import CHESS, GAMES, OTHELLO, PREFIX
from zoo.generate import GENERATE, GENERATORS
from zoo.index import find_data, find_model

_OF_VOCABULARY: Final = {"othello": OTHELLO, "chess": CHESS}
_RANDOM: Final = "random:"


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
