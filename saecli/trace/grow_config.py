"""The flags of ``saecli trace`` that thin a graph out and grow it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from saecli.core.config import CommandConfig, option
from saecli.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class GrowMixin(CommandConfig):
    """Which part of the first site is looked at, and which graph is continued."""

    first_fraction: float = option(
        1.0,
        help="Of the features that are active at the first chosen site look at this share only, drawn by --seed.",
        minimum=0.0,
        maximum=1.0,
        panel="Selection",
    )
    extend: str | None = option(
        None,
        help="Grow this graph by the sites chosen here, from a residual site that both have: of the same model, "
        "dictionaries, input, metric and method.",
        metavar="GRAPH",
        complete="files",
        input=True,
        panel="Selection",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.first_fraction > 0:
            raise UsageError("--first-fraction 0 leaves nothing.", "Write a share above 0, such as 0.5.")
        if self.extend is not None and getattr(self, "prompts", None) is not None:
            raise UsageError("--extend grows a graph of one input, and --prompts names many.", "Keep one.")
