"""The flags of ``saecli trace`` that linear methods have: gradients and direct effects. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from saecli.core.config import option
from saecli.core.errors import UsageError

NORMS: Final = ("frozen", "live")


@dataclass(frozen=True, kw_only=True)
class LinearMixin:
    """What is held fixed, and what counts where everything is linear."""

    norms: str = option(
        NORMS[0],
        help="With gradient and ig, of dictionaries that norm their input: mean and deviation are held fixed, so that "
        "what acts through them is left to errors; or live, they follow the input.",
        choices=NORMS,
        panel="Method",
    )
    influence: float | None = option(
        None,
        help="With direct: keep the nodes through which this share of what reaches the target passes, the most "
        "influential first.",
        minimum=0.0,
        maximum=1.0,
        panel="Selection",
    )

    def check_linear(self) -> None:
        """Refuse these choices with another method, and what does not go with direct effects.

        Raises:
            UsageError: There is one.
        """
        config: Any = self
        if self.norms != NORMS[0] and config.method not in (None, "gradient", "ig"):
            raise UsageError(f"--norms {self.norms} belongs to --method gradient and ig.", "Leave it out.")
        if self.influence is not None and (config.method not in (None, "direct") or config.prompts is not None):
            raise UsageError("--influence belongs to --method direct and one input.", "Use --keep, or graph prune.")
        if config.method == "direct" and (config.ablation not in (None, "zero") or config.patch is not None):
            raise UsageError(
                "--method direct follows what is there, and nothing takes its place: no --ablation, no --patch."
            )
