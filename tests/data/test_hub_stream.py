"""Streamed data sets: every document once and in order, exact on resuming, bad ones in one sentence."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from saecli.core.cache import Cache
from saecli.core.errors import InputError, UsageError
from saecli.data.hub_rows import Rows, Unreachable, understood
from saecli.data.hub_stream import HubStream
from saecli.data.names import HubName, hub_name
from saecli.data.shard_source import ShardSource
from saecli.data.shards import fingerprint
from saecli.data.vocabulary import load_vocabulary
from saecli.data.windows import Stream
from tests.download.hub import Hub

ASCII = load_vocabulary("ascii")


def texts(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices("abcdefgh ", k=draw.randrange(1, 90))) for _ in range(count)]


def table(path: Path, rows: list, column: str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": list(range(len(rows))), column: rows}), path, row_group_size=50)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """A cache of its own, and documents that are read a few at a time."""
    monkeypatch.setattr("saecli.data.encode._BATCH_CHARACTERS", 700)
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    return Cache.at()


@pytest.fixture
def words(tmp_path: Path) -> HubName:
    """Two files of training documents and one of validation, with an empty and a missing document."""
    first, second = texts(150, 1), texts(170, 2)
    table(tmp_path / "words" / "train-00000-of-00002.parquet", first)
    table(tmp_path / "words" / "train-00001-of-00002.parquet", [None, "", *second])
    table(tmp_path / "words" / "validation-00000-of-00001.parquet", texts(30, 3))
    return HubName(str(tmp_path / "words"), local=True)


def everything(stream: HubStream) -> str:
    while not stream.ended:
        stream.grow()
    tokens = Stream(stream.shards, "train")
    return ASCII.decode(tokens.read(0, len(tokens)).tolist())


def joined(documents: list[str]) -> str:
    return "".join(one + "\n" for one in documents)


def test_every_document_is_read_once_in_order_and_ends_with_a_newline(cache, words):
    stream = HubStream(words, ASCII, chunk=1500)
    assert not stream.ended
    assert everything(stream) == joined(texts(150, 1) + texts(170, 2))
    val = Stream(stream.shards, "val")
    assert ASCII.decode(val.read(0, len(val)).tolist()) == joined(texts(30, 3))
    lengths = np.diff(Stream(stream.shards, "train").document_starts())
    assert lengths.tolist() == [len(one) + 1 for one in texts(150, 1) + texts(170, 2)]
    stream.shards.verify()


@pytest.mark.parametrize(("chunks", "other_version"), [(1, False), (4, False), (2, True)])
def test_a_stream_goes_on_where_another_process_stopped(cache, words, chunks, other_version):
    whole = everything(HubStream(words, ASCII, cache=Cache.at(cache.files.parent / "one"), chunk=1500))
    first = HubStream(words, ASCII, chunk=1500)
    for _ in range(chunks):
        first.grow()
    if other_version:
        header = json.loads((first.folder / "shards.json").read_text())
        header["stream"] |= {"datasets": "0.1", "position": {}}
        (first.folder / "shards.json").write_text(json.dumps(header))
    second = HubStream(words, ASCII, chunk=1500)
    second.grow()
    first.grow()  # which finds what the other read
    assert len(first.shards.files["train"]) >= len(second.shards.files["train"])
    assert everything(first) == everything(second) == whole


def test_batches_depend_on_the_step_alone_and_begin_again_at_the_end(cache, words):
    told = []

    def source(name: str = "one") -> ShardSource:
        stream = HubStream(words, ASCII, Cache.at(cache.files.parent / name), chunk=1500)
        return ShardSource(stream.shards, 16, 8, 0, growth=stream, progress=lambda line, *rest: told.append(line))

    known = joined(texts(150, 1) + texts(170, 2))
    last = len(known) // 16 // 8
    numbers = [0, 1, 2, 31, last - 1, last, last + 1, last + 40]
    steps = {step: source().batch(step).tokens_BS for step in numbers}
    assert ASCII.decode(steps[0].reshape(-1).tolist()) == joined(texts(150, 1))[:128]
    one = source("other")
    assert all(torch.equal(one.batch(step).tokens_BS, steps[step]) for step in [31, 0, last, last + 40, 2, last - 1, 1])
    assert last - 1 < one.count("train") / 8 < last + 1
    assert all(ASCII.decode(row.tolist()) in known for step in numbers for row in steps[step])
    assert sum("are read again" in line for line in told) > 0
    assert fingerprint(one.shards) == fingerprint(HubStream(words, ASCII, chunk=1500).shards)


def test_documents_one_by_one_are_cut_at_the_context(cache, words):
    stream = HubStream(words, ASCII, chunk=1 << 20)
    source = ShardSource(stream.shards, 16, 4, 0, cut="starts", growth=stream)
    batch = source.batch(0)
    documents = [one for one in texts(150, 1) if len(one) + 1 > 1][:4]
    for row, document in enumerate(documents):
        real = (document + "\n")[:17]
        assert ASCII.decode(batch.tokens_BS[row, : len(real) - 1].tolist()) == real[:-1]
        assert (batch.next_BS[row] >= 0).sum() == len(real) - 1


def test_without_a_validation_split_the_first_documents_are_held_out(cache, tmp_path):
    documents = texts(400, 5)
    table(tmp_path / "all" / "data.parquet", documents)
    for most in (600, 1 << 18):
        stream = HubStream(HubName(str(tmp_path / "all"), local=True), ASCII, held_out=most, chunk=1000)
        val = Stream(stream.shards, "val")
        held_out = ASCII.decode(val.read(0, len(val)).tolist())
        assert held_out + everything(stream) == joined(documents)
        assert held_out.endswith("\n")
        assert 0 < len(held_out) <= min(most, len(joined(documents)) / 10)
        assert len(held_out) > min(most, len(joined(documents)) / 10) - 100


def test_token_ids_are_taken_as_they_are(cache, tmp_path):
    games = [[1, 2, 3], [60], [4, 5]] * 10
    path = table(tmp_path / "games.parquet", games, "moves")
    stream = HubStream(HubName(str(path), column="moves", local=True), load_vocabulary("othello"))
    val, train = Stream(stream.shards, "val"), Stream(stream.shards, "train")
    assert [*val.read(0, len(val)), *train.read(0, len(train))] == [token for game in games for token in game]


def test_bad_data_sets_are_one_sentence(cache, tmp_path):
    def refused(name: str, words: str, column: str = "", tokens: str = "ascii") -> None:
        with pytest.raises(InputError, match=words):
            HubStream(HubName(str(tmp_path / name), column=column, local=True), load_vocabulary(tokens))

    table(tmp_path / "ok" / "data.parquet", texts(50, 1))
    refused("ok", "no column 'words'; it has id, text", "words")
    refused("ok", r"column 'id' holds int, expected text or token ids", "id")
    table(tmp_path / "floats" / "data.parquet", [[0.5, 1.0]] * 9)
    refused("floats", "holds list, expected text or token ids")
    table(tmp_path / "one" / "data.parquet", ["alone"])
    refused("one", "too short to train on and to hold anything out")
    table(tmp_path / "high" / "data.parquet", [[1, 2, 70]] * 20, "tokens")
    refused("high", r"holds the token 70; the vocabulary othello has 0\.\.60", tokens="othello")
    damaged = table(tmp_path / "damaged" / "data.parquet", texts(500, 1))
    damaged.write_bytes(damaged.read_bytes()[:-300])
    refused("damaged", "cannot be read")
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "script.py").write_text("raise SystemExit(9)")
    refused("script", "only be read by code of its own, which is never run")
    (tmp_path / "void").mkdir()
    refused("void", "holds no data files")
    assert not list(cache.files.parent.glob("streams/*/shards.json"))


ASK = """
import json, sys
from saecli.core.errors import SaecliError
from saecli.data.hub_stream import HubStream
from saecli.data.names import hub_name
from saecli.data.vocabulary import load_vocabulary

for spec in sys.argv[1:]:
    told = []
    try:
        stream = HubStream(hub_name(spec), load_vocabulary("ascii"), progress=lambda line, *rest: told.append(line))
        while not stream.ended:
            stream.grow()
        print(json.dumps([stream.shards.tokens("train"), stream.shards.header["stream"]["revision"], told]))
    except SaecliError as error:
        print(json.dumps(str(error)))
"""


def test_the_hub_is_asked_once_and_then_the_cache(cache, words, tmp_path):
    files = {file.name: file.read_bytes() for file in Path(words.path).iterdir()}
    environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}

    def ask(*specs: str, **more: str) -> list:
        done = subprocess.run([sys.executable, "-c", ASK, *specs], env=environment | more, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.splitlines()]

    with Hub() as hub:
        commit = hub.repository("datasets/org/words", files)
        hub.repository("datasets/org/closed", files)
        hub.repositories["datasets/org/closed"].gated = True
        online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.url}
        there, closed, missing, revision = ask(
            "hf:org/words", "hf:org/closed", "hf:org/nothing", "hf:org/words@v9", **online
        )
    assert there[:2] == [len(joined(texts(150, 1) + texts(170, 2))), commit]
    assert closed.startswith("hf:org/closed is gated. Ask for access")
    assert missing.startswith("The hub has no data set org/nothing, or it is private.")
    assert revision.startswith("hf:org/words has no revision 'v9'.")
    again, pinned, unknown = ask("hf:org/words", f"hf:org/words@{commit}", "hf:org/other", HF_HUB_OFFLINE="1")
    assert again[:2] == pinned[:2] == there[:2]
    assert f"What was read of its commit {commit[:8]} is used." in again[2][-1]
    assert "HF_HUB_OFFLINE=1 forbids" in unknown


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("hf:org/name", HubName("org/name")),
        ("hf:datasets/org/name@v1:story", HubName("org/name", "", "v1", "story")),
        ("hf:org/name/20220301.en", HubName("org/name", "20220301.en")),
        ("hf:name:text", HubName("name", column="text")),
    ],
)
def test_names_of_the_hub(spec, expected):
    assert hub_name(spec) == expected


@pytest.mark.parametrize("spec", ["hf:", "hf:org/na me", "hf:org/../x", "hf:./nowhere", "hf:@v1"])
def test_what_is_no_name_is_a_usage_error(spec):
    with pytest.raises(UsageError):
        hub_name(spec)


def test_a_local_folder_does_not_stand_for_the_hub(tmp_path, monkeypatch):
    table(tmp_path / "org" / "name" / "data.parquet", texts(9, 1))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="There is a local org/name here"):
        Rows(replace(hub_name("hf:org/name"), revision="0" * 40), "train", {})


def test_without_the_network_it_is_said(cache):
    with pytest.raises(Unreachable, match="HF_HUB_OFFLINE=1"):
        HubStream(hub_name("hf:org/name"), ASCII)
    error = understood(ValueError("BuilderConfig 'x' not found. Available: ['a', 'b']"), hub_name("hf:org/name/x"))
    assert "no configuration 'x': a, b" in error.message
