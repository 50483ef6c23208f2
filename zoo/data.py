"""Data sets of the zoo on this machine: files that were fetched, or games that are generated, as token shards."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saecli.core.atomic import writing_folder
from saecli.core.progress import Progress, silent
from zoo.family import DataEntry
from zoo.generate import GENERATE, Generator, generator

if TYPE_CHECKING:
    from saecli.data.vocabulary import Vocabulary


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
    made = generator(entry.source) if entry.source.startswith(GENERATE) else None
    if _made_of(folder, data, None if made is None else made.recipe):
        return folder
    with writing_folder(folder) as new:
        if made is not None:
            _generate(made, tokenizer(entry.tokenizer), new, progress)
        else:
            separator = entry.separator or "none"
            recipe = Recipe(entry.column, entry.documents, separator)
            make_shards(data, tokenizer(entry.tokenizer), recipe, new, progress)
        if folder.exists():
            shutil.rmtree(folder)
    return folder


def _generate(made: Generator, vocabulary: Vocabulary, folder: Path, progress: Progress) -> None:
    from saecli.data.encode import definition
    from saecli.data.pretokenise import SHARD_TOKENS
    from saecli.data.shard_writer import ShardWriter

    with ShardWriter(folder, vocabulary.size, SHARD_TOKENS) as writer:
        made.write(writer, progress)
        replaced = {"characters": 0, "first": ""}
        writer.finish(vocabulary=definition(vocabulary), recipe=made.recipe, sources=[], replaced=replaced)


def _made_of(folder: Path, files: Sequence[Path], recipe: dict[str, Any] | None) -> bool:
    """Whether a folder holds shards of files of these names and sizes, or of a generator's recipe."""
    from saecli.data.shards import HEADER, read_header

    if not (folder / HEADER).is_file():
        return False
    header = read_header(folder / HEADER)
    if recipe is not None:
        return header["recipe"] == recipe
    made_of = sorted((source["name"], source["bytes"]) for source in header["sources"])
    return made_of == sorted((file.name, file.stat().st_size) for file in files)
