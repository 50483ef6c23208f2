"""Dictionaries: sparse codes of what a site carries.

A dictionary reads one site and reconstructs one (a sparse autoencoder) or another (a transcoder). Whatever its
architecture needs to be exact, thresholds, norms of its input, biases, belongs to it and never to the caller.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from saecli.core.site import Site


class SparseActs(NamedTuple):
    """Active features of T vectors, K slots each; unused slots have value 0 (their index is valid but meaningless).

    Attributes:
        indices_TK: int64 feature indices, distinct within a row among non-zero values.
        values_TK: activations.
    """

    indices_TK: Tensor
    values_TK: Tensor


@dataclass(frozen=True)
class DictionaryConfig:
    """What a dictionary is, apart from its weights.

    Attributes:
        arch: Registry name (``standard``, ``topk``, ...).
        d_in: Width of the site it reads.
        n_latents: Number of features F.
        reads: Site it reads.
        writes: Site it reconstructs (equal to ``reads`` for an autoencoder).
        d_out: Width of the site it writes.
        options: What the architecture adds, for example ``{"k": 32}``.
    """

    arch: str
    d_in: int
    n_latents: int
    reads: Site
    writes: Site
    d_out: int
    options: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The config as plain JSON values."""
        return {**asdict(self), "reads": str(self.reads), "writes": str(self.writes)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DictionaryConfig:
        """Inverse of :meth:`to_json`."""
        return cls(**{**data, "reads": Site.parse(data["reads"]), "writes": Site.parse(data["writes"])})


class Dictionary(nn.Module, ABC):
    """Base of every architecture: ``W_enc_DF`` [d_in, F], ``b_enc_F``, ``W_dec_FD`` [F, d_out], ``b_dec_D``.

    Sub-classes implement :meth:`activate`; a sub-class whose input is normalised overrides :meth:`prepare` and
    :meth:`restore`. Everything else follows.
    """

    arch: ClassVar[str]
    W_enc_DF: nn.Parameter
    b_enc_F: nn.Parameter
    W_dec_FD: nn.Parameter
    b_dec_D: nn.Parameter

    def __init__(self, config: DictionaryConfig) -> None:
        super().__init__()
        self.config = config
        self.W_enc_DF = nn.Parameter(torch.empty(config.d_in, config.n_latents))
        self.b_enc_F = nn.Parameter(torch.zeros(config.n_latents))
        self.W_dec_FD = nn.Parameter(torch.empty(config.n_latents, config.d_out))
        self.b_dec_D = nn.Parameter(torch.zeros(config.d_out))

    @property
    def n_latents(self) -> int:
        """Number of features F."""
        return self.config.n_latents

    # --- encode ---------------------------------------------------------------------------------------------------

    def prepare(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Bring an input to the scale of the encoder.

        Args:
            x: [..., d_in].

        Returns:
            What is multiplied by ``W_enc_DF``, and the map from decoder output back to the scale of ``x``.
        """
        return (x - self.b_dec_D if self.subtracts_b_dec else x), lambda y: y

    @property
    def subtracts_b_dec(self) -> bool:
        """Whether the encoder sees x − b_dec (an autoencoder's option; never a transcoder's)."""
        return bool(self.config.options.get("apply_b_dec_to_input", self.config.reads == self.config.writes))

    def preactivations(self, x: Tensor) -> Tensor:
        """[..., d_in] → [..., F], before the activation function."""
        return self.prepare(x)[0] @ self.W_enc_DF + self.b_enc_F

    @abstractmethod
    def activate(self, pre: Tensor, indices: Tensor | None = None) -> Tensor:
        """Pre-activations → dense activations of the same shape, all >= 0, exactly 0 where inactive.

        Args:
            pre: [..., F], or [..., C] when ``indices`` names the features of the columns.
            indices: [C] feature indices. The caller warrants that no other feature can be active
                (see :meth:`may_be_active`), so that competition (TopK) among the columns decides.
        """

    def encode(self, x: Tensor) -> Tensor:
        """[..., d_in] → dense activations [..., F]."""
        return self.activate(self.preactivations(x))

    def encode_sparse(self, x: Tensor) -> SparseActs:
        """[T, d_in] → the active features of each row; K is the largest number active in any row."""
        acts_TF = self.encode(x)
        most = int((acts_TF != 0).sum(-1).max()) if len(acts_TF) else 0
        values_TK, indices_TK = acts_TF.topk(most, dim=-1)
        return SparseActs(indices_TK, values_TK)

    # --- decode ---------------------------------------------------------------------------------------------------

    def decode(self, acts: Tensor) -> Tensor:
        """Dense activations [..., F] → [..., d_out], in the encoder's scale (see :meth:`prepare`)."""
        return acts @ self.W_dec_FD + self.b_dec_D

    def decode_sparse(self, acts: SparseActs) -> Tensor:
        """Active features of T rows → [T, d_out]; no dense [T, F] is made."""
        if not acts.indices_TK.numel():
            return self.b_dec_D.expand(len(acts.indices_TK), -1)
        weights = acts.values_TK.to(self.W_dec_FD.dtype)
        out = nn.functional.embedding_bag(acts.indices_TK, self.W_dec_FD, per_sample_weights=weights, mode="sum")
        return out + self.b_dec_D

    def reconstruct(self, x: Tensor) -> Tensor:
        """Input [..., d_in] → reconstruction [..., d_out] in the input's own scale, by the sparse path."""
        flat = x.reshape(-1, x.shape[-1])
        _, restore = self.prepare(flat)
        return restore(self.decode_sparse(self.encode_sparse(flat))).reshape(*x.shape[:-1], self.config.d_out)

    def forward(self, x: Tensor) -> Tensor:
        """Input [..., d_in] → reconstruction [..., d_out], by the plain dense formula."""
        _, restore = self.prepare(x)
        return restore(self.decode(self.encode(x)))

    # --- the linear picture around one input, for attribution ------------------------------------------------------

    def encoder_directions(self, x_ND: Tensor, indices_N: Tensor) -> Tensor:
        """Gradient of active feature ``indices_N[n]`` at input ``x_ND[n]`` with respect to that input: [N, d_in].

        With the selection of active features held fixed (TopK) and, for normalised inputs, the norm held fixed.
        """
        return self.W_enc_DF.T[indices_N]

    def decoder_directions(self, x_ND: Tensor, indices_N: Tensor) -> Tensor:
        """What one unit of feature ``indices_N[n]`` adds to the site it writes when the input is ``x_ND[n]``."""
        return self.W_dec_FD[indices_N]

    # --- which features an input change can touch -------------------------------------------------------------------

    @abstractmethod
    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Features that can be active after any change of the pre-activations by at most ``bound_TF``: bool [T, F].

        Exact in the sense that no feature outside the mask can be active; features inside it need not be.
        """
