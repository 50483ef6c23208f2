"""What follows a residual site, up to one position of the last one, for many variants of the same tokens.

Variants are compared with a first one: positions before the first that differs are not computed again, only attended
to, and in the last block only the position asked for is. Where attention is no more than softmax(q·k / √d) v, with
nothing done to queries and keys, those positions' keys and values are those of the first variant; whether it is no more
is seen in the first variant, by both ways to compute it. Elsewhere they are made again from the first variant's stream.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from saecli.core.model import Block, BlockWeights, HookedModel
from saecli.core.site import Site


class Tail:
    """The blocks from one residual site to another.

    Args:
        model: The model.
        start, end: Residual sites; ``end`` is not before ``start``.
    """

    def __init__(self, model: HookedModel, start: Site, end: Site) -> None:
        self.start, self.end = start.canonical, end.canonical
        self._blocks = {
            layer: model.block(layer) for layer in range(self.start.layer, min(self.end.layer + 1, model.info.n_layers))
        }
        self._streams: dict[int, Tensor] = {}
        self._plain: dict[int, _Plain] = {}

    @property
    def reuses(self) -> set[int]:
        """Layers where keys and values of the first variant are used again."""
        return set(self._plain)

    def first(self, x_nSD: Tensor) -> Tensor:
        """The first variant, which the others are compared with: its stream at the end [n, S, d]."""
        self._streams = {}
        return self._run(x_nSD[None], 0, keep=True, whole=True)[0]

    def last_position(self, x_GnSD: Tensor, begin: int) -> Tensor:
        """The stream at the end at the last position [G, n, d].

        Args:
            x_GnSD: G variants from position ``begin`` on, n samples each; those before are of the first variant.
            begin: First position that differs.
        """
        return self._run(x_GnSD, begin)[:, :, -1]

    def all_positions(self, x_GnSD: Tensor, begin: int) -> Tensor:
        """The same at every position from ``begin`` on: [G, n, S', d]."""
        return self._run(x_GnSD, begin, whole=True)

    def _run(self, x_GnSD: Tensor, begin: int, *, keep: bool = False, whole: bool = False) -> Tensor:
        count, samples = x_GnSD.shape[:2]
        x = x_GnSD.flatten(0, 1)
        for layer, block in self._blocks.items():
            entering = x
            if layer > self.start.layer or self.start.kind == "resid_pre":
                if Site(layer, "resid_pre") == self.end:
                    break
                if keep:
                    self._streams[layer] = x
                last = not whole and Site(layer + 1, "resid_pre") == self.end
                x, entering = self._attend(block, layer, x, begin, count, last)
                if Site(layer, "resid_mid") == self.end:
                    break
            elif not whole and Site(layer + 1, "resid_pre") == self.end:
                x = entering = x[:, -1:]
            x = x + block.mlp(block.ln2(entering if block.parallel else x))
        return x.unflatten(0, (count, samples))

    def _attend(self, block: Block, layer: int, x: Tensor, begin: int, count: int, last: bool) -> tuple[Tensor, Tensor]:
        """The stream after the attention, and before it; at the last position only if no more is needed."""
        if (plain := self._plain.get(layer)) is not None and begin:
            attn = plain(block.ln1(x), begin, count, last=last)
            x = x[:, -1:] if last else x
            return x + attn, x
        seen = x
        if begin:
            before_nSD = self._streams[layer][:, :begin]
            seen = torch.cat([before_nSD.expand(count, -1, -1, -1).flatten(0, 1), x], dim=1)
        normed = block.ln1(seen)
        attn = block.attention(normed)[:, begin:]
        if not begin and count == 1 and layer in self._streams and self._streams[layer] is x:
            self._plain.pop(layer, None)
            if (plain := _Plain.of(block, normed, attn)) is not None:
                self._plain[layer] = plain
        if last:
            x, attn = x[:, -1:], attn[:, -1:]
        return x + attn, x


class _Plain:
    """Attention without anything but its weights, with the keys and values of the first variant.

    Args:
        weights: Of the block.
        normed_nSD: What the attention is given in the first variant.
    """

    def __init__(self, weights: BlockWeights, normed_nSD: Tensor) -> None:
        self._weights = weights
        self._keys, self._values = self._heads(normed_nSD, "K"), self._heads(normed_nSD, "V")

    @classmethod
    def of(cls, block: Block, normed_nSD: Tensor, attn_nSD: Tensor) -> _Plain | None:
        """It, if it gives what the block's own attention does; None else."""
        weights = block.weights
        if block.attention_post is not None or weights.W_Q.dim() != 3 or weights.W_K.shape != weights.W_Q.shape:
            return None
        made = cls(weights, normed_nSD)
        own = made._mix(made._heads(normed_nSD, "Q"), made._keys, made._values)
        close = 1e3 * torch.finfo(own.dtype).eps * float(attn_nSD.abs().max())
        return made if float((own - attn_nSD).abs().max()) <= close else None

    def __call__(self, normed_MSD: Tensor, begin: int, count: int, *, last: bool) -> Tensor:
        """The attention's output from ``begin`` on, or at the last position: [M, S', d]."""

        def after(first_nHSd: Tensor, name: str) -> Tensor:
            before = first_nHSd[:, :, :begin].expand(count, -1, -1, -1, -1).flatten(0, 1)
            return torch.cat([before, self._heads(normed_MSD, name)], dim=2)

        queries = self._heads(normed_MSD[:, -1:] if last else normed_MSD, "Q")
        return self._mix(queries, after(self._keys, "K"), after(self._values, "V"))

    def _heads(self, x_MSD: Tensor, name: str) -> Tensor:
        """Queries, keys or values: [M, H, S, d_head]."""
        W_HDd: Tensor = getattr(self._weights, f"W_{name}")
        b_Hd: Tensor | None = getattr(self._weights, f"b_{name}")
        flat = x_MSD @ W_HDd.transpose(0, 1).flatten(1)
        if b_Hd is not None:
            flat = flat + b_Hd.flatten()
        return flat.unflatten(-1, (W_HDd.shape[0], -1)).transpose(1, 2)

    def _mix(self, q_MHSd: Tensor, k_MHSd: Tensor, v_MHSd: Tensor) -> Tensor:
        queries, keys = q_MHSd.shape[2], k_MHSd.shape[2]
        seen_SS = torch.ones(queries, keys, dtype=torch.bool, device=q_MHSd.device).tril(keys - queries)
        z_MHSd = nn.functional.scaled_dot_product_attention(q_MHSd, k_MHSd, v_MHSd, attn_mask=seen_SS)
        out = z_MHSd.transpose(1, 2).flatten(2) @ self._weights.W_O.flatten(0, 1)
        return out if self._weights.b_O is None else out + self._weights.b_O
