"""The flag of ``saecli trace --rules``. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saecli.core.config import ModelConfigMixin, PlaceConfig, SharedConfig, SitesMixin, config_fields, option
from saecli.core.errors import UsageError

_USED: Final = frozenset(("rules", "model", "suite", "probe", "labels", "method", "steps", "rule", "metric"))


@dataclass(frozen=True, kw_only=True)
class RulesMixin(PlaceConfig):
    """Which labels carry the target."""

    rules: int | None = option(
        None,
        help="Draw no graph: over this many held-out games of Othello, each at one of its moves, find which labels of "
        "features carry the effect on the model's choice, beside what chance would give.",
        minimum=2,
        metavar="GAMES",
        panel="Labels",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rules is None:
            return
        shared = {item.name for one in (SharedConfig, ModelConfigMixin, SitesMixin) for item in config_fields(one)}
        for item in config_fields(type(self)):
            if item.name not in _USED | shared and getattr(self, item.name) != item.default:
                raise UsageError(f"{item.flag} is of a graph, and --rules draws none.", "Keep one of them.")
        if getattr(self, "method", None) not in (None, "gradient", "ig"):
            raise UsageError("--rules goes with --method gradient and ig.", "Use --method ig.")

    @property
    def is_latest(self) -> bool:
        """Not of a sum over games, which leaves no graph."""
        return super().is_latest and self.rules is None
