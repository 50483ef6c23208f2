"""Flags of dictionaries that are trained along with a language model. Imports no torch: help is made from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from saecli.core.config import CommandConfig, option
from saecli.core.errors import UsageError
from saecli.core.site import KINDS, Site
from saecli.train.recipes import TIED

JOINT_ARCHS: Final = ("standard", "gated", "jumprelu", "topk")
PUBLISHED_WEIGHTS: Final = "0.02,0.035,0.085,0.07,0.075"
"""Sparsity weights of gpt-circuits' regularised 4-layer model, of standard dictionaries."""
_WEIGHT: Final = {"gated": 2.0}
_USUAL_WEIGHT: Final = 3.0


@dataclass(frozen=True, kw_only=True)
class JointMixin(CommandConfig):
    """Which dictionaries learn along with the model, and what they weigh in its loss."""

    sae: str | None = option(
        None,
        help="Train dictionaries of this architecture along with the model, in one loss, so that it becomes a model "
        "that they reconstruct well; they are stored as a suite beside it.",
        choices=JOINT_ARCHS,
        panel="Dictionaries",
    )
    sae_kind: tuple[str, ...] = option(
        ("resid_pre",),
        help="Site kinds that have dictionaries, in every layer. Repeatable.",
        metavar="KIND",
        complete="kinds",
        panel="Dictionaries",
    )
    sae_latents: int = option(1024, help="Features per dictionary.", minimum=1, panel="Dictionaries")
    sae_k: int = option(32, help="Active features per token (topk).", minimum=1, panel="Dictionaries")
    sae_sparsity_weight: str | None = option(
        None,
        help="Weight of the sparsity penalty (standard, gated, jumprelu): one number, or one for every site in the "
        f"order of depth, as in {PUBLISHED_WEIGHTS}.",
        metavar="LIST",
        panel="Dictionaries",
    )
    sae_tied: bool = option(
        False, help="The encoder is the decoder, transposed (standard, gated).", panel="Dictionaries"
    )
    sae_lr: float | None = option(
        None,
        help="Highest learning rate of the dictionaries; if not given, 1e-3 times the root of 2^14 over the latents.",
        minimum=0.0,
        panel="Dictionaries",
    )
    regularisation: float | None = option(
        None,
        help="Weight of the dictionaries' errors in the loss; 3 if not given, of gated 2. Made for --optimizer adamw; "
        "Muon wants less.",
        minimum=0.0,
        panel="Dictionaries",
    )

    @property
    def error_weight(self) -> float:
        """``--regularisation``, or what it is if not given: λ of :mod:`saecli.train.joint_loss`."""
        if self.regularisation is not None:
            return self.regularisation
        return _WEIGHT.get(self.sae or "", _USUAL_WEIGHT)

    def sae_sites(self, layers: int) -> tuple[Site, ...]:
        """The sites of a model with so many layers that have dictionaries, in the order of depth; none without them.

        Raises:
            UsageError: No such kind, or one twice.
        """
        if self.sae is None:
            return ()
        if wrong := [kind for kind in self.sae_kind if kind not in KINDS]:
            raise UsageError(f"--sae-kind {wrong[0]}: the kinds of sites are {', '.join(KINDS)}.")
        sites = [Site(layer, kind) for kind in self.sae_kind for layer in range(layers + (kind == "resid_pre"))]
        if twice := [site for number, site in enumerate(sites) if site in sites[:number]]:
            raise UsageError(f"--sae-kind {', '.join(self.sae_kind)}: two dictionaries would read {twice[0]}.")
        return tuple(sorted(sites))

    def sparsity_weights(self, layers: int) -> tuple[float, ...]:
        """``--sae-sparsity-weight``, read: one for every site; zeros for topk.

        Raises:
            UsageError: Not given, not numbers from 0, or neither one nor as many as there are sites.
        """
        sites, text = self.sae_sites(layers), self.sae_sparsity_weight
        if self.sae == "topk":
            return (0.0,) * len(sites)
        if text is None:
            raise UsageError(
                f"--sae {self.sae} needs --sae-sparsity-weight, which sets how many features are active.",
                f"One number, or {len(sites)} of them; gpt-circuits' standard dictionaries have {PUBLISHED_WEIGHTS}.",
            )
        try:
            found = [float(part) for part in text.split(",")]
        except ValueError:
            found = [-1.0]
        if not all(0 <= one < math.inf for one in found):
            raise UsageError(f"--sae-sparsity-weight {text}: expected numbers from 0, one or one per site.")
        if len(found) not in (1, len(sites)):
            raise UsageError(
                f"--sae-sparsity-weight {text}: {len(found)} numbers for {len(sites)} sites, "
                f"{sites[0]} to {sites[-1]}.",
                "Give one number, or one for every site.",
            )
        return tuple(found * len(sites) if len(found) == 1 else found)

    def check_dictionaries(self, layers: int, micro_batch: int) -> None:
        """Refuses values that do not go together, for a model with so many layers."""
        if self.sae is None:
            given = [
                name
                for name, item in JointMixin.__dataclass_fields__.items()
                if name != "sae" and (name.startswith("sae_") or name == "regularisation")
                if getattr(self, name) != item.default
            ]
            if given:
                raise UsageError(
                    f"--{given[0].replace('_', '-')} is of dictionaries, and none are trained without --sae.",
                    f"Add --sae {', --sae '.join(JOINT_ARCHS)}, or leave it out.",
                )
            return
        if self.sae == "topk" and self.sae_sparsity_weight is not None:
            raise UsageError("--sae-sparsity-weight is for standard, gated and jumprelu; topk has --sae-k.")
        if self.sae != "topk" and self.sae_k != JointMixin.sae_k:
            raise UsageError(f"--sae-k is for topk; --sae {self.sae} has --sae-sparsity-weight.")
        if self.sae == "topk" and self.sae_k > self.sae_latents:
            raise UsageError(f"--sae-k {self.sae_k} is more than the {self.sae_latents} latents.")
        if self.sae_tied and self.sae not in TIED:
            raise UsageError(f"--sae-tied is for --sae {' or '.join(TIED)}, not {self.sae}.")
        if micro_batch:
            raise UsageError(
                "--micro-batch computes a step in pieces, and the loss of --sae is a ratio over the whole step.",
                "Lower --batch-size instead, or share it among processes with torchrun.",
            )
        _ = self.sparsity_weights(layers)
