"""What the zoo holds, as a static table: names for help, completion and look-up without importing an adapter."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """One model or suite of the zoo."""

    kind: str
    family: str
    description: str
    asset: str = ""


INDEX: dict[str, Entry] = {
    "othello-mini": Entry(
        "model", "othellogpt", "Embedded 8-layer OthelloGPT with its 25 dictionaries.", "othello-mini"
    ),
}
"""Name → entry. `kind` is `model` or `suite`; `asset` is the folder below zoo/assets of what ships with the program."""
