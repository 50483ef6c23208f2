"""sae-lens' side of the paired benchmark: SAETrainer.step. See train_side.py."""

from __future__ import annotations

import torch
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.saes.sae import TrainingSAE
from sae_lens.training.sae_trainer import SAETrainer
from torch import Tensor
from train_side import DEAD_BIAS, LEARNING_RATE, Case, Step, serve

_DEAD_WINDOW = 10**6


def make(case: Case, sample: Tensor) -> Step:
    options = {
        "topk": {"k": case.k},
        "batchtopk": {"k": float(case.k)},
        "jumprelu": {"pre_act_loss_coefficient": 3e-6 if case.dead else None},
        "gated": {"l1_coefficient": 1.0},
        "standard": {"l1_coefficient": 1.0},
    }[case.arch]
    config_class = TrainingSAE.get_sae_config_class_for_architecture(case.arch)
    config = config_class(d_in=case.d, d_sae=case.latents, normalize_activations="none", **options)
    sae = TrainingSAE.get_sae_class_for_architecture(case.arch)(config)
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=10**9,
            train_batch_size_samples=case.batch,
            lr=LEARNING_RATE,
            lr_end=LEARNING_RATE,
            autocast=case.precision == "bf16",
            dead_feature_window=_DEAD_WINDOW,
            feature_sampling_window=2000,
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=sae,
        data_provider=iter(()),
    )
    with torch.no_grad():
        bias = sae.b_gate if case.arch == "gated" else sae.b_enc
        if case.sparse:
            bias -= (sample @ sae.W_enc).flatten()[: 1 << 22].quantile(1 - case.sparse)
        bias[: case.n_dead] = DEAD_BIAS
    trainer.n_forward_passes_since_fired[: case.n_dead] = _DEAD_WINDOW + 1

    def step(x: Tensor) -> None:
        trainer.maybe_reset_sparsity()
        trainer.step(x)
        trainer.n_training_steps += 1

    return step


serve(make)
