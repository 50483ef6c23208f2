"""What the model predicts when of one site only some features are kept.

The value of every token up to the target is decoded from the features kept there and from what stands in for the
others (:mod:`saecli.attribution.fill`); the rest of the model is computed from it, n samples together, and

    divergence = KL(p ‖ mean over samples of q)

p being what the unmodified model predicts at the target. It is that of the dictionary as well: with every feature kept
it is what the dictionary's error alone costs.

Shapes: G sets of kept nodes, N nodes, U different ones at a token, n samples, S tokens up to the target, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from saecli.attribution.fill import Fill
from saecli.attribution.tail import Tail
from saecli.core.dictionary import Dictionary
from saecli.core.model import HookedModel
from saecli.core.site import Site

_NUMBERS: Final = 1 << 22
"""Numbers of the widest tensor of a batch, nearly."""


@dataclass(frozen=True)
class ActiveFeatures:
    """Active features of one site, N of them, by position.

    Attributes:
        position_N, index_N: Where and which.
        activation_N: How active.
    """

    position_N: Tensor
    index_N: Tensor
    activation_N: Tensor

    def __len__(self) -> int:
        return len(self.index_N)

    def take(self, keep: Tensor) -> ActiveFeatures:
        """The features at ``keep`` (a mask or indices)."""
        return ActiveFeatures(self.position_N[keep], self.index_N[keep], self.activation_N[keep])


class Kept:
    """Values of the tokens of a site for sets of kept features.

    Args:
        fills: What each token becomes, up to the target.
        position_N: Positions of the nodes, which are the fills' features in order.
    """

    def __init__(self, fills: Sequence[Fill], position_N: Tensor) -> None:
        self.fills, self.position_N = fills, position_N

    def values(self, keep_GN: Tensor) -> tuple[list[Tensor], Tensor]:
        """Different values of every token, [U, n, d] each, and which of them each set has: [G, S]."""
        values: list[Tensor] = []
        which: list[Tensor] = []
        for position, fill in enumerate(self.fills):
            keep_GA = keep_GN[:, self.position_N == position]
            if keep_GA.shape[1]:
                keep_UA, place_G = keep_GA.unique(dim=0, return_inverse=True)
            else:
                keep_UA, place_G = keep_GA[:1], torch.zeros_like(keep_GN[:, 0], dtype=torch.int64)
            values.append(fill(keep_UA))
            which.append(place_G)
        return values, torch.stack(which, dim=1)


class Divergence:
    """The divergence of sets of kept features of one site.

    Args:
        model: The model.
        dictionary: The site's.
        kept: Values of its tokens up to the target.
        clean_V: Logits of the unmodified model at the target.
    """

    def __init__(self, model: HookedModel, dictionary: Dictionary, kept: Kept, clean_V: Tensor) -> None:
        self.model, self.kept = model, kept
        self._clean_V = clean_V.double().log_softmax(-1)
        self._tail = Tail(model, dictionary.config.reads, Site(model.info.n_layers, "resid_pre"))

    @torch.no_grad()
    def __call__(self, keep_GN: Tensor) -> Tensor:
        """Divergence of each set: float64 [G]."""
        out = [self._part(part) for part in keep_GN.split(_SETS)]
        return torch.cat(out).cpu() if out else torch.zeros(0, dtype=torch.float64)

    def of_values(self, x_nSD: Tensor) -> float:
        """Divergence with the site's tokens up to the target at these values, n samples."""
        return float(self._divergence(self._tail.first(x_nSD)[None, :, -1])[0])

    def _part(self, keep_GN: Tensor) -> Tensor:
        values, which_GS = self.kept.values(keep_GN)
        samples = max(len(one[0]) for one in values)
        values = [one.expand(-1, samples, -1) for one in values]
        first = torch.stack([one[int(u)] for one, u in zip(values, which_GS[0], strict=True)], dim=1)
        out_G = self._divergence(self._tail.first(first)[None, :, -1]).expand(len(keep_GN)).clone()
        length = len(values)
        differs_GS = which_GS != which_GS[0]
        begin_G = torch.where(differs_GS.any(1), differs_GS.int().argmax(1), length)
        order_G = begin_G.argsort(stable=True)
        info = self.model.info
        start = 0
        while start < len(order_G) and (begin := int(begin_G[order_G[start]])) < length:
            width = samples * max((length - begin) * max(info.d_mlp, 4 * info.d_model), info.d_vocab)
            rows = order_G[start : start + max(1, _NUMBERS // width)]
            rows = rows[begin_G[rows] < length]
            x_GnSD = torch.stack([values[s][which_GS[rows, s]] for s in range(begin, length)], dim=2)
            out_G[rows] = self._divergence(self._tail.last_position(x_GnSD, begin))
            start += len(rows)
        return out_G

    def _divergence(self, x_GnD: Tensor) -> Tensor:
        mean_GV = self.model.unembed(x_GnD).double().softmax(-1).mean(1)
        return (self._clean_V.exp() * (self._clean_V - mean_GV.clamp_min(1e-300).log())).sum(-1)


_SETS: Final = 256
"""Sets whose token values are in memory at once."""
