"""dictionary_learning's side of the paired benchmark: trainer.update. See train_side.py."""

from __future__ import annotations

import sys
import types

import torch
from torch import Tensor
from train_side import DEAD_BIAS, LEARNING_RATE, Case, Step, serve

nnsight = types.ModuleType("nnsight")  # of which only a name is imported, for models that are not run here
nnsight.LanguageModel = object
sys.modules["nnsight"] = nnsight

from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer  # noqa: E402
from dictionary_learning.trainers.gated_anneal import GatedAnnealTrainer  # noqa: E402
from dictionary_learning.trainers.jumprelu import JumpReluTrainer  # noqa: E402
from dictionary_learning.trainers.standard import StandardTrainerAprilUpdate  # noqa: E402
from dictionary_learning.trainers.top_k import TopKTrainer  # noqa: E402

TRAINERS = {
    "topk": (TopKTrainer, {"k"}),
    "batchtopk": (BatchTopKTrainer, {"k"}),
    "jumprelu": (JumpReluTrainer, {"target_l0"}),
    "gated": (GatedAnnealTrainer, set()),
    "standard": (StandardTrainerAprilUpdate, set()),
}


def make(case: Case, sample: Tensor) -> Step:
    cls, takes = TRAINERS[case.arch]
    options = dict.fromkeys(takes, case.k)
    trainer = cls(
        steps=10**6,
        activation_dim=case.d,
        dict_size=case.latents,
        layer=0,
        lm_name="none",
        device="cpu",
        seed=0,
        lr=LEARNING_RATE,
        **options,
    )
    if case.dead and case.arch in ("topk", "batchtopk"):
        trainer.num_tokens_since_fired[: case.n_dead] = trainer.dead_feature_threshold + 1
        with torch.no_grad():
            trainer.ae.encoder.bias[: case.n_dead] = DEAD_BIAS
    number = 0

    def step(x: Tensor) -> None:
        nonlocal number
        trainer.update(number, x)
        number += 1

    return step


serve(make)
