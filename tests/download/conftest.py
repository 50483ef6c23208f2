"""A hub on this machine and a cache in a temporary folder, for every test here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from saecli.core.cache import VARIABLE, Cache
from saecli.download import engine
from saecli.download.patience import Patience
from tests.download.hub import Hub

QUICK = Patience(attempts=3, first_wait_s=0.0, longest_wait_s=5.0, connect_s=2.0, read_s=2.0, poll_s=0.005)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub that `hf:` means, spoken to by the real client without long waits."""
    from huggingface_hub import constants

    with Hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr(engine, "PATIENCE", QUICK)
        yield server


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """The cache that every call uses."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return Cache.at()


def loose_files(folder: Path) -> set[str]:
    """The files below a folder that are neither locks nor unfinished downloads."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if not path.is_dir() and not path.name.endswith((".lock", ".incomplete", ".state"))
    }
