"""Activations of a model at many sites, from one pass, in blocks that are mixed as a whole.

A block is a fixed number of batches of the data: its content and its order depend on the seed and the block's number
alone. A run therefore resumes exactly by making its block again; nothing of the buffer is stored.

Memory: ``buffer`` vectors per site in fp32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.core.errors import InputError
from saecli.core.model import HookedModel
from saecli.core.site import Site
from saecli.data.source import TokenSource


@dataclass(frozen=True)
class Block:
    """Vectors of one block and the order in which they are used.

    Attributes:
        vectors_ND: [N, width] per site; row n is the same token at every site.
        order_N: Permutation of the rows.
    """

    vectors_ND: Mapping[Site, Tensor]
    order_N: Tensor

    def parts(self, batch: int) -> list[Tensor]:
        """Row numbers of every step of the block: nearly equal parts of about ``batch`` rows, nothing left over."""
        return list(self.order_N.tensor_split(max(1, round(len(self.order_N) / batch))))


class ActivationStream:
    """Blocks of activations by number.

    Args:
        model: The model; run without gradients, stopped after the deepest site.
        source: Token batches by number. Positions with nothing to predict (padding, ends) are left out.
        sites: Sites to read.
        buffer: Vectors per block, nearly.
        seed: Of the mixing.
    """

    def __init__(
        self, model: HookedModel, source: TokenSource, sites: Collection[Site], buffer: int, seed: int
    ) -> None:
        self._model = model
        self._source = source
        self._sites = sorted(set(sites))
        self._seed = seed
        self._device = next(model.module.parameters()).device
        self._batches = max(1, round(buffer / source.batch(0).tokens_BS.numel()))
        self._buffers: dict[Site, Tensor] = {}

    @torch.no_grad()
    def block(self, number: int) -> Block:
        """Block ``number``, from 0. Its tensors are overwritten by the next block.

        Raises:
            InputError: The data have no usable position.
        """
        filled = 0
        for step in range(number * self._batches, (number + 1) * self._batches):
            batch = self._source.batch(step)
            here_BS = batch.next_BS >= 0
            run = self._model.run(batch.tokens_BS.to(self._device), read=self._sites, stop_after=self._sites[-1])
            here_N = here_BS.reshape(-1).nonzero()[:, 0].to(self._device)
            for site in self._sites:
                values = run.sites[site]
                self._room(site, values, here_BS.numel())[filled : filled + len(here_N)] = values.flatten(0, 1)[here_N]
            filled += len(here_N)
        if not filled:
            raise InputError("The data hold no position to train on.")
        generator = torch.Generator().manual_seed((self._seed * 1_000_003 + number) & (2**63 - 1))
        order_N = torch.randperm(filled, generator=generator).to(self._device)
        return Block({site: self._buffers[site][:filled] for site in self._sites}, order_N)

    def _room(self, site: Site, values: Tensor, per_batch: int) -> Tensor:
        if site not in self._buffers:
            shape = self._batches * per_batch, values.shape[-1]
            self._buffers[site] = torch.empty(shape, dtype=torch.float32, device=self._device)
        return self._buffers[site]
