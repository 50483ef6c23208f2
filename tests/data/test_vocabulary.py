"""Vocabularies: text to tokens and back, what is shown of a token, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saecli.core.errors import InputError, UsageError
from saecli.data.vocabulary import HuggingFace, load_vocabulary
from saecli.games import othello
from saecli.games.chess_text import CHARACTERS as CHESS


def test_othello_is_the_games_own_table():
    vocabulary = load_vocabulary("othello")
    assert (vocabulary.size, vocabulary.bos, vocabulary.eos) == (61, None, None)
    assert [vocabulary.token_text(token) for token in range(61)] == [othello.token_name(token) for token in range(61)]
    assert vocabulary.encode("f5 d6C3") == [34, 40, 19]
    assert vocabulary.decode([34, 40, 19]) == "F5 D6 C3"
    with pytest.raises(InputError, match="'z9'"):
        vocabulary.encode("f5 z9")
    with pytest.raises(InputError, match=r"tokens 0\.\.60, not 61"):
        vocabulary.decode([61])


@given(st.text(alphabet=CHESS))
def test_chess_text_survives(text):
    vocabulary = load_vocabulary("chess")
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_chess_is_chessgpts():
    vocabulary = load_vocabulary("chess")
    known = {
        " ": 0,
        "#": 1,
        "+": 2,
        "-": 3,
        ".": 4,
        "0": 5,
        "9": 14,
        ";": 15,
        "=": 16,
        "B": 17,
        "R": 22,
        "a": 23,
        "x": 31,
    }
    assert {character: vocabulary.encode(character)[0] for character in known} == known
    assert vocabulary.size == 32
    with pytest.raises(InputError, match=r"no 'é' \(U\+00E9\)"):
        vocabulary.encode(";1.é4")


@given(st.text())
def test_ascii_replaces_what_it_has_not(text):
    vocabulary = load_vocabulary("ascii")
    expected = "".join(character if ord(character) < 128 else "?" for character in text)
    assert vocabulary.decode(vocabulary.encode(text)) == expected
    assert vocabulary.size == 128


def test_what_cannot_be_printed_is_spelled_out():
    vocabulary = load_vocabulary("ascii")
    assert [vocabulary.token_text(token) for token in (10, 27, 65, 32)] == ["\\n", "\\x1b", "A", " "]


def tokenizer(folder, *, bos: object = "<|endoftext|>"):
    """A byte-level tokenizer trained on a few words, as GPT-2's is made."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(["the cat and the other cat"] * 9, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": bos, "eos_token": {"content": "<|endoftext|>"}})
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tokenizer(tmp_path_factory.mktemp("tokenizer"))


@given(text=st.text())
def test_a_tokenizer_of_hugging_face_keeps_text(folder, text):
    vocabulary = load_vocabulary(str(folder))
    if "<|endoftext|>" not in text:
        assert vocabulary.decode(vocabulary.encode(text)) == text
        assert vocabulary.encode_batch([text, text]) == [vocabulary.encode(text)] * 2


def test_a_tokenizer_knows_its_ends_and_shows_its_bytes(folder, tmp_path):
    vocabulary = load_vocabulary(str(folder))
    assert (vocabulary.bos, vocabulary.eos) == (0, 0)
    assert vocabulary.size <= 300
    assert vocabulary.token_text(vocabulary.encode(" cat")[0]) == " cat"
    assert [vocabulary.token_text(token) for token in vocabulary.encode("\né")] == ["\\n", "\\xc3", "\\xa9"]
    assert vocabulary.token_text(0) == "<|endoftext|>"
    assert load_vocabulary(str(tokenizer(tmp_path / "other", bos=None))).bos is None
    assert vocabulary.record()["tokenizer_sha256"] == load_vocabulary("mine", folder).record()["tokenizer_sha256"]
    assert load_vocabulary("mine", folder).name == "mine"


def test_bytes_of_sentencepiece_are_shown_as_bytes(tmp_path):
    from tokenizers import Tokenizer, models

    words = {"<unk>": 0, "<0x0A>": 1, "<0xC3>": 2, "▁the": 3, "<bos>": 4}
    made = Tokenizer(models.BPE(vocab=words, merges=[], unk_token="<unk>", byte_fallback=True))  # noqa: S106
    made.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "<bos>", "eos_token": null}')
    vocabulary = HuggingFace(tmp_path / "tokenizer.json", "small")
    assert [vocabulary.token_text(token) for token in (1, 2, 3)] == ["\\n", "\\xc3", " the"]
    assert (vocabulary.bos, vocabulary.eos) == (4, None)


def test_vocabularies_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="The vocabulary gpt2 is not downloaded yet") as caught:
        load_vocabulary("gpt2")
    assert "saecli download gpt2" in caught.value.hint
    with pytest.raises(UsageError, match="Did you mean 'othello'"):
        load_vocabulary("othelo")
    with pytest.raises(InputError, match=r"has no tokenizer\.json"):
        load_vocabulary("", tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(InputError, match="is no tokenizer of Hugging Face"):
        load_vocabulary(str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("[")
    with pytest.raises(InputError, match="cannot be read"):
        load_vocabulary(str(tmp_path))
