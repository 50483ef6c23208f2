"""Chess transcripts as text: alphabet, words, and which board a character belongs to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saecli.games import chess_text
from tests.twins import chess as twin

GAME = ";1.e4 e5 2.Nf3 Nc6 3.Bb5 a6 4.Bx"


def words(text: str) -> list[str]:
    found = chess_text.parse([text])
    return [found.word(0, ply) for ply in range(int(found.counts[0]))]


def test_alphabet_is_chessgpts():
    assert len(chess_text.CHARACTERS) == 32
    assert chess_text.encode(" #;=BKNOQRahx").tolist() == [0, 1, 15, 16, 17, 18, 19, 20, 21, 22, 23, 30, 31]
    assert chess_text.decode(chess_text.encode(GAME)) == GAME


@pytest.mark.parametrize("text", ["P", "\n", "é", "1. e4 {x}"])
def test_alphabet_refuses(text: str):
    with pytest.raises(ValueError, match="32 characters"):
        chess_text.encode(text)


def test_tokens_out_of_range():
    with pytest.raises(ValueError, match=r"0\.\.31"):
        chess_text.decode([32])


def test_positions_and_boards_of_characters():
    found = chess_text.parse([GAME])
    assert np.flatnonzero(found.positions(".")[0]).tolist() == [2, 10, 20, 29]
    assert np.flatnonzero(found.positions(" ")[0]).tolist() == [5, 8, 14, 18, 24, 27]
    assert found.cut.tolist() == [True]
    complete = found.complete(np.array([6]))
    assert complete[0].tolist() == [0] * 5 + [1] * 3 + [2] * 6 + [3] * 4 + [4] * 6 + [5] * 3 + [6] * 5
    assert found.complete(np.array([4]))[0, -1] == 4


def test_a_move_is_complete_only_behind_its_space():
    found = chess_text.parse([";1.e4", ";1.e4 "])
    assert found.complete(found.counts)[:, 4:].tolist() == [[0, 0], [0, 1]]
    assert not found.cut.any()


def test_games_of_different_lengths():
    found = chess_text.parse(["", ";", GAME, ";1.e4"])
    assert found.counts.tolist() == [0, 0, 6, 1]
    assert found.characters.shape == (4, len(GAME))
    assert bytes(found.characters[3]).rstrip(b"\0") == b";1.e4"
    assert chess_text.parse([]).words.shape == (0, 0)


@pytest.mark.parametrize(
    "text",
    [
        ";1.e4 e5 2.O-O O-O-O+ 3.bxa8=N# Nb1xd2+ 1-0",
        "1. e4 e5 2. O-O O-O-O+ 3. bxa8=N# Nb1xd2+ 1/2-1/2",
        "1.e4 1...e5\n2.O-O 2... O-O-O+ 3.bxa8=N#\tNb1xd2+ *",
        "1.e4 {best by test. 2.d4} e5 2.O-O $14 O-O-O+ 3.bxa8=N# Nb1xd2+ 0-1 {cut of",
        "e4 e5 O-O O-O-O+ bxa8=N# Nb1xd2+",
    ],
)
def test_words(text: str):
    assert words(text) == ["e4", "e5", "O-O", "O-O-O+", "bxa8=N#", "Nb1xd2+"]


@pytest.mark.parametrize(
    "tail",
    [
        "N",
        "Nb",
        "Nbx",
        "N1",
        "Nb1x",
        "Nb1xd",
        "e",
        "ex",
        "exd",
        "exd8=",
        "e8=",
        "O",
        "O-",
        "O-O-",
        "1-",
        "1/2-",
        "0",
        "12.",
    ],
)
def test_beginnings_are_left_out(tail: str):
    assert words(f";1.e4 e5 {tail}") == ["e4", "e5"]
    found = chess_text.parse([f";1.e4 e5 {tail} 3."])
    assert found.counts[0] == (2 if tail[-1] in "0." else 3)


@pytest.mark.parametrize(
    "tail", ["z", "Pe4", "Ne9", "axa4", "e4.", ".e4", "NN", "é", "Qh4e1xh1??+", "1-1", ";", "=Q", "e4e5"]
)
def test_other_words_are_kept_as_unreadable(tail: str):
    found = chess_text.parse([f";1.e4 e5 {tail}"])
    assert found.words[0, -1] == chess_text.UNREADABLE
    assert not found.cut[0]


def test_a_zero_byte_is_a_character_like_others():
    assert chess_text.parse(["e4\0 e5"]).words[0].tolist() == [chess_text.UNREADABLE, chess_text.read_word("e5")]


def test_what_words_say():
    read = chess_text.read_word
    assert read("Nf3") == read("Nxf3+") == read("Nf3#") == read("Nf3!?") == 1 | 21 << 3 | 1 << 22
    assert read("Nbd2") == 1 | 11 << 3 | 2 << 9 | 1 << 22
    assert read("N1d2") == 1 | 11 << 3 | 1 << 13 | 1 << 22
    assert read("exd8=Q") == 59 << 3 | 5 << 9 | 4 << 17 | 1 << 22
    assert read("O-O") == read("0-0+") == 5 | 1 << 20 | 1 << 22
    assert read("O-O-O") == read("0-0-0") == 5 | 2 << 20 | 1 << 22
    assert read("1-0") == read("*") == chess_text.NO_MOVE


@given(st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 30)), max_size=4))
def test_words_of_generated_games_are_those_between_spaces(games: list[tuple[int, int]]):
    texts = [twin.transcript(seed, plies) for seed, plies in games]
    found = chess_text.parse(texts)
    for game, text in enumerate(texts):
        want = [word.split(".")[-1] for word in text[1:].split(" ")] if text != ";" else []
        assert [found.word(game, ply) for ply in range(int(found.counts[game]))] == want
        spaces = np.cumsum([character == " " for character in text])
        assert found.complete(found.counts)[game, : len(text)].tolist() == spaces.tolist()


@given(st.lists(st.text(max_size=12), max_size=4))
def test_any_text_can_be_cut_into_words(texts: list[str]):
    found = chess_text.parse(texts)
    for game, text in enumerate(texts):
        for ply in range(int(found.counts[game])):
            word = text[found.first[game, ply] : found.stop[game, ply]]
            assert word
            assert found.word(game, ply) == "".join(c if "\0" < c < "\x7f" else "\x7f" for c in word)
