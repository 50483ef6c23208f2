"""What a block does to a vector of the residual stream once its norms' scales and attention patterns are fixed.

With the scale s of a norm fixed, its gain g and its bias β::

    norm(x) = g ⊙ c(x) / s + β          c(x) = x − mean(x) for LayerNorm, x for RMSNorm

and with the pattern P of head h fixed, since every row of P sums to one::

    attention(y)_q = Σ_h Σ_k P_h[q, k] (y_k W_V,h) W_O,h + Σ_h b_V,h W_O,h + b_O

Gain, centring and the biases are taken into the weights: V_h = c(g ⊙ W_V,h), columns centred, and one constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.core.model import Block


@dataclass(frozen=True)
class Norm:
    """A norm with its scale left out.

    Attributes:
        gain_D, bias_D: Its parameters.
        centred: Whether the mean is subtracted.
    """

    gain_D: Tensor
    bias_D: Tensor
    centred: bool

    def __call__(self, x: Tensor, scale: Tensor) -> Tensor:
        """[..., d] and the fixed scale [..., 1] → what the norm makes of it."""
        return self.direction(x) / scale + self.bias_D

    def direction(self, x: Tensor) -> Tensor:
        """The linear part before the division: g ⊙ c(x)."""
        return self.gain_D * (x - x.mean(-1, keepdim=True) if self.centred else x)

    def into(self, W_DX: Tensor) -> Tensor:
        """A matrix that reads the norm [..., d, X] → one that reads what the norm is given, over the scale."""
        gained = self.gain_D[:, None] * W_DX
        return gained - gained.mean(-2, keepdim=True) if self.centred else gained


@dataclass(frozen=True)
class AffineBlock:
    """The norms and heads of a block.

    Attributes:
        ln2: The norm before the MLP.
        values_HDE: V_h, from the residual stream over its scale to the values of head h.
        outputs_HED: W_O,h.
        constant_D: What attention adds whatever it reads.
    """

    ln2: Norm
    values_HDE: Tensor
    outputs_HED: Tensor
    constant_D: Tensor

    @classmethod
    def of(cls, block: Block, *, centre: bool = True) -> AffineBlock:
        """The affine picture of a block.

        Args:
            block: The block.
            centre: False leaves the mean in what the MLP's norm is given, as if it were an RMSNorm.
        """
        weights = block.weights
        heads = weights.W_O.shape[0]
        values_HDE = _per_head(weights.W_V, heads)
        like = weights.W_O[0, 0]
        ln1 = _norm(block.ln1, weights.ln1_w, weights.ln1_b, like)
        ln2 = _norm(block.ln2, weights.ln2_w, weights.ln2_b, like)
        constant_HE = torch.einsum("d,hde->he", ln1.bias_D, values_HDE)
        if weights.b_V is not None:
            constant_HE = constant_HE + _per_head(weights.b_V, heads)
        constant_D = torch.einsum("he,hed->d", constant_HE, weights.W_O)
        if weights.b_O is not None:
            constant_D = constant_D + weights.b_O
        return cls(
            ln2 if centre else Norm(ln2.gain_D, ln2.bias_D, centred=False),
            ln1.into(values_HDE).contiguous(),
            weights.W_O.contiguous(),
            constant_D,
        )

    def attention(self, x_BSD: Tensor, mix_BHSS: Tensor) -> Tensor:
        """What attention adds when the residual stream is ``x_BSD``.

        Args:
            x_BSD: The residual stream before the block.
            mix_BHSS: Pattern over the scale of the position attended to, P_h[q, k] / s_k.
        """
        v_BHSE = torch.einsum("bsd,hde->bhse", x_BSD, self.values_HDE)
        return torch.einsum("bhse,hed->bsd", mix_BHSS @ v_BHSE, self.outputs_HED) + self.constant_D

    def unmixed(self, x_D: Tensor) -> Tensor:
        """What the heads would write, before the division, if every position attended to ``x_D`` on itself alone."""
        return torch.einsum("d,hde,hef->f", x_D, self.values_HDE, self.outputs_HED)


def _per_head(x: Tensor, heads: int) -> Tensor:
    """Values shared by groups of heads [H_kv, ...] → one for every head."""
    return x.repeat_interleave(heads // x.shape[0], dim=0)


def _norm(norm: object, gain: Tensor | None, bias: Tensor | None, like: Tensor) -> Norm:
    return Norm(
        torch.ones_like(like) if gain is None else gain,
        torch.zeros_like(like) if bias is None else bias,
        _subtracts_mean(norm, like),
    )


@torch.no_grad()
def _subtracts_mean(norm: object, like: Tensor) -> bool:
    """Whether a norm takes no notice of a constant added to all of its input."""
    ramp_D = torch.linspace(-1, 1, len(like), device=like.device, dtype=like.dtype)[None, None]
    here, there = norm(ramp_D), norm(ramp_D + 1)  # pyright: ignore[reportCallIssue]
    return bool((here - there).abs().max() <= 1e-2 * here.abs().max())
