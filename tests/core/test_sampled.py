"""Entries of a product: those of the whole product."""

from __future__ import annotations

import warnings

import pytest
import torch

from saecli.core.sampled import sampled


@pytest.mark.parametrize("integer", [torch.int32, torch.int64])
@pytest.mark.parametrize("entries", [0, 1, 17, 70])
def test_entries_are_those_of_the_whole_product(integer, entries):
    generator = torch.Generator().manual_seed(entries)
    left_RD, right_DC = (torch.randn(*size, generator=generator, dtype=torch.float64) for size in ((7, 5), (5, 10)))
    places_E = torch.randperm(70, generator=generator)[:entries].sort().values
    rows_E, columns_E = places_E // 10, places_E % 10
    starts = torch.cat([torch.zeros(1), torch.bincount(rows_E, minlength=7).cumsum(0)]).to(integer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found_E = sampled(starts, columns_E.to(integer), left_RD, right_DC.T)
    torch.testing.assert_close(found_E, (left_RD @ right_DC)[rows_E, columns_E], rtol=1e-12, atol=1e-14)
