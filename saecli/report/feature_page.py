"""The page of one feature: where it fires, what it writes, what it depends on and is used by, where it appears."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from saecli.core.evidence import Context, Evidence, Weighted
from saecli.core.graph import FeatureGraph
from saecli.report.board import board_shapes, is_chess, squares_in
from saecli.report.embed import page
from saecli.report.measure import number_text, visible
from saecli.report.palette import HELPS, HURTS, INK, MUTED, QUIET, mix
from saecli.report.picture import body
from saecli.report.place import lay_out
from saecli.report.shapes import Group, Rectangle, Shape, Text
from saecli.report.svg import render, short

_LEVELS: Final = 8
_BOARD: Final = 112.0
_WIDE, _HIGH, _LEFT, _BELOW = 460.0, 150.0, 46.0, 34.0
_BAR: Final = 120.0
_SQUARE: Final = 24.0
_FELT, _GRID = "#eef2ee", "#cdd6cf"
_BOARDS: Final = {
    "othello": "Boards: A1 is the top left square; the dot marks the move just played, the blue frame the square that "
    "the label names.",
    "chess": "Boards: a1 is the bottom left square, White plays up.",
}


@dataclass(frozen=True)
class Firing:
    """How often and how strongly a feature fires.

    Attributes:
        tokens: Tokens looked at.
        active: On how many of them it is active.
        mean: Its mean where it is active.
        strongest: The largest in size.
        edges: Of equal bins from 0 (or the smallest) to the largest; empty if it is never active.
        counts: Active tokens in each.
    """

    tokens: int
    active: int
    mean: float
    strongest: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Joined:
    """A connected feature.

    Attributes:
        name: Its address, or the token.
        label: What it is about.
        mean: Mean contribution through the connection; None if the downstream end is never active.
        score: What the file of connections says.
        page: Of its own, empty if there is none.
    """

    name: str
    label: str
    mean: float | None
    score: float | None
    page: str = ""


@dataclass(frozen=True)
class Place:
    """A run that a feature appears in: its title, where in it, and its page."""

    title: str
    about: str
    page: str


@dataclass(frozen=True)
class Shown:
    """All that a page says.

    Attributes:
        name, label: The feature.
        about: Model and dictionary in a line.
        read: What was looked through, in a line.
        firing, evidence: Where it fires and what it writes.
        pages: Address → page, of the features that have one.
        called: Address → label, of the similar features that have one.
        score: What connections were chosen by; empty without connections.
        unconnected: Why there are no connections, a sentence.
        upstream, downstream: The strongest connections.
        in_degree, out_degree: How many there are.
        graph: They as a graph, None without.
        graph_page: Of all features together.
        circuits, clusters: Runs that it appears in.
        before, after: Pages of the features beside it, empty at the ends.
        index: Page of all features, empty for a lone one.
    """

    name: str
    label: str
    about: str
    read: str
    firing: Firing
    evidence: Evidence
    pages: dict[str, str] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)
    score: str = ""
    unconnected: str = ""
    upstream: Sequence[Joined] = ()
    downstream: Sequence[Joined] = ()
    in_degree: int = 0
    out_degree: int = 0
    graph: FeatureGraph | None = None
    graph_page: str = ""
    circuits: Sequence[Place] = ()
    clusters: Sequence[Place] = ()
    before: str = ""
    after: str = ""
    index: str = ""


def feature_page(shown: Shown) -> str:
    """The page, complete in itself; it runs nothing and loads nothing, and the same feature gives the same text."""
    contexts = shown.evidence.contexts
    most = max((abs(value) for one in contexts for value in one.values), default=0.0)
    largest = max((abs(one.mean or 0.0) for one in (*shown.upstream, *shown.downstream)), default=0.0)
    firing, boards = shown.firing, [one.board for one in contexts if one.board]
    game = "" if not boards else "chess" if is_chess(boards[0]) else "othello"
    spoken = [
        (name, _chips(rows)) for name, rows in (("raises", shown.evidence.raises), ("lowers", shown.evidence.lowers))
    ]
    moves = _moves(shown.evidence) if game == "othello" else None
    return page(
        "feature",
        {},
        title=visible(f"{shown.name} · {shown.label}" if shown.label else shown.name),
        shown=shown,
        visible=visible,
        number=number_text,
        frequency=_share(firing.active, firing.tokens),
        histogram=_figure(histogram(firing)) if firing.active else None,
        contexts=[_context(one, most, shown.label) for one in contexts],
        boards=_BOARDS.get(game, ""),
        spoken=spoken if any(rows for _, rows in spoken) else [],
        moves=_figure((moves, 8 * _SQUARE + 20, 8 * _SQUARE + 18)) if moves else None,
        near=[
            (visible(name), visible(shown.called.get(name, "")), number_text(cosine), shown.pages.get(name, ""))
            for name, cosine in shown.evidence.near
        ],
        links=[
            ("Depends on", shown.upstream, shown.in_degree, "Nothing: no feature is connected to it."),
            ("Used by", shown.downstream, shown.out_degree, "Nothing: no feature is connected with it."),
        ],
        bar=lambda joined: _figure((list(_bar(joined.mean, largest)), _BAR, 12.0)),
        scored=any(one.score is not None for one in (*shown.upstream, *shown.downstream)),
        picture=_picture(shown.graph) if shown.graph is not None and shown.graph.edges else None,
    )


def features_page(title: str, about: str, shown: Sequence[tuple[str, Shown]], graph_page: str = "") -> str:
    """The page of all features that have one, with links to theirs.

    Args:
        title, about: What they are of.
        shown: The file of each page, and what it says.
        graph_page: Of the graph of their connections; empty without.
    """
    rows = [
        {
            "page": file,
            "name": visible(one.name),
            "label": visible(one.label),
            "frequency": _share(one.firing.active, one.firing.tokens),
            "strongest": number_text(one.firing.strongest) if one.firing.active else "",
            "upstream": one.in_degree,
            "downstream": one.out_degree,
            "runs": len(one.circuits) + len(one.clusters),
        }
        for file, one in shown
    ]
    connected = any(one.score for _, one in shown)
    return page(
        "features", {}, title=visible(title), about=visible(about), rows=rows, graph=graph_page, connected=connected
    )


def histogram(firing: Firing) -> tuple[list[Shape], float, float]:
    """Shapes, width and height: active tokens by activation."""
    bottom, top = _HIGH, 8.0
    scale, most = (_WIDE - _LEFT - 8) / len(firing.counts), max(firing.counts)
    shapes: list[Shape] = []
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - top)
        shapes.append(Rectangle(_LEFT, y - 0.5, _WIDE - _LEFT - 8, 1, 0, "#e3e7ec"))
        if share == 0 or most * share == round(most * share):
            shapes.append(Text(_LEFT - 6, y + 4, f"{round(most * share):,}", 11, MUTED, "end"))
    for number, count in enumerate(firing.counts):
        low, high = firing.edges[number], firing.edges[number + 1]
        tall = max(1.5, count / most * (bottom - top)) if count else 0.0
        title = f"{number_text(low)} to {number_text(high)}: {count:,} tokens"
        bar = Rectangle(_LEFT + number * scale + 0.5, bottom - tall, scale - 1, tall, 0, HURTS if high <= 0 else HELPS)
        shapes.append(Group("bar", (bar,), title=title))
    for number in range(0, len(firing.counts) + 1, max(1, len(firing.counts) // 4)):
        shapes.append(Text(_LEFT + number * scale, bottom + 16, number_text(firing.edges[number]), 11, MUTED, "middle"))
    shapes.append(Text((_LEFT + _WIDE) / 2, bottom + 31, "activation", 11, MUTED, "middle"))
    return shapes, _WIDE + 14, _HIGH + _BELOW


def _context(one: Context, most: float, label: str) -> dict[str, Any]:
    tokens = [
        {
            "text": visible(text),
            "shade": _shade(value, most),
            "value": number_text(value) if value else "",
            "at": i == one.at,
        }
        for i, (text, value) in enumerate(zip(one.tokens, one.values, strict=True))
    ]
    where = f"{'move' if one.moves else 'position'} {one.position + one.moves}"
    found: dict[str, Any] = {"tokens": tokens, "moves": one.moves, "value": number_text(one.values[one.at])}
    found |= {"where": f"sequence {one.sequence:,}, {where}", "board": None}
    if one.board:
        played = next(iter(squares_in(one.tokens[one.at])), None) if one.moves else None
        target = next(iter(squares_in(label)), None) if one.moves else None
        found["board"] = _figure((list(_board(one.board, played, target)), _BOARD + 2, _BOARD + 2))
    return found


def _board(board: str, played: int | None, target: int | None) -> Iterator[Shape]:
    """A board with the square outlined that the label speaks of, whatever stands there."""
    yield from board_shapes(board, 1, 1, _BOARD, played)
    if target is None:
        return
    cell = _BOARD / 8
    x, y = 1 + target % 8 * cell, 1 + target // 8 * cell
    for left, top, wide, high in (
        (x, y, cell, 2),
        (x, y + cell - 2, cell, 2),
        (x, y, 2, cell),
        (x + cell - 2, y, 2, cell),
    ):
        yield Rectangle(left, top, wide, high, 0, HELPS)


def _chips(rows: Weighted) -> list[dict[str, str]]:
    most = max((abs(value) for _, value in rows), default=0.0)
    return [
        {"text": visible(name), "value": number_text(value, signed=True), "shade": _shade(value, 1.6 * most)}
        for name, value in rows
    ]


def _moves(evidence: Evidence) -> list[Shape]:
    """The squares of the moves that a feature speaks for (blue) and against (vermilion)."""
    rows = [(squares_in(name), value) for name, value in (*evidence.raises, *evidence.lowers)]
    rows = [(squares, value) for squares, value in rows if len(squares) == 1]
    if not rows:
        return []
    most = max(abs(value) for _, value in rows)
    shapes: list[Shape] = [Rectangle(18, 1, 8 * _SQUARE, 8 * _SQUARE, 2, _FELT, _GRID, 1.0)]
    for (square,), value in rows:
        colour = mix(_FELT, HELPS if value > 0 else HURTS, 0.15 + 0.75 * abs(value) / most)
        x, y = 18 + square % 8 * _SQUARE, 1 + square // 8 * _SQUARE
        name = f"{'ABCDEFGH'[square % 8]}{square // 8 + 1}: {number_text(value, signed=True)}"
        shapes.append(Group("square", (Rectangle(x, y, _SQUARE, _SQUARE, 0, colour),), title=name))
    for line in range(1, 8):
        shapes.append(Rectangle(18 + line * _SQUARE - 0.25, 1, 0.5, 8 * _SQUARE, 0, _GRID))
        shapes.append(Rectangle(18, 1 + line * _SQUARE - 0.25, 8 * _SQUARE, 0.5, 0, _GRID))
    for line in range(8):
        shapes.append(Text(18 + (line + 0.5) * _SQUARE, 8 * _SQUARE + 14, "ABCDEFGH"[line], 10, MUTED, "middle"))
        shapes.append(Text(8, 1 + (line + 0.5) * _SQUARE + 4, str(line + 1), 10, MUTED, "middle"))
    return shapes


def _bar(mean: float | None, most: float) -> Iterator[Shape]:
    """A bar from the middle: to the right (blue) if the connection raises, to the left (vermilion) if it lowers."""
    middle = _BAR / 2
    yield Rectangle(0, 2, _BAR, 8, 1, QUIET)
    if mean and most:
        long = abs(mean) / most * (middle - 1)
        yield Rectangle(middle if mean > 0 else middle - long, 2, max(1.0, long), 8, 0, HELPS if mean > 0 else HURTS)
    yield Rectangle(middle - 0.5, 0, 1, 12, 0, INK)


def _picture(graph: FeatureGraph) -> dict[str, Any]:
    layout = lay_out(graph)
    shapes, height = body(graph, layout)
    return _figure((list(shapes), layout.width + 12, height))


def _figure(drawn: tuple[Sequence[Shape], float, float]) -> dict[str, Any]:
    from markupsafe import Markup

    shapes, width, height = drawn
    return {"picture": Markup(render(shapes)), "width": short(width), "height": short(height)}  # noqa: S704 - escaped


def _shade(value: float, most: float) -> str:
    """A class of the style sheet: how strong, and which sign."""
    if not value or not most:
        return ""
    return f"{'p' if value > 0 else 'n'}{max(1, min(_LEVELS, round(_LEVELS * abs(value) / most)))}"


def _share(active: int, tokens: int) -> str:
    if not active:
        return "0 %"
    share = active / tokens
    return f"{100 * share:.3g} %" if share >= 1e-4 else f"1 of {round(1 / share):,}"
