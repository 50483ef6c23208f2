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

from saecli.core.errors import InputError, UsageError
from saecli.core.model import HookedModel
from saecli.core.ranks import ONE, Ranks
from saecli.core.site import Site
from saecli.data.source import TokenSource


@dataclass(frozen=True)
class Rows:
    """This process's vectors of one batch of the data.

    Attributes:
        vectors_ND: [N, width] per site; row n is the same token at every site.
        first: Number of the first of them among the rows of the batch.
        total: Rows of the batch, over all processes.
        learned_N: bool, which of all processes' rows are learned; None for all.
    """

    vectors_ND: Mapping[Site, Tensor]
    first: int
    total: int
    learned_N: Tensor | None = None


@dataclass(frozen=True)
class Part:
    """The rows of one step.

    Attributes:
        rows_N: This process's, by their place in the block's vectors.
        total: How many there are over all processes.
    """

    rows_N: Tensor
    total: int


@dataclass(frozen=True)
class Block:
    """Vectors of one block and the order in which they are used.

    Attributes:
        vectors_ND: [N, width] per site, of this process; row n is the same token at every site.
        order_N: Permutation of the rows of all processes.
        place_N: Where each of those is among the rows of this process, -1 if it is another's; None for one process.
    """

    vectors_ND: Mapping[Site, Tensor]
    order_N: Tensor
    place_N: Tensor | None = None

    def parts(self, batch: int) -> list[Part]:
        """The rows of every step of the block: nearly equal parts of about ``batch`` rows, nothing left over."""
        parts = []
        for rows_N in self.order_N.tensor_split(max(1, round(len(self.order_N) / batch))):
            mine_N = rows_N if self.place_N is None else self.place_N[rows_N]
            parts.append(Part(mine_N if self.place_N is None else mine_N[mine_N >= 0], len(rows_N)))
        return parts

    def whole(self, site: Site, ranks: Ranks) -> Tensor:
        """[N, width]: the vectors of all processes at a site, in the order of one process."""
        if self.place_N is None:
            return self.vectors_ND[site]
        mine_N = (self.place_N >= 0).nonzero()[:, 0]  # ascending, as the rows of a process are
        found_ND = ranks.gather_rows(self.vectors_ND[site])
        return torch.empty_like(found_ND).index_copy_(0, ranks.gather_rows(mine_N), found_ND)


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
        self._filled = self._total = 0
        self._mine: list[Tensor] = []
        self._learned: list[Tensor] = []
        self._left = stream.batches

    @property
    def done(self) -> bool:
        """Whether every batch of the block has been read."""
        return self._left == 0

    @torch.no_grad()
    def advance(self) -> None:
        """Read one more batch of the data."""
        rows, count = self._stream.rows(next(self._steps)), 0
        for site, vectors_ND in rows.vectors_ND.items():
            count = len(vectors_ND)
            room_ND = self._stream.room(self._number, site, vectors_ND)
            room_ND[self._filled : self._filled + count] = vectors_ND
        first = self._total + rows.first
        self._mine.append(torch.arange(first, first + count))
        if rows.learned_N is not None:
            self._learned.append(rows.learned_N)
        self._filled += count
        self._total += rows.total
        self._left -= 1

    def block(self) -> Block:
        """The finished block; what is missing is read first.

        Raises:
            InputError: The data have no usable position.
        """
        while not self.done:
            self.advance()
        stream = self._stream
        vectors = {site: stream.room(self._number, site)[: self._filled] for site in stream.sites}
        place_N = None
        if stream.ranks.size > 1:
            place_N = torch.full((self._total,), -1)
            place_N[torch.cat(self._mine)] = torch.arange(self._filled)
            place_N = place_N.to(stream.device)
        learned_N = torch.cat(self._learned) if self._learned else torch.ones(self._total, dtype=torch.bool)
        return stream.block(self._number, vectors, learned_N, place_N)


class Stream(ABC):
    """Blocks of vectors by number. Of several processes each has the vectors of its part of every batch.

    Args:
        sites: Where they are from.
        buffer: Vectors per block over all processes, nearly.
        per_batch: Vectors per batch of the data over all processes, at most.
        mine: Vectors per batch of this process, at most.
        seed: Of the mixing.
        device: Where they are kept.
        ranks: The processes.
    """

    def __init__(
        self,
        sites: Collection[Site],
        buffer: int,
        per_batch: int,
        mine: int,
        seed: int,
        device: torch.device,
        ranks: Ranks = ONE,
    ) -> None:
        self.sites = sorted(set(sites))
        self.per_batch, self._mine, self.seed, self.device, self.ranks = per_batch, mine, seed, device, ranks
        self.batches = max(1, round(buffer / per_batch))
        self._rooms: dict[tuple[int, Site], Tensor] = {}

    @abstractmethod
    def rows(self, step: int) -> Rows:
        """The vectors of this process's part of a batch of the data, by number from 0."""

    def filling(self, number: int) -> Filling:
        """Start block ``number``, from 0. It takes the room of block ``number - 2``."""
        return Filling(self, number)

    def block(
        self, number: int, vectors: Mapping[Site, Tensor], learned_N: Tensor, place_N: Tensor | None = None
    ) -> Block:
        """What a filling makes of its vectors: here their mixture.

        Args:
            number: Which block.
            vectors: This process's.
            learned_N: bool, which of all processes' rows are learned; here all.
            place_N: As in :class:`Block`.

        Raises:
            InputError: None is learned.
        """
        if not bool(learned_N.any()):
            raise InputError("The data hold no position to train on.")
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % (1 << 63))
        return Block(vectors, torch.randperm(len(learned_N), generator=generator).to(self.device), place_N)

    def room(self, number: int, site: Site, like_ND: Tensor | None = None) -> Tensor:
        """The buffer of a block's vectors at a site, as wide as the first ones; two blocks have room at once."""
        key = number % 2, site
        if key not in self._rooms and like_ND is not None:
            rows = self.batches * self._mine
            self._rooms[key] = like_ND.new_empty(rows, like_ND.shape[-1], device=self.device)
        return self._rooms[key]


class ActivationStream(Stream):
    """Blocks of a model's activations by number.

    Args:
        model: The model; run without gradients, stopped after the deepest site.
        source: Token batches by number. Positions with nothing to predict (padding, ends) are left out.
        sites: Sites to read.
        buffer: Vectors per block, nearly.
        seed: Of the mixing.
        left_out: Tokens whose vectors are not wanted.
        ranks: The processes; each runs the model on its part of the sequences.

    Raises:
        UsageError: There are fewer sequences in a batch than processes.
    """

    def __init__(
        self,
        model: HookedModel,
        source: TokenSource,
        sites: Collection[Site],
        buffer: int,
        seed: int,
        left_out: Collection[int] = (),
        ranks: Ranks = ONE,
    ) -> None:
        device = next(model.module.parameters()).device
        sequences, positions = source.batch(0).tokens_BS.shape
        if sequences < ranks.size:
            raise UsageError(f"{ranks.size} processes share {sequences} sequences.", "Raise --sequences.")
        mine = -(-sequences // ranks.size) * positions
        super().__init__(sites, buffer, sequences * positions, mine, seed, device, ranks)
        self.model, self.source, self._left_out = model, source, torch.tensor(sorted(left_out), dtype=torch.int64)

    def rows(self, step: int) -> Rows:
        """The activations of one forward pass at the positions that are wanted."""
        tokens_BS, here_BS, part = self._batch(step)
        here_N = here_BS[part].reshape(-1).nonzero()[:, 0].to(self.device)
        run = self.model.run(tokens_BS, read=self.sites, stop_after=self.sites[-1])
        vectors = {site: run.sites[site].flatten(0, 1)[here_N] for site in self.sites}
        return Rows(vectors, int(here_BS[: part.start].sum()), int(here_BS.sum()))

    def _batch(self, step: int) -> tuple[Tensor, Tensor, slice]:
        """This process's sequences of a batch; of all sequences which positions are wanted; which of them are its."""
        batch = self.source.batch(step)
        here_BS = batch.next_BS >= 0
        if len(self._left_out):
            here_BS &= ~torch.isin(batch.tokens_BS, self._left_out)
        part = self.ranks.part(len(here_BS))
        return batch.tokens_BS[part].to(self.device), here_BS, part
