"""Text, tables and token arrays to token shards."""

from __future__ import annotations

import shutil
from pathlib import Path

from saecli.convert.config import ConvertConfig
from saecli.convert.engine import destination, refuse_if_there
from saecli.convert.result import ConvertResult, ShardsMade
from saecli.core.progress import Progress
from saecli.data.pretokenise import Recipe, make_shards
from saecli.data.shards import HEADER, TOKENIZER_FILES
from saecli.data.text import data_files
from zoo.data import tokenizer


def convert(config: ConvertConfig, progress: Progress) -> ConvertResult:
    """Makes shards of the sources; raises as :func:`saecli.data.pretokenise.make_shards` does."""
    recipe = Recipe(
        config.column,
        config.documents,
        config.separator,
        config.split,
        config.val_fraction,
        config.shard_tokens,
    )
    sources = [Path(source) for source in config.sources]
    if config.plan:
        refuse_if_there(config, HEADER)
        files = [file for source in sources for file in data_files(source)]
        size = sum(file.stat().st_size for file in files)
        step = f"{len(files)} file(s), {size / 1e6:.1f} MB, would become shards of {config.tokenizer} tokens"
        return ConvertResult(to="shards", destination=config.destination, steps=(f"{step} in {config.destination}",))
    with destination(config, HEADER) as folder:
        header = make_shards(sources, tokenizer(config.tokenizer), recipe, folder, progress)
        for name in TOKENIZER_FILES:  # a vocabulary without a name of its own travels with its tokens
            if (file := Path(config.tokenizer) / name).is_file():
                shutil.copyfile(file, folder / name)
    files = header["files"]

    def total(what: str, split: str) -> int:
        return sum(file[what] for file in files if file["split"] == split)

    made = ShardsMade(
        vocabulary=header["vocabulary"]["name"],
        split=header["recipe"]["split"],
        train_tokens=total("tokens", "train"),
        val_tokens=total("tokens", "val"),
        train_documents=total("documents", "train"),
        val_documents=total("documents", "val"),
        files=len(files),
        replaced=header["replaced"]["characters"],
        first_replaced=header["replaced"]["first"],
    )
    return ConvertResult(to="shards", destination=config.destination, shards=made)
