"""Rows of a data set of the Hugging Face hub, or of local files, by the library ``datasets``, streamed.

No code of a data set is ever run: the library refuses those that need it, and so does this.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from saecli.core.atomic import write_text
from saecli.core.cache import Cache
from saecli.core.errors import InputError, SaecliError
from saecli.core.progress import Progress
from saecli.data.names import HUB, HubName
from saecli.data.tables import Piece, cell, column_of

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SPLITS: Final = {"train": ("train",), "val": ("validation", "valid", "val", "dev")}
_BUILDERS: Final = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv", ".arrow": "arrow"}
_SECONDS: Final = 20.0


class Rows:
    """The rows of one side of a data set, from a position on.

    Args:
        name: Which data set; its revision is a commit.
        side: Which side: ``train`` is the only split if there is but one.
        position: ``rows``, ``position`` and ``datasets`` as this class and :func:`library_version` gave them; empty for
            the beginning.

    Attributes:
        read: How many rows were read, those before the position included.
        ended: Whether there are no more.

    Raises:
        InputError: It cannot be read or reached.
    """

    def __init__(self, name: HubName, side: Literal["train", "val"], position: dict[str, Any]) -> None:
        self._name, self.ended = name, False
        self.read = int(position.get("rows", 0))
        try:
            splits = _splits(name)
            split = _split(splits, side)
            if split is None:
                raise InputError(f"{spoken(name)} has no split for training: it has {', '.join(splits)}.")
            self._data, self._column, self._skip = splits[split], name.column, 0
            if names := self._data.column_names:
                self._column = column_of(name.column, names, spoken(name))
                self._data = self._data.select_columns([self._column])
            if self.read and position["datasets"] == library_version():
                self._data.load_state_dict(position["position"])
            else:
                self._skip = self.read
        except Exception as error:
            raise understood(error, name) from error

    @staticmethod
    def has(name: HubName, side: Literal["train", "val"]) -> bool:
        """Whether a data set has such a side."""
        try:
            return _split(_splits(name), side) is not None
        except Exception as error:
            raise understood(error, name) from error

    def pieces(self) -> Iterator[Piece]:
        """The documents; rows with none, and empty ones, are left out."""
        column, rows = self._column, iter(self._data)
        try:
            for _ in itertools.islice(rows, self._skip):
                pass
        except Exception as error:
            raise understood(error, self._name) from error
        while True:
            try:
                row = next(rows, None)
            except Exception as error:
                raise understood(error, self._name) from error
            if row is None:
                self.ended = True
                return
            self.read += 1
            if column in row and row[column] is None:
                continue
            piece = cell(row, column, f"{spoken(self._name)}, row {self.read},")
            if len(piece.content):
                yield piece

    def position(self) -> dict[str, Any]:
        """Where the rows after those read are, for the same version of the library."""
        return self._data.state_dict()


def spoken(name: HubName) -> str:
    """A data set's name for people."""
    return HUB + "/".join(filter(None, [name.path, name.config]))


def library_version() -> str:
    """Version of ``datasets``: its positions are its own."""
    import datasets

    return datasets.__version__


def latest(name: HubName, cache: Cache, progress: Progress) -> str:
    """The commit of the revision that a name asks for; the one known from before where the hub cannot be asked.

    Raises:
        InputError: There is no such data set or revision, no access, or no connection and nothing known.
    """
    if _COMMIT.fullmatch(name.revision):
        return name.revision
    asked = f"{name.path}@{name.revision}"
    note = cache.stream_of("revisions") / hashlib.sha256(asked.encode()).hexdigest()
    from huggingface_hub import HfApi

    try:
        commit = HfApi().dataset_info(name.path, revision=name.revision or None, timeout=_SECONDS).sha
    except Exception as error:
        meant = understood(error, name)
        if not note.is_file() or not isinstance(meant, Unreachable):
            raise meant from error
        commit = note.read_text().strip()
        progress(f"{meant.message} What was read of its commit {commit[:8]} is used.")
        return commit
    if commit is None or not _COMMIT.fullmatch(commit):
        raise InputError(f"The hub names no commit of {spoken(name)}.")
    write_text(note, commit)
    return commit


def _splits(name: HubName) -> dict[str, Any]:
    """The streamed splits of a data set."""
    import datasets

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    path = Path(name.path)
    if not name.local and path.exists():  # the library would take it for the data set
        raise InputError(
            f"There is a local {path} here, and {spoken(name)} is of the hub.", f"Write hf:./{path} for it."
        )
    if path.is_file():
        builder = _BUILDERS.get(path.suffix.lower(), "text")
        found = datasets.load_dataset(builder, data_files=str(path), streaming=True)
    else:
        revision = name.revision or None
        found = datasets.load_dataset(name.path, name.config or None, revision=revision, streaming=True)
    return {str(split): data for split, data in found.items()}


def _split(splits: dict[str, Any], side: str) -> str | None:
    found = next((split for split in _SPLITS[side] if split in splits), None)
    return next(iter(splits)) if found is None and side == "train" and len(splits) == 1 else found


class Unreachable(InputError):
    """The hub does not answer, or is not to be asked."""


def understood(error: Exception, name: HubName) -> SaecliError:
    """What a failure of the library or of the line means to a person."""
    if isinstance(error, SaecliError):
        return error
    kinds = {kind.__name__ for kind in type(error).__mro__}
    text, what = str(error), spoken(name)
    first = next(iter(text.strip().splitlines()), type(error).__name__).rstrip(".")
    if "is a gated" in text or "GatedRepoError" in kinds:
        page = f"https://huggingface.co/datasets/{name.path}"
        return InputError(f"{what} is gated.", f"Ask for access at {page}, then log in with `hf auth login`.")
    if "RevisionNotFoundError" in kinds:
        return InputError(f"{what} has no revision {name.revision!r}.", "Leave it out for the newest.")
    if kinds & {"RepositoryNotFoundError", "DatasetNotFoundError"}:
        return InputError(f"The hub has no data set {name.path}, or it is private.", "Check the name, or log in.")
    if "Dataset scripts" in text or "trust_remote_code" in text:
        return InputError(
            f"{what} can only be read by code of its own, which is never run.", "Look for a copy in Parquet."
        )
    if "BuilderConfig" in text or "Config name is missing" in text:
        there = re.search(r"\[.*?\]", text, re.DOTALL)
        known = there[0].strip("[]").replace("'", "") if there else ""
        asked = f"no configuration {name.config!r}" if name.config else "several configurations"
        return InputError(f"{what} has {asked}: {known}.", "Name one: hf:ORG/NAME/CONFIG.")
    if "save_to_disk" in text:
        return InputError(f"{what} was written by save_to_disk.", f"Leave out hf: --data {name.path}.")
    if kinds & {"OfflineModeIsEnabled"}:
        return Unreachable(f"{what} cannot be read: HF_HUB_OFFLINE=1 forbids to ask the hub.", "Unset it.")
    if "FileNotFoundError" in kinds and not kinds & {"LocalEntryNotFoundError"}:
        return InputError(f"{what} holds no data files that the library datasets knows.")
    remote = type(error).__module__.partition(".")[0] in ("httpx", "httpcore", "aiohttp", "requests", "huggingface_hub")
    if remote or kinds & {"ConnectionError", "TimeoutError", "LocalEntryNotFoundError"}:
        return Unreachable(f"The hub cannot be reached for {what}: {first}.", "Check the network, then run it again.")
    return InputError(f"{what} cannot be read: {first}.", "It may be damaged, or of a kind that is not known.")
