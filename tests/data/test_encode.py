"""Documents are encoded in batches and by table as the vocabulary itself encodes them one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.errors import InputError
from saecli.data import encode, text
from saecli.data.encode import Encoder
from saecli.data.text import Piece, read_documents
from saecli.data.vocabulary import HuggingFace, load_vocabulary
from saecli.games.chess_text import CHARACTERS as CHESS

WORDS = "the cat  sat\non the mat, isn't it? A hen's 123 eggs!\n\n"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> HuggingFace:
    """A byte-level vocabulary of pairs, cut into words as GPT-2's is."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, show_progress=False, initial_alphabet=alphabet)  # type: ignore[call-arg]
    tokenizer.train_from_iterator([WORDS * 5], trainer)
    folder = tmp_path_factory.mktemp("pairs")
    tokenizer.save(str(folder / "tokenizer.json"))
    return HuggingFace(folder / "tokenizer.json", "pairs")


@settings(max_examples=50, deadline=None)
@given(words=st.lists(st.sampled_from([*WORDS.split(" "), "\n", "  ", "é"]), max_size=60))
def test_a_long_text_read_in_pieces_gets_the_tokens_it_gets_as_a_whole(pairs, words, tmp_path_factory):
    source = " ".join(["the", *words])
    path: Path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_text(source)
    before, text._PIECE = text._PIECE, 32
    try:
        batches = list(Encoder(pairs).encode(read_documents(path), "a.txt"))
    finally:
        text._PIECE = before
    found = np.concatenate([batch.tokens_T for batch in batches])
    assert found.tolist() == pairs.encode(source)
    assert sum(int(batch.begins_P.sum()) for batch in batches) == 1


@given(texts=st.lists(st.text(CHESS, min_size=1, max_size=20), min_size=1, max_size=9), pieces=st.integers(1, 4))
def test_batches_of_any_size_give_the_tokens_of_each_document(texts, pieces):
    chess = load_vocabulary("chess")
    before, encode._BATCH_PIECES = encode._BATCH_PIECES, pieces
    try:
        batches = list(Encoder(chess).encode(map(Piece, texts), "games"))
    finally:
        encode._BATCH_PIECES = before
    tokens = np.concatenate([batch.tokens_T for batch in batches])
    lengths = np.concatenate([batch.lengths_P for batch in batches])
    found = [part.tolist() for part in np.split(tokens, np.cumsum(lengths)[:-1])]
    assert found == [chess.encode(one) for one in texts]


def test_separators_follow_documents_not_pieces():
    pieces = [Piece("ab", ends=False), Piece("c"), Piece("d"), Piece("ef", ends=False), Piece("")]
    batches = list(Encoder(load_vocabulary("ascii"), "newline").encode(pieces, "a.txt"))
    assert bytes(np.concatenate([batch.tokens_T for batch in batches]).tolist()) == b"abc\nd\nef\n"
    assert np.concatenate([batch.begins_P for batch in batches]).tolist() == [True, False, True, True, False]
    assert np.concatenate([batch.lengths_P for batch in batches]).tolist() == [2, 2, 2, 2, 1]


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_a_character_is_named_by_its_document_and_its_place_there(batch, monkeypatch):
    monkeypatch.setattr(encode, "_BATCH_PIECES", batch)
    pieces = [Piece(";1.e4"), Piece(";1.", ends=False), Piece("d4 ", ends=False), Piece("d5\t"), Piece("e")]
    with pytest.raises(InputError, match=r"games: '\\t' \(U\+0009\), character 9 of document 2, is not"):
        list(Encoder(load_vocabulary("chess")).encode(pieces, "games"))


def test_text_and_tokens_in_one_column_are_refused():
    pieces = [Piece("a"), Piece(np.array([1]))]
    with pytest.raises(InputError, match="text and token ids in one column"):
        list(Encoder(load_vocabulary("ascii")).encode(pieces, "a.json"))
