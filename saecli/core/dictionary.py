"""Dictionaries: sparse codes of what a site carries.

A dictionary reads one site and reconstructs one (a sparse autoencoder) or another (a transcoder). Whatever its
architecture needs to be exact, thresholds, norms of its input, biases, belongs to it and never to the caller.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Final, NamedTuple

import torch
from torch import Tensor, nn

from saecli.core.errors import UsageError
from saecli.core.site import Site

NORMALISATIONS: Final = ("layer_norm", "constant_norm_rescale")
LAYER_NORM_EPS: Final = 1e-5
PREACTIVATIONS: Final = 1 << 22
"""Pre-activations that the sparse path holds at once, 16 MB."""


class SparseActs(NamedTuple):
    """Active features of T vectors, K slots each; unused slots have value 0 (their index is valid but meaningless).

    Attributes:
        indices_TK: int64 feature indices, distinct within a row among non-zero values.
        values_TK: activations.
    """

    indices_TK: Tensor
    values_TK: Tensor


class InputNorm(NamedTuple):
    """How an input was brought to the encoder's scale, [..., 1] each.

    Attributes:
        center: Subtracted from the input and added to the output; None if nothing is.
        divisor: What the input is divided by.
        factor: What the output is multiplied by.
    """

    center: Tensor | None
    divisor: Tensor
    factor: Tensor


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
        options: What the architecture adds (``{"k": 32}``), and what any architecture may have:
            ``apply_b_dec_to_input`` (the encoder sees x − b_dec; by default so for an autoencoder, not for a
            transcoder), ``normalize`` (``layer_norm`` or ``constant_norm_rescale``, see :class:`Dictionary`),
            ``skip`` (a linear path from input to output beside the features).
    """

    arch: str
    d_in: int
    n_latents: int
    reads: Site
    writes: Site
    d_out: int
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def written(self) -> tuple[Site, ...]:
        """Every site it adds to: ``writes`` alone, or the ``options["writes"]`` of a cross-layer transcoder."""
        return tuple(map(Site.parse, self.options["writes"])) if "writes" in self.options else (self.writes,)

    def to_json(self) -> dict[str, Any]:
        """The config as plain JSON values."""
        return {**asdict(self), "reads": str(self.reads), "writes": str(self.writes)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> DictionaryConfig:
        """Inverse of :meth:`to_json`."""
        return cls(**{**data, "reads": Site.parse(data["reads"]), "writes": Site.parse(data["writes"])})


class Dictionary(nn.Module, ABC):
    """Base of every architecture: ``W_enc_DF`` [d_in, F], ``b_enc_F``, ``W_dec_FD`` [F, d_out], ``b_dec_D``.

    With option ``skip`` also ``W_skip_DO`` [d_in, d_out], and ``x @ W_skip_DO`` is added to the output. With option
    ``normalize`` the input is brought to a scale of its own before the encoder, and the output of an autoencoder is
    brought back (that of a transcoder belongs to another site and stays as it is)::

        layer_norm               x̃ = (x − mean x) / (std x + 1e-5), std unbiased      x̂ = ỹ · std x + mean x
        constant_norm_rescale    x̃ = x · sqrt(d) / ‖x‖                                 x̂ = ỹ · ‖x‖ / sqrt(d)

    Sub-classes implement :meth:`activate` and :meth:`may_be_active`; everything else follows.
    """

    arch: ClassVar[str]
    positionwise: ClassVar[bool] = True
    """Whether a position's code depends on that position alone; if not, ``x`` is [..., S, d_in] and S a sequence."""

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
        self.W_skip_DO = nn.Parameter(torch.zeros(config.d_in, config.d_out)) if config.options.get("skip") else None
        self.normalize: str | None = config.options.get("normalize")
        if self.normalize not in (None, *NORMALISATIONS):
            known = ", ".join(NORMALISATIONS)
            raise UsageError(f"A dictionary cannot normalise its input by {self.normalize!r}; known: {known}.")
        if self.subtracts_b_dec and config.d_in != config.d_out:
            raise UsageError(
                f"b_dec of width {config.d_out} cannot be subtracted from an input of width {config.d_in}."
            )

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
        norm = self.input_norm(x)

        def restore(y: Tensor) -> Tensor:
            if norm is None or self.config.reads != self.config.writes:
                return y
            return y * norm.factor if norm.center is None else y * norm.factor + norm.center

        return self._scaled(x, norm), restore

    def _scaled(self, x: Tensor, norm: InputNorm | None) -> Tensor:
        if norm is not None:
            x = (x if norm.center is None else x - norm.center) / norm.divisor
        return x - self.b_dec_D if self.subtracts_b_dec else x

    def input_norm(self, x: Tensor) -> InputNorm | None:
        """What a normalised input [..., d_in] is centred by and divided by; None where nothing is done."""
        if self.normalize == "layer_norm":
            std = x.std(-1, keepdim=True)
            return InputNorm(x.mean(-1, keepdim=True), std + LAYER_NORM_EPS, std)
        if self.normalize == "constant_norm_rescale":
            scale = x.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny) / x.shape[-1] ** 0.5
            return InputNorm(None, scale, scale)
        return None

    @property
    def subtracts_b_dec(self) -> bool:
        """Whether the encoder sees x − b_dec (an autoencoder's option; never a transcoder's)."""
        return bool(self.config.options.get("apply_b_dec_to_input", self.config.reads == self.config.writes))

    def preactivations(self, x: Tensor) -> Tensor:
        """[..., d_in] → [..., F], before the activation function."""
        return self.prepare(x)[0] @ self.W_enc_DF + self.b_enc_F

    @abstractmethod
    def activate(self, pre: Tensor, indices: Tensor | None = None) -> Tensor:
        """Pre-activations → dense activations of the same shape, exactly 0 where inactive, >= 0 but for AbsTopK.

        Args:
            pre: [..., F], or [..., C] when ``indices`` names the features of the columns.
            indices: [C] feature indices. The caller warrants that no other feature can be active
                (see :meth:`may_be_active`), so that competition (TopK) among the columns decides.
        """

    def encode(self, x: Tensor) -> Tensor:
        """[..., d_in] → dense activations [..., F]."""
        return self.activate(self.preactivations(x))

    def encode_with(self, x: Tensor, norm: InputNorm) -> Tensor:
        """[..., d_in] → dense activations [..., F] with this norm in the place of the input's own."""
        return self.activate(self._scaled(x, norm) @ self.W_enc_DF + self.b_enc_F)

    def encode_sparse(self, x: Tensor) -> SparseActs:
        """[T, d_in] → the active features of each row; K is the largest number active in any row.

        In chunks of rows, so that the dense [T, F] never exists.
        """
        rows = max(1, PREACTIVATIONS // self.n_latents)
        if self.positionwise and len(x) > rows:
            parts = [self.encode_sparse(part) for part in x.split(rows)]
            slots = max(part.values_TK.shape[1] for part in parts)
            padded = [[nn.functional.pad(one, (0, slots - one.shape[1])) for one in part] for part in parts]
            return SparseActs(*map(torch.cat, zip(*padded, strict=True)))
        acts_TF = self.encode(x)
        most = int((acts_TF != 0).sum(-1).max()) if len(acts_TF) else 0
        indices_TK = acts_TF.abs().topk(most, dim=-1).indices
        return SparseActs(indices_TK, acts_TF.gather(-1, indices_TK))

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
        return self.reconstruct_from(self.encode_sparse(flat), flat).reshape(*x.shape[:-1], self.config.d_out)

    def reconstruct_from(self, acts: SparseActs, x: Tensor) -> Tensor:
        """The same where the active features of the input [T, d_in] are known: [T, d_out]."""
        return self._with_skip(self.prepare(x)[1](self.decode_sparse(acts)), x)

    def forward(self, x: Tensor) -> Tensor:
        """Input [..., d_in] → reconstruction [..., d_out], by the plain dense formula."""
        _, restore = self.prepare(x)
        return self._with_skip(restore(self.decode(self.encode(x))), x)

    def contributions(self, x: Tensor) -> dict[Site, Tensor]:
        """Input [..., d_in] → what it adds [..., d_out] to every site it writes."""
        return {self.config.writes: self.reconstruct(x)}

    def _with_skip(self, y: Tensor, x: Tensor) -> Tensor:
        return y if self.W_skip_DO is None else y + x @ self.W_skip_DO

    # --- the linear picture around one input, for attribution ------------------------------------------------------

    def encoder_directions(self, x_ND: Tensor, indices_N: Tensor) -> Tensor:
        """Gradient of active feature ``indices_N[n]`` at input ``x_ND[n]`` with respect to that input: [N, d_in].

        With the selection of active features held fixed (TopK) and, for normalised inputs, the norm held fixed.
        """
        directions_ND = self.W_enc_DF.T[indices_N]
        norm = self.input_norm(x_ND)
        return directions_ND if norm is None else directions_ND / norm.divisor

    def through_norm(self, x_ND: Tensor, directions_ND: Tensor) -> Tensor:
        """What :meth:`encoder_directions` would be if the norm of the input followed it: [N, d_in].

        With z = x − mean x, s its unbiased standard deviation and v = e / (s + ε), the gradient with s and the mean
        held fixed, it is v − mean v − z (z · v) / ((s + ε) s (d − 1)); by the length of x, v − x (x · v) / ‖x‖².
        """
        norm = self.input_norm(x_ND)
        if norm is None:
            return directions_ND
        if norm.center is None:
            along_N1 = (x_ND * directions_ND).sum(-1, keepdim=True) / x_ND.square().sum(-1, keepdim=True)
            return directions_ND - x_ND * along_N1
        z_ND = x_ND - norm.center
        along_N1 = (z_ND * directions_ND).sum(-1, keepdim=True)
        along_N1 = along_N1 / (norm.divisor * norm.factor * (x_ND.shape[-1] - 1))
        return directions_ND - directions_ND.mean(-1, keepdim=True) - z_ND * along_N1

    def decoder_directions(self, x_ND: Tensor, indices_N: Tensor) -> Tensor:
        """What one unit of feature ``indices_N[n]`` adds to the site it writes when the input is ``x_ND[n]``."""
        directions_ND = self.W_dec_FD[indices_N]
        norm = self.input_norm(x_ND)
        return directions_ND if norm is None or self.config.reads != self.config.writes else directions_ND * norm.factor

    def decoder_norms(self) -> Tensor:
        """Length of what one unit of every feature writes: [F]."""
        return self.W_dec_FD.norm(dim=-1)

    # --- which features an input change can touch -------------------------------------------------------------------

    @abstractmethod
    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Features that can be active after any change of the pre-activations by at most ``bound_TF``: bool [T, F].

        Exact in the sense that no feature outside the mask can be active; features inside it need not be.
        """
