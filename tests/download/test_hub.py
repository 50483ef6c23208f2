"""Repositories of the hub: what arrives, how it is continued, and what huggingface_hub finds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from saecli.core.lock import Lock, locate

BIG = bytes(range(256)) * 12_000
FILES = {"config.json": b"{}", "model.safetensors": BIG, "layer_1/a.npz": b"a" * 50, "layer_2/b.npz": b"b" * 60}


@pytest.fixture
def commit(hub):
    return hub.repository("org/repo", FILES, large=("model.safetensors",), refs=("main", "v1"))


def test_a_repository_arrives_as_huggingface_hub_keeps_it(saecli, hub, cache, commit):
    outcome = saecli("download", "hf:org/repo", "--json")
    assert outcome.code == 0, outcome.err
    row = json.loads(outcome.out)["names"][0]
    assert (row["revision"], row["fetched"]) == (commit, sum(map(len, FILES.values())))
    assert {one["path"]: one["verified"] for one in row["files"]} == {
        "config.json": "git blob",
        "layer_1/a.npz": "git blob",
        "layer_2/b.npz": "git blob",
        "model.safetensors": "lfs sha256",
    }
    from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download

    for path, body in FILES.items():
        for revision in (None, "main", commit):
            found = hf_hub_download("org/repo", path, revision=revision, cache_dir=cache.hub, local_files_only=True)
            assert Path(found).read_bytes() == body
    assert snapshot_download("org/repo", cache_dir=cache.hub, local_files_only=True) == row["path"]
    scanned = scan_cache_dir(cache.hub)
    assert not scanned.warnings
    assert not scanned.incomplete_files
    assert [(repo.repo_id, repo.nb_files) for repo in scanned.repos] == [("org/repo", 4)]
    assert locate("hf:org/repo") == locate("org/repo") == cache.snapshot("models/org/repo", commit)


def test_what_is_here_needs_no_server(saecli, hub, cache, commit):
    assert saecli("download", "org/repo").err.startswith("org/repo is read as hf:org/repo.")
    hub.seen.clear()
    again = saecli("download", "hf:org/repo")
    assert (again.code, hub.seen) == (0, [])
    assert "4 files, 3.1 MB, all here" in again.out


def test_what_huggingface_hub_fetched_is_checked_once_and_not_fetched_again(saecli, hub, cache, commit, monkeypatch):
    from huggingface_hub import snapshot_download

    snapshot_download("org/repo", cache_dir=cache.hub, endpoint=hub.url)
    hub.seen.clear()
    assert saecli("download", "hf:org/repo").code == 0
    assert not hub.requests("resolve")
    from saecli.download import hub as engine

    (cache.snapshot("models/org/repo", commit) / "config.json").unlink()
    monkeypatch.setattr(engine, "checked", lambda *_: pytest.fail("read again"))
    assert saecli("download", "hf:org/repo").code == 0
    assert not hub.requests("resolve")


def test_what_is_damaged_in_the_cache_is_fetched_again(saecli, hub, cache, commit):
    from huggingface_hub import snapshot_download

    snapshot_download("org/repo", cache_dir=cache.hub, endpoint=hub.url)
    model = cache.snapshot("models/org/repo", commit) / "model.safetensors"
    model.resolve().write_bytes(BIG[:-1] + b"?")
    outcome = saecli("download", "hf:org/repo")
    assert outcome.code == 0
    assert "model.safetensors of hf:org/repo is damaged in the cache and is fetched again." in outcome.err
    assert model.read_bytes() == BIG


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("hf:org/repo/layer_1", {"layer_1/a.npz"}),
        ("hf:org/repo/layer_2/b.npz", {"layer_2/b.npz"}),
        ("hf:org/repo/layer_*/*.npz", {"layer_1/a.npz", "layer_2/b.npz"}),
        ("hf:org/repo@v1", set(FILES)),
        ("{hub}/org/repo/resolve/v1/config.json", {"config.json"}),
    ],
)
def test_a_name_means_what_it_says(saecli, hub, cache, commit, name, paths):
    name = name.format(hub=hub.url)
    row = json.loads(saecli("download", name, "--json").out)["names"][0]
    assert {one["path"] for one in row["files"]} == paths
    place = locate(row["name"])
    assert str(place) == row["path"]
    assert place.is_file() == (row["name"].partition("@")[0].endswith((".npz", ".json")))


def test_data_sets_have_their_own_place(saecli, hub, cache):
    hub.repository("datasets/org/text", {"data.txt": b"words"})
    assert saecli("download", "hf:datasets/org/text").code == 0
    assert (locate("hf:datasets/org/text") / "data.txt").read_bytes() == b"words"
    assert (cache.hub / "datasets--org--text").is_dir()


def test_includes_add_up(saecli, hub, cache, commit):
    saecli("download", "hf:org/repo", "--include", "layer_1/*")
    assert (
        json.loads(saecli("download", "hf:org/repo", "--include", "layer_2", "--json").out)["names"][0]["fetched"] == 60
    )
    entry = Lock.read(cache.lock).names["hf:org/repo"]
    assert ([file.path for file in entry.files], entry.include) == (
        ["layer_1/a.npz", "layer_2/b.npz"],
        ("layer_1/*", "layer_2"),
    )
    hub.seen.clear()
    assert saecli("download", "hf:org/repo", "--include", "layer_1/*").code == 0
    assert hub.seen == []


def test_plan_is_metadata_only(saecli, hub, cache, commit):
    outcome = saecli("download", "hf:org/repo", "--include", "*.safetensors", "--plan")
    assert outcome.out.splitlines() == [
        "model.safetensors  3.1 MB",
        f"hf:org/repo  hf:org/repo@{commit[:12]}  1 file, 3.1 MB, 3.1 MB to fetch",
    ]
    assert not hub.requests("resolve")
    assert not cache.hub.exists()
    assert not cache.lock.exists()


def test_tokens_go_to_the_hub_only_and_are_never_told(saecli, hub, cache, commit, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
    hub.token = os.environ["HF_TOKEN"]
    outcome = saecli("download", "hf:org/repo", "--json")
    assert outcome.code == 0
    assert {one.token for one in hub.seen if one.server == "hub"} == {"Bearer hf_secretsecretsecret"}
    assert {one.token for one in hub.seen if one.server == "cdn"} == {""}
    told = outcome.out + outcome.err + "".join(p.read_text() for p in cache.lock.parent.glob("*.json"))
    assert "secret" not in told
    assert "s3cr3t" not in told


def test_a_file_system_without_links_gets_copies(saecli, hub, cache, commit, monkeypatch):
    def refuse(self, target, target_is_directory=False):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert saecli("download", "hf:org/repo").code == 0
    place = locate("hf:org/repo")
    assert not (place / "config.json").is_symlink()
    assert {path: (place / path).read_bytes() for path in FILES} == FILES
    hub.seen.clear()
    assert saecli("download", "hf:org/repo").code == 0
    assert hub.seen == []


def test_a_pinned_revision_wins_over_the_lock(saecli, hub, cache, commit):
    saecli("download", "hf:org/repo/config.json")
    newer = hub.repository("org/repo", {**FILES, "config.json": b"{'new': 1}"}, large=("model.safetensors",))
    assert saecli("download", "hf:org/repo/config.json", "--revision", newer).code == 0
    assert Lock.read(cache.lock).names["hf:org/repo/config.json"].revision == newer
    hub.seen.clear()
    assert saecli("download", "hf:org/repo/config.json", "--revision", newer).code == 0
    assert hub.seen == []
