"""Fractions of variance unexplained."""

from __future__ import annotations

import pytest
import torch

from saecli.core.errors import UsageError
from saecli.pruned.measure import fvu

Y = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("mode", ["pooled", "scae"])
def test_nothing_is_unexplained_by_the_values_themselves_and_all_by_their_mean(mode):
    assert fvu(Y, Y, mode) == 0
    mean = Y.flatten(0, 1).mean(0) if mode == "pooled" else Y.mean(0)
    assert fvu(Y, mean.expand_as(Y), mode).item() == pytest.approx(1, rel=1e-12)


def test_an_offset_per_position_is_seen_by_one_mode_only():
    moved = Y + torch.arange(5.0)[:, None]
    assert fvu(Y, moved, "scae").item() == pytest.approx(0, abs=1e-24)
    assert fvu(Y, moved, "pooled") > 1


def test_by_hand():
    y = torch.tensor([[[0.0], [2.0]], [[4.0], [2.0]]])
    found = torch.tensor([[[0.0], [2.0]], [[2.0], [2.0]]])
    assert fvu(y, found, "pooled") == 0.5  # 4 over 4 + 0 + 4 + 0
    assert fvu(y, found, "scae") == 0.25  # variances 2 + 0 over 8 + 0


def test_one_sequence_has_no_variance_over_the_batch():
    with pytest.raises(UsageError, match="batch of one sequence"):
        fvu(Y[:1], Y[:1], "scae")
    assert fvu(Y[:1], Y[:1]) == 0
