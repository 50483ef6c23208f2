"""One page: do the features that carry a move know the rules of the game?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from saecli.report.captions import percent
from saecli.report.embed import page
from saecli.report.measure import visible
from saecli.report.palette import HELPS, HURTS, INK, MUTED, QUIET
from saecli.report.shapes import Group, Rectangle, Shape, Text
from saecli.report.svg import render, short

_LABELS, _BARS, _ROW, _TOP = 318.0, 430.0, 34.0, 30.0
_STEPS: Final = (0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class Bar:
    """One bar of a chart.

    Attributes:
        text: What it is of.
        share: Its length, 0 to 1.
        random: What chance would give.
        helps: Share of it that helps the target, None where it has no length.
        low, high: 95 % interval of the share, None if it was not measured.
    """

    text: str
    share: float
    random: float
    helps: float | None
    low: float | None = None
    high: float | None = None


def rules_page(title: str, about: str, classes: Sequence[Bar], sites: Sequence[Bar]) -> str:
    """The page, complete in itself; the same numbers give the same text.

    Args:
        title: The question.
        about: What was measured.
        classes: Classes of labels: shares of the effect of all features.
        sites: Sites, from the input on: within each the share of features whose label is that the target is legal.
    """
    from markupsafe import Markup

    charts = [
        {
            "title": heading,
            "note": note,
            "width": short(width),
            "height": short(height),
            "picture": Markup(render(shapes)),  # noqa: S704 - every text in it is escaped by svg.render
        }
        for heading, note, bars in (
            ("What the labels say", "Share of the absolute effect of all features.", classes),
            (
                "Where the move itself is known",
                "At each site, the share of its features' effect that is carried by those labelled as the target being "
                "a legal move, from the input (top) to the output.",
                sites,
            ),
        )
        for shapes, width, height in (bar_chart(bars),)
    ]
    rows = [(visible(one.text), _exact(one.share), _range(one), _exact(one.random), _helps(one)) for one in classes]
    return page("rules", {}, title=visible(title), about=visible(about), charts=charts, rows=rows)


def bar_chart(bars: Sequence[Bar]) -> tuple[list[Shape], float, float]:
    """Shapes, width and height: a bar per row, blue what helps and vermilion what hurts, a tick where chance is."""
    most = max((max(one.share, one.random, one.high or 0.0) for one in bars), default=0.0) or 1.0
    step = next((one for one in _STEPS if most / one <= 6), _STEPS[-1])
    scale = _BARS / (step * -(-most // step))
    height = _TOP + _ROW * len(bars)
    shapes: list[Shape] = []
    for line in range(int(_BARS / scale / step + 1.001)):
        x = _LABELS + line * step * scale
        shapes.append(Rectangle(x - 0.5, _TOP - 8, 1, height - _TOP + 8, 0, "#e3e7ec"))
        shapes.append(Text(x, 14, f"{round(100 * line * step)} %", 11, MUTED, "middle"))
    for row, one in enumerate(bars):
        shapes.append(Group("row", tuple(_row(one, _TOP + row * _ROW, scale)), title=_title(one)))
    return shapes, _LABELS + _BARS + 70, height + 6


def _row(one: Bar, top: float, scale: float) -> Iterator[Shape]:
    middle, helps = top + _ROW / 2, one.helps or 0.0
    yield Text(_LABELS - 12, middle + 4, one.text, 12.5, INK, "end")
    yield Rectangle(_LABELS, top + 8, _BARS, _ROW - 16, 2, QUIET)
    yield Rectangle(_LABELS, top + 8, one.share * helps * scale, _ROW - 16, 0, HELPS)
    yield Rectangle(_LABELS + one.share * helps * scale, top + 8, one.share * (1 - helps) * scale, _ROW - 16, 0, HURTS)
    if one.low is not None and one.high is not None:
        yield Rectangle(_LABELS + one.low * scale, middle - 0.75, (one.high - one.low) * scale, 1.5, 0, INK)
    yield Rectangle(_LABELS + one.random * scale - 1.25, top + 4, 2.5, _ROW - 8, 0, INK)
    yield Text(_LABELS + _BARS + 8, middle + 4, _exact(one.share), 12, INK)


def _title(one: Bar) -> str:
    return f"{one.text}: {_exact(one.share)} {_range(one)}, by chance {_exact(one.random)} {_helps(one)}".strip()


def _exact(share: float) -> str:
    return f"{100 * share:.1f} %"


def _range(one: Bar) -> str:
    return "" if one.low is None or one.high is None else f"{100 * one.low:.1f} to {100 * one.high:.1f} %"


def _helps(one: Bar) -> str:
    return "" if one.helps is None else f"{percent(one.helps)} helps"
