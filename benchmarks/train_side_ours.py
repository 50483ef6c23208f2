"""This project's side of the paired benchmark: DictionaryTrainer.step. See train_side.py."""

from __future__ import annotations

import torch
from torch import Tensor
from train_side import DEAD_BIAS, LEARNING_RATE, Case, Step, serve

from saecli.core.dictionary import DictionaryConfig
from saecli.core.site import Site
from saecli.train.recipes import RECIPES, TRAINED, step_function
from saecli.train.settings import Settings
from saecli.train.step import Workspace
from saecli.train.trainer import DictionaryTrainer, TrainerConfig

_DEAD_AFTER = 10_000_000
_SAMPLE = 512
STEPS = [step_function(name) for name in TRAINED]  # what they import belongs to the memory before the start
SITE = Site(0, "resid_pre")


def make(case: Case, sample: Tensor) -> Step:
    arch = RECIPES[case.arch].arch
    shape = DictionaryConfig(arch, case.d, case.latents, SITE, SITE, case.d, {"k": case.k} if arch == "topk" else {})
    settings = Settings(
        lr=LEARNING_RATE,
        decoder_norm=RECIPES[case.arch].decoder_norm,
        k=case.k,
        target_l0=case.k,
        aux_k=case.d // 2,
        dead_after=_DEAD_AFTER,
        precision=case.precision,
    )
    trainer = DictionaryTrainer(TrainerConfig("", shape, case.arch, 0, settings), torch.device("cpu"))
    trainer.start(sample, sample)
    with torch.no_grad():
        if case.sparse:
            pre_N = trainer.dictionary.preactivations(sample[:_SAMPLE] * trainer.units.scale_in).flatten()
            trainer.dictionary.b_enc_F.data -= pre_N.kthvalue(round((1 - case.sparse) * len(pre_N))).values
        trainer.dictionary.b_enc_F[: case.n_dead] = DEAD_BIAS
    trainer.since_fired_F[: case.n_dead] = _DEAD_AFTER + 1
    space = Workspace()

    def step(x: Tensor) -> None:
        trainer.step(x, x, 1.0, space)

    return step


serve(make)
