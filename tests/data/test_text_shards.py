"""Text files as data: tokenised once, exact, named when they cannot be read."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from saecli.core.cache import Cache
from saecli.core.errors import InputError
from saecli.data import text_shards as module
from saecli.data.names import data_inputs, text_name
from saecli.data.text_shards import text_shards
from saecli.data.vocabulary import HuggingFace, load_vocabulary
from saecli.data.windows import Stream

ASCII = load_vocabulary("ascii")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Cache.at()


def content(shards, split) -> str:
    stream = Stream(shards, split)
    return ASCII.decode(stream.read(0, len(stream)).tolist())


def test_a_file_is_tokenised_once_and_again_when_it_changes(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("abcd" * 300)
    made = []
    original = module.make_shards
    monkeypatch.setattr(module, "make_shards", lambda *a, **k: (made.append(1), original(*a, **k))[1])
    first = text_shards([tmp_path / "a.txt"], ASCII)
    assert content(first, "train") + content(first, "val") == "abcd" * 300 + "\n"
    assert text_shards([tmp_path / "a.txt"], ASCII).folder == first.folder
    assert len(made) == 1
    (tmp_path / "a.txt").write_text("abce" * 300)
    assert text_shards([tmp_path / "a.txt"], ASCII).folder != first.folder
    assert text_shards([tmp_path / "a.txt"], load_vocabulary("chess")).vocabulary == "chess"


def test_files_that_name_their_side_are_on_it(tmp_path):
    for name, text in (("train.txt", "t" * 90), ("valid.txt", "v" * 90)):
        (tmp_path / name).write_text(text)
    shards = text_shards([tmp_path / "train.txt", tmp_path / "valid.txt"], ASCII)
    assert (content(shards, "train"), content(shards, "val")) == ("t" * 90 + "\n", "v" * 90 + "\n")


def test_few_documents_are_held_out_from_their_end(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"story": "one " * 200}) + "\n")
    shards = text_shards([tmp_path / "a.jsonl"], ASCII, "story")
    assert content(shards, "train") + content(shards, "val") == "one " * 200 + "\n"
    assert 0 < len(content(shards, "val")) < 300


def test_the_end_token_follows_text_and_not_token_ids(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"?": 0, "cat": 1, "<|endoftext|>": 2}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    vocabulary = HuggingFace(tmp_path / "tokenizer.json", "mine")
    pq.write_table(pa.table({"text": ["cat cat"] * 40}), tmp_path / "a.parquet")
    np.save(tmp_path / "ids.npy", np.ones((40, 3), np.int32))
    shards = text_shards([tmp_path / "a.parquet"], vocabulary)
    assert set(np.diff(np.flatnonzero(shards.files["train"][0].tokens_T == 2)).tolist()) == {3}
    assert (shards.folder / "tokenizer.json").is_file()
    assert set(text_shards([tmp_path / "ids.npy"], vocabulary).files["train"][0].tokens_T.tolist()) == {1}


def test_several_that_ask_at_once_get_the_same(tmp_path):
    (tmp_path / "a.txt").write_text("abcd" * 3000)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(text_shards([tmp_path / "a.txt"], ASCII))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({shards.folder for shards in found}) == 1
    found[0].verify()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.txt", b"", "empty.txt holds no text"),
        ("latin.txt", "é".encode("latin-1") * 9, "latin.txt is not UTF-8 text"),
        ("bad.parquet", b"PAR1 and no more", "bad.parquet cannot be read as Parquet"),
        ("bad.jsonl", b"{", "bad.jsonl, line 1, is not JSON"),
        ("other.jsonl", b'{"a": "b"}', "none of the columns text, tokens"),
        ("number.jsonl", b'{"text": 3}', "holds int, expected text or token ids"),
        ("cut.txt.gz", b"\x1f\x8b\x08", "cut.txt.gz is damaged"),
        ("one.txt", b"a", "too short to train on and to hold anything out"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_and_leaves_nothing(tmp_path, cache, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        text_shards([tmp_path / name], load_vocabulary("chess" if name == "one.txt" else "ascii"))
    assert not list((cache.files.parent / "text").glob("*/*"))


def test_names_of_files(tmp_path):
    for name in ("a.jsonl", "b.jsonl", "c:d.txt"):
        (tmp_path / name).write_text("x")
    assert text_name("a.jsonl:story").column == "story"
    assert [path.name for path in text_name("*.jsonl:story").paths] == ["a.jsonl", "b.jsonl"]
    assert (text_name("c:d.txt").column, text_name("nothing"), text_name("nothing:text")) == ("", None, None)
    assert data_inputs("*.jsonl") == {"data[0]": ("a.jsonl",), "data[1]": ("b.jsonl",)}
    assert data_inputs("a.jsonl:story") == {"data": ("a.jsonl",)}
    assert data_inputs("hf:org/name") == {}
