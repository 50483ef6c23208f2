"""The few shapes that pictures are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from saecli.report.layout import Point


@dataclass(frozen=True)
class Rectangle:
    """A rectangle with rounded corners; no border without a stroke."""

    left: float
    top: float
    width: float
    height: float
    radius: float
    fill: str
    stroke: str | None = None
    stroke_width: float = 0.0
    dashed: bool = False


@dataclass(frozen=True)
class Disc:
    """A circle; no border without a stroke."""

    x: float
    y: float
    radius: float
    fill: str
    stroke: str | None = None
    stroke_width: float = 0.0


@dataclass(frozen=True)
class Curved:
    """A line of straight pieces and bends (see :class:`saecli.report.layout.Curve`)."""

    points: tuple[Point, ...]
    colour: str
    width: float
    opacity: float
    key: str = ""


@dataclass(frozen=True)
class Text:
    """One line of text on its baseline."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    anchor: Literal["start", "middle", "end"] = "start"
    bold: bool = False


@dataclass(frozen=True)
class Group:
    """Shapes that belong together, perhaps shifted, with a name for people and a key for programs."""

    role: str
    shapes: tuple[Shape, ...]
    key: str = ""
    title: str = ""
    shift: Point = (0.0, 0.0)


Shape = Rectangle | Disc | Curved | Text | Group
