"""Flags of the data that models read. Imports nothing heavy: the command line is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saecli.core.config import CommandConfig, option

DATA_HELP: Final = (
    "othello or chess-random (endless random games), data:NAME, a folder of token shards, text as FILE, FOLDER or "
    "GLOB, or hf:ORG/NAME[/CONFIG][@REVISION] of the hub, streamed; :COLUMN after text or hf: names the column. Data "
    "that end early are read again."
)
"""What ``--data`` may say; see :mod:`saecli.data.names`."""

DATA_METAVAR: Final = "NAME|PATH"

HALVES: Final = ("all", "first", "second")


@dataclass(frozen=True, kw_only=True)
class PackMixin(CommandConfig):
    """How documents become sequences."""

    pack: bool | None = option(
        None,
        help="Sequences run on across documents, or each document makes one, cut at the context; if not given, text "
        "runs on and games do not.",
        panel="Data",
    )


@dataclass(frozen=True, kw_only=True)
class HalfMixin(PackMixin):
    """Which held-out sequences are read, so that one may choose by some and report others."""

    half: str = option(
        "all",
        help="Of the held-out sequences all, or those of one half: what was chosen by the first is to be reported on "
        "the second.",
        choices=HALVES,
        panel="Data",
    )
