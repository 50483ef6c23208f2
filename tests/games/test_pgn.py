"""PGN files: the moves alone."""

import pytest

from saecli.games.pgn import games_of

FILE = """[Event "A match [1]"]
[Result "1-0"]

1. e4 {the usual (best) move} e5 2.Nf3! ; a remark 1-0
(2. f4 exf4 (2... d5 $3 3. exd5) 3. Nf3) 2... Nc6 $1 1-0

% an escape
[Event "without a result"]

1.d4 d5 2... c4

[Event "without moves"]

*

1. O-O-O+ e8=Q# 1/2-1/2
"""


def test_moves_of_every_game_without_what_is_written_about_them():
    assert games_of(FILE) == ["e4 e5 Nf3 Nc6", "d4 d5 c4", "O-O-O+ e8=Q#"]
    assert games_of("") == []


@pytest.mark.parametrize(("text", "words"), [("1. e4 (1. d4", "does not end"), ("1. e4 ) e5", "that did not begin")])
def test_side_lines_that_do_not_fit(text: str, words: str):
    with pytest.raises(ValueError, match=words):
        games_of(text)
