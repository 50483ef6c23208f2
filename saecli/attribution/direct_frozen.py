"""A model of which only the linear parts act: norms divide by the scales of one pass, attention keeps its patterns.

With the scale s of a norm fixed, its gain g and bias β, and with the pattern P_h of head h fixed::

    norm(x) = g ⊙ c(x) / s + β                          c(x) = x − mean(x) for LayerNorm, x for RMSNorm
    attention(y)_q = post(Σ_h Σ_k P_h[q, k] (y_k W_V,h + b_V,h) W_O,h + b_O)

MLPs do not act at all: what they added in the pass is a constant, or whatever dictionaries make of it.

Sources: Ameisen et al. 2025, https://transformer-circuits.pub/2025/attribution-graphs/methods.html (local replacement
model); https://github.com/safety-research/circuit-tracer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.core.errors import UsageError
from saecli.core.model import Aux, Block, HookedModel
from saecli.core.site import Site

_FAR = 1e3
"""Norms are probed with values so large that their epsilon does not count."""

_TOLERANCE = 1e-2


@dataclass(frozen=True)
class FrozenNorm:
    """A norm whose scale is that of one pass.

    Attributes:
        factor_SD: Gain over scale at every position.
        centred: Whether the mean is subtracted.
    """

    factor_SD: Tensor
    centred: bool

    @classmethod
    def at(cls, norm: Callable[[Tensor], Tensor], x_SD: Tensor) -> FrozenNorm:
        """A norm at its inputs in one pass; gain, bias and scale are found from what it makes of them.

        Raises:
            UsageError: It does not divide by a scale (DynamicTanh).
        """
        width = x_SD.shape[-1]
        probe_D = torch.ones_like(x_SD[0])
        probe_D[: width // 2] = -(width - width // 2) / max(1, width // 2)  # no entry is 0, and their mean is
        up_D, down_D, moved_D = (
            norm(_FAR * y_D[None, None])[0, 0] for y_D in (probe_D, -probe_D, probe_D + torch.ones_like(probe_D))
        )
        gain_D = (up_D - down_D) / 2 * probe_D.square().mean().sqrt() / probe_D
        centred = bool((up_D - moved_D).abs().max() <= _TOLERANCE * (up_D - down_D).abs().max())
        out_SD = norm(x_SD[None])[0] - (up_D + down_D) / 2
        direction_SD = gain_D * (x_SD - x_SD.mean(-1, keepdim=True) if centred else x_SD)
        inverse_S1 = (direction_SD * out_SD).sum(-1, keepdim=True) / direction_SD.square().sum(-1, keepdim=True)
        if (inverse_S1 * direction_SD - out_SD).abs().max() > _TOLERANCE * out_SD.abs().max():
            raise UsageError("A norm of this model has no scale that could be held fixed.", "Use --method gradient.")
        return cls(gain_D * inverse_S1, centred)

    def pull_back(self, gradient: Tensor, position_N: Tensor) -> Tensor:
        """Gradient of its output → of its input; rows as of :class:`Descent`."""
        rows = self.factor_SD[position_N] if gradient.dim() == 2 else self.factor_SD[: gradient.shape[1]]
        out = gradient * rows
        return out - out.mean(-1, keepdim=True) if self.centred else out


@dataclass(frozen=True)
class FrozenAttention:
    """Attention whose patterns are those of one pass.

    Attributes:
        pattern_HSS: Queries by keys.
        W_V_HDE, W_O_HED: Values and outputs of every head.
        post: The norm of what it adds; None without.
    """

    pattern_HSS: Tensor
    W_V_HDE: Tensor
    W_O_HED: Tensor
    post: FrozenNorm | None

    def pull_back(self, gradient: Tensor, position_N: Tensor) -> Tensor:
        """Gradient of what it adds → of attn_in [N, P, d]; rows as of :class:`Descent`."""
        if self.post is not None:
            gradient = self.post.pull_back(gradient, position_N)
        if gradient.dim() == 2:
            # every row was at one position: the keys it looked at share what its heads read
            read_NHD = torch.einsum("nd,hed,hxe->nhx", gradient, self.W_O_HED, self.W_V_HDE)
            length = int(position_N.max()) + 1
            return torch.einsum("hnk,nhd->nkd", self.pattern_HSS[:, position_N, :length], read_NHD)
        length = gradient.shape[1]
        out_NHPE = torch.einsum("npd,hed->nhpe", gradient, self.W_O_HED)
        value_NHPE = self.pattern_HSS[:, :length, :length].transpose(-1, -2) @ out_NHPE
        return torch.einsum("nhpe,hde->npd", value_NHPE, self.W_V_HDE)


@dataclass(frozen=True)
class FrozenBlock:
    """The linear parts of a block; ``ln2`` reads resid_mid, or resid_pre in parallel blocks, None if not computed."""

    ln1: FrozenNorm
    attention: FrozenAttention
    ln2: FrozenNorm | None


@dataclass(frozen=True)
class FrozenModel:
    """The linear parts of a model at one pass.

    Attributes:
        model: The model.
        blocks: Its blocks below ``end``.
        end: The last site that was computed.
        values: Site → its value [S, d].
    """

    model: HookedModel
    blocks: tuple[FrozenBlock, ...]
    end: Site
    values: dict[Site, Tensor]

    @classmethod
    @torch.no_grad()
    def of(cls, model: HookedModel, tokens_S: Tensor, end: Site, read: Collection[Site]) -> FrozenModel:
        """Run the model once.

        Args:
            model: The model.
            tokens_S: int64 token ids.
            end: The last site needed.
            read: Sites whose values are wanted; those beyond ``end`` are left out.
        """
        info = model.info
        layers = range(end.canonical.layer + (end.kind not in ("resid_pre", "resid_post")))
        entering = {layer: Site(layer, "resid_pre" if info.parallel else "resid_mid") for layer in layers}
        wanted = {end, *read, *entering.values()}
        wanted |= {Site(layer, kind) for layer in layers for kind in ("resid_pre", "attn_out")}
        aux: list[tuple[int, Aux]] = [(layer, "attn_pattern") for layer in layers]
        run = model.run(tokens_S[None], read={site for site in wanted if site <= end}, aux=aux, stop_after=end)
        values = {site: value[0] for site, value in run.sites.items()}
        blocks = [
            _frozen(model.block(layer), layer, run.aux[layer, "attn_pattern"][0], values, entering[layer])
            for layer in layers
        ]
        return cls(model, tuple(blocks), end, values)


def _frozen(block: Block, layer: int, pattern_HSS: Tensor, values: dict[Site, Tensor], before_mlp: Site) -> FrozenBlock:
    weights, x_SD = block.weights, values[Site(layer, "resid_pre")]
    heads = len(weights.W_O)
    W_V_HDE = weights.W_V.repeat_interleave(heads // len(weights.W_V), dim=0)  # shared by groups of heads
    value_HSE = torch.einsum("sd,hde->hse", block.ln1(x_SD[None])[0], W_V_HDE)
    if weights.b_V is not None:
        value_HSE = value_HSE + weights.b_V.repeat_interleave(heads // len(weights.b_V), dim=0)[:, None]
    mixed_SD = torch.einsum("hse,hed->sd", pattern_HSS @ value_HSE, weights.W_O)
    if weights.b_O is not None:
        mixed_SD = mixed_SD + weights.b_O
    post, out_SD = None, mixed_SD
    if block.attention_post is not None:
        post = FrozenNorm.at(block.attention_post, mixed_SD)
        out_SD = block.attention_post(mixed_SD[None])[0]
    there_SD = values.get(Site(layer, "attn_out"), out_SD)
    if (out_SD - there_SD).abs().max() > _TOLERANCE * there_SD.abs().max():
        raise UsageError(
            f"Attention of layer {layer} does more than mix values by its pattern, so it cannot be held fixed.",
            "Use --method gradient.",
        )
    ln2 = FrozenNorm.at(block.ln2, values[before_mlp]) if before_mlp in values else None
    attention = FrozenAttention(pattern_HSS, W_V_HDE, weights.W_O, post)
    return FrozenBlock(FrozenNorm.at(block.ln1, x_SD), attention, ln2)
