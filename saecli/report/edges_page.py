"""Suites beside each other on one page: what they keep of the model, and how few edges carry it."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from saecli.report.embed import page
from saecli.report.measure import visible

Row = Mapping[str, Any]
_SHADES: Final = 5
_BAR: Final = 120


def edges_page(result: Row, picture: bytes) -> str:
    """The page, complete in itself, without scripts; the same numbers give the same text.

    Args:
        result: What was measured, as JSON has it (``saecli schema validate``: saecli.validate-edges).
        picture: Its figure as SVG.
    """
    names = [one["suite"] for one in result["suites"]]
    title = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    half = "" if result["half"] == "all" else f" (their {result['half']} half)"
    return page(
        "edges",
        {},
        title=visible(f"Edges of {title}"),
        about=visible(
            f"{result['model']} on {result['sequences']:,} held-out sequences of {result['data']}{half}, "
            f"{result['tokens']:,} predictions, cross-entropy {_number(result['ce_model']['value'])} nats. Brackets "
            "hold 95 % over sequences; differences are of the same sequences."
        ),
        picture="data:image/svg+xml;base64," + base64.b64encode(picture).decode(),
        suites=[_suite(one) for one in result["suites"]],
        several=len(names) > 1,
        curves=_curves(result),
        scored_on=visible("; ".join(sorted({one["scored_on"] for one in result["curves"]} - {""}))),
        sites=[_site(one) for one in result["sites"]],
        chunked=any(one["l0_per_chunk"] for one in result["sites"]),
        jacobian=any(one["jacobian"] is not None for one in result["sites"]),
    )


def _suite(one: Row) -> dict[str, str]:
    return {
        "name": visible(one["suite"]),
        "dictionaries": str(one["dictionaries"]),
        "parameters": f"{one['parameters']:,}",
        "increase": _bounded(one["ce_increase"]),
        "singles": _bounded(one["single_increases"]),
        "minus": "" if one["minus_first"] is None else _bounded(one["minus_first"]),
    }


def _curves(result: Row) -> list[dict[str, str]]:
    against = {(one["suite"], one["pair"]): one for one in result["differences"]}
    rows = []
    for one in result["curves"]:
        change = against.get((one["suite"], one["pair"]))
        rows.append(
            {
                "pair": one["pair"].replace(":", " → "),
                "name": visible(one["suite"]),
                "score": visible(one["score"]),
                "floor": _number(one["kl_dictionary"]["value"]),
                "area": _bounded(one["area"]),
                "random": _number(one["random_area"]["value"]),
                "ratio": "" if change is None else _bounded(change["edges_ratio"], 2),
            }
        )
    return rows


def _site(one: Row) -> dict[str, Any]:
    parts: Sequence[float] = one["l0_per_chunk"] or ()
    total = sum(parts) or 1.0
    shares = [part / total for part in parts]
    return {
        "site": visible(one["site"]),
        "name": visible(one["suite"]),
        "latents": f"{one['latents']:,}",
        "l0": _number(one["l0"]["value"], 1),
        "explained": _number(one["variance_explained"]["value"]),
        "increase": _bounded(one["ce_increase"]),
        "jacobian": "" if one["jacobian"] is None else _number(one["jacobian"]),
        "chunks": " ".join(_number(part, 2) for part in parts),
        "bars": [
            {"x": f"{_BAR * sum(shares[:number]):.2f}", "width": f"{_BAR * share:.2f}", "shade": number % _SHADES}
            for number, share in enumerate(shares)
        ],
    }


def _bounded(one: Row, digits: int = 3) -> str:
    value, low, high = one["value"], one["low"], one["high"]
    if low is None or math.isnan(low):
        return _number(value, digits)
    return f"{_number(value, digits)} [{_number(low, digits)}, {_number(high, digits)}]"


def _number(value: float | None, digits: int = 3) -> str:
    """With a minus sign of the width of a figure; a dash where nothing is defined."""
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")
