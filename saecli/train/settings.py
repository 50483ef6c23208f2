"""How one dictionary is trained, in numbers. Imports no torch: the command line knows them by the same names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What a recipe and the trainer can be told; every name is also a flag of ``saecli train sae``.

    Attributes:
        lr: Highest learning rate.
        k: Active features per vector (topk), on average (batchtopk).
        sparsity_weight: Weight of the sparsity penalty, w in the formulas of the steps (standard, gated, jumprelu).
        target_l0: Mean number of active features aimed at (jumprelu).
        bandwidth: Width of the window around a threshold, in root mean square norms of the input (jumprelu).
        sparsity_p: Last exponent of an annealed penalty; 1 for none.
        anneal_start: Share of the run after which the exponent falls.
        aux_k: Latents among the dead that reconstruct the residual error.
        aux_coefficient: Weight of the auxiliary loss.
        dead_after: Vectors without firing after which a latent counts as dead.
        grad_clip: Largest gradient norm; 0 for no limit.
    """

    lr: float = 1e-3
    k: int = 32
    sparsity_weight: float = 1.0
    target_l0: float = 32.0
    bandwidth: float = 1e-2
    sparsity_p: float = 1.0
    anneal_start: float = 0.3
    aux_k: int = 512
    aux_coefficient: float = 1 / 32
    dead_after: int = 500_000
    grad_clip: float = 1.0
