"""Text as training data without a word in between: token shards of it in the cache, by the content of both.

The same files and the same vocabulary are tokenised once on a machine, whichever command asks. The shards appear whole
or not at all, so any number of processes may ask at once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from saecli.core.atomic import writing_folder
from saecli.core.cache import Cache
from saecli.core.errors import InputError, UsageError
from saecli.core.exclusive import exclusive
from saecli.core.inputs import hash_file
from saecli.core.progress import Progress, silent
from saecli.data.encode import definition
from saecli.data.pretokenise import Recipe, file_name, make_shards
from saecli.data.shards import Shards, is_shards, open_shards
from saecli.data.text import data_files, read_documents
from saecli.data.vocabulary import Vocabulary

_KEY_CHARACTERS: Final = 32


def text_shards(
    sources: Sequence[Path],
    vocabulary: Vocabulary,
    column: str = "",
    cache: Cache | None = None,
    progress: Progress = silent,
) -> Shards:
    """Token shards of some text, made if they are not in the cache.

    Documents are followed by the token that ends one, by a newline where there is no such token, by nothing where there
    is neither and where they are token ids already. Held out are the files whose names say so, else a tenth of the
    documents by their hash, else the end of the text.

    Args:
        sources: Files, or folders of files.
        vocabulary: The tokens.
        column: Of tables; found if empty.
        cache: Where to; the user's if not given.
        progress: Told of the tokenising.

    Raises:
        InputError: A file cannot be read, holds nothing or what the vocabulary has not, or all is too short to hold
            anything out.
    """
    files = [(source, file) for source in sources for file in data_files(source)]
    recipe = Recipe(column=column, separator=_separator(files[0][1], column, vocabulary))
    content = [[file_name(source, file), _digest(file)] for source, file in files]
    key = [definition(vocabulary), asdict(recipe), content]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    folder = (cache or Cache.at()).text_of(digest[:_KEY_CHARACTERS])
    if not is_shards(folder):
        with exclusive(folder.with_suffix(".lock")):
            if not is_shards(folder):
                _make(sources, vocabulary, recipe, folder, progress)
    return open_shards(folder)


def _separator(file: Path, column: str, vocabulary: Vocabulary) -> str:
    first = next(read_documents(file, column), None)
    if first is not None and not isinstance(first.content, str):
        return "none"
    return text_separator(vocabulary)


def text_separator(vocabulary: Vocabulary) -> str:
    """What stands after a document of text: ``eos`` or ``newline`` if the vocabulary has it, else ``none``."""
    if vocabulary.eos is not None:
        return "eos"
    try:
        return "newline" if vocabulary.encode("\n") else "none"
    except InputError:
        return "none"


def _make(sources: Sequence[Path], vocabulary: Vocabulary, recipe: Recipe, folder: Path, progress: Progress) -> None:
    named = ", ".join(map(str, sources[:3])) + (", …" if len(sources) > 3 else "")
    progress(f"Making token shards of {named} in {folder}.")
    for rule in (recipe.split, "head"):
        try:
            with writing_folder(folder) as new:
                make_shards(sources, vocabulary, replace(recipe, split=rule), new, progress)
                for file in vocabulary.files:  # a vocabulary without a name of its own travels with its tokens
                    shutil.copyfile(file, new / file.name)
            return
        except OSError as error:
            raise InputError(f"Cannot write {folder}: {error.strerror}.", "Make room, or set SAECLI_CACHE.") from error
        except UsageError as error:
            if rule == "head":
                raise InputError(f"{named}: too short to train on and to hold anything out.") from error


def _digest(file: Path) -> str:
    try:
        stat = file.stat()
        return _digest_of(file, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise InputError(f"Cannot read {file}: {error.strerror}.") from error


@lru_cache(maxsize=1 << 16)
def _digest_of(file: Path, size: int, changed_ns: int) -> str:
    return hash_file(file)
