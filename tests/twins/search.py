"""The divergence of a set of kept features the slow way: dense codes, one forward of every position per set."""

from __future__ import annotations

import torch
from torch import Tensor

from saecli.attribution.cluster import STRONGEST, Data
from saecli.attribution.fill import Drawn, Fill, Mean, Nearest
from saecli.attribution.keeping import Kept
from saecli.core.dictionary import Dictionary
from saecli.core.model import HookedModel


class SlowDivergence:
    """Like :class:`saecli.attribution.keeping.Divergence`.

    Args:
        model, dictionary: What is run.
        kept: Whose draws are used.
        clean_V: Logits of the unmodified model.
        x_SD: Unmodified values of the site, up to the target.
        positions: Positions that are run; what comes after the target has no active feature.
    """

    def __init__(
        self, model: HookedModel, dictionary: Dictionary, kept: Kept, clean_V: Tensor, x_SD: Tensor, positions: int
    ) -> None:
        self.model, self.dictionary, self.kept = model, dictionary, kept
        self.clean_V, self.x_SD, self.positions = clean_V.double(), x_SD, positions
        self._seen: dict[tuple, Tensor] = {}
        self._data: dict[int, Tensor] = {}

    @torch.no_grad()
    def __call__(self, keep_GN: Tensor) -> Tensor:
        return torch.stack([self._one(keep_N) for keep_N in keep_GN])

    def _one(self, keep_N: Tensor) -> Tensor:
        codes = [
            self._code(position, fill, keep_N[self.kept.position_N == position])
            for position, fill in enumerate(self.kept.fills)
        ]
        samples = max(map(len, codes))
        length = len(codes)
        acts_nSF = torch.zeros(samples, self.positions, self.dictionary.n_latents, dtype=self.x_SD.dtype)
        acts_nSF[:, :length] = torch.stack([code.expand(samples, -1) for code in codes], dim=1)
        x_SD = self.x_SD.new_zeros(self.positions, self.x_SD.shape[1])
        x_SD[:length] = self.x_SD
        _, restore = self.dictionary.prepare(x_SD)
        value_nSD = restore(self.dictionary.decode(acts_nSF))
        tokens_nS = torch.zeros(samples, self.positions, dtype=torch.int64)  # every value that follows is written over
        out = self.model.run(tokens_nS, write={self.dictionary.config.reads: lambda _: value_nSD})
        assert out.logits is not None
        mean_V = out.logits[:, length - 1].double().softmax(-1).mean(0)
        log_p = self.clean_V.log_softmax(-1)
        return (log_p.exp() * (log_p - mean_V.log())).sum()

    def _code(self, position: int, fill: Fill, keep_A: Tensor) -> Tensor:
        """Codes of one token: [n, F]. They are remembered, as gpt-circuits remembers its clusters."""
        key = (position, tuple(keep_A.tolist()))
        if key not in self._seen:
            self._seen[key] = self._drawn(fill, keep_A)
        return self._seen[key]

    def _drawn(self, fill: Fill, keep_A: Tensor) -> Tensor:
        acts_nF = torch.zeros(1, self.dictionary.n_latents, dtype=self.x_SD.dtype)
        left_out = fill.active - int(keep_A.sum())
        kept = fill.index_A[keep_A]
        if isinstance(fill, Mean) and left_out:
            acts_nF = fill.mean_F[None].clone()
        if isinstance(fill, Drawn):
            acts_nF = self._dense(fill.data)[self._rows(fill, keep_A)].to(self.x_SD.dtype)
            acts_nF[:, kept] = 0
            for code in acts_nF:
                code[code.abs().argsort(descending=True, stable=True)[left_out:]] = 0
        acts_nF[:, kept] = fill.value_A[keep_A]
        return acts_nF

    def _rows(self, fill: Drawn, keep_A: Tensor) -> list[int]:
        if not isinstance(fill, Nearest):
            return fill.row_n.tolist()
        kept = (fill.index_A[keep_A], fill.value_A[keep_A], fill.position_weight)
        far_R = distances(fill.data, self._dense(fill.data), fill.position, *kept)
        near = far_R.sort().indices[: min(fill.neighbours, int(far_R.isfinite().sum()))].tolist()
        keyed = fill.key_K[: len(near)].argsort(stable=True).tolist()
        return [near[keyed[j % len(near)]] for j in range(len(fill.row_n))] if near else fill.row_n.tolist()

    def _dense(self, data: Data) -> Tensor:
        if id(data) not in self._data:
            self._data[id(data)] = data.codes.dense(data.n_latents)
        return self._data[id(data)]


def distances(data: Data, acts_RF: Tensor, position: int, index_K: Tensor, value_K: Tensor, weight: float) -> Tensor:
    """Distance of every datum, infinite where none of the strongest kept features fires: [R]."""
    acts_RK = acts_RF[:, index_K]
    strongest = value_K.abs().argsort(descending=True, stable=True)[:STRONGEST]
    largest_K = torch.maximum(acts_RF.abs().amax(0)[index_K], value_K.abs().float())
    square_RK = ((acts_RK - value_K) / largest_K) ** 2
    far_R = (weight * (data.position_R - position).abs() / data.context) ** 2
    total_R = (square_RK.sum(1) + far_R) / (len(index_K) + 1)
    return total_R.masked_fill((acts_RK[:, strongest] == 0).all(1), torch.inf)
