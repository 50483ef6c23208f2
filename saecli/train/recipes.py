"""The architectures of ``saecli train sae``, and where the step of each is. Imports no torch: help is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from saecli.train.step import StepFunction


@dataclass(frozen=True)
class Recipe:
    """How an architecture is trained.

    Attributes:
        step: ``module:function`` of the step, below :mod:`saecli.train`; empty for a control.
        arch: What the trained dictionary is at inference.
        decoder_norm: What is done about the norm of decoder rows, if ``--decoder-norm`` does not say: ``unit`` keeps it
            at 1 (and gradients orthogonal to the rows), ``free`` nothing.
        sparsity: The setting that decides how many features are active; several values of it train several suites;
            empty if nothing does.
        anneals: Whether its penalty has an exponent that can fall (:mod:`saecli.train.anneal`).
    """

    step: str
    arch: str
    decoder_norm: str
    sparsity: str
    anneals: bool = False

    @property
    def trained(self) -> bool:
        """Whether it takes steps; a control is set from a first sample (:mod:`saecli.train.controls`)."""
        return bool(self.step)


END_TO_END: Final = "end-to-end"
LOSSES: Final = ("reconstruction", END_TO_END)
"""What dictionaries are trained for."""

L0_LOSSES: Final = ("target", "l0", "tanh")
DECODER_NORMS: Final = ("unit", "free")

INITS: Final = ("auto", "random", "active-subspace", "mlp")
B_DEC_INITS: Final = ("mean", "geometric-median", "zero")

GROUPS: Final = "1/32,1/16,1/8,1/4,17/32"
"""Shares of the latents, those of dictionary_learning's sweeps."""

RECIPES: Final[dict[str, Recipe]] = {
    "standard": Recipe(
        "dense_step:standard_step", "standard", decoder_norm="free", sparsity="sparsity_weight", anneals=True
    ),
    "topk": Recipe("sparse_step:topk_step", "topk", decoder_norm="unit", sparsity="k"),
    "batchtopk": Recipe("batchtopk_step:batchtopk_step", "jumprelu", decoder_norm="unit", sparsity="k"),
    "matryoshka": Recipe("matryoshka_step:matryoshka_step", "jumprelu", decoder_norm="unit", sparsity="k"),
    "gated": Recipe("gated_step:gated_step", "gated", decoder_norm="unit", sparsity="sparsity_weight", anneals=True),
    "jumprelu": Recipe("jumprelu_step:jumprelu_step", "jumprelu", decoder_norm="unit", sparsity="target_l0"),
    "identity": Recipe("", "identity", decoder_norm="free", sparsity=""),
    "random": Recipe("", "topk", decoder_norm="free", sparsity="k"),
}

TRAINED: Final = tuple(name for name, recipe in RECIPES.items() if recipe.trained)
"""Those that are no controls."""

STAIRCASES: Final = {"staircase": "topk", "staircase-jumprelu": "jumprelu"}
"""Architectures of dictionaries that get wider from site to site, and the recipe that each of them is trained by."""

JACOBIAN: Final = "jacobian"
"""The architecture of pairs of TopK dictionaries at the two ends of an MLP."""

TRAINED_AS: Final = {**STAIRCASES, JACOBIAN: "topk"}
"""Architectures of several dictionaries together, and the recipe that each of them is trained by."""

ARCHS: Final = (*RECIPES, *TRAINED_AS)

REDUCTIONS: Final = ("mean", "sum")

JACOBIAN_AT: Final = ("clean", "reconstruction")
"""Where the slopes within a Jacobian are taken."""

SHARING: Final = ("weights", "detached", "b-dec", "none")
"""What the dictionaries of a staircase have in common (:mod:`saecli.train.sharing`)."""

STAIRS: Final = ("sites", "blocks")

TIED: Final = ("standard", "gated")
"""Those whose encoder can be the transposed decoder."""

COMPILED: Final = ("standard", "gated")
"""Those that ``--compile`` has a formula of."""


def sparsity_of(recipe: str, l0_loss: str) -> str:
    """The setting that decides how many features are active: of jumprelu without a target the penalty's weight."""
    sparsity = RECIPES[recipe].sparsity
    return "sparsity_weight" if sparsity == "target_l0" and l0_loss != "target" else sparsity


def step_function(recipe: str) -> StepFunction:
    """The step of a recipe."""
    module, name = RECIPES[recipe].step.split(":")
    return getattr(import_module(f"saecli.train.{module}"), name)
