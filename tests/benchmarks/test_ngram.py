"""The n-gram control is Kneser-Ney's: by hand, against a slow twin, and as a distribution."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ngram import KneserNey, sequences


def twin(tokens: list[int], order: int, vocab_size: int, history: tuple[int, ...], token: int) -> float:
    """The formula with dictionaries, one probability at a time."""
    tables: dict[int, Counter[tuple[int, ...]]] = {
        order: Counter(tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1))
    }
    for n in range(order - 1, 0, -1):
        preceded = defaultdict(set)
        for sequence in tables[n + 1]:
            preceded[sequence[1:]].add(sequence[0])
        tables[n] = Counter({sequence: len(before) for sequence, before in preceded.items()})
    found = 1 / vocab_size
    for n in range(1, min(order, len(history) + 1) + 1):
        table, context = tables[n], history[len(history) - n + 1 :]
        once, twice = (sum(count == number for count in table.values()) for number in (1, 2))
        discount = once / (once + 2 * twice) if once else 0.5
        following = {sequence[-1]: count for sequence, count in table.items() if sequence[:-1] == context}
        if following:
            total = sum(following.values())
            kept = max(following.get(token, 0) - discount, 0)
            found = (kept + discount * len(following) * found) / total
    return found


TEXTS = st.lists(st.integers(0, 3), min_size=5, max_size=40)


@given(TEXTS, st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(1, 4))
def test_as_the_twin_says(tokens: list[int], text: list[int], order: int) -> None:
    found = KneserNey(np.array(tokens), order, 4).probabilities(np.array(text))
    wanted = [twin(tokens, order, 4, tuple(text[max(0, at - order + 1) : at]), text[at]) for at in range(len(text))]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@given(TEXTS, st.lists(st.integers(0, 3), max_size=5), st.integers(1, 4))
def test_a_distribution(tokens: list[int], history: list[int], order: int) -> None:
    model = KneserNey(np.array(tokens), order, 4)
    total = sum(model.probabilities(np.array([*history, token]))[-1] for token in range(4))
    assert total == pytest.approx(1)


def test_by_hand() -> None:
    # 0 1 0 1 0 2: 01 twice, 10 twice, 02 once, so D = 1 / (1 + 4); every token follows one other, so n1 = 3 and D = 1
    # below, where everything is left to 1 / 3.
    found = KneserNey(np.array([0, 1, 0, 1, 0, 2]), 2, 3).probabilities(np.array([0, 1]))
    np.testing.assert_allclose(found, [1 / 3, (2 - 0.2) / 3 + 0.2 * 2 / 3 / 3])


def test_sequences_are_numbers_in_the_vocabularys_base() -> None:
    assert sequences(np.array([1, 2, 3, 4]), 3, 10).tolist() == [123, 234]


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="10-grams"):
        KneserNey(np.zeros(100, dtype=np.int64), 10, 128)
