"""Token shards: what is written is read back, gpt-circuits' folders are read, and damage is named."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.errors import InputError
from saecli.data.shard_writer import ShardWriter
from saecli.data.shards import HEADER, fingerprint, is_shards, open_shards
from saecli.data.windows import Stream


def write(
    folder: Path,
    documents: dict[str, list[list[int]]],
    shard_tokens: int = 1000,
    size: int = 128,
    name: str = "ascii",
) -> Path:
    """Shards of documents by split."""
    with ShardWriter(folder, size, shard_tokens) as writer:
        for split, some in documents.items():
            lengths = np.array([len(one) for one in some], np.int64)
            tokens = np.array([token for one in some for token in one], np.int64)
            writer.add(split, tokens, lengths, np.ones(len(some), bool))  # type: ignore[arg-type]
        writer.finish(vocabulary={"name": name, "size": size, "sha256": "", "eos": None})
    return folder


def documents_of(folder: Path, split: str) -> list[list[int]]:
    """The documents of a split, whole again where a shard ends within one."""
    stream = Stream(open_shards(folder), split)  # type: ignore[arg-type]
    starts = stream.document_starts().tolist()
    return [stream.read(start, end).tolist() for start, end in itertools.pairwise(starts)]


@settings(max_examples=40, deadline=None)
@given(
    documents=st.lists(st.lists(st.integers(0, 127), min_size=1, max_size=12), min_size=1, max_size=12),
    shard_tokens=st.integers(1, 15),
)
def test_documents_come_back_whatever_the_size_of_shards(tmp_path_factory, documents, shard_tokens):
    folder = write(tmp_path_factory.mktemp("shards") / "a", {"train": documents}, shard_tokens)
    assert documents_of(folder, "train") == documents
    shards = open_shards(folder)
    assert all(0 < shard.tokens <= shard_tokens for shard in shards.files["train"])
    assert Stream(shards, "train").read(0, shards.tokens("train")).tolist() == list(itertools.chain(*documents))
    whole = all(len(one) <= shard_tokens for one in documents)
    assert not (whole and any(shard.continues for shard in shards.files["train"]))
    shards.verify()


def test_a_shard_is_the_file_that_numpy_saves(tmp_path):
    folder = write(tmp_path / "a", {"train": [[1, 2, 3], [4]]})
    np.save(tmp_path / "b.npy", np.array([1, 2, 3, 4], np.uint16))
    assert (folder / "train_000000.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert [path.name for path in folder.iterdir() if "train" in path.name] == ["train_000000.npy"]


def test_large_vocabularies_get_four_bytes(tmp_path):
    folder = write(tmp_path / "a", {"train": [[70_000, 3]]}, size=100_000)
    assert open_shards(folder).files["train"][0].tokens_T.tolist() == [70_000, 3]
    assert np.load(folder / "train_000000.npy").dtype == np.uint32


@pytest.mark.parametrize(("highest", "name"), [(127, "ascii"), (128, "gpt2"), (50256, "gpt2")])
def test_folders_of_gpt_circuits_are_read_and_what_is_assumed_is_said(tmp_path, highest, name):
    np.save(tmp_path / "train_000000.npy", np.array([5, 6, 7], np.uint16))
    np.save(tmp_path / "train_000001.npy", np.array([8], np.uint16))
    np.save(tmp_path / "val_000000.npy", np.array([0, highest], np.uint16))
    assert is_shards(tmp_path)
    shards = open_shards(tmp_path)
    assert (shards.vocabulary, shards.tokens("train"), shards.tokens("val")) == (name, 4, 2)
    assert name in shards.note
    assert Stream(shards, "train").read(1, 4).tolist() == [6, 7, 8]


def test_tokens_of_no_known_vocabulary_are_refused(tmp_path):
    np.save(tmp_path / "train_000000.npy", np.array([60_000], np.uint16))
    with pytest.raises(InputError, match="60000"):
        open_shards(tmp_path)


def test_other_tokens_have_another_fingerprint(tmp_path):
    one = open_shards(write(tmp_path / "a", {"train": [[1, 2]]}))
    same = open_shards(write(tmp_path / "b", {"train": [[1, 2]]}))
    other = open_shards(write(tmp_path / "c", {"train": [[1], [2]]}))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


def cut_short(folder: Path) -> None:
    path = folder / "train_000000.npy"
    path.write_bytes(path.read_bytes()[:-1])


def huge_header(folder: Path) -> None:
    with (folder / "train_000000.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<u2", "fortran_order": False, "shape": (1 << 60,)})


def object_array(folder: Path) -> None:
    np.save(folder / "train_000000.npy", np.array([{}, {}, {}, {}], object), allow_pickle=True)


def other_type(folder: Path) -> None:
    np.save(folder / "train_000000.npy", np.zeros(4))


def other_length(folder: Path) -> None:
    np.save(folder / "train_000000.npy", np.zeros(5, np.uint16))


def not_npy(folder: Path) -> None:
    (folder / "train_000000.npy").write_bytes(b"")


def bad_documents(folder: Path) -> None:
    np.save(folder / "documents" / "train_000000.npy", np.array([0, 3, 3]))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_short, "bytes, its header describes"),
        (huge_header, "its header describes"),
        (object_array, r"holds '\|O'"),
        (other_type, "holds '<f8'"),
        (other_length, "holds 5 tokens, shards.json says 4"),
        (not_npy, "not a .npy file"),
        (bad_documents, "no rising offsets"),
    ],
)
def test_damage_is_named(tmp_path, damage, words):
    folder = write(tmp_path, {"train": [[1, 2, 3], [4]]})
    damage(folder)
    shard = open_shards(folder).files["train"][0]
    with pytest.raises(InputError, match=words):
        _ = shard.tokens_T, shard.starts_D


def test_changed_content_and_tokens_beyond_the_vocabulary_are_found_on_request(tmp_path):
    folder = write(tmp_path, {"train": [[1, 2, 3]]})
    np.save(folder / "train_000000.npy", np.array([1, 2, 4], np.uint16))
    with pytest.raises(InputError, match="sha256"):
        open_shards(folder).verify()
    header = json.loads((folder / HEADER).read_text())
    header["vocabulary"]["size"] = 3
    header["files"][0]["sha256"] = ""
    (folder / HEADER).write_text(json.dumps(header))
    with pytest.raises(InputError, match="token 4; the vocabulary ascii ends at 2"):
        open_shards(folder).verify()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "saecli.shards/2"}, "this version reads saecli.shards/1"),
        ({"schema": "other/1"}, "expected saecli.shards/1"),
        ({"files": [{"name": "../secret.npy"}]}, "no name of a shard"),
        (
            {"files": [{"name": "val_000007.npy", "tokens": 1, "sha256": "", "documents_sha256": "", "continues": 0}]},
            "has no val_0",
        ),
        ({"files": 3}, "is damaged"),
        ({"vocabulary": {}}, "is damaged"),
    ],
)
def test_headers_that_are_refused(tmp_path, change, words):
    folder = write(tmp_path, {"train": [[1, 2, 3]]})
    (folder / HEADER).write_text(json.dumps({**json.loads((folder / HEADER).read_text()), **change}))
    with pytest.raises(InputError, match=words):
        open_shards(folder)


def test_a_folder_without_shards_is_said_to_be_one(tmp_path):
    assert not is_shards(tmp_path)
    with pytest.raises(InputError, match="no shards"):
        open_shards(tmp_path)
