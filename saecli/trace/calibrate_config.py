"""The flags of ``saecli trace --calibrate``, and what uses its thresholds. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from saecli.core.config import ModelConfigMixin, PlaceConfig, SharedConfig, SitesMixin, config_fields, option
from saecli.core.errors import UsageError
from saecli.data.names import data_inputs

CALIBRATED: Final = "calibrated"
PERCENTILE: Final = 99.99
_CLUSTER: Final = re.compile(r"(\d+):(\d+)")


@dataclass(frozen=True, kw_only=True)
class CalibrateMixin(PlaceConfig):
    """Thresholds of activation by feature."""

    calibrate: str | None = option(
        None,
        help="Trace nothing: find the percentile of every feature's activation over these data (as of --data), and "
        "keep it for --node-threshold calibrated.",
        metavar="DATA",
        complete="files",
        panel="Calibration",
    )
    percentile: float = option(
        PERCENTILE, help="With --calibrate: which one.", minimum=0.0, maximum=100.0, panel="Calibration"
    )
    cluster: str | None = option(
        None,
        help="With --calibrate: only the tokens of cluster n of k (0 is the largest), by k-means of the first site's "
        "vectors, each at length 1.",
        metavar="K:N",
        panel="Calibration",
    )
    calibrate_sequences: int = option(
        0,
        help="With --calibrate: how many sequences are read; 0 for about 131,000 tokens.",
        minimum=0,
        panel="Calibration",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if getattr(self, "node_threshold", None) == CALIBRATED and getattr(self, "prompts", None) is not None:
            raise UsageError(
                "--node-threshold calibrated is of activations on one input, and --prompts names many.", "Keep one."
            )
        own = CalibrateMixin.__annotations__.keys()
        if self.calibrate is None:
            for item in config_fields(CalibrateMixin):
                if item.name in own and getattr(self, item.name) != item.default:
                    raise UsageError(f"{item.flag} belongs to --calibrate.", "Add --calibrate othello.")
            return
        if not self.calibrate:
            raise UsageError("--calibrate names no data.", "Write --calibrate othello.")
        shared = {item.name for one in (SharedConfig, ModelConfigMixin, SitesMixin) for item in config_fields(one)}
        for item in config_fields(type(self)):
            if item.name not in own | shared | {"model", "suite"} and getattr(self, item.name) != item.default:
                raise UsageError(f"{item.flag} is of a trace, and --calibrate traces nothing.", "Keep one of them.")
        if self.cluster is not None:
            _ = self.clusters

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """Also the data, and the thresholds that the user's cache holds."""
        found = super().input_values() | data_inputs(self.calibrate or "")
        if getattr(self, "node_threshold", None) == CALIBRATED:
            from saecli.core.cache import Cache

            found["thresholds"] = (str(Cache.at().thresholds),)
        return found

    @property
    def is_latest(self) -> bool:
        """Not of a calibration, which leaves no graph."""
        return super().is_latest and self.calibrate is None

    @property
    def clusters(self) -> tuple[int, int]:
        """``--cluster``: how many, and which."""
        match = _CLUSTER.fullmatch(self.cluster or "")
        k, n = (int(match[1]), int(match[2])) if match else (0, 0)
        if k < 2 or n >= k:
            raise UsageError(f"--cluster {self.cluster} is no cluster.", "Write 10:0 for the largest of 10.")
        return k, n
