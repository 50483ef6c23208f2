"""Blocks of whole sequences, for a loss that runs the model on: every step has some sequences with all positions.

A block has the same activations as one of :mod:`saecli.train.activations`, and the final residual stream, at every
position; its steps take the sequences in turn, so that each process has a part of every step. Positions with nothing to
predict and tokens that are left out are no rows of a step: there the model keeps its own values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from saecli.core.errors import InputError, UsageError
from saecli.core.model import HookedModel
from saecli.core.ranks import ONE, Ranks
from saecli.core.site import Site
from saecli.data.source import TokenSource
from saecli.train.activations import ActivationStream, Block, Part, Rows


@dataclass(frozen=True)
class SequencePart(Part):
    """The rows of one step, and the sequences that they are from.

    Attributes:
        sequences_B: This process's sequences, by their place in the block.
        within_N: Where the rows are among all positions of these sequences.
    """

    sequences_B: Tensor
    within_N: Tensor


@dataclass(frozen=True)
class SequenceBlock(Block):
    """A block in which ``order_N`` are the rows that are learned, in the order of the data.

    Attributes:
        positions: Of every sequence.
    """

    positions: int = 0

    def parts(self, batch: int) -> list[Part]:
        """Whole sequences for every step, with nearly ``batch`` rows that are learned."""
        sequence_N = self.order_N // self.positions
        learned_B = sequence_N.unique()
        count = min(len(learned_B), max(1, round(len(self.order_N) / batch)))
        return [self._part(sequence_N, learned_B[number::count].contiguous()) for number in range(count)]

    def of(self, site: Site, part: SequencePart) -> Tensor:
        """[B, S, width]: this process's sequences of a step."""
        return self.vectors_ND[site].unflatten(0, (-1, self.positions))[part.sequences_B]

    def whole(self, site: Site, ranks: Ranks) -> Tensor:
        """[N, width]: the rows learned of all processes, in the order of one process."""
        return super().whole(site, ranks)[self.order_N]

    def _part(self, sequence_N: Tensor, chosen_B: Tensor) -> SequencePart:
        rows_N = self.order_N[torch.isin(sequence_N, chosen_B)]
        total = len(rows_N)
        if self.place_N is not None:
            rows_N = self.place_N[rows_N]
            rows_N = rows_N[rows_N >= 0]
            first_B = self.place_N[chosen_B * self.positions]
            chosen_B = first_B[first_B >= 0] // self.positions
        place_B = torch.searchsorted(chosen_B, rows_N // self.positions)
        return SequencePart(rows_N, total, chosen_B, place_B * self.positions + rows_N % self.positions)


class SequenceStream(ActivationStream):
    """Blocks of whole sequences by number.

    Args:
        model: The model; run without gradients to the final residual stream.
        source: Token batches by number.
        sites: Sites to read.
        batch: Vectors per step, nearly: a block is as many batches of the data as that takes, at least one.
        left_out: Tokens whose vectors are not learned.
        ranks: The processes.

    Raises:
        UsageError: There are fewer sequences in a step than processes.
    """

    def __init__(
        self,
        model: HookedModel,
        source: TokenSource,
        sites: Collection[Site],
        batch: int,
        left_out: Collection[int] = (),
        ranks: Ranks = ONE,
    ) -> None:
        self.final = Site(model.info.n_layers, "resid_pre")
        super().__init__(model, source, {*sites, self.final}, batch, 0, left_out, ranks)
        sequences, self._positions = source.batch(0).tokens_BS.shape
        steps = max(1, round(self.batches * self.per_batch / batch))
        if ranks.size > 1 and sequences // ranks.size < steps:
            raise UsageError(
                f"{ranks.size} processes share {sequences} sequences in {steps} steps of --batch {batch}.",
                "Raise --batch or --sequences.",
            )

    def rows(self, step: int) -> Rows:
        """The activations of one forward pass at all positions."""
        tokens_BS, here_BS, part = self._batch(step)
        run = self.model.run(tokens_BS, read=self.sites, stop_after=self.final)
        vectors = {site: run.sites[site].flatten(0, 1) for site in self.sites}
        return Rows(vectors, part.start * self._positions, here_BS.numel(), here_BS.flatten())

    def block(
        self, number: int, vectors: Mapping[Site, Tensor], learned_N: Tensor, place_N: Tensor | None = None
    ) -> Block:
        """The sequences as they came.

        Raises:
            InputError: No position is learned.
        """
        if not bool(learned_N.any()):
            raise InputError("The data hold no position to train on.")
        return SequenceBlock(vectors, learned_N.nonzero()[:, 0].to(self.device), place_N, self._positions)
