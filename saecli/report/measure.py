"""How wide a text is drawn, and how to make it fit.

Widths are those of DejaVu Sans in thousandths of the font size: the font of the PNG, and one of the widest of the usual
sans-serif fonts, so that a text which fits here fits in the reader's browser too.
"""

from __future__ import annotations

import math
import unicodedata
from typing import Final

# Printable ASCII from the space to the tilde.
_ASCII: Final = (
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337,
    636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531,
    1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787,
    603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500,
    500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612,
    635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
)  # fmt: skip
_WIDE: Final = 1050
_OTHER: Final = 900
_BOLD: Final = 1.24

_VISIBLE: Final = {"\n": "↵", "\r": "↵", "\t": "⇥", "\u00a0": " "}
_HIDDEN_CATEGORIES: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: str) -> str:
    """The text on one line, with every character showing: line ends and tabs as arrows, blanks as ``␣``.

    Characters that draw nothing or steer the text around them (controls, direction marks, half surrogate pairs)
    become ``\N{REPLACEMENT CHARACTER}``: a label must not be able to look like another one.
    """
    shown = "".join(
        _VISIBLE.get(c) or ("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _HIDDEN_CATEGORIES else c)
        for c in text
    )
    return "␣" * len(shown) if shown and not shown.strip() else shown


def number_text(value: float, signed: bool = False) -> str:
    """A number for people: three significant digits, a true minus sign, no exponent unless it is needed."""
    if not math.isfinite(value):
        return "undefined"
    size = abs(value)
    if size != 0 and not 1e-3 <= size < 1e6:
        text = f"{size:.1e}"
    else:
        text = f"{size:,.{max(0, min(4, 2 - math.floor(math.log10(size)))) if size else 0}f}"
    sign = "−" if value < 0 else "+" if signed and value > 0 else ""
    return sign + text


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of a text at a font size, in the unit of the size; an upper estimate."""
    total = sum(_ASCII[ord(c) - 32] if " " <= c <= "~" else _foreign(c) for c in text)
    return total * size / 1000 * (_BOLD if bold else 1)


def fit(text: str, size: float, width: float, bold: bool = False) -> str:
    """The text itself if it fits into ``width``, else its beginning and an ellipsis."""
    if text_width(text, size, bold) <= width:
        return text
    room = width - text_width("…", size, bold)
    used = 0.0
    for count, character in enumerate(text):
        used += text_width(character, size, bold)
        if used > room:
            return text[:count].rstrip(" .,:") + "…"
    return text


def wrap(text: str, size: float, width: float, lines: int, bold: bool = False) -> list[str]:
    """The text in at most ``lines`` lines, broken at blanks; the last line ends in an ellipsis if not all fits."""
    done: list[str] = []
    words = text.split()
    while words and len(done) < lines - 1:
        count = 1
        while count < len(words) and text_width(" ".join(words[: count + 1]), size, bold) <= width:
            count += 1
        done.append(fit(" ".join(words[:count]), size, width, bold))
        words = words[count:]
    if words:
        done.append(fit(" ".join(words), size, width, bold))
    return done


def _foreign(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return _WIDE if unicodedata.east_asian_width(character) in "WF" or ord(character) > 0xFFFF else _OTHER
