"""The architectures that can be trained, and where the step of each is. Imports no torch: help is made from it."""

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
        step: ``module:function`` of the step, below :mod:`saecli.train`.
        arch: What the trained dictionary is at inference.
        unit_decoder: Decoder rows are kept at norm 1 (and their gradients orthogonal to them).
        sparsity: The setting that decides how many features are active; several values of it train several suites.
        anneals: Whether its penalty has an exponent that can fall (:mod:`saecli.train.anneal`).
    """

    step: str
    arch: str
    unit_decoder: bool
    sparsity: str
    anneals: bool = False


RECIPES: Final[dict[str, Recipe]] = {
    "standard": Recipe(
        "dense_step:standard_step", "standard", unit_decoder=False, sparsity="sparsity_weight", anneals=True
    ),
    "topk": Recipe("sparse_step:topk_step", "topk", unit_decoder=True, sparsity="k"),
    "batchtopk": Recipe("batchtopk_step:batchtopk_step", "jumprelu", unit_decoder=True, sparsity="k"),
    "gated": Recipe("gated_step:gated_step", "gated", unit_decoder=True, sparsity="sparsity_weight", anneals=True),
    "jumprelu": Recipe("jumprelu_step:jumprelu_step", "jumprelu", unit_decoder=True, sparsity="target_l0"),
}


def step_function(recipe: str) -> StepFunction:
    """The step of a recipe."""
    module, name = RECIPES[recipe].step.split(":")
    return getattr(import_module(f"saecli.train.{module}"), name)
