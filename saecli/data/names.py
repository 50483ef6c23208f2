"""What ``--data`` may say. Imports nothing heavy: configurations read it.

| written | means |
|---|---|
| ``othello``, ``chess-random`` | endless random games |
| ``data:NAME`` | a data set of the zoo, as token shards in the cache |
| ``FOLDER`` of token shards | these |
| ``FILE``, ``FOLDER`` or ``GLOB`` of text, with ``:COLUMN`` for tables | token shards made of it in the cache |
| ``hf:ORG/NAME[/CONFIG][@REVISION][:COLUMN]`` | a data set of the Hugging Face hub, streamed |
| ``hf:./FOLDER[:COLUMN]`` | a local folder or file that the library ``datasets`` reads, streamed |
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saecli.core.cache import Cache
from saecli.core.errors import UsageError

OTHELLO: Final = "othello"
CHESS: Final = "chess-random"
GAMES: Final = (OTHELLO, CHESS)
"""Endless random games, made as they are needed."""
PREFIX: Final = "data:"
HUB: Final = "hf:"

_NAME: Final = re.compile(r"[\w.-]+(/[\w.-]+)*", re.ASCII)
_LIST: Final = "shards.json"


@dataclass(frozen=True)
class TextName:
    """Files or folders of text.

    Attributes:
        paths: In order.
        column: Of tables, empty to be found.
    """

    paths: tuple[Path, ...]
    column: str = ""


@dataclass(frozen=True)
class HubName:
    """A data set for the library ``datasets``.

    Attributes:
        path: ``org/name`` (or ``name``), or a local folder or file.
        config: Its configuration, empty for the default one.
        revision: Branch, tag or commit, empty for the newest.
        column: Of the text or tokens, empty to be found.
        local: Whether it is on this machine.
    """

    path: str
    config: str = ""
    revision: str = ""
    column: str = ""
    local: bool = False


def text_name(spec: str) -> TextName | None:
    """The files that a path or pattern means, None if there are none."""
    for path, column in ((spec, ""), spec.rpartition(":")[::2]):
        if path and Path(path).exists():
            return TextName((Path(path),), column)
        if found := sorted(glob.glob(path, recursive=True)) if set("*?[") & set(path) else []:
            return TextName(tuple(map(Path, found)), column)
    return None


def hub_name(spec: str) -> HubName:
    """Reads ``hf:…``.

    Raises:
        UsageError: It is not of that form, or a local path that is not there.
    """
    body = spec.removeprefix(HUB)
    if body.startswith(("/", "./", "../", "~")):
        for path, column in ((body, ""), body.rpartition(":")[::2]):
            if path and Path(path).expanduser().exists():
                return HubName(str(Path(path).expanduser()), column=column, local=True)
        raise UsageError(f"--data {spec}: {body} is not there.")
    body, _, column = body.partition(":")
    body, _, revision = body.partition("@")
    body = body.removeprefix("datasets/")
    if not _NAME.fullmatch(body) or ".." in body:
        raise UsageError(f"--data {spec} names no data set.", "Write hf:ORG/NAME[/CONFIG][@REVISION][:COLUMN].")
    parts = body.split("/", 2)
    return HubName("/".join(parts[:2]), "".join(parts[2:]), revision, column)


def data_inputs(spec: str) -> dict[str, tuple[str, ...]]:
    """What a manifest records by content of ``--data``: the list of its shards, its files; nothing of generated games
    and of what is on the hub."""
    if spec in ("", *GAMES):
        return {}
    if spec.startswith(HUB):
        name = hub_name(spec)
        return {"data": (name.path,)} if name.local else {}
    if spec.startswith(PREFIX):
        paths = [Cache.at().shards_of(spec.removeprefix(PREFIX))]
    else:
        named = text_name(spec)
        paths = list(named.paths) if named else []
    values = [str(path / _LIST if (path / _LIST).is_file() else path) for path in paths]
    return {f"data[{n}]" if len(values) > 1 else "data": (value,) for n, value in enumerate(values)}
