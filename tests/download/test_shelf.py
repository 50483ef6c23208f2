"""`saecli zoo cache`: what is listed, what goes, and what stays because it is not ours."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from saecli.core.lock import Lock, locate
from tests.download.conftest import loose_files
from tests.download.hub import Cut

FILES = {"shared.bin": b"s" * 4000, "a/own.txt": b"own", "b/own.txt": b"more"}


@pytest.fixture
def filled(saecli, hub, cache):
    hub.repository("org/repo", FILES, large=("shared.bin",))
    hub.files["table.npz"] = b"table"
    assert saecli("download", "hf:org/repo/a", "hf:org/repo", f"{hub.cdn}/files/table.npz").code == 0
    return f"{hub.cdn}/files/table.npz"


def unfinished(saecli, hub, monkeypatch):
    from dataclasses import replace

    from saecli.download import engine

    monkeypatch.setattr(engine, "PATIENCE", replace(engine.PATIENCE, attempts=1))
    hub.repository("org/other", {"big.bin": b"b" * 100_000}, large=("big.bin",))
    hub.files["cut.npz"] = b"c" * 100_000
    hub.faults["big.bin"], hub.faults["cut.npz"] = [Cut(60_000)], [None, Cut(70_000)]
    assert saecli("download", "hf:org/other", f"{hub.cdn}/files/cut.npz").code == 3


def test_ls_tells_size_use_and_completeness(saecli, cache, filled, hub, monkeypatch):
    unfinished(saecli, hub, monkeypatch)
    document = json.loads(saecli("zoo", "cache", "ls", "--json").out)
    rows = {row["name"]: (row["bytes"], row["complete"]) for row in document["names"]}
    assert rows == {"hf:org/repo": (4007, True), "hf:org/repo/a": (3, True), filled: (5, True)}
    assert (document["unfinished"], document["unfinished_bytes"]) == (2, 130_000)
    locate(filled).unlink()
    lines = saecli("zoo", "cache", "ls").out.splitlines()
    assert [line.split()[0] for line in lines if line.endswith("incomplete")] == [filled]
    assert lines[-1] == "2 unfinished downloads, 130.0 kB"
    assert time.strftime("%Y-%m-%d", time.gmtime()) in lines[1]


def test_prune_removes_unfinished_downloads_only(saecli, cache, filled, hub, monkeypatch):
    unfinished(saecli, hub, monkeypatch)
    before = loose_files(cache.lock.parent)
    plan = saecli("zoo", "cache", "prune", "--plan")
    assert plan.out == "Would remove 2 files, 130.0 kB.\n"
    assert len(list(cache.lock.parent.rglob("*.incomplete"))) == 2
    assert saecli("zoo", "cache", "prune").out == "Removed 2 files, 130.0 kB.\n"
    assert not list(cache.lock.parent.rglob("*.incomplete"))
    assert loose_files(cache.lock.parent) == before
    assert not (cache.hub / "models--org--other").exists()
    from huggingface_hub import scan_cache_dir

    assert not scan_cache_dir(cache.hub).warnings


def test_prune_keeps_what_another_name_needs(saecli, cache, filled):
    outcome = saecli("zoo", "cache", "prune", "hf:org/repo")
    assert outcome.out == "Removed 2 files of hf:org/repo, 4.0 kB.\n"
    assert set(Lock.read(cache.lock).names) == {"hf:org/repo/a", filled}
    assert (locate("hf:org/repo/a") / "own.txt").read_bytes() == b"own"
    assert saecli("zoo", "cache", "prune", "hf:org/repo/a", filled).code == 0
    assert loose_files(cache.hub) | loose_files(cache.files) == set()
    assert not (cache.hub / "models--org--repo").exists()


def test_prune_keeps_revisions_and_repositories_of_other_programs(saecli, hub, cache, filled):
    from huggingface_hub import scan_cache_dir, snapshot_download

    hub.repository("org/repo", {**FILES, "new.txt": b"new"}, large=("shared.bin",))
    snapshot = snapshot_download("org/repo", cache_dir=cache.hub, endpoint=hub.url)
    hub.repository("org/foreign", {"x": b"x"})
    foreign = snapshot_download("org/foreign", cache_dir=cache.hub, endpoint=hub.url)
    assert saecli("zoo", "cache", "prune", "hf:org/repo", "hf:org/repo/a", "--older-than", "0").code == 0
    assert {name: Path(snapshot, name).read_bytes() for name in FILES} == FILES
    assert os.path.exists(f"{foreign}/x")
    assert not scan_cache_dir(cache.hub).warnings
    assert saecli("zoo", "cache", "prune", "hf:org/foreign").code == 0
    assert not os.path.exists(foreign)


def test_prune_by_age(saecli, cache, filled):
    assert saecli("zoo", "cache", "prune", "--older-than", "1").out == "Removed 0 files, 0 B.\n"
    long_ago = time.time() - 10 * 86400
    os.utime(locate(filled), (long_ago, long_ago))
    assert saecli("zoo", "cache", "prune", "--older-than", "9").out == f"Removed 1 files of {filled}, 5 B.\n"
    assert locate(filled) is None
    assert locate("hf:org/repo") is not None


@pytest.mark.parametrize("name", ["hf:org/nothing", "gpt2", "../..", "hf:org/repo@main"])
def test_prune_refuses_what_is_not_there(saecli, cache, filled, name):
    outcome = saecli("zoo", "cache", "prune", name)
    assert outcome.code in (2, 3)
    assert locate("hf:org/repo") is not None


def test_prune_leaves_what_a_process_is_at(saecli, hub, cache, monkeypatch):
    import fcntl

    unfinished(saecli, hub, monkeypatch)
    (lock,) = (cache.hub / ".locks/models--org--other").iterdir()
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert saecli("zoo", "cache", "prune").out == "Removed 1 files, 70.0 kB.\n"
    assert len(list(cache.hub.rglob("*.incomplete"))) == 1


def keep(cache, kind, key, age_days=0.0):
    """What a command made: shards of 1,200 bytes, last used some days ago."""
    folder = cache.lock.parent / kind / key
    folder.mkdir(parents=True)
    for name, size in (("shards.json", 200), ("train_000000.npy", 1000)):
        (folder / name).write_bytes(b"x" * size)
        used = time.time() - age_days * 86400
        os.utime(folder / name, (used, used))
    return folder


def test_what_was_made_is_listed_and_removed_by_name(saecli, cache):
    folders = {kind: keep(cache, kind, "ab12") for kind in ("text", "streams", "activations")}
    (cache.lock.parent / "streams" / "revisions").mkdir()
    rows = json.loads(saecli("zoo", "cache", "ls", "--json").out)["names"]
    listed = {row["name"]: (row["bytes"], row["complete"], row["path"]) for row in rows}
    assert listed == {f"{kind}/ab12": (1200, True, str(folder)) for kind, folder in folders.items()}
    assert all(row["used"] == time.strftime("%Y-%m-%d", time.gmtime()) for row in rows)
    assert saecli("zoo", "cache", "prune", "text/ab12", "--plan").out == "Would remove 2 files of text/ab12, 1.2 kB.\n"
    assert folders["text"].is_dir()
    assert saecli("zoo", "cache", "prune", "text/ab12").out == "Removed 2 files of text/ab12, 1.2 kB.\n"
    assert [folder.is_dir() for folder in folders.values()] == [False, True, True]
    assert saecli("zoo", "cache", "prune").out == "Removed 0 files, 0 B.\n"
    outcome = saecli("zoo", "cache", "prune", "streams/ab13")
    assert outcome.code == 3
    assert "streams/ab12" in outcome.err


def test_what_was_made_long_ago_goes_unless_a_process_is_at_it(saecli, cache):
    import fcntl

    old = {kind: keep(cache, kind, "old", age_days=10) for kind in ("text", "streams", "activations")}
    new = keep(cache, "text", "new")
    with (old["streams"] / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        outcome = saecli("zoo", "cache", "prune", "--older-than", "9")
        assert outcome.out == "Removed 4 files of text/old, activations/old, 2.4 kB.\n"
        outcome = saecli("zoo", "cache", "prune", "streams/old")
        assert (outcome.code, "another process" in outcome.err) == (3, True)
    assert [folder.is_dir() for folder in (*old.values(), new)] == [False, True, False, True]
    assert saecli("zoo", "cache", "prune", "--older-than", "9").code == 0
    assert [folder.is_dir() for folder in (*old.values(), new)] == [False, False, False, True]
