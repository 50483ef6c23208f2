"""Batches from shards: every token is predicted as often as it should be, and a step is a function of its number."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saecli.core.errors import InputError
from saecli.data.permutation import shuffled
from saecli.data.shard_source import ShardSource
from saecli.data.shards import open_shards
from saecli.data.windows import DocumentWindows, PackedWindows
from tests.data.test_shards import write


@given(n=st.integers(1, 400), seed=st.integers(0, 5))
def test_a_permutation_has_every_place_once(n, seed):
    assert sorted(shuffled(np.arange(n), n, seed).tolist()) == list(range(n))


def test_permutations_mix_and_depend_on_the_seed():
    n = 10_000
    one, other = shuffled(np.arange(n), n, 0), shuffled(np.arange(n), n, 1)
    assert (one == other).mean() < 0.01
    assert abs(np.corrcoef(one, np.arange(n))[0, 1]) < 0.05
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
    assert shuffled(np.array([1 << 40]), 1 << 41, 0)[0] < 1 << 41


@given(
    length=st.integers(0, 200),
    stride=st.integers(1, 20),
    extra=st.integers(0, 1),
    offset=st.floats(0, 1, exclude_max=True),
)
def test_packed_windows_predict_no_token_twice_and_leave_out_less_than_two_windows(length, stride, extra, offset):
    windows = PackedWindows(length, stride, extra)
    spans = windows.spans(np.arange(windows.count), offset)
    predicted = [place for start, stop in spans.tolist() for place in range(start + extra, stop)]
    assert len(predicted) == len(set(predicted))
    assert all(extra <= place < length for place in predicted)
    assert len(predicted) > length - extra - 2 * stride


@given(
    lengths=st.lists(st.integers(1, 30), max_size=8),
    stride=st.integers(1, 12),
    extra=st.integers(0, 1),
    offset=st.floats(0, 1, exclude_max=True),
    whole=st.booleans(),
)
def test_windows_of_documents_stay_inside_and_predict_every_token_once(lengths, stride, extra, offset, whole):
    starts = np.cumsum([0, *lengths])
    windows = DocumentWindows(starts, stride, extra, whole=whole)
    spans = windows.spans(np.arange(windows.count), offset).tolist()
    predicted = []
    for first, stop in spans:
        document = int(np.searchsorted(starts, first, "right")) - 1
        assert starts[document] <= first
        assert first + extra < stop <= starts[document + 1]
        assert stop - first <= stride + extra
        predicted += range(first + extra, stop)
    expected = []
    for start, end in itertools.pairwise(starts):
        expected += range(start + extra, end if whole else min(end, start + extra + stride))
    assert sorted(predicted) == expected


def source(tmp_path, documents, n_ctx=5, batch_size=2, seed=0, **options):
    folder = write(tmp_path / "shards", {"train": documents, "val": [[9, 8, 7, 6, 5, 4, 3]]}, shard_tokens=7)
    return ShardSource(open_shards(folder), n_ctx, batch_size, seed, **options)


def test_next_tokens_are_those_that_follow_across_documents_and_shards(tmp_path):
    stream = np.random.default_rng(0).permutation(100).tolist()
    documents = [stream[i : i + 7] for i in range(0, 100, 7)]
    data = source(tmp_path, documents)
    follows = dict(itertools.pairwise(stream))
    for step in range(30):
        batch = data.batch(step)
        assert batch.tokens_BS.shape == batch.next_BS.shape == (2, 5)
        for token, following in zip(batch.tokens_BS.flatten().tolist(), batch.next_BS.flatten().tolist(), strict=True):
            assert follows[token] == following


def test_an_epoch_reads_every_window_once_and_the_next_has_other_boundaries(tmp_path):
    data = source(tmp_path, [list(range(101))], batch_size=1)
    epochs = []
    for epoch in range(4):
        steps = range(epoch * data.count("train"), (epoch + 1) * data.count("train"))
        epochs.append([int(data.batch(step).tokens_BS[0, 0]) for step in steps])
        assert len(set(epochs[-1])) == data.count("train")
        assert len({start % 5 for start in epochs[-1]}) == 1
    assert len({starts[0] % 5 for starts in epochs}) > 1
    assert len({tuple(starts) for starts in epochs}) == 4


def test_a_batch_depends_on_seed_and_step_alone(tmp_path):
    data = source(tmp_path, [list(range(100))], batch_size=3)
    for step in (0, 6, 7, 1000):  # 7 steps of 3 reach into the second epoch of 19 windows
        again = source(tmp_path / str(step), [list(range(100))], batch_size=3).batch(step)
        assert torch.equal(data.batch(step).tokens_BS, again.tokens_BS)
    other = source(tmp_path / "other", [list(range(100))], batch_size=3, seed=1)
    assert not torch.equal(data.batch(0).tokens_BS, other.batch(0).tokens_BS)


def test_a_window_ends_with_its_document(tmp_path):
    data = source(tmp_path, [[1, 2, 3], [4, 5, 6, 7, 8, 9]], batch_size=2, cut="documents")
    rows = {tuple(row) for row in torch.cat([data.batch(0).next_BS, data.batch(0).tokens_BS], 1).tolist()}
    assert rows == {(2, 3, -1, -1, -1, 1, 2, 0, 0, 0), (5, 6, 7, 8, 9, 4, 5, 6, 7, 8)}


def test_a_first_token_is_put_before_every_sequence(tmp_path):
    data = source(tmp_path, [[1, 2, 3], [4, 5, 6, 7, 8, 9, 10]], batch_size=3, cut="documents", bos=77)
    batch = data.batch(0)
    assert set(batch.tokens_BS[:, 0].tolist()) == {77}
    assert sorted(batch.next_BS[batch.next_BS >= 0].tolist()) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    with pytest.raises(ValueError, match="128 of ascii"):
        source(tmp_path / "b", [[1, 2]], bos=128)


def test_games_are_read_from_their_first_move(tmp_path):
    games = [[game, *range(50, 109)] for game in range(10)]
    data = source(tmp_path, games, n_ctx=59, batch_size=10, cut="starts")
    batch = data.batch(0)
    assert sorted(batch.tokens_BS[:, 0].tolist()) == list(range(10))
    assert batch.next_BS[3].tolist() == list(range(50, 109))


class Uniform(torch.nn.Module):
    """Knows nothing, and counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, ...]] = []

    def forward(self, tokens_BS: torch.Tensor) -> torch.Tensor:
        self.seen += map(tuple, tokens_BS.tolist())
        return torch.zeros(*tokens_BS.shape, 128)


@pytest.mark.parametrize(("held_out", "windows"), [(500, 20), (7, 7), (1, 1)])
def test_held_out_windows_are_distinct_and_read_once(tmp_path, held_out, windows):
    folder = write(tmp_path, {"train": [[3, 3, 4]], "val": [list(range(105))]})
    model = Uniform()
    quality = ShardSource(open_shards(folder), 5, 2, 0, held_out).evaluate(model)
    assert len(model.seen) == len(set(model.seen)) == windows
    assert quality["ce"] == pytest.approx(math.log(128))
    assert quality["count"] == 5 * windows


def test_guessing_by_frequency_is_measured_beside(tmp_path):
    folder = write(tmp_path, {"train": [[3] * 872], "val": [[3, 3, 3, 5]]})
    quality = ShardSource(open_shards(folder), 3, 1, 0).evaluate(Uniform())
    expected = -(2 * math.log(873 / 1000) + math.log(1 / 1000)) / 3
    assert quality["ce_unigram"] == pytest.approx(expected)


def test_an_empty_split_and_a_token_beyond_the_vocabulary_are_named(tmp_path):
    folder = write(tmp_path / "a", {"train": [[1, 2, 3]]})
    with pytest.raises(InputError, match="no sequence to predict in its split 'val'"):
        ShardSource(open_shards(folder), 2, 1, 0)
    folder = write(tmp_path / "b", {"train": [[1, 200, 3]], "val": [[1, 2]]})
    with pytest.raises(InputError, match="holds the token 200; the vocabulary ascii ends at 127"):
        ShardSource(open_shards(folder), 2, 1, 0).batch(0)
