"""A peer's trainer on vectors from a file: what train_quality.py runs in .venv-interop, one dictionary per process.

python train_quality_peer.py '{"library": "saelens", "arch": "topk", "seed": 0, "sparsity": 32, "latents": 1024,
"steps": 600, "batch": 1024, "train": "train.npy", "test": "test.npy", "lr": null}'
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

Decoded = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Vectors → features, reconstruction."""


def batches(x: Tensor, batch: int, seed: int) -> Iterator[Tensor]:
    """Batches without end, in a new order every epoch."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for rows in torch.randperm(len(x), generator=generator).split(batch):
            if len(rows) == batch:
                yield x[rows]


def saelens(asked: dict[str, Any], x: Tensor) -> Decoded:
    """SAETrainer.fit with its default learning rate and betas, inputs brought to norm sqrt(d), decay over a fifth."""
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.saes.sae import TrainingSAE
    from sae_lens.training.sae_trainer import SAETrainer

    arch, sparsity = asked["arch"], asked["sparsity"]
    options = {
        "topk": {"k": sparsity},
        "batchtopk": {"k": float(sparsity)},
        "jumprelu": {"jumprelu_sparsity_loss_mode": "quadratic", "target_l0": float(sparsity)},
        "gated": {"l1_coefficient": sparsity},
        "standard": {"l1_coefficient": sparsity},
    }[arch]
    config = TrainingSAE.get_sae_config_class_for_architecture(arch)(
        d_in=x.shape[1], d_sae=asked["latents"], normalize_activations="expected_average_only_in", **options
    )
    sae = TrainingSAE.get_sae_class_for_architecture(arch)(config)
    total = asked["steps"] * asked["batch"]
    trainer = SAETrainer(
        cfg=SAETrainerConfig(
            total_training_samples=total,
            train_batch_size_samples=asked["batch"],
            lr=asked.get("lr") or 3e-4,
            lr_end=(asked.get("lr") or 3e-4) / 10,
            lr_decay_steps=asked["steps"] // 5,
            n_batches_for_norm_estimate=20,
            logger=LoggingConfig(log_to_wandb=False),
        ),
        sae=sae,
        data_provider=batches(x, asked["batch"], asked["seed"]),
    )
    trainer.fit()

    def run(y: Tensor) -> tuple[Tensor, Tensor]:
        acts = sae.encode(y)
        return acts, sae.decode(acts)

    return run


def dictionary_learning(asked: dict[str, Any], x: Tensor) -> Decoded:
    """trainer.update with its default learning rate, inputs of unit mean squared norm, decay over a fifth."""
    nnsight = types.ModuleType("nnsight")  # of which only a name is imported, for models that are not run here
    nnsight.LanguageModel = object
    sys.modules["nnsight"] = nnsight
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
    from dictionary_learning.trainers.gated_anneal import GatedAnnealTrainer
    from dictionary_learning.trainers.jumprelu import JumpReluTrainer
    from dictionary_learning.trainers.standard import StandardTrainerAprilUpdate
    from dictionary_learning.trainers.top_k import TopKTrainer

    arch, sparsity, steps = asked["arch"], asked["sparsity"], asked["steps"]
    weight = sparsity / x.shape[1] ** 0.5  # of vectors of norm 1 instead of sqrt(d)
    trainer_class, options = {
        "topk": (TopKTrainer, {"k": sparsity}),
        "batchtopk": (BatchTopKTrainer, {"k": sparsity}),
        "jumprelu": (JumpReluTrainer, {"target_l0": sparsity, "sparsity_warmup_steps": steps // 20}),
        "gated": (
            GatedAnnealTrainer,
            {"initial_sparsity_penalty": weight, "anneal_start": steps - 2, "p_end": 1, "sparsity_warmup_steps": 30},
        ),
        "standard": (StandardTrainerAprilUpdate, {"l1_penalty": weight, "sparsity_warmup_steps": steps // 20}),
    }[arch]
    trainer = trainer_class(
        steps=steps,
        activation_dim=x.shape[1],
        dict_size=asked["latents"],
        layer=0,
        lm_name="none",
        device="cpu",
        seed=asked["seed"],
        warmup_steps=steps // 20,
        decay_start=steps * 4 // 5,
        **({"lr": asked["lr"]} if asked.get("lr") else {}),
        **options,
    )
    scale = float(x[:8192].square().sum(1).mean()) ** -0.5
    for number, batch in zip(range(steps), batches(x, asked["batch"], asked["seed"]), strict=False):
        trainer.update(number, batch * scale)
    ae = trainer.ae
    told = {"use_threshold": False} if arch == "batchtopk" else {}

    def run(y: Tensor) -> tuple[Tensor, Tensor]:
        acts = ae.encode(y * scale, **told)
        return acts, ae.decode(acts) / scale

    return run


@torch.no_grad()
def measure(decoded: Decoded, x: Tensor) -> dict[str, float]:
    """L0, variance explained (pooled) and share of latents that never fire, over held-out vectors."""
    left = active = 0.0
    fired = None
    for part in x.split(2048):
        acts, y = decoded(part)
        left += float((part - y).double().square().sum())
        active += float((acts > 0).sum())
        now = (acts > 0).any(0)
        fired = now if fired is None else fired | now
    assert fired is not None
    spread = float((x - x.mean(0)).double().square().sum())
    return {"l0": active / len(x), "explained": 1 - left / spread, "dead": 1 - float(fired.float().mean())}


def main() -> None:
    asked = json.loads(sys.argv[1])
    torch.manual_seed(asked["seed"])
    train, test = (torch.from_numpy(np.load(asked[name]).astype(np.float32)) for name in ("train", "test"))
    decoded = {"saelens": saelens, "dictionary_learning": dictionary_learning}[asked["library"]](asked, train)
    print(json.dumps(measure(decoded, test)))


if __name__ == "__main__":
    main()
