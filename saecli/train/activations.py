"""Activations of a model at many sites, from one pass, in blocks that are mixed as a whole.

A block is a fixed number of batches of the data: its content and its order depend on the seed and the block's number
alone. A run therefore resumes exactly by making its block again; nothing of the buffer is stored. While one block is
used the next is filled.

Memory: twice ``buffer`` vectors per site in fp32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
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


class Filling:
    """A block in the making: one batch of the data per call of :meth:`advance`, so that it can go on beside training.

    Args:
        stream: Where it belongs.
        number: Which block.
    """

    def __init__(self, stream: Stream, number: int) -> None:
        self._stream = stream
        self._number = number
        self._steps = iter(range(number * stream.batches, (number + 1) * stream.batches))
        self._filled = 0
        self._left = stream.batches

    @property
    def done(self) -> bool:
        """Whether every batch of the block has been read."""
        return self._left == 0

    @torch.no_grad()
    def advance(self) -> None:
        """Read one more batch of the data."""
        count = 0
        for site, vectors_ND in self._stream.rows(next(self._steps)).items():
            count = len(vectors_ND)
            room_ND = self._stream.room(self._number, site, vectors_ND.shape[-1])
            room_ND[self._filled : self._filled + count] = vectors_ND
        self._filled += count
        self._left -= 1

    def block(self) -> Block:
        """The finished block; what is missing is read first.

        Raises:
            InputError: The data have no usable position.
        """
        while not self.done:
            self.advance()
        if not self._filled:
            raise InputError("The data hold no position to train on.")
        stream = self._stream
        generator = torch.Generator().manual_seed((stream.seed * 1_000_003 + self._number) % (1 << 63))
        order_N = torch.randperm(self._filled, generator=generator).to(stream.device)
        vectors = {site: stream.room(self._number, site)[: self._filled] for site in stream.sites}
        return Block(vectors, order_N)


class Stream(ABC):
    """Blocks of vectors by number.

    Args:
        sites: Where they are from.
        buffer: Vectors per block, nearly.
        per_batch: Vectors per batch of the data, at most.
        seed: Of the mixing.
        device: Where they are kept.
    """

    def __init__(self, sites: Collection[Site], buffer: int, per_batch: int, seed: int, device: torch.device) -> None:
        self.sites = sorted(set(sites))
        self.per_batch, self.seed, self.device = per_batch, seed, device
        self.batches = max(1, round(buffer / per_batch))
        self._rooms: dict[tuple[int, Site], Tensor] = {}

    @abstractmethod
    def rows(self, step: int) -> Mapping[Site, Tensor]:
        """[n, width] per site: the vectors of a batch of the data, by number from 0; n is at most ``per_batch``."""

    def filling(self, number: int) -> Filling:
        """Start block ``number``, from 0. It takes the room of block ``number - 2``."""
        return Filling(self, number)

    def room(self, number: int, site: Site, width: int = 0) -> Tensor:
        """The buffer of a block's vectors at a site; two blocks have room at once."""
        key = number % 2, site
        if key not in self._rooms:
            self._rooms[key] = torch.empty(self.batches * self.per_batch, width, device=self.device)
        return self._rooms[key]


class ActivationStream(Stream):
    """Blocks of a model's activations by number.

    Args:
        model: The model; run without gradients, stopped after the deepest site.
        source: Token batches by number. Positions with nothing to predict (padding, ends) are left out.
        sites: Sites to read.
        buffer: Vectors per block, nearly.
        seed: Of the mixing.
        left_out: A token whose vectors are not wanted, None for none.
    """

    def __init__(
        self,
        model: HookedModel,
        source: TokenSource,
        sites: Collection[Site],
        buffer: int,
        seed: int,
        left_out: int | None = None,
    ) -> None:
        device = next(model.module.parameters()).device
        super().__init__(sites, buffer, source.batch(0).tokens_BS.numel(), seed, device)
        self.model, self.source, self.left_out = model, source, left_out

    def rows(self, step: int) -> Mapping[Site, Tensor]:
        """The activations of one forward pass at the positions that are wanted."""
        batch = self.source.batch(step)
        here_BS = batch.next_BS >= 0
        if self.left_out is not None:
            here_BS &= batch.tokens_BS != self.left_out
        here_N = here_BS.reshape(-1).nonzero()[:, 0].to(self.device)
        run = self.model.run(batch.tokens_BS.to(self.device), read=self.sites, stop_after=self.sites[-1])
        return {site: run.sites[site].flatten(0, 1)[here_N] for site in self.sites}
