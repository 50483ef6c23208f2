"""What a dictionary has to beat: the mean of a site, its principal components, random directions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from saecli.core.errors import InputError
from saecli.core.model import HookedModel
from saecli.core.sample import Sample
from saecli.core.site import Site

_PRODUCTS: Final = 1 << 25
"""Inner products that are in memory at once."""
_TINY: Final = 1e-7


@dataclass(frozen=True)
class Baseline:
    """Mean and principal components of a site.

    Attributes:
        mean_D: Over the tokens it was fitted on.
        axes_DD: Eigenvectors of the covariance in columns, the largest variance first.
    """

    mean_D: Tensor
    axes_DD: Tensor

    def project(self, x: Tensor, components: int) -> Tensor:
        """Projection of [..., D] on the mean plus the first ``components`` axes."""
        mean_D, axes = self.mean_D.to(x.dtype), self.axes_DD[:, :components].to(x.dtype)
        return mean_D + (x - mean_D) @ axes @ axes.T

    def random(self, x: Tensor, directions_FD: Tensor, components: int) -> Tensor:
        """The mean plus the ``components`` directions nearest to each vector of [..., D].

        They are added in proportion to their inner products with the vector, and the sum is scaled to fit it best.
        """
        mean_D, directions = self.mean_D.to(x.dtype), directions_FD.to(x)
        components = min(components, len(directions))
        parts = []
        for left in (x.reshape(-1, x.shape[-1]) - mean_D).split(max(1, _PRODUCTS // len(directions))):
            near = (left @ directions.T).topk(components, dim=-1)
            made = torch.nn.functional.embedding_bag(
                near.indices, directions, per_sample_weights=near.values.clamp_min(0), mode="sum"
            )
            scale = (left * made).sum(-1, keepdim=True) / made.square().sum(-1, keepdim=True).clamp_min(_TINY)
            parts.append(mean_D + scale * made)
        return torch.cat(parts).view_as(x)


def random_directions(count: int, width: int, seed: int) -> Tensor:
    """Unit vectors float32 [count, width], the same for the same seed."""
    directions_FD = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return directions_FD / directions_FD.norm(dim=-1, keepdim=True)


@torch.no_grad()
def fit_baselines(model: HookedModel, sites: Iterable[Site], samples: Iterable[Sample]) -> dict[Site, Baseline]:
    """Mean and principal components of sites over training-side sequences, summed in fp64.

    Raises:
        InputError: No position counts.
    """
    sites = sorted(set(sites))
    count = 0
    sums: dict[Site, Tensor] = {}
    products: dict[Site, Tensor] = {}
    for sample in samples:
        here_N = (sample.next_BS >= 0).reshape(-1)
        run = model.run(sample.tokens_BS, read=sites, stop_after=sites[-1])
        count += int(here_N.sum())
        for site in sites:
            x_ND = run.sites[site].flatten(0, 1)[here_N].double()
            sums[site] = sums.get(site, 0) + x_ND.sum(0)
            products[site] = products.get(site, 0) + x_ND.T @ x_ND
    if not count:
        raise InputError("The training-side data hold no position to fit principal components on.")
    baselines = {}
    for site in sites:
        mean_D = sums[site] / count
        axes_DD = torch.linalg.eigh(products[site] / count - torch.outer(mean_D, mean_D)).eigenvectors.flip(1)
        baselines[site] = Baseline(mean_D.float(), axes_DD.float())
    return baselines
