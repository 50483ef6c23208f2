"""Data sets of the zoo on this machine: files that were fetched, or games that are generated, as token shards."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saecli.core.atomic import writing_folder
from saecli.core.errors import InputError, UsageError
from saecli.core.progress import Progress, silent
from zoo.family import DataEntry

if TYPE_CHECKING:
    from saecli.data.vocabulary import Vocabulary

GENERATE: Final = "generate:"
GAMES: Final = {"train": 1_000_000, "val": 10_000}
"""Generated games of each split: 61 million tokens, 120 MB."""

_PER_CALL: Final = 10_000


def tokenizer(name_or_path: str) -> Vocabulary:
    """A vocabulary by name (see :func:`saecli.data.vocabulary.load_vocabulary`); a folder's goes by the folder's name.

    Raises:
        UsageError: no such vocabulary.
        InputError: it is not downloaded, or damaged.
    """
    from saecli.data.vocabulary import BUILT_IN, TOKENIZER, load_vocabulary

    folder = Path(name_or_path)
    if name_or_path not in BUILT_IN and (folder / TOKENIZER).is_file():
        name = folder.resolve().name
        return load_vocabulary(name if name not in BUILT_IN else "", folder)
    return load_vocabulary(name_or_path)


def prepare(entry: DataEntry, files: Sequence[Path], folder: Path, progress: Progress = silent) -> Path:
    """Makes the token shards of a data set; they appear whole or not at all.

    Args:
        entry: the data set.
        files: what was fetched of it, files that only describe it included; none for a generated one.
        folder: where the shards go (``Cache.shards_of``). Shards of the same files stay, others are replaced.
        progress: told how far it is.

    Returns:
        The folder.

    Raises:
        InputError, UsageError: as :func:`saecli.data.pretokenise.make_shards` does.
    """
    from saecli.data.pretokenise import Recipe, make_shards
    from saecli.data.text import kind

    data = [file for file in files if kind(file)]
    if _made_of(folder, data):
        return folder
    with writing_folder(folder) as new:
        if entry.source.startswith(GENERATE):
            _generate(entry, new, progress)
        else:
            separator = entry.separator or "none"
            recipe = Recipe(entry.column, entry.documents, separator, _split(data))
            make_shards(data, tokenizer(entry.tokenizer), recipe, new, progress)
        if folder.exists():
            shutil.rmtree(folder)
    return folder


def _made_of(folder: Path, files: Sequence[Path]) -> bool:
    """Whether a folder holds shards of files of these names and sizes."""
    from saecli.data.shards import HEADER, read_header

    if not (folder / HEADER).is_file():
        return False
    made_of = sorted((source["name"], source["bytes"]) for source in read_header(folder / HEADER)["sources"])
    return made_of == sorted((file.name, file.stat().st_size) for file in files)


def _split(files: Sequence[Path]) -> str:
    """The data set's own split if its files name one, else one of ours."""
    from saecli.data.splits import side_of_name

    try:
        sides = {side_of_name(file.name) for file in files}
    except UsageError:
        return "auto"
    return "names" if len(sides) == 2 else "auto"


def _generate(entry: DataEntry, folder: Path, progress: Progress) -> None:
    """Random Othello games: training games of seed 0, held-out games of seeds that no training run uses."""
    if entry.source != f"{GENERATE}othello":
        raise InputError(f"Nothing here generates {entry.source!r}.")
    import numpy as np

    from saecli.data.encode import definition
    from saecli.data.games import HELD_OUT_SEED
    from saecli.data.pretokenise import SHARD_TOKENS
    from saecli.data.shard_writer import ShardWriter
    from saecli.data.shards import SPLITS
    from saecli.games import othello

    done, total = 0, sum(GAMES.values())
    with ShardWriter(folder, othello.VOCAB_SIZE, SHARD_TOKENS) as writer:
        for split in SPLITS:
            for start in range(0, GAMES[split], _PER_CALL):
                count = min(_PER_CALL, GAMES[split] - start)
                seed = start // _PER_CALL + (HELD_OUT_SEED if split == "val" else 0)
                games = othello.random_games(count, seed)
                tokens = games.tokens()[np.arange(othello.MAX_MOVES) < games.lengths[:, None]]
                writer.add(split, tokens, games.lengths, np.ones(count, bool))
                done += count
                progress("generating games", done, total)
        writer.finish(
            vocabulary=definition(tokenizer(entry.tokenizer)),
            recipe={"generator": "othello", "games": GAMES, "split": "seeds"},
            sources=[],
            replaced={"characters": 0, "first": ""},
        )
