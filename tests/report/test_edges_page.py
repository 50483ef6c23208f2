"""Suites by their edges: the figure and the page of ``saecli validate --edges``."""

from __future__ import annotations

import re

import pytest

from saecli.report.edges_page import edges_page
from saecli.report.edges_plot import Curve, edges_figure


def curve(suite: str, pair: str) -> Curve:
    line = [(3.0, 2.5, 3.5), (2.0, 1.5, 2.5), (1.0, 0.5, 1.5)]
    return Curve(suite, pair, [0, 1, 65536], line, line, line, line, 0.5)


@pytest.mark.parametrize(("names", "columns"), [(("topk", "j1"), 5), (("topk" * 9, "j1" * 9), 2)])
def test_the_figure_has_a_row_per_pair_and_one_entry_per_suite(names, columns):
    curves = [curve(name, pair) for pair in ("0.mlp_in:0.mlp_out", "1.mlp_in:1.mlp_out") for name in names]
    figure = edges_figure(curves)
    assert [axes.get_title(loc="left") for axes in figure.axes[::2]] == [
        "0.mlp_in to 0.mlp_out",
        "1.mlp_in to 1.mlp_out",
    ]
    assert len(figure.axes) == 4
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *names,
        "95 % over sequences",
        "random order, smallest to largest",
        "target dictionary alone",
    ]
    assert vars(legend)["_ncols"] == columns
    label = figure.axes[0].xaxis.get_major_formatter()
    assert [label(count, 0) for count in (0, 1, 100, 1000, 10_000, 1e6, 1e9)] == [
        "0",
        "1",
        "100",
        "1k",
        "10k",
        "1M",
        "1G",
    ]


def test_the_page_says_what_is_not_known_and_keeps_text_text():
    number = {"value": 1.25, "low": 1.0, "high": 1.5}
    nothing = {"value": None, "low": None, "high": None}
    site = {"site": "0.mlp_in", "latents": 1024, "l0": number, "variance_explained": number, "ce_increase": number}
    suites = [
        {"suite": name, "dictionaries": 2, "parameters": 12345, "ce_increase": number, "single_increases": number}
        for name in ("<b>", "j1")
    ]
    result = {
        "model": "m",
        "data": "d",
        "half": "second",
        "sequences": 2,
        "tokens": 20,
        "ce_model": number,
        "suites": [suites[0] | {"minus_first": None}, suites[1] | {"minus_first": {**number, "value": -1.25}}],
        "sites": [
            site | {"suite": "<b>", "l0_per_chunk": [0.75, 0.5], "jacobian": None},
            site | {"suite": "j1", "l0_per_chunk": None, "jacobian": 0.5},
        ],
        "curves": [
            {"suite": name, "pair": "0.mlp_in:0.mlp_out", "score": "ig", "scored_on": "d, first half", "area": number}
            | {"kl_dictionary": number, "random_area": number}
            for name in ("<b>", "j1")
        ],
        "differences": [{"suite": "j1", "pair": "0.mlp_in:0.mlp_out", "edges_ratio": nothing}],
    }
    page = edges_page(result, b"<svg/>")
    assert "<b>" not in page
    assert "Edges of &lt;b&gt; and j1" in page
    for said in (
        "−1.250 [1.000, 1.500]",
        "12,345",
        "0.mlp_in → 0.mlp_out",
        "Edges scored on d, first half.",
        "<td>–</td>",
    ):
        assert said in page
    bars = [(float(x), float(width)) for x, width in re.findall(r'<rect x="([\d.]+)" y="0" width="([\d.]+)"', page)]
    assert bars == [(0, 72), (72, 48)]
