"""The flags of a training loop. Imports no torch: the command line is made from them."""

from __future__ import annotations

from dataclasses import dataclass

from saecli.core.config import MemoryMixin, ResumeMixin, SharedConfig, option


@dataclass(frozen=True, kw_only=True)
class LoopMixin(MemoryMixin, ResumeMixin, SharedConfig):
    """How often a training run says, keeps and sends what."""

    log_every: int = option(50, help="Steps per line of metrics.", minimum=1, panel="Measurement")
    checkpoint_seconds: float = option(
        120.0, help="Wall-clock seconds between checkpoints.", minimum=0.0, fingerprint=False, panel="Measurement"
    )
    wandb: str | None = option(
        None,
        help="Project of Weights & Biases that the metrics are sent to as well.",
        metavar="PROJECT",
        fingerprint=False,
        panel="Measurement",
    )
