"""The temporal dictionary: what earlier positions predict is taken away, and the rest is coded sparsely.

With r = x − b_dec and λ = 1 / (4 d_in), for each attention layer: z = ReLU(λ r W_enc), p = ReLU(attention of z to z of
earlier positions), s = (p W_dec · r) / (‖p W_dec‖ + 1e-6)², and r −= s p W_dec. The features are those of the rest,
f = TopK(ReLU(λ r W_enc)), and x̂ = (f + Σ s p) W_dec + b_dec. A position's code depends on the positions before it.
Source: Lubana et al. 2025, https://arxiv.org/abs/2511.01836; the rule as in sae-lens 6.
"""

from __future__ import annotations

from typing import Final, NoReturn

import torch
from torch import Tensor, nn

from saecli.core.dictionary import DictionaryConfig, InputNorm
from saecli.core.errors import UsageError
from saecli.dictionaries.selection import top_k
from saecli.dictionaries.tied import Tied

_MOST_LAYERS: Final = 64


class Temporal(Tied):
    """Dictionary of whole sequences, [..., S, d_in]; no bias in its encoder.

    Options: ``n_heads``, ``n_attn_layers``, ``bottleneck_factor`` (features per width of queries and keys), ``k``
    (absent: plain ReLU), ``tied_weights`` (the encoder is the decoder), ``input_scale`` (the input times this number).
    """

    arch = "temporal"
    positionwise = False

    def __init__(self, config: DictionaryConfig) -> None:
        super().__init__(config)
        options = config.options
        heads, factor, layers = (
            options.get(name, default)
            for name, default in (("n_heads", 8), ("bottleneck_factor", 64), ("n_attn_layers", 1))
        )
        if not all(type(count) is int and 1 <= count <= config.n_latents for count in (heads, factor, layers)):
            raise UsageError(
                f"A temporal dictionary needs whole numbers n_heads, bottleneck_factor and n_attn_layers from 1 to "
                f"{config.n_latents}, not {heads!r}, {factor!r} and {layers!r}."
            )
        if config.n_latents % (heads * factor) or layers > _MOST_LAYERS:
            raise UsageError(
                f"A temporal dictionary of {config.n_latents} latents cannot have {layers} layers of {heads} heads of "
                f"1/{factor}."
            )
        self.k: int | None = options.get("k")
        if self.k is not None and not (isinstance(self.k, int) and 1 <= self.k <= config.n_latents):
            raise UsageError(
                f"A temporal dictionary of {config.n_latents} latents needs k from 1 to that, not {self.k!r}."
            )
        self.attn_layers = nn.ModuleList(_Attention(config.n_latents, heads, factor) for _ in range(layers))

    def input_norm(self, x: Tensor) -> InputNorm | None:
        """As of every dictionary, or the inverse of ``input_scale``."""
        if scale := self.config.options.get("input_scale"):
            divisor = x.new_full((*x.shape[:-1], 1), 1 / scale)
            return InputNorm(None, divisor, divisor)
        return super().input_norm(x)

    def encode_parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Sequences [..., S, d_in] → pre-activations of the features and what was predicted, [..., S, F] each."""
        rest = self.prepare(x)[0].reshape(-1, *x.shape[-2:])
        lam = 1 / (4 * self.config.d_in)
        predicted = rest.new_zeros(*rest.shape[:-1], self.n_latents)
        for layer in self.attn_layers:
            codes = (rest * lam @ self.W_enc_DF).relu()
            earlier = torch.cat((torch.zeros_like(codes[:, :1]), codes[:, :-1]), dim=1)
            prediction = layer(earlier, codes).relu()
            direction = prediction @ self.W_dec_FD
            norm = direction.norm(dim=-1, keepdim=True) + 1e-6
            scale = (direction * rest).sum(-1, keepdim=True) / norm.square()
            predicted = predicted + prediction * scale
            rest = rest - scale * direction
        shape = (*x.shape[:-1], self.n_latents)
        return (rest * lam @ self.W_enc_DF).view(shape), predicted.view(shape)

    def preactivations(self, x: Tensor) -> Tensor:
        """Sequences [..., S, d_in] → [..., S, F], before the activation function."""
        return self.encode_parts(x)[0]

    def activate(self, pre: Tensor, indices: Tensor | None = None) -> Tensor:
        """ReLU, and of that the k largest."""
        acts = pre.relu()
        if self.k is None:
            return acts
        flat = acts.reshape(-1, acts.shape[-1])
        values_TK, indices_TK = top_k(flat, min(self.k, flat.shape[-1]))
        return torch.zeros_like(flat).scatter(-1, indices_TK, values_TK).view_as(pre)

    def encode_sparse(self, x: Tensor) -> NoReturn:
        """Refused: rows are positions without their sequences; :meth:`encode` takes sequences."""
        raise UsageError("The code of a temporal dictionary depends on the whole sequence; positions alone have none.")

    def reconstruct(self, x: Tensor) -> Tensor:
        """Sequences [..., S, d_in] → reconstruction of the same shape, of features and prediction together."""
        pre, predicted = self.encode_parts(x)
        return self.prepare(x)[1](self.decode(self.activate(pre) + predicted))

    def forward(self, x: Tensor) -> Tensor:
        """The same as :meth:`reconstruct`."""
        return self.reconstruct(x)

    def may_be_active(self, pre_TF: Tensor, bound_TF: Tensor) -> Tensor:
        """Every feature."""
        return torch.ones_like(pre_TF, dtype=torch.bool)

    def encoder_directions(self, x_ND: Tensor, indices_N: Tensor) -> NoReturn:
        """Refused: a feature's gradient depends on the positions before it."""
        raise UsageError("The features of a temporal dictionary depend on the whole sequence; it cannot be traced.")


class _Attention(nn.Module):
    """Causal attention in the space of features, with narrow queries and keys."""

    def __init__(self, width: int, heads: int, factor: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_ctx = nn.Linear(width, width // factor)
        self.q_target = nn.Linear(width, width // factor)
        self.v_ctx = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, context: Tensor, target: Tensor) -> Tensor:
        """[B, S, F] of the keys and of the queries → [B, S, F]."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.q_target(target), self.k_ctx(context), self.v_ctx(context))
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(mixed.transpose(1, 2).flatten(2))
