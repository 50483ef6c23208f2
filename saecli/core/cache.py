"""Where downloads lie: files of the Hugging Face hub in its own cache, others in ours.

    HF_HUB_CACHE/models--org--name/snapshots/COMMIT/…     the hub's layout, shared with every program that knows it
    ~/.cache/saecli/files/SHA256-OF-SOURCE/…               files of other servers, members of archives
    ~/.cache/saecli/data/NAME/…                            data sets of the zoo as token shards
    ~/.cache/saecli/text/KEY/…                             text of one's own as token shards
    ~/.cache/saecli/streams/KEY/…                          what was read of streamed data sets, as token shards
    ~/.cache/saecli/activations/KEY/…                      activations of a model, as far as a budget allows
    ~/.cache/saecli/codes/KEY/…                            codes of dictionaries, as far as a budget allows
    ~/.cache/saecli/labels/DICTIONARY.parquet              descriptions of features of dictionaries
    ~/.cache/saecli/contexts/KEY.safetensors               where features of a dictionary fire most strongly
    ~/.cache/saecli/explanations/MODEL/SOURCE/N.json       what Neuronpedia says of features
    ~/.cache/saecli/thresholds/DICTIONARY.safetensors      from which activation on features of dictionaries count
    ~/.cache/saecli/lock.json                              what was downloaded from where (see saecli.core.lock)

`--cache-dir DIR`, or SAECLI_CACHE for every command, puts all of it into DIR: DIR/hub, DIR/files, DIR/data
and so on.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SAECLI_CACHE"


@dataclass(frozen=True)
class Cache:
    """The folders of a cache.

    Attributes:
        hub: Hugging Face's cache of repositories.
        files: Everything else.
        lock: The lock of what is in both.
    """

    hub: Path
    files: Path
    lock: Path

    @classmethod
    def at(cls, folder: str | Path | None = None) -> Cache:
        """The cache in a folder, or where the environment says."""
        folder = folder or os.environ.get(VARIABLE)
        if folder:
            root = Path(folder).expanduser().absolute()
            return cls(root / "hub", root / "files", root / "lock.json")
        own = _xdg() / "saecli"
        return cls(_hub(), own / "files", own / "lock.json")

    def shards_of(self, name: str) -> Path:
        """The folder of the token shards of a data set of the zoo."""
        return self.files.parent / "data" / name

    def text_of(self, key: str) -> Path:
        """The folder of the token shards of text of one's own."""
        return self.files.parent / "text" / key

    def stream_of(self, key: str) -> Path:
        """The folder of the token shards of what was read of a streamed data set."""
        return self.files.parent / "streams" / key

    @property
    def activations(self) -> Path:
        """The folder of activations of models."""
        return self.files.parent / "activations"

    @property
    def codes(self) -> Path:
        """The folder of codes of dictionaries."""
        return self.files.parent / "codes"

    def labels_of(self, fingerprint: str) -> Path:
        """The file of descriptions of the features of a dictionary."""
        return self.files.parent / "labels" / f"{fingerprint.replace(':', '-')}.parquet"

    @property
    def thresholds(self) -> Path:
        """The folder of activation thresholds of features."""
        return self.files.parent / "thresholds"

    def thresholds_of(self, fingerprint: str) -> Path:
        """The file of activation thresholds of the features of a dictionary."""
        return self.thresholds / f"{fingerprint.replace(':', '-')}.safetensors"

    def contexts_of(self, key: str) -> Path:
        """The file of the strongest contexts of the features of a dictionary."""
        return self.files.parent / "contexts" / f"{key}.safetensors"

    @property
    def explanations(self) -> Path:
        """The folder of what Neuronpedia says of features."""
        return self.files.parent / "explanations"

    def repository(self, repo: str) -> Path:
        """The folder of a repository such as `models/org/name` or `datasets/org/name`."""
        return self.hub / repo.replace("/", "--")

    def snapshot(self, repo: str, commit: str) -> Path:
        """The folder of a repository's files at a commit."""
        return self.repository(repo) / "snapshots" / commit

    def files_of(self, source: str) -> Path:
        """The folder of files that come from a source outside of the hub's layout."""
        return self.files / hashlib.sha256(source.encode()).hexdigest()


def _xdg() -> Path:
    return _expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache")


def _hub() -> Path:
    """Hugging Face's own rules, without importing its library."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return _expanded(named)
    home = os.environ.get("HF_HOME")
    return (_expanded(home) if home else _xdg() / "huggingface") / "hub"


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(path))).absolute()
