"""``saecli convert --to shards`` through the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from saecli.data.shards import open_shards
from saecli.data.windows import Stream
from tests.data.test_shards import documents_of

STORY = "First Citizen: Before we proceed any further, hear me speak.\n"


def text_of(folder: Path, split: str) -> str:
    """The tokens of a split of ASCII shards as text."""
    shards = open_shards(folder)
    return "".join(map(chr, Stream(shards, split).read(0, shards.tokens(split)).tolist()))  # type: ignore[arg-type]


def test_the_head_of_a_text_is_cut_as_gpt_circuits_cuts_shakespeare(tmp_path, saecli):
    source = (STORY * 20_000)[:1_115_394]
    (tmp_path / "input.txt").write_text(source)
    done = saecli("convert", "input.txt", "shards", "--to", "shards", "--json")
    assert done.code == 0, done.err
    made = json.loads(done.out)["shards"]
    assert (made["train_tokens"], made["val_tokens"], made["split"]) == (1_003_776, 111_618, "head")
    assert np.load(tmp_path / "shards" / "train_000000.npy").dtype == np.uint16
    assert text_of(tmp_path / "shards", "train") + text_of(tmp_path / "shards", "val") == source
    open_shards(tmp_path / "shards").verify()


def test_documents_are_held_out_by_content_not_by_place(tmp_path, saecli):
    lines = [f"line number {number}" for number in range(400)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    (tmp_path / "b.txt").write_text("\n".join(reversed(lines)))
    for name in "ab":
        options = ("--to", "shards", "--documents", "lines", "--separator", "newline", "--val-fraction", "0.25")
        done = saecli("convert", f"{name}.txt", name, *options)
        assert done.code == 0, done.err
    held_out = set(text_of(tmp_path / "a", "val").splitlines())
    assert held_out == set(text_of(tmp_path / "b", "val").splitlines())
    assert 60 < len(held_out) < 140
    assert held_out.isdisjoint(text_of(tmp_path / "a", "train").splitlines())
    assert held_out | set(text_of(tmp_path / "a", "train").splitlines()) == set(lines)


def test_files_say_by_their_names_what_is_held_out(tmp_path, saecli):
    (tmp_path / "set" / "test").mkdir(parents=True)
    (tmp_path / "set" / "train-00000-of-00001.jsonl").write_text('{"text": "seen"}\n{"text": "also"}')
    (tmp_path / "set" / "test" / "0000.jsonl").write_text('{"text": "new"}')
    done = saecli("convert", "set", "shards", "--to", "shards", "--split", "names")
    assert done.code == 0, done.err
    assert (text_of(tmp_path / "shards", "train"), text_of(tmp_path / "shards", "val")) == ("seenalso", "new")
    assert len(documents_of(tmp_path / "shards", "train")) == 2
    (tmp_path / "set" / "other.jsonl").write_text("")
    (tmp_path / "set" / "more.jsonl").write_text('{"text": "x"}')
    done = saecli("convert", "set", "again", "--to", "shards", "--split", "names")
    assert (done.code, done.out) == (2, "")
    assert "more.jsonl says train, val or test" in done.err
    assert not (tmp_path / "again").exists()


def test_what_ascii_lacks_is_counted_and_chess_refuses_it(tmp_path, saecli):
    (tmp_path / "a.txt").write_text("plain\ncafé\nnaïve é\n")
    options = ("--to", "shards", "--documents", "lines", "--split", "head", "--val-fraction", "0.3")
    done = saecli("convert", "a.txt", "ascii", *options)
    assert done.code == 0, done.err
    assert text_of(tmp_path / "ascii", "train") + text_of(tmp_path / "ascii", "val") == "plaincaf?na?ve ?"
    assert "3 characters became '?'" in done.out
    assert "'é' (U+00E9), character 4 of document 2" in done.out
    (tmp_path / "games.txt").write_text(";1.e4 e5 2.Nf3\n;1.d4!\n")
    done = saecli("convert", "games.txt", "chess", *options, "--tokenizer", "chess")
    assert (done.code, done.out) == (3, "")
    assert "'!' (U+0021), character 6 of document 2, is not in the vocabulary chess" in done.err
    assert not (tmp_path / "chess").exists()


def test_games_keep_their_tokens(tmp_path, saecli):
    games = [";1.e4 e5 2.Nf3 Nc6", ";1.d4 d5", ";1.c4", ";1.g3 g6"] * 5
    (tmp_path / "games.txt").write_text("\n".join(games))
    options = ("--to", "shards", "--documents", "lines", "--tokenizer", "chess", "--val-fraction", "0.5")
    done = saecli("convert", "games.txt", "chess", *options)
    assert done.code == 0, done.err
    found = documents_of(tmp_path / "chess", "train") + documents_of(tmp_path / "chess", "val")
    assert {document[0] for document in found} == {15}  # ;
    assert sorted(map(len, found)) == sorted(map(len, games))
    rows = [[*range(1, 61)], [60] * 60]
    (tmp_path / "games.jsonl").write_text("\n".join(json.dumps({"tokens": row}) for row in rows * 3))
    options = ("--to", "shards", "--tokenizer", "othello", "--split", "head", "--val-fraction", "0.2")
    assert saecli("convert", "games.jsonl", "othello", *options).code == 0
    assert documents_of(tmp_path / "othello", "train")[0] == rows[0]
    (tmp_path / "games.jsonl").write_text('{"tokens": [3, 61]}')
    done = saecli("convert", "games.jsonl", "wrong", *options)
    assert done.code == 3
    assert "token 61; the vocabulary othello has 0..60" in done.err


def test_a_tokenizer_of_ones_own_travels_with_its_tokens(tmp_path, saecli):
    from tokenizers import Tokenizer, models, pre_tokenizers

    from saecli.data.vocabulary import load_vocabulary

    tokenizer = Tokenizer(models.WordLevel({"<e>": 0, "a": 1, "b": 2, "?": 3}, unk_token="?"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    (tmp_path / "words").mkdir()
    tokenizer.save(str(tmp_path / "words" / "tokenizer.json"))
    (tmp_path / "words" / "tokenizer_config.json").write_text('{"eos_token": "<e>"}')
    (tmp_path / "a.txt").write_text("a b b\nb\na a\n")
    options = ("--to", "shards", "--documents", "lines", "--separator", "eos", "--split", "head")
    done = saecli("convert", "a.txt", "shards", *options, "--tokenizer", "words", "--val-fraction", "0.4")
    assert done.code == 0, done.err
    shards = open_shards(tmp_path / "shards")
    assert (shards.vocabulary, shards.vocab_size) == ("words", 4)
    train, val = (Stream(shards, split).read(0, shards.tokens(split)).tolist() for split in ("train", "val"))
    assert train + val == [1, 2, 2, 0, 2, 0, 1, 1, 0]
    assert load_vocabulary("", tmp_path / "shards").encode("b a") == [2, 1]


def test_the_same_call_gives_the_same_bytes(tmp_path, saecli):
    (tmp_path / "a.txt").write_text(STORY * 50)
    for name in ("one", "two"):
        assert saecli("convert", "a.txt", name, "--to", "shards", "--shard-tokens", "700").code == 0
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) > 4
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_nothing_that_is_there_is_replaced_unasked(tmp_path, saecli):
    (tmp_path / "a.txt").write_text(STORY * 9)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    call = ("convert", "a.txt", "shards", "--to", "shards")
    assert saecli(*call).code == 0
    assert saecli(*call).code == 3
    assert saecli(*call, "--overwrite").code == 0
    for arguments in (("a.txt", "mine", "--overwrite"), ("mine/thesis.txt", "mine", "--overwrite"), ("mine", "a.txt")):
        done = saecli("convert", *arguments, "--to", "shards")
        assert (done.code, done.out) == (3, ""), arguments
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_plan_makes_nothing(tmp_path, saecli):
    (tmp_path / "a.txt").write_text(STORY)
    done = saecli("convert", "a.txt", "shards", "--to", "shards", "--plan")
    assert done.code == 0
    assert "1 file(s)" in done.out
    assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("a.txt",), 2, "the folder to make"),
        (("a.txt", "s"), 2, "--to: shards"),
        (("a.txt", "s", "--to", "shard"), 2, "must be one of shards"),
        (("a.txt", "s", "--to", "shards", "--val-fraction", "1"), 2, "less than 1"),
        (("a.txt", "s", "--to", "shards", "--tokenizer", "nothing"), 2, "no vocabulary 'nothing'"),
        (("a.txt", "s", "--to", "shards", "--separator", "eos"), 2, "ascii has no token that ends a document"),
        (("a.txt", "s", "--to", "shards", "--split", "documents"), 2, "in the split"),
        (("b.txt", "s", "--to", "shards"), 3, "b.txt is not there"),
    ],
)
def test_calls_that_are_refused_leave_nothing(arguments, code, words, tmp_path, saecli):
    (tmp_path / "a.txt").write_text(STORY)
    done = saecli("convert", *arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt"]


def test_ctrl_c_leaves_nothing(tmp_path):
    os.mkfifo(tmp_path / "endless.txt")
    program = [sys.executable, "-m", "saecli", "convert", "endless.txt", "shards", "--to", "shards"]
    with (
        subprocess.Popen(program, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process,
        (tmp_path / "endless.txt").open("w") as feed,
    ):
        feed.write(STORY * 100_000)  # more than a pipe holds, so it is being read when this returns
        feed.flush()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in said
    assert [path.name for path in tmp_path.iterdir()] == ["endless.txt"]
