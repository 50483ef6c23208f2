"""Whatever goes wrong on the way from the hub: the sentence, the exit code, what is left, and how it goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saecli.core.lock import locate
from saecli.download import engine
from saecli.download.patience import Patience
from tests.download.conftest import loose_files
from tests.download.hub import Always, Commit, Corrupt, Cut, Short, Silent, Status, Whole

BIG = bytes(range(256)) * 12_000
FILES = {"config.json": b"{}", "model.safetensors": BIG, "layer_1/a.npz": b"a" * 50, "layer_2/b.npz": b"b" * 60}


@pytest.fixture
def commit(hub):
    return hub.repository("org/repo", FILES, large=("model.safetensors",), refs=("main", "v1"))


CONTINUED = [
    (Cut(1_000_000), "bytes=1000000-3071999"),
    (Short(1_000_000), "bytes=1000000-3071999"),
    (Silent(1_000_000), "bytes=1000000-3071999"),
]


@pytest.mark.parametrize(("fault", "range_"), CONTINUED)
def test_a_broken_transfer_continues_in_the_same_call(saecli, hub, cache, commit, monkeypatch, fault, range_):
    quick(monkeypatch, read_s=0.2)
    hub.faults["model.safetensors"] = [fault]
    assert saecli("download", "hf:org/repo").code == 0
    assert [one.range for one in hub.requests("/cdn/")] == ["", range_]


@pytest.mark.parametrize(("fault", "range_"), CONTINUED)
def test_the_next_call_continues_where_it_stopped(saecli, hub, cache, commit, monkeypatch, fault, range_):
    quick(monkeypatch, attempts=1, read_s=0.2)
    hub.faults["model.safetensors"] = [fault]
    outcome = saecli("download", "hf:org/repo")
    assert outcome.code == 3
    assert outcome.err.count("Error: ") == 1
    assert "model.safetensors of hf:org/repo" in outcome.err
    snapshot = cache.snapshot("models/org/repo", commit)
    assert not (snapshot / "model.safetensors").exists()
    assert locate("hf:org/repo") is None
    hub.seen.clear()
    assert saecli("download", "hf:org/repo").code == 0
    assert [one.range for one in hub.requests("/cdn/")] == [range_]
    assert (snapshot / "model.safetensors").read_bytes() == BIG
    assert not list(cache.hub.rglob("*.incomplete"))


def quick(monkeypatch, **changes):
    monkeypatch.setattr(engine, "PATIENCE", replace(engine.PATIENCE, **changes))


def test_a_server_that_gives_no_parts_starts_again(saecli, hub, cache, commit):
    hub.faults["model.safetensors"] = [Cut(1_000_000), Whole()]
    assert saecli("download", "hf:org/repo").code == 0
    assert (locate("hf:org/repo") / "model.safetensors").read_bytes() == BIG


def test_a_damaged_part_is_thrown_away_and_fetched_anew(saecli, hub, cache, commit, monkeypatch):
    quick(monkeypatch, attempts=1)
    hub.faults["model.safetensors"] = [Cut(1_000_000)]
    saecli("download", "hf:org/repo")
    (part,) = cache.hub.rglob("*.incomplete")
    part.write_bytes(b"?" + part.read_bytes()[1:])
    assert saecli("download", "hf:org/repo").code == 0
    assert (locate("hf:org/repo") / "model.safetensors").read_bytes() == BIG


@pytest.mark.parametrize(("path", "kind"), [("model.safetensors", "sha256"), ("config.json", "git blob")])
def test_a_wrong_byte_is_found_and_nothing_gets_its_name(saecli, hub, cache, commit, path, kind):
    hub.faults[path] = [Always(Corrupt(1))]
    outcome = saecli("download", "hf:org/repo")
    assert outcome.code == 3
    assert f"{path} of hf:org/repo arrived damaged: its {kind} is " in outcome.err
    assert not (cache.snapshot("models/org/repo", commit) / path).exists()
    assert not list(cache.hub.rglob("*.incomplete"))
    hub.faults.clear()
    assert saecli("download", "hf:org/repo").code == 0


ERRORS = [
    (["hf:org/nothing"], None, "127.0.0.1 has no hf:org/nothing, or it is private. Check the name;"),
    (["hf:openai-comunity/gpt2"], None, "or it is private. Did you mean hf:openai-community/gpt2?"),
    (["hf:org/repo@v2"], None, "hf:org/repo has no revision 'v2'. There is v1."),
    (["hf:org/repo/layer_3"], None, "hf:org/repo has no 'layer_3'. There is layer_"),
    (["hf:org/repo", "--include", "*.pt"], None, "hf:org/repo has no file like *.pt. It has 4, such as "),
    (["hf:org/repo"], Status(429, {"Retry-After": "0"}), "127.0.0.1 asks for fewer requests (429)"),
    (["hf:org/repo"], Status(429, {"Retry-After": "3600"}), "127.0.0.1 asks for fewer requests (429)"),
    (["hf:org/repo"], Status(503), "127.0.0.1 cannot give hf:org/repo at the moment (503). Try again later."),
    (["hf:org/repo"], Status(403), "The token has no right to read hf:org/repo (403)."),
    (["hf:org/repo"], Status(401), "127.0.0.1 wants a valid token for hf:org/repo (401). Log in with `hf auth login`"),
    (["hf:org/repo"], Commit("f" * 39), "127.0.0.1 names no commit for hf:org/repo."),
    (["hf:org/repo@" + "a" * 40], Commit("b" * 40), f"answers with revision {'b' * 40} of "),
]


@pytest.mark.parametrize(("argv", "fault", "sentence"), ERRORS)
def test_errors_of_lists_are_one_sentence(saecli, hub, cache, commit, argv, fault, sentence):
    if fault is not None:
        hub.faults["api/revision"] = [Always(fault)]
    outcome = saecli("download", *argv)
    assert outcome.code == 3
    assert sentence in outcome.err
    assert outcome.err.startswith("Error: ")
    assert outcome.err.count("\n") == 1
    assert loose_files(cache.hub) == set()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Status(429, {"Retry-After": "0"}), "asks for fewer requests (429)"),
        (Status(503), "cannot give model.safetensors of hf:org/repo at the moment (503)"),
        (Status(403), "refuses model.safetensors of hf:org/repo (403)"),
        (Status(404), "has no model.safetensors of hf:org/repo (404)"),
        (Cut(0), "The connection to 127.0.0.1 broke off during model.safetensors of hf:org/repo."),
        (Short(10), "model.safetensors of hf:org/repo"),
    ],
)
def test_errors_of_files_leave_no_file_under_a_final_name(saecli, hub, cache, commit, fault, sentence):
    hub.faults["model.safetensors"] = [Always(fault)]
    outcome = saecli("download", "hf:org/repo/model.safetensors")
    assert outcome.code == 3
    assert sentence in outcome.err
    assert "s3cr3t" not in outcome.err
    assert loose_files(cache.hub) == set()
    hub.faults.clear()
    assert saecli("download", "hf:org/repo/model.safetensors").code == 0


def test_what_passes_is_waited_for_as_long_as_the_server_asks(saecli, hub, cache, commit, monkeypatch):
    waits = []
    quick(monkeypatch, sleep=waits.append)
    hub.faults["api/revision"] = [Status(503, {"Retry-After": "2"})]
    hub.faults["config.json"] = [Status(429, {"Retry-After": "1"})]
    assert saecli("download", "hf:org/repo").code == 0
    assert sum(waits) == 3


def test_another_revision_than_asked_for_is_refused(saecli, hub, cache, commit):
    hub.faults["config.json"] = [Always(Commit("c" * 40))]
    outcome = saecli("download", "hf:org/repo/config.json")
    assert outcome.code == 3
    assert f"answers with revision {'c' * 40} of config.json of hf:org/repo, asked was {commit}." in outcome.err


def test_gated_repositories_say_how_to_get_in(saecli, hub, cache, commit, monkeypatch):
    hub.repositories["models/org/repo"].gated = True
    for token in ("", "hf_of_somebody_else"):
        monkeypatch.setenv("HF_TOKEN", token)
        outcome = saecli("download", "hf:org/repo")
        assert outcome.code == 3
        assert "hf:org/repo is gated: its owners let in only whom they know. Ask for access at " in outcome.err
        assert "log in with `hf auth login`" in outcome.err


def test_offline_what_is_here_is_found_and_the_rest_is_named(saecli, hub, cache, commit, monkeypatch):
    saecli("download", "hf:org/repo")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert saecli("download", "hf:org/repo").code == 0
    outcome = saecli("download", "hf:org/other")
    assert outcome.code == 3
    assert "hf:org/other is not here, and HF_HUB_OFFLINE=1 forbids to fetch it." in outcome.err


@pytest.mark.parametrize(("scheme", "words"), [("http", "cannot be reached"), ("https", "encrypted connection")])
def test_a_server_that_is_down_or_speaks_otherwise(saecli, hub, cache, monkeypatch, scheme, words):
    if scheme == "http":  # a port that nobody listens on
        import socket

        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{one.getsockname()[1]}")
    else:
        monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("http:", "https:"))
    outcome = saecli("download", "hf:org/repo")
    assert outcome.code == 3
    assert words in outcome.err


def test_a_disk_that_fills_up_is_one_sentence_and_the_next_call_continues(saecli, hub, cache, commit, monkeypatch):
    from saecli.core import atomic

    def full(path):
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "sync", full)
        outcome = saecli("download", "hf:org/repo/model.safetensors")
    assert outcome.code == 3
    assert "is full. Make room and run it again to continue." in outcome.err
    assert loose_files(cache.hub) == set()
    hub.seen.clear()
    assert saecli("download", "hf:org/repo/model.safetensors").code == 0
    assert not hub.requests("/cdn/"), "all of it had arrived"


def test_who_is_not_let_in_does_not_ask_for_every_file(saecli, hub, cache):
    hub.repository("org/repo", {f"{i}.bin": bytes([i]) for i in range(60)})
    for i in range(60):
        hub.faults[f"{i}.bin"] = [Always(Status(403))]
    assert saecli("download", "hf:org/repo").code == 3
    assert len(hub.requests("resolve")) <= 2 * Patience().workers


def test_what_does_not_fit_is_not_begun(saecli, hub, cache, commit, monkeypatch):
    from saecli.download import transfer

    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    outcome = saecli("download", "hf:org/repo")
    assert outcome.code == 3
    assert "are needed and 10 B are free at" in outcome.err
    assert not hub.requests("resolve")
