"""Fidelity against L0 as a chart: its labels do not collide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saecli.report.curve_plot import apart


def test_labels_keep_their_places_where_there_is_room():
    assert apart([0.9, 0.5, 0.1], 0.1, 1.05) == pytest.approx([0.9, 0.5, 0.1])
    assert apart([], 0.1, 1.05) == []


def test_labels_that_collide_are_moved_to_both_sides():
    assert apart([0.5, 0.5, 0.5, 0.1], 0.1, 1.05) == pytest.approx([0.6, 0.5, 0.4, 0.1])
    assert apart([1.05, 1.05], 0.1, 1.05) == pytest.approx([1.05, 0.95])


@given(st.lists(st.floats(-0.05, 1.05), max_size=12))
def test_labels_are_apart_in_their_order(values):
    found = apart(sorted(values, reverse=True), 0.05, 1.05)
    assert len(found) == len(values)
    assert all(np.diff(found) <= -0.05 + 1e-9)
    assert all(one <= 1.05 + 1e-9 for one in found)
