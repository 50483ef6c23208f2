"""A graph as SVG text: the same picture everywhere, with the full name of every node one hover away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from saecli.core.graph import FeatureGraph
from saecli.report import captions
from saecli.report.layout import Layout, Point
from saecli.report.measure import visible
from saecli.report.picture import draw
from saecli.report.place import lay_out
from saecli.report.shapes import Curved, Disc, Group, Rectangle, Shape, Text

FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'


def to_svg(graph: FeatureGraph, layout: Layout | None = None, words: captions.Words = captions.CIRCUIT) -> str:
    """Draw a graph as a complete SVG document; the same graph gives the same text."""
    picture = draw(graph, layout or lay_out(graph), words)
    width, height = short(picture.width), short(picture.height)
    title = escape(captions.headline(graph))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family={quoteattr(FONT)}>\n'
        f'<title>{title}</title>\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f"{render(picture.shapes)}</svg>\n"
    )


def render(shapes: Iterable[Shape]) -> str:
    """SVG elements of shapes, one to a line."""
    return "".join(_element(shape) for shape in shapes)


def short(value: float) -> str:
    """A coordinate in as few characters as hundredths of a pixel need."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _element(shape: Shape) -> str:
    match shape:
        case Group():
            return _group(shape)
        case Text():
            anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
            weight = ' font-weight="600"' if shape.bold else ""
            return (
                f'<text x="{short(shape.x)}" y="{short(shape.y)}" font-size="{short(shape.size)}" '
                f'fill="{shape.colour}"{anchor}{weight}>{escape(visible(shape.text))}</text>\n'
            )
        case Rectangle():
            radius = f' rx="{short(shape.radius)}"' if shape.radius else ""
            dash = ' stroke-dasharray="3.5 2.5"' if shape.dashed else ""
            return (
                f'<rect x="{short(shape.left)}" y="{short(shape.top)}" width="{short(shape.width)}" '
                f'height="{short(shape.height)}"{radius} fill="{shape.fill}"'
                f"{_stroke(shape.stroke, shape.stroke_width)}{dash}/>\n"
            )
        case Disc():
            return (
                f'<circle cx="{short(shape.x)}" cy="{short(shape.y)}" r="{short(shape.radius)}" fill="{shape.fill}"'
                f"{_stroke(shape.stroke, shape.stroke_width)}/>\n"
            )
        case Curved():
            key = f' data-key="{shape.key}"' if shape.key else ""
            return (
                f'<path{key} d="{_path(shape.points)}" fill="none" stroke="{shape.colour}" '
                f'stroke-width="{short(shape.width)}" stroke-opacity="{short(shape.opacity)}"/>\n'
            )


def _group(group: Group) -> str:
    key = f' data-key="{group.key}"' if group.key else ""
    shift = f' transform="translate({short(group.shift[0])} {short(group.shift[1])})"' if any(group.shift) else ""
    lines = "\n".join(visible(line) for line in group.title.split("\n"))
    title = f"<title>{escape(lines)}</title>\n" if lines else ""
    return f'<g class="{group.role}"{key}{shift}>\n{title}{render(group.shapes)}</g>\n'


def _stroke(colour: str | None, width: float) -> str:
    return f' stroke="{colour}" stroke-width="{short(width)}"' if colour else ""


def _path(points: Sequence[Point]) -> str:
    start, *middle, end = (f"{short(x)} {short(y)}" for x, y in points)
    pieces = (f"L{turn}C{out} {back} {arrive}" for turn, out, back, arrive in zip(*[iter(middle)] * 4, strict=True))
    return f"M{start}{''.join(pieces)}L{end}"
