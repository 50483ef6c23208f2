"""The lock: what a project's says is what is fetched, and what a lock says is not believed blindly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saecli.core.cache import Cache
from saecli.core.errors import InputError
from saecli.core.inputs import hash_input
from saecli.core.lock import Lock, Locked, LockedFile, locate, verified
from saecli.core.safe_path import fault, made_safe, require_safe

FILES = {"config.json": b"{}", "a/b.txt": b"words", "model.bin": b"m" * 5000}


@pytest.fixture
def commit(hub):
    return hub.repository("org/repo", FILES, large=("model.bin",))


def test_a_project_fetches_exactly_what_its_lock_says(saecli, hub, cache, commit, tmp_path, monkeypatch):
    assert saecli("download", "hf:org/repo/a", "hf:org/repo/model.bin", "--lock", "saecli.lock.json").code == 0
    text = Path("saecli.lock.json").read_text()
    newer = hub.repository(
        "org/repo", {**FILES, "config.json": b"{'new': 1}", "a/c.txt": b"more"}, large=("model.bin",)
    )
    hub.repositories["models/org/repo"].refs["main"] = newer
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "elsewhere"))
    moved = saecli("download", "--lock", "saecli.lock.json")
    assert moved.code == 3
    assert "no such revision" in moved.err
    hub.repository("org/repo", FILES, large=("model.bin",))
    again = saecli("download", "--lock", "saecli.lock.json", "--json")
    assert again.code == 0, again.err
    assert Path("saecli.lock.json").read_text() == text
    rows = {row["name"]: row for row in json.loads(again.out)["names"]}
    assert {name: [file["path"] for file in row["files"]] for name, row in rows.items()} == {
        "hf:org/repo/a": ["a/b.txt"],
        "hf:org/repo/model.bin": ["model.bin"],
    }
    assert {row["revision"] for row in rows.values()} == {commit}
    assert locate("hf:org/repo/a").is_relative_to(tmp_path / "elsewhere")


def test_what_was_verified_when_it_came_is_not_hashed_again(saecli, hub, cache, commit, monkeypatch):
    saecli("download", "hf:org/repo")
    place = locate("hf:org/repo")
    slow, hashed = hash_input(place), []
    monkeypatch.setattr("saecli.core.inputs.hash_file", lambda path: hashed.append(path) or "0" * 64)
    assert hash_input(place, verified(place)) == slow
    assert hash_input(place / "a", verified(place / "a")).bytes == 5
    assert not hashed
    (place / "mine.txt").write_text("x")
    assert hash_input(place, verified(place)) != slow
    assert [path.name for path in hashed] == ["mine.txt"]
    assert verified(place.parents[3]) == verified(place)
    assert verified(place.parents[3] / "elsewhere") == {}


def test_names_are_kept_at_their_revision_until_another_is_asked_for(saecli, hub, cache, commit):
    saecli("download", "hf:org/repo/config.json")
    newer = hub.repository("org/repo", {**FILES, "config.json": b"{'new': 1}"}, large=("model.bin",))
    assert saecli("download", "hf:org/repo/config.json").code == 0
    assert Lock.read(cache.lock).names["hf:org/repo/config.json"].revision == commit
    assert saecli("download", "hf:org/repo/config.json", "--revision", "main").code == 0
    assert Lock.read(cache.lock).names["hf:org/repo/config.json"].revision == newer
    assert locate("hf:org/repo/config.json").read_bytes() == b"{'new': 1}"


@pytest.mark.parametrize("path", ["model.bin", "config.json"])
def test_a_changed_file_of_a_locked_revision_is_an_error_with_both_values(saecli, hub, cache, commit, path):
    saecli("download", "hf:org/repo")
    document = json.loads(cache.lock.read_text())
    entry = next(one for one in document["names"]["hf:org/repo"]["files"] if one["path"] == path)
    right, entry["sha256"] = entry["sha256"], "0" * 64
    cache.lock.write_text(json.dumps(document))
    blobs = cache.repository("models/org/repo") / "blobs"
    for blob in blobs.iterdir():
        blob.unlink()
    outcome = saecli("download", "hf:org/repo")
    assert outcome.code == 3
    assert f"{path} of hf:org/repo is not what it was: the lock says sha256 {'0' * 64}" in outcome.err
    assert right in outcome.err
    assert not (cache.snapshot("models/org/repo", commit) / path).exists()


def test_a_name_of_the_zoo_is_found_by_its_name(saecli, hub, cache, monkeypatch):
    from zoo import index
    from zoo.family import Family, ModelEntry, ReleaseEntry

    hub.repository("org/tiny", {"config.json": b"{}", "model.safetensors": b"w", "tf_model.h5": b"other"})
    hub.repository("org/saes", {"layer_0/a.pt": b"0", "layer_1/a.pt": b"1"})
    family = Family(
        "tiny",
        "Tiny.",
        models={"tiny-gpt": ModelEntry("hf:org/tiny", "A tiny model.")},
        releases={"tiny-saes": ReleaseEntry("tiny-gpt", "hf:org/saes", "Its dictionaries.", default=("layer_1/*",))},
    )
    monkeypatch.setattr(index, "built_in", lambda: {"tiny": family})
    assert saecli("download", "tiny-gpt", "tiny-saes").code == 0
    files = {name: [file.path for file in entry.files] for name, entry in Lock.read(cache.lock).names.items()}
    assert files == {"tiny-gpt": ["config.json", "model.safetensors"], "tiny-saes": ["layer_1/a.pt"]}
    assert locate("tiny-gpt") == locate("hf:org/tiny")
    listed = saecli("download", "--search", "tiny", "--json")
    assert {row["name"]: row["here"] for row in json.loads(listed.out)["listed"]} == {
        "tiny-gpt": True,
        "tiny-saes": True,
    }
    near = saecli("download", "tiny-gtp")
    assert (near.code, "Did you mean 'tiny-gpt'?" in near.err) == (2, True)


def test_a_data_set_becomes_token_shards(saecli, hub, cache, monkeypatch):
    from saecli.data.shards import is_shards
    from zoo import generate, index
    from zoo.family import DataEntry, Family

    hub.repository("datasets/org/words", {"train.txt": b"some words\n" * 500, "README.md": b"about it"})
    entries = {
        "words": DataEntry("hf:datasets/org/words", "Words.", "ascii", include=("*.txt",)),
        "games": DataEntry("generate:othello", "Games.", "othello"),
    }
    monkeypatch.setattr(index, "built_in", lambda: {"tiny": Family("tiny", "Tiny.", data=entries)})
    monkeypatch.setattr(generate.Othello, "counts", {"train": 20, "val": 5})
    plan = saecli("download", "data:words", "data:games", "--plan")
    assert plan.code == 0
    assert "train.txt  5.5 kB" in plan.out
    assert not cache.shards_of("words").exists()
    outcome = saecli("download", "data:words", "data:games", "--json")
    assert outcome.code == 0, outcome.err
    for name in ("words", "games"):
        assert is_shards(cache.shards_of(name))
    assert [row["path"] for row in json.loads(outcome.out)["names"]] == [str(cache.shards_of(n)) for n in entries]
    hub.seen.clear()
    assert saecli("download", "data:words").code == 0
    assert hub.seen == []


def test_what_ships_with_the_program_needs_no_download(saecli, cache):
    outcome = saecli("download", "othello-mini")
    assert outcome.code == 0
    assert "othello-mini ships with saecli: nothing to fetch." in outcome.err


def test_some_of_several_names(saecli, hub, cache, commit):
    outcome = saecli("download", "hf:org/repo", "hf:org/nothing", "hf:org/repo/z")
    assert outcome.code == 5
    assert "2 of 3 names could not be fetched. hf:org/nothing: 127.0.0.1 has no hf:org/nothing" in outcome.err
    assert locate("hf:org/repo") is not None
    assert saecli("download", "hf:org/nothing", "hf:org/nothing2").code == 3


def test_a_hostile_list_of_files_writes_nothing(saecli, hub, cache):
    for path, reason in {
        "../../evil": "'..'",
        "/etc/evil": "an absolute path",
        "a\\evil": "a backslash",
        "c:evil": "an absolute path",
        "a/nul.txt": "the name of a device",
    }.items():
        hub.repository("org/evil", {"good.txt": b"good", path: b"evil"})
        outcome = saecli("download", "hf:org/evil", "--revision", "main")
        assert outcome.code == 3
        assert f"names a file {path!r} with {reason}, so nothing of it is written." in outcome.err
    assert not hub.requests("resolve")
    assert saecli("download", "hf:org/evil/good.txt").code == 0


@pytest.mark.parametrize(
    "change",
    [{"size": -1}, {"size": "5"}, {"oid": "../../evil"}, {"lfs": {"oid": "../evil", "size": 1}}, {"size": None}],
)
def test_a_list_that_makes_no_sense_is_refused(saecli, hub, cache, commit, change):
    hub.repositories["models/org/repo"].listed["config.json"] = change
    outcome = saecli("download", "hf:org/repo")
    assert outcome.code == 3
    assert "has an entry that cannot be read" in outcome.err


GOOD = {
    "source": "hf:org/repo",
    "repo": "models/org/repo",
    "path": "",
    "revision": "a" * 40,
    "include": [],
    "files": [{"path": "a", "bytes": 1, "sha256": "b" * 64, "verified": "git blob"}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"repo": "models/../../etc"},
        {"repo": "models/org/repo/more"},
        {"revision": "../../.."},
        {"revision": ""},
        {"path": "../.."},
        {"files": [{**GOOD["files"][0], "path": "../evil"}]},
        {"files": [{**GOOD["files"][0], "bytes": -1}]},
        {"files": [{**GOOD["files"][0], "sha256": "short"}]},
        {"files": [{**GOOD["files"][0], "verified": "on trust"}]},
        {"files": [{"path": "a"}]},
        {"files": 5},
    ],
)
def test_a_lock_that_leads_elsewhere_is_refused(tmp_path, change):
    path = tmp_path / "lock.json"
    path.write_text(json.dumps({"schema": "saecli.lock/1", "names": {"x": {**GOOD, **change}}}))
    with pytest.raises(InputError):
        Lock.read(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "saecli.lock/2", "names": {}}', "[" * 100_000])
def test_a_lock_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "lock.json"
    path.write_text(text)
    with pytest.raises(InputError, match="lock"):
        Lock.read(path)


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.integers(0, 2**60), max_size=3), st.booleans())
def test_a_lock_reads_back_what_was_written(tmp_path_factory, sizes, hub_file):
    files = tuple(LockedFile(f"f{i}", size, "a" * 64, "first use") for i, size in enumerate(sizes.values()))
    repo, revision = ("models/org/repo", "c" * 40) if hub_file else ("", "")
    lock = Lock({name: Locked("https://h/f", repo, "", revision, ("*",), files) for name in sizes})
    path = tmp_path_factory.mktemp("lock") / "lock.json"
    lock.write(path)
    assert Lock.read(path) == lock


@given(st.text(max_size=40))
def test_whatever_a_path_is_it_stays_below_its_folder(path):
    base = Path("/base/folder")
    if not fault(path):
        assert (base / path).resolve().is_relative_to(base)
        assert (base / path) != base
    assert not fault(made_safe(path))
    assert "/" not in made_safe(path)


@given(st.lists(st.sampled_from(["a", "A", "a/b", "A/b", "b", "b/c", "\u00e9", "e\u0301"]), unique=True, max_size=4))
def test_lists_without_clashes_are_accepted(paths):
    import unicodedata

    keys = [unicodedata.normalize("NFC", path).casefold() for path in paths]
    clash = len(set(keys)) < len(keys) or any(f"{a}/" == b[: len(a) + 1] for a in keys for b in keys)
    if clash:
        with pytest.raises(InputError):
            require_safe(paths, "The list")
    else:
        require_safe(paths, "The list")


def test_the_cache_is_where_the_environment_says(tmp_path, monkeypatch):
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "SAECLI_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Cache.at().hub == tmp_path / ".cache/huggingface/hub"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Cache.at().hub == tmp_path / "xdg/huggingface/hub"
    assert Cache.at().files == tmp_path / "xdg/saecli/files"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert Cache.at().hub == tmp_path / "hf/hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert Cache.at().hub == tmp_path / "hub"
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "own"))
    assert Cache.at().hub == tmp_path / "own/hub"
    assert Cache.at(tmp_path / "given").lock == tmp_path / "given/lock.json"
