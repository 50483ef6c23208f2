"""Configuration of ``saecli trace --method search``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

from saecli.core.config import option
from saecli.core.errors import UsageError

PANEL: Final = "Search (--method search)"
SAMPLES: Final = 16
NEIGHBOURS: Final = 256


@dataclass(frozen=True, kw_only=True)
class SearchMixin:
    """How a search goes."""

    threshold: float = option(
        0.25,
        help="Keep as few features as leave the prediction within this KL divergence, in nats.",
        minimum=0.0,
        panel=PANEL,
    )
    samples: int = option(
        SAMPLES,
        help="What the other features have is drawn so often; the predictions are averaged.",
        minimum=1,
        panel=PANEL,
    )
    neighbours: int = option(
        NEIGHBOURS,
        help="Draw among so many tokens of --data that are nearest in the features kept; 0: among all tokens.",
        minimum=0,
        panel=PANEL,
    )
    position_weight: float = option(
        2.0,
        help="What a difference of positions counts in the distance at the first layer, falling to nothing at the "
        "last; with --neighbours 0, draw from the same position; 0: from any.",
        minimum=0.0,
        panel=PANEL,
    )
    max_tokens: int = option(
        24, help="Choose the features of at most this many tokens at the first site.", minimum=1, panel=PANEL
    )
    window: int = option(
        0,
        help="Stop adding features, too, when the divergence exceeds its mean over the last so many; 0: do not.",
        minimum=0,
        panel=PANEL,
    )

    def check_search(self) -> None:
        """Refuse choices of the search with another method, and those of others with it.

        Raises:
            UsageError: There is one.
        """
        chosen: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        if chosen["method"] != "search":
            for one in fields(SearchMixin):
                if chosen[one.name] != one.default:
                    flag = "--" + one.name.replace("_", "-")
                    raise UsageError(f"{flag} belongs to --method search.", "Add --method search.")
            return
        for name in ("keep", "top_nodes", "node_threshold"):
            if chosen[name] is not None:
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"{flag} chooses nodes by their effects; --method search does by --threshold.")
        for name in ("extend", "first_fraction"):
            if chosen[name] not in (None, 1.0):
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"{flag} does not go with --method search, which looks at sites one after the other.")
        if chosen["pin"]:
            raise UsageError("--pin keeps a feature whatever its effect; --method search keeps what it finds.")
        if chosen["target"] is not None or chosen["metric"] not in ("auto", "kl"):
            raise UsageError(
                "--method search asks what keeps the whole prediction: it takes no --target, and no --metric but kl."
            )
        if chosen["ablation"] in ("zero", "mean", "patch") and (self.samples, self.neighbours) != (SAMPLES, NEIGHBOURS):
            raise UsageError(
                f"--samples and --neighbours are of what is drawn; --ablation {chosen['ablation']} is not."
            )
