"""Baselines: the shape of a model with weights that were never trained."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch

from saecli.core.errors import InputError
from saecli.core.gpt import GPT
from saecli.core.hooks import ThinModel
from saecli.core.model import HookedModel


def randomise(model: HookedModel, seed: int) -> ThinModel:
    """The model's shape with fresh weights, drawn as its own architecture initialises them.

    Args:
        model: A model of forward hooks; left as it is.
        seed: Seed of the weights; the program's own random state is not touched.

    Raises:
        InputError: The model is of another kind.
    """
    module: Any = model.module
    if not isinstance(model, ThinModel) or not hasattr(module, "config"):
        raise InputError(f"{model.info.name} cannot be made with random weights: it is read through TransformerLens.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = GPT(module.config) if isinstance(module, GPT) else type(module)(copy.deepcopy(module.config))
    dtype = next(module.parameters()).dtype
    return ThinModel(fresh.to(dtype).eval(), replace(model.info, processing="raw"), model.paths)
