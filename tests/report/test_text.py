"""Texts in pictures: what is estimated to fit does fit, everything shows, and every fill keeps its text readable."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.report.measure import fit, number_text, text_width, visible, wrap
from saecli.report.palette import HELPS, HURTS, PAPER, contrast, hue, ink_on, mix, shade


@pytest.mark.parametrize("bold", [False, True])
def test_widths_are_at_least_those_of_the_font(bold):
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    font = FT2Font(f"{get_data_path()}/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf")
    font.set_size(1000, 72)
    for text in ("F5 legal .88", "WWWWMMMM", "iiiillll", "“naïve” − …", "Weiß ждёт Ωμέγα", "The quick brown fox"):
        real = sum(font.load_char(ord(c)).linearHoriAdvance for c in text) / 65536
        assert real <= text_width(text, 1000, bold) + 1 <= 2.2 * real


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=60), st.floats(4, 30), st.floats(20, 400), st.booleans())
def test_cut_texts_fit(text, size, width, bold):
    cut = fit(text, size, max(width, 2 * size), bold)
    assert text_width(cut, size, bold) <= max(width, 2 * size)
    assert cut == text or cut.endswith("…")
    for line in wrap(text, size, max(width, 2 * size), 3, bold):
        assert text_width(line, size, bold) <= max(width, 2 * size)


@given(st.text())
def test_visible_texts_are_one_line_without_hidden_characters(text):
    shown = visible(text)
    assert visible(shown) == shown
    assert len(shown) == len(text)
    assert all(c.isprintable() or unicodedata.category(c) == "Zs" for c in shown)  # blanks of all widths


def test_blanks_and_line_ends_show():
    assert visible("  ") == "␣␣"
    assert visible("a\n\tb") == "a↵⇥b"
    assert visible(" the") == " the"


def test_numbers_have_three_digits_and_a_true_minus():
    assert [number_text(v) for v in (0, 4.125, -0.01234, 12345.6, 1e-7, float("nan"))] == [
        "0", "4.12", "−0.0123", "12,346", "1.0e-07", "undefined",
    ]  # fmt: skip
    assert number_text(1.5, signed=True) == "+1.50"


@pytest.mark.parametrize("helps", [True, False, None])
def test_text_on_every_shade_has_contrast(helps):
    for percent in range(101):
        fill = shade(helps, percent / 100)
        assert contrast(fill, ink_on(fill)) >= 4.5


def test_helps_and_hurts_differ_for_colour_blind_readers():
    """Distance in RGB after Machado's simulation (2009) of missing red, green and blue cones."""
    simulations = {
        "protan": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
        "deutan": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
        "tritan": ((1.256, -0.077, -0.179), (-0.078, 0.931, 0.148), (0.005, 0.691, 0.304)),
    }
    for matrix in simulations.values():
        seen = [[sum(m * int(c[i : i + 2], 16) for m, i in zip(r, (1, 3, 5), strict=True)) for r in matrix]
                for c in (HELPS, HURTS)]  # fmt: skip
        assert sum((a - b) ** 2 for a, b in zip(*seen, strict=True)) ** 0.5 > 90


def test_shades_run_from_pale_to_full():
    assert shade(True, 1.0) == hue(True) == HELPS
    assert contrast(shade(True, 0), PAPER) < contrast(shade(True, 0.5), PAPER) < contrast(HELPS, PAPER)
    assert mix("#000000", "#ffffff", 0.5) == "#808080"
