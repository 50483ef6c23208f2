"""Colours of every picture: ink, helps and hurts, and the shade that says how large an effect is.

Blue and vermilion are told apart by readers with any of the common colour-vision deficiencies, and differ in lightness
when printed in grey.
"""

from __future__ import annotations

from typing import Final

PAPER: Final = "#ffffff"
BLACK: Final = "#000000"
INK: Final = "#1b2430"
MUTED: Final = "#667085"
QUIET: Final = "#f4f6f8"
NEUTRAL: Final = "#98a2b3"

HELPS: Final = "#1660a8"
HURTS: Final = "#c4461a"
_TINTS: Final = {HELPS: "#edf4fb", HURTS: "#fdf0e9", NEUTRAL: "#f4f6f8"}


def hue(helps: bool | None) -> str:
    """The full colour of what helps, hurts or (None) does neither."""
    return NEUTRAL if helps is None else HELPS if helps else HURTS


def shade(helps: bool | None, strength: float) -> str:
    """Fill of a node: from a pale tint at strength 0 to the full colour at 1."""
    full = hue(helps)
    return mix(_TINTS[full], full, min(1.0, max(0.0, strength)))


def mix(first: str, second: str, share: float) -> str:
    """The colour that lies ``share`` of the way from the first to the second, both written ``#rrggbb``."""
    pairs = zip(_channels(first), _channels(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def ink_on(fill: str) -> str:
    """White or black, whichever is easier to read on the fill: always at least 4.5 to 1, which softer ink is not."""
    return PAPER if contrast(fill, PAPER) > contrast(fill, BLACK) else BLACK


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours after WCAG 2: 1 (equal) to 21 (black on white)."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _channels(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
