"""A graph as PNG: the shapes of the SVG, drawn by matplotlib's own rasteriser; nothing of the system is needed."""

from __future__ import annotations

import io
from typing import Final

from saecli.core.graph import FeatureGraph
from saecli.report import captions
from saecli.report.canvas import Canvas, own_settings
from saecli.report.layout import Layout
from saecli.report.palette import PAPER
from saecli.report.picture import draw
from saecli.report.place import lay_out
from saecli.report.shapes import Rectangle

_SCALE: Final = 2.0
_MOST_PIXELS: Final = 6e6
# zlib's level: higher ones take most of the time of a picture and save little.
_COMPRESSION: Final = 3


def to_png(
    graph: FeatureGraph,
    layout: Layout | None = None,
    scale: float | None = None,
    words: captions.Words = captions.CIRCUIT,
) -> bytes:
    """Draw a graph as PNG, at twice the size of the SVG or, for very large pictures, as large as is still handy.

    Args:
        graph: The graph.
        layout: Its layout, if it is made already.
        scale: Pixels of the PNG for one of the SVG.
        words: What it says.
    """
    from matplotlib.backends.backend_agg import RendererAgg
    from PIL import Image

    picture = draw(graph, layout or lay_out(graph), words)
    scale = scale or min(_SCALE, (_MOST_PIXELS / (picture.width * picture.height)) ** 0.5)
    size = round(picture.width * scale), round(picture.height * scale)
    with own_settings():
        renderer = RendererAgg(*size, 72)
        paper = Rectangle(0, 0, picture.width + 1, picture.height + 1, 0, PAPER)
        Canvas(renderer, size[1], scale).draw([paper, *picture.shapes])
        image = Image.frombuffer("RGBA", size, bytes(renderer.buffer_rgba()), "raw", "RGBA", 0, 1).convert("RGB")
    out = io.BytesIO()
    image.save(out, format="png", compress_level=_COMPRESSION)
    return out.getvalue()
