"""Configuration of ``saecli finetune``. Imports no torch: the command line is made from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

from saecli.asking.flags import parse_limits
from saecli.core.config import argument, option
from saecli.core.errors import UsageError
from saecli.data.flags import DATA_HELP, DATA_METAVAR, PackMixin
from saecli.data.names import data_inputs
from saecli.learning.loop_config import LoopMixin

LOSSES: Final = ("fvu", "ce", "kl")
DECODER_NORMS: Final = ("free", "kept")
COMPATS: Final = ("none", "scae")


def parse_losses(text: str) -> dict[str, float]:
    """``kl,fvu=0.1`` → name → weight.

    Raises:
        UsageError: An unknown name, one twice, or a weight that is no positive number.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        if name not in LOSSES or name in found:
            what = "is named twice" if name in found else "is no loss"
            raise UsageError(f"--loss {text}: {name!r} {what}.", "Name fvu, ce or kl, or a mixture: kl,fvu=0.1.")
        try:
            found[name] = float(weight or 1)
        except ValueError:
            found[name] = -1.0
        if not 0 < found[name] < math.inf:
            raise UsageError(f"--loss {text}: the weight {weight!r} of {name} is no positive number.")
    return found


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(PackMixin, LoopMixin):
    """Which suite to train through which connections, and how."""

    command: ClassVar[str] = "finetune"

    suite: str = argument(
        "python-mini-connected",
        help="A suite of attention-output dictionaries and MLP transcoders.",
        metavar="SUITE",
        complete="suites",
    )
    model: str = option(
        "", help="The model; the one that the suite was made for if not given.", complete="models", input=True,
        panel="Input",
    )  # fmt: skip
    connections: str | None = option(
        None,
        help="Connections of saecli connect; those beside the suite if not given.",
        metavar="FILE",
        complete="files",
        input=True,
        panel="Input",
    )
    c: str | None = option(
        None,
        help="Keep so many connections of each feature, the strongest; several values train several suites: 10,30,100.",
        metavar="N[,N…]",
        panel="Input",
    )
    masks: int | None = option(
        None,
        help="Learn which of the connections to keep, so many of each feature on average: gates that open or close.",
        minimum=1,
        panel="Input",
    )
    data: str = option(
        "",
        help=f"What the model reads; if not given, what the zoo names for it: {DATA_HELP}",
        metavar=DATA_METAVAR,
        complete="files",
        panel="Data",
    )
    context: int = option(
        0, help="Positions per sequence; 0 for those the suite was trained on.", minimum=0, panel="Data"
    )
    sequences: int = option(32, help="Sequences per step.", minimum=1, panel="Data")

    loss: str = option(
        "fvu",
        help="What is made small: fvu (unexplained variance of every module), ce (of the next token), kl (of the "
        "model's predictions from the suite's), or a mixture, kl,fvu=0.1.",
        metavar="NAME[=WEIGHT],…",
        panel="Training",
    )
    steps: int = option(1000, help="Optimiser steps.", minimum=1, panel="Training")
    lr: float | None = option(
        None,
        help="Highest learning rate of every dictionary; if not given, 1e-3 times the root of 2^14 over its latents.",
        minimum=0.0,
        panel="Training",
    )
    warmup: float = option(
        0.0, help="Share of the steps with a rising learning rate.", minimum=0.0, maximum=1.0, panel="Training"
    )
    decay: float = option(
        0.3,
        help="Share of the steps, at the end, in which the learning rate falls to zero.",
        minimum=0.0,
        maximum=1.0,
        panel="Training",
    )
    stagger: int = option(
        0,
        help="With fvu: a module counts from this number of steps on times the modules before it.",
        minimum=0,
        panel="Training",
    )
    grad_clip: float = option(
        1.0, help="Largest gradient norm of a dictionary; 0 for no limit.", minimum=0.0, panel="Training"
    )
    decoder_norm: str = option(
        "free", help="Decoder rows take any norm, or keep the one they have.", choices=DECODER_NORMS, panel="Training"
    )
    dead_after: int = option(
        100_000, help="Tokens without firing after which a latent is dead.", minimum=1, panel="Training"
    )
    aux_k: int | None = option(
        None,
        help="Dead latents that reconstruct what the module leaves unexplained; half the width if not given.",
        minimum=1,
        panel="Training",
    )
    aux_coefficient: float = option(
        1 / 32, help="Weight of the auxiliary loss for dead latents; 0 for none.", minimum=0.0, panel="Training"
    )
    compat: str = option(
        "none",
        help="scae: biases, dropped biases and unexplained variance as the reference computes them, of folded weights.",
        choices=COMPATS,
        panel="Training",
    )
    held_out: int = option(
        200, help="Held-out sequences to measure on, before and after.", minimum=2, panel="Measurement"
    )
    save_dtype: str = option(
        "float32", help="Number type of the stored weights.", choices=("float32", "float16", "bfloat16"),
        panel="Measurement",
    )  # fmt: skip
    device: str = option("auto", help="Where to compute.", choices=("auto", "cpu", "cuda"), panel="Machine")

    def validate(self) -> None:
        """Refuse losses and numbers of connections that are none, and options that contradict each other."""
        losses = parse_losses(self.loss)
        _ = self.limits
        if self.stagger and "fvu" not in losses:
            raise UsageError(f"--stagger belongs to the loss fvu, and --loss is {self.loss}.")
        if self.warmup + self.decay > 1:
            raise UsageError(f"--warmup {self.warmup} and --decay {self.decay} are more than the whole run.")

    @property
    def losses(self) -> dict[str, float]:
        """``--loss``, read."""
        return parse_losses(self.loss)

    @property
    def limits(self) -> tuple[int, ...]:
        """``--c``, read; empty for the connections as they are.

        Raises:
            UsageError: No positive whole numbers, or one twice.
        """
        return parse_limits(self.c)

    def input_values(self) -> dict[str, tuple[str, ...]]:
        """The suite, the connections, the model, and the data by content."""
        return super().input_values() | data_inputs(self.data)
