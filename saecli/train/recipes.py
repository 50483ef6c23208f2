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
        step: ``module:function`` of the step.
        arch: What the trained dictionary is at inference.
        unit_decoder: Decoder rows are kept at norm 1 (and their gradients orthogonal to them).
        takes_k: Whether ``--k`` says how many features are active.
    """

    step: str
    arch: str
    unit_decoder: bool
    takes_k: bool = False


RECIPES: Final[dict[str, Recipe]] = {
    "standard": Recipe("saecli.train.dense_step:standard_step", "standard", unit_decoder=False),
    "topk": Recipe("saecli.train.sparse_step:topk_step", "topk", unit_decoder=True, takes_k=True),
    "batchtopk": Recipe("saecli.train.batchtopk_step:batchtopk_step", "jumprelu", unit_decoder=True, takes_k=True),
    "gated": Recipe("saecli.train.gated_step:gated_step", "gated", unit_decoder=True),
    "jumprelu": Recipe("saecli.train.jumprelu_step:jumprelu_step", "jumprelu", unit_decoder=True),
}


def step_function(recipe: str) -> StepFunction:
    """The step of a recipe."""
    module, name = RECIPES[recipe].step.split(":")
    return getattr(import_module(module), name)
