"""Documents come out of every kind of file as they went in, and what cannot be read is named."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.errors import InputError
from saecli.data import text
from saecli.data.text import data_files, read_documents

STORIES = ["Once upon a time.\nThe end.", 'A "quoted", comma.', "naïve café — ∑"]


def contents(path: Path, **options: str) -> list:
    """The documents of a file, in one piece each."""
    found, parts = [], []
    for piece in read_documents(path, **options):
        parts.append(piece.content)
        if piece.ends:
            found.append("".join(parts) if isinstance(parts[0], str) else np.concatenate(parts).tolist())
            parts = []
    assert not parts
    return found


def written(tmp_path: Path, name: str, rows: list, column: str) -> Path:
    """A file of these rows, by the name's kind."""
    path = tmp_path / name
    table = pa.table({"id": list(range(len(rows))), column: rows})
    if ".jsonl" in name:
        lines = "\n".join(json.dumps({"id": 1, column: row}) for row in rows)
        path.write_bytes(gzip.compress(lines.encode()) if name.endswith(".gz") else lines.encode())
    elif name.endswith(".json"):
        path.write_text(json.dumps([{column: row} for row in rows]))
    elif name.endswith(".csv"):
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["id", column], *([1, row] for row in rows)])
    elif name.endswith(".parquet"):
        pq.write_table(table, path, row_group_size=2)
    elif name == "stream.arrow":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return path


TABLES = ["a.jsonl", "a.jsonl.gz", "a.json", "a.csv", "a.parquet", "stream.arrow", "file.arrow"]


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_text(tmp_path, name):
    path = written(tmp_path, name, STORIES, "story")
    assert contents(path) == contents(path, column="story") == STORIES
    with pytest.raises(InputError, match=r"no column 'words'; it has .*story"):
        contents(path, column="words")


@pytest.mark.parametrize("name", [name for name in TABLES if name != "a.csv"])
def test_tables_of_tokens(tmp_path, name):
    games = [[1, 2, 3], [60], [4, 5]]
    assert contents(written(tmp_path, name, games, "tokens")) == games


def test_a_slice_of_an_arrow_table_keeps_its_rows(tmp_path):
    table = pa.table({"tokens": [[9, 9], [1, 2, 3], None, [4]]}).slice(1)
    pq.write_table(table, tmp_path / "a.parquet")
    assert contents(tmp_path / "a.parquet") == [[1, 2, 3], [4]]
    fixed = pa.table({"tokens": pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2))})
    pq.write_table(fixed, tmp_path / "b.parquet")
    assert contents(tmp_path / "b.parquet") == [[1, 2], [3, 4]]


def test_a_folder_that_datasets_saved_is_read_without_it(tmp_path):
    datasets = pytest.importorskip("datasets")
    games = [[1, 2, 3], [4, 5]] * 3
    datasets.Dataset.from_dict({"tokens": games}).save_to_disk(str(tmp_path / "saved"), num_shards=2)
    files = data_files(tmp_path / "saved")
    assert [file.suffix for file in files] == [".arrow", ".arrow"]
    assert [document for file in files for document in contents(file)] == games


def test_arrays_of_tokens(tmp_path):
    np.save(tmp_path / "flat.npy", np.arange(5, dtype=np.uint16))
    np.save(tmp_path / "rows.npy", np.arange(6, dtype=np.int32).reshape(2, 3))
    np.save(tmp_path / "bad.npy", np.zeros((2, 2, 2), np.int32))
    np.save(tmp_path / "floats.npy", np.zeros(3))
    assert contents(tmp_path / "flat.npy") == [[0, 1, 2, 3, 4]]
    assert contents(tmp_path / "rows.npy") == [[0, 1, 2], [3, 4, 5]]
    for name, words in (("bad.npy", "shape"), ("floats.npy", "<f8")):
        with pytest.raises(InputError, match=words):
            contents(tmp_path / name)


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ("file", ["one\r\n\ntwo<|x|>\nthree\n"]),
        ("lines", ["one", "two<|x|>", "three"]),
        ("<|x|>", ["one\r\n\ntwo", "three"]),
    ],
)
def test_documents_of_a_text(tmp_path, documents, expected):
    (tmp_path / "a.txt").write_bytes(b"one\r\n\ntwo<|x|>\nthree\n")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"one\r\n\ntwo<|x|>\nthree\n"))
    assert contents(tmp_path / "a.txt", documents=documents) == expected
    assert contents(tmp_path / "b.txt.gz", documents=documents) == expected


@settings(max_examples=200, deadline=None)
@given(
    source=st.text("ab \n|", max_size=60),
    separator=st.sampled_from(["", "\n", "||", "a|b"]),
    chunk=st.integers(1, 9),
    piece=st.integers(4, 12),
)
def test_text_is_the_same_however_it_is_read(source, separator, chunk, piece):
    """In chunks of any size and with any limit of memory, nothing is lost and documents end where they do."""
    before, text._PIECE = text._PIECE, piece
    try:
        pieces = list(text._split((source[i : i + chunk] for i in range(0, len(source), chunk)), separator))
    finally:
        text._PIECE = before
    found, parts = [], ""
    for one in pieces:
        parts += str(one.content)
        if one.ends:
            found.append(parts)
            parts = ""
    whole = source.split(separator) if separator else [source]
    assert parts == ""
    strip = "\r\n" if separator else ""
    expected = [document.strip(strip) for document in whole]
    assert [document.strip(strip) for document in found if document.strip(strip)] == [one for one in expected if one]


def test_long_texts_come_in_pieces_cut_before_blanks(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_PIECE", 64)
    source = "word " * 100
    (tmp_path / "a.txt").write_text(source)
    pieces = list(read_documents(tmp_path / "a.txt"))
    assert "".join(str(piece.content) for piece in pieces) == source
    assert len(pieces) > 4
    assert all(str(piece.content).startswith(" ") for piece in pieces[1:])


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.txt", b"ab\xff", "not UTF-8"),
        ("a.txt.gz", gzip.compress(b"a text that is long enough" * 9, mtime=0)[:-9], "damaged"),
        ("a.txt.gz", b"no gzip", "damaged"),
        ("a.jsonl", b'{"text": "a"}\n{"text"', "line 2, is not JSON"),
        ("a.jsonl", b'{"text": 3}', "holds int"),
        ("a.json", b"[1, 2", "is not JSON"),
        ("a.csv", b"text,b\na\n", None),
        ("a.csv", b"b,text\na\n", "1 fields, expected 2"),
        ("a.parquet", b"PAR1 no", "cannot be read as Parquet"),
        ("a.arrow", b"nothing at all", "cannot be read as Arrow"),
        ("a.npy", b"nothing at all", "not a .npy file"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    if words is None:
        assert contents(tmp_path / name) == ["a"]
        return
    with pytest.raises(InputError, match=words) as caught:
        contents(tmp_path / name)
    assert name in caught.value.message


def test_what_a_path_stands_for(tmp_path):
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.parquet").write_text("")
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / ".hidden.txt").write_text("")
    (tmp_path / "image.png").write_text("")
    assert [file.name for file in data_files(tmp_path)] == ["b.txt", "a.parquet"]
    for path, words in ((tmp_path / "no.txt", "not there"), (tmp_path / "image.png", "no known kind")):
        with pytest.raises(InputError, match=words):
            data_files(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file of text"):
        data_files(tmp_path / "empty")
