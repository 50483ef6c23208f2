"""What features do, counted from codes by hand."""

from __future__ import annotations

import torch

from saecli.core.codes import Codes, SiteCodes
from saecli.core.site import Site
from saecli.view.activity import BINS, activities

SITE = Site(0, "resid_pre")
BOS = 9


def part(tokens: list[int], acts: list[list[float]]) -> Codes:
    """One sequence with the dense activations of its tokens."""
    dense = torch.tensor(acts)
    features = torch.arange(dense.shape[1]).expand_as(dense)
    codes = SiteCodes.of(features.clone(), dense)
    return Codes(torch.tensor(tokens, dtype=torch.int32), torch.tensor([0, len(tokens)]), {SITE: codes})


def test_firing_and_contexts_leave_out_what_the_suite_leaves_out():
    parts = [
        part([BOS, 1, 2], [[5, 8, 0], [0, 1, 3], [0, 2, 0]]),
        part([BOS, 3, 4, 1], [[5, 9, 0], [0, 4, 0], [0, 0, 0], [0, 3, 0]]),
    ]
    found = activities(parts, {SITE: [1, 0]}, {SITE: 3}, left_out=(BOS,), count=2, width=1)[SITE]
    often, never = found.firing
    assert (found.features, often.tokens, often.active) == ((1, 0), 5, 4)
    assert (often.mean, often.strongest, sum(often.counts)) == (2.5, 4.0, 4)
    assert (len(often.counts), often.edges[0], often.edges[-1], often.counts[-1]) == (BINS, 0.0, 4.0, 1)
    assert (never.tokens, never.active, never.edges) == (5, 0, ())
    assert found.table.sequence_FC.tolist() == [[1, 0], [-1, -1]]
    assert found.table.position_FC[0].tolist() == [1, 2]
    assert found.table.around_FCW[0].tolist() == [[0, 4, 0], [1, 2, 0]]
