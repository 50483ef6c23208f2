"""How one dictionary is trained. Imports no torch: the command line knows everything here by the same names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What a recipe and the trainer can be told; every name is also a flag of ``saecli train sae``.

    Attributes:
        lr: Highest learning rate.
        beta1: Decay of Adam's running mean of gradients; that of their squares is 0.999.
        decoder_norm: ``unit`` keeps decoder rows at norm 1, ``free`` lets them be.
        tied: Whether the encoder is the transposed decoder, one matrix (standard, gated).
        k: Active features per vector (topk), on average (batchtopk, matryoshka).
        sparsity_weight: Weight of the sparsity penalty, w in the formulas of the steps (standard, gated, jumprelu).
        target_l0: Mean number of active features aimed at, or begun with (jumprelu).
        l0_loss: ``target``, ``l0`` or ``tanh``: the penalty (jumprelu).
        tanh_scale: c of the tanh penalty.
        bandwidth: Width of the window around a threshold, in root mean square norms of the input (jumprelu).
        sparsity_p: Last exponent of an annealed penalty; 1 for none.
        anneal_start: Share of the run after which the exponent falls.
        sparsity_warmup: Share of the run in which the weight of the penalty rises; 0 for none.
        k_anneal: Share of the run in which the active features fall from the width to k; 0 for none.
        init: How weights begin: ``auto``, or a name of :mod:`saecli.train.start`.
        b_dec_init: How the decoder's bias begins: ``mean``, ``geometric-median`` or ``zero``.
        resample_every: Vectors between resamplings of dead latents; 0 for none (:mod:`saecli.train.resample`).
        aux_k: Latents among the dead that reconstruct the residual error.
        aux_coefficient: Weight of the auxiliary loss.
        dead_after: Vectors without firing after which a latent counts as dead.
        grad_clip: Largest gradient norm; 0 for no limit.
        precision: Of the matrix products (:mod:`saecli.train.products`): a name of ``--precision``.
        compile: Whether the step is a formula fused by torch.compile (:mod:`saecli.train.compiled_step`).
    """

    lr: float = 1e-3
    beta1: float = 0.9
    decoder_norm: str = "unit"
    tied: bool = False
    k: int = 32
    sparsity_weight: float = 1.0
    target_l0: float = 32.0
    l0_loss: str = "target"
    tanh_scale: float = 4.0
    bandwidth: float = 1e-2
    sparsity_p: float = 1.0
    anneal_start: float = 0.3
    sparsity_warmup: float = 0.0
    k_anneal: float = 0.0
    init: str = "auto"
    b_dec_init: str = "mean"
    resample_every: int = 0
    aux_k: int = 512
    aux_coefficient: float = 1 / 32
    dead_after: int = 500_000
    grad_clip: float = 1.0
    precision: str = "fp32"
    compile: bool = False


@dataclass(frozen=True)
class Pairing:
    """The penalty of a Jacobian-sparse pair (:mod:`saecli.train.jacobian_pair`).

    Attributes:
        group: Which of its suite it pairs with.
        coefficient: What the penalty weighs.
        reduction: ``mean`` over tokens, or their ``sum``.
        every: One token in so many is taken.
        at: Where slopes are taken: ``clean``, at the model's own activations, or ``reconstruction``.
    """

    group: str
    coefficient: float
    reduction: str
    every: int
    at: str


@dataclass(frozen=True)
class Sharing:
    """What a dictionary of a staircase has in common with the others of its group.

    Attributes:
        group: Which of its suite it trains with.
        kind: A name of ``--sharing``, not ``none``.
        chunks: Where every step of the staircase ends, up to this dictionary's width.
        one_scale: Whether all are trained in the units of the widest, as they share what has a unit.
    """

    group: str
    kind: str
    chunks: tuple[int, ...]
    one_scale: bool

    @property
    def own_from(self) -> int:
        """The first latent whose shared weights this dictionary trains: of ``detached`` the first of its own chunk."""
        return self.chunks[-2] if self.kind == "detached" and len(self.chunks) > 1 else 0
