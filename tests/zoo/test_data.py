"""Data sets of the zoo become token shards by the rules that their entries state."""

from __future__ import annotations

from pathlib import Path

import pytest

from saecli.core.cache import Cache
from saecli.core.errors import InputError
from saecli.data.shards import open_shards
from saecli.data.windows import Stream
from tests.data.test_shards import documents_of
from zoo import data, generate
from zoo.family import DataEntry
from zoo.index import find_data, names


def written(folder: Path, **texts: str) -> list[Path]:
    """Files of these texts; ``__`` in a name is a dot."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)
    return sorted(folder.iterdir())


def text_of(folder: Path, split: str) -> str:
    shards = open_shards(folder)
    return "".join(map(chr, Stream(shards, split).read(0, shards.tokens(split)).tolist()))  # type: ignore[arg-type]


def entry_of(name: str) -> DataEntry:
    found = find_data(name)
    assert found is not None
    return found[1]


def test_shakespeare_is_cut_as_gpt_circuits_cuts_it(tmp_path):
    source = ("To be, or not to be.\n" * 60_000)[:1_115_394]
    made = data.prepare(entry_of("shakespeare"), written(tmp_path / "f", input__txt=source), tmp_path / "shards")
    shards = open_shards(made)
    assert (shards.vocabulary, shards.tokens("train"), shards.tokens("val")) == ("ascii", 1_003_776, 111_618)


def test_a_data_set_keeps_its_own_split_and_documents(tmp_path):
    entry = DataEntry("hf:datasets/o/r", "", "ascii", documents="<|endoftext|>", separator="newline")
    files = written(
        tmp_path / "f",
        **{
            "StoriesV2-GPT4-train__txt": "\nA cat.\nIt sat.\n<|endoftext|>\n\nA dog.\n<|endoftext|>\n",
            "StoriesV2-GPT4-valid__txt": "\nA hen.\n<|endoftext|>\n",
            "README__md": "no data",
            "dataset_infos__json": "{}",
        },
    )
    made = data.prepare(entry, files, tmp_path / "shards")
    assert (text_of(made, "train"), text_of(made, "val")) == ("A cat.\nIt sat.\nA dog.\n", "A hen.\n")
    assert len(documents_of(made, "train")) == 2


def test_shards_of_the_same_files_stay_and_others_are_replaced(tmp_path):
    entry = entry_of("shakespeare")
    folder = tmp_path / "shards"
    data.prepare(entry, written(tmp_path / "f", input__txt="one " * 200), folder)
    first = (folder / "shards.json").stat().st_ino
    data.prepare(entry, written(tmp_path / "f", input__txt="one " * 200), folder)
    assert (folder / "shards.json").stat().st_ino == first
    data.prepare(entry, written(tmp_path / "f", input__txt="another " * 200), folder)
    assert text_of(folder, "train").startswith("another")


def test_what_fails_leaves_what_was_there(tmp_path):
    entry, folder = entry_of("shakespeare"), tmp_path / "shards"
    data.prepare(entry, written(tmp_path / "f", input__txt="one " * 200), folder)
    (tmp_path / "f" / "input.txt").write_bytes(b"\xff\xfe broken")
    with pytest.raises(InputError, match="UTF-8"):
        data.prepare(entry, [tmp_path / "f" / "input.txt"], folder)
    assert text_of(folder, "train").startswith("one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f", "shards"]


def test_generated_games_are_legal_and_the_held_out_ones_are_others(tmp_path, monkeypatch):
    from saecli.data.sets import open_source
    from saecli.games import othello

    monkeypatch.setattr(generate.Othello, "counts", {"train": 30, "val": 10})
    monkeypatch.setattr(generate, "_PER_CALL", 12)
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    made = data.prepare(entry_of("othello"), [], Cache.at().shards_of("othello"))
    train, val = documents_of(made, "train"), documents_of(made, "val")
    assert (len(train), len(val)) == (30, 10)
    assert len({tuple(game) for game in train + val}) == 40
    for game in train + val:
        squares = [int(othello.TOKEN_TO_SQUARE[token]) for token in game]
        othello.replay([squares])
    source = open_source("data:othello", batch_size=4, seed=0, held_out=5)
    assert (source.vocabulary, source.n_ctx) == ("othello", 59)
    assert sum((source.batch(0).next_BS >= 0).sum(1) >= 50) == 4


def test_generated_chess_is_legal_and_the_held_out_games_are_others(tmp_path, monkeypatch):
    from saecli.games import chess

    monkeypatch.setattr(generate.Chess, "counts", {"train": 12, "val": 6})
    monkeypatch.setattr(generate, "_PER_CALL", 8)
    made = data.prepare(entry_of("chess-random"), [], tmp_path / "shards")
    vocabulary = data.tokenizer("chess")
    games = [vocabulary.decode(game) for split in ("train", "val") for game in documents_of(made, split)]
    assert (len(games), len(set(games))) == (18, 18)
    assert all(game.startswith(";1.") and len(game) <= 256 for game in games)
    assert not chess.replay(games).faults


def test_the_standard_library_becomes_shards_and_another_text_other_ones(tmp_path, monkeypatch):
    from saecli.data import python_source

    def library(text):
        found = [python_source.Module("json/a.py", "val", "b = 'ü'\n"), python_source.Module("abc.py", "train", text)]
        found.append(python_source.Module("csv.py", "test", "no\n"))
        monkeypatch.setattr(python_source, "modules", lambda: found)
        return data.prepare(entry_of("python"), [], tmp_path / "shards")

    made = library("a = 1\n")
    assert (text_of(made, "train"), text_of(made, "val")) == ("a = 1\n", "b = '?'\n")
    first = (made / "shards.json").stat().st_ino
    assert (library("a = 1\n") / "shards.json").stat().st_ino == first
    assert text_of(library("a = 2\n"), "train") == "a = 2\n"


def test_every_data_set_has_a_vocabulary_and_a_source():
    from saecli.data.vocabulary import BUILT_IN

    for name in names("data"):
        entry = entry_of(name)
        assert entry.source.startswith(("hf:datasets/", "https://", generate.GENERATE)), name
        assert entry.tokenizer in (*BUILT_IN, "gpt2", "pythia"), name
        assert entry.separator in ("", "newline", "eos"), name
