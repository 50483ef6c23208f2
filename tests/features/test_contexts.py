"""Where features fire most strongly: against a plain loop, and not depending on how sequences are cut into parts."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.codes import Codes, SiteCodes
from saecli.core.site import Site
from saecli.features.contexts import top_contexts, windows

SITE = Site(1, "resid_pre")
FEATURES = 5


def codes(sequences: list[torch.Tensor]) -> Codes:
    """Codes of dense activations [S, F], one tensor per sequence."""
    dense = torch.cat(sequences)
    slots = torch.arange(FEATURES).expand(len(dense), -1)
    starts = torch.tensor([0, *[len(one) for one in sequences]]).cumsum(0)
    return Codes(torch.zeros(len(dense), dtype=torch.int32), starts, {SITE: SiteCodes.of(slots, dense)})


def plainly(sequences: list[torch.Tensor], feature: int, count: int, width: int):
    """Sequence, position and activations around, for each of the strongest contexts."""
    found = []
    for number, acts in enumerate(sequences):
        column = acts[:, feature].tolist()
        best = max(range(len(column)), key=lambda t: abs(column[t]))
        if column[best]:
            around = [column[t] if 0 <= t < len(column) else 0.0 for t in range(best - width, best + width + 1)]
            found.append((-abs(column[best]), number, best, around))
    return [tuple(one[1:]) for one in sorted(found)[:count]]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=8),
    seed=st.integers(0, 10**6),
    cut=st.integers(0, 8),
    count=st.integers(1, 4),
    width=st.integers(0, 3),
)
def test_contexts_are_those_of_a_plain_loop_however_parts_are_cut(lengths, seed, cut, count, width):
    generator = torch.Generator().manual_seed(seed)
    sequences = [
        torch.randint(-1, 5, (length, FEATURES), generator=generator)
        * (torch.rand(length, FEATURES, generator=generator) < 0.4)
        for length in lengths
    ]
    sequences = [one.float() for one in sequences]
    parts = [codes(part) for part in (sequences[:cut], sequences[cut:]) if part]
    table = top_contexts(parts, {SITE: FEATURES}, count, width)[SITE]
    for feature in range(FEATURES):
        expected = plainly(sequences, feature, count, width)
        rows = zip(table.sequence_FC[feature], table.position_FC[feature], table.around_FCW[feature], strict=True)
        found = [(int(s), int(p), around.tolist()) for s, p, around in rows if s >= 0]
        assert found == expected


def test_a_window_ends_where_its_sequence_does():
    assert windows([10, 11, 12, 13], 1, 2) == (1, [10, 11, 12, 13])
    assert windows([10, 11, 12, 13], 3, 2) == (0, [11, 12, 13])
