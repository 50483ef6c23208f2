"""Real processes: Ctrl-C, SIGTERM and kill -9 in the middle, and how little a list needs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from saecli.core.cache import Cache
from saecli.download.transfer import size_of
from tests.download.conftest import loose_files
from tests.download.hub import Silent

BIG = bytes(range(256)) * 12_000
SCRIPT = """
import json, sys
from saecli.cli.app import run
code = run(sys.argv[1:])
sys.stderr.write(json.dumps({"code": code, "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""
HEAVY = {"torch", "numpy", "pandas", "huggingface_hub", "transformers", "transformer_lens", "httpx2", "pydantic"}


def environment(hub, tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "SAECLI_"))}
    own = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "SAECLI_CACHE": str(tmp_path / "cache")}
    return kept | own


def start(hub, tmp_path: Path, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "saecli", "download", *argv],
        env=environment(hub, tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_part(cache: Cache, process: subprocess.Popen[str]) -> Path:
    while process.poll() is None:
        for path in cache.hub.glob("*/blobs/*.incomplete"):
            if size_of(path) == 1_000_000:
                return path
    raise AssertionError(process.communicate())


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_process_that_is_stopped_leaves_what_the_next_one_continues(hub, tmp_path, number, code):
    cache = Cache.at(tmp_path / "cache")
    commit = hub.repository("org/repo", {"model.safetensors": BIG, "config.json": b"{}"}, large=("model.safetensors",))
    hub.faults["model.safetensors"] = [Silent(1_000_000)]
    process = start(hub, tmp_path, "hf:org/repo")
    part = wait_for_part(cache, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == ""
    if number != signal.SIGKILL:
        assert err == "Error: Interrupted; what has arrived is kept. The same command continues from there.\n"
    assert part.stat().st_size == 1_000_000
    assert not (cache.snapshot("models/org/repo", commit) / "model.safetensors").exists()
    from huggingface_hub import scan_cache_dir

    assert not scan_cache_dir(cache.hub).warnings
    hub.seen.clear()
    again = start(hub, tmp_path, "hf:org/repo", "--json")
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert [one.range for one in hub.requests("/cdn/")] == ["bytes=1000000-3071999"]
    assert (Path(json.loads(out)["names"][0]["path"]) / "model.safetensors").read_bytes() == BIG
    assert not list(cache.hub.rglob("*.incomplete"))


@pytest.mark.parametrize(
    "argv", [["download", "--list"], ["download", "--search", "gpt2", "--json"], ["zoo", "cache", "ls"]]
)
def test_a_list_imports_nothing_heavy(hub, tmp_path, argv):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *argv],
        env=environment(hub, tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["code"] == 0
    assert not HEAVY & set(told["modules"])
    assert hub.seen == []


def test_what_another_program_fetches_is_waited_for(saecli, hub, cache, monkeypatch):
    import fcntl
    import hashlib
    from dataclasses import replace

    from saecli.download import engine

    hub.repository("org/repo", {"model.bin": BIG}, large=("model.bin",))
    path = cache.hub / ".locks/models--org--repo" / f"{hashlib.sha256(BIG).hexdigest()}.lock"
    path.parent.mkdir(parents=True)
    held = path.open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    monkeypatch.setattr(engine, "PATIENCE", replace(engine.PATIENCE, sleep=lambda _: held.close()))
    outcome = saecli("download", "hf:org/repo")
    assert outcome.code == 0
    assert "Waiting for another program that fetches model.bin." in outcome.err
    assert loose_files(cache.repository("models/org/repo") / "snapshots") != set()
