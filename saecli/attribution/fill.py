"""What a token of a site becomes when only some of its features are kept.

The value of a token is decoded from its code alone, without the dictionary's error. Kept features have their own
activation x_a; others are drawn, n times:

    x̂ = restore(b_dec + Σ_{a kept} x_a w_a + Σ_{i drawn} c_i w_i)

Of a drawn code those features are taken that are not kept, the strongest first, and no more than were left out: the
token has no more active features than before, and with every feature kept its value is the dictionary's
reconstruction. (gpt-circuits takes all of them, so that a token whose features are nearly all kept has nearly twice as
many.) What is drawn by chance is drawn once per token: sets of kept features are compared with the same random numbers.

Shapes: A active features of the token, U sets of kept ones, n draws, K features of a drawn code, d width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from saecli.attribution.cluster import Data, Neighbours
from saecli.core.dictionary import Dictionary
from saecli.core.errors import InputError


class Fill(ABC):
    """One token of a site.

    Args:
        dictionary: The site's.
        x_D: The token's value.
        index_A, value_A: Its active features that can be kept.
        active: How many are active in all.
    """

    def __init__(self, dictionary: Dictionary, x_D: Tensor, index_A: Tensor, value_A: Tensor, active: int) -> None:
        self.dictionary, self.active = dictionary, active
        self.index_A, self.value_A = index_A, value_A
        self._restore: Callable[[Tensor], Tensor] = dictionary.prepare(x_D[None])[1]

    def __call__(self, keep_UA: Tensor) -> Tensor:
        """Values of the token [U, n, d] for U sets of kept features, bool [U, A]."""
        own_UD = (self.value_A * keep_UA.to(self.value_A)) @ self.dictionary.W_dec_FD[self.index_A]
        return self._restore(own_UD[:, None] + self.drawn(keep_UA) + self.dictionary.b_dec_D)

    @abstractmethod
    def drawn(self, keep_UA: Tensor) -> Tensor:
        """What the drawn features write: [U, n, d]."""


class Silent(Fill):
    """Nothing in the place of what is left out."""

    def drawn(self, keep_UA: Tensor) -> Tensor:
        return self.value_A.new_zeros(len(keep_UA), 1, self.dictionary.config.d_out)


class Mean(Fill):
    """A mean code in the place of what is left out, in whole, unless nothing is.

    Args:
        mean_F: The code.
    """

    def __init__(
        self,
        dictionary: Dictionary,
        x_D: Tensor,
        index_A: Tensor,
        value_A: Tensor,
        active: int,
        mean_F: Tensor,
    ) -> None:
        super().__init__(dictionary, x_D, index_A, value_A, active)
        self.mean_F = mean_F.to(x_D)
        self._written_D = self.mean_F @ dictionary.W_dec_FD

    def drawn(self, keep_UA: Tensor) -> Tensor:
        keep_UA = keep_UA.to(self.value_A)
        own_UD = (self.mean_F[self.index_A] * keep_UA) @ self.dictionary.W_dec_FD[self.index_A]
        left_out_U = keep_UA.sum(1) < self.active
        return torch.where(left_out_U[:, None], self._written_D - own_UD, 0.0)[:, None]


class Drawn(Fill):
    """Codes of data: always the same ones.

    Args:
        data: Where codes are drawn from.
        row_n: Which.
    """

    def __init__(
        self,
        dictionary: Dictionary,
        x_D: Tensor,
        index_A: Tensor,
        value_A: Tensor,
        active: int,
        data: Data,
        row_n: Tensor,
    ) -> None:
        super().__init__(dictionary, x_D, index_A, value_A, active)
        self.data, self.row_n = data, row_n
        self._column_F = torch.full((dictionary.n_latents,), len(index_A))
        self._column_F[index_A.cpu()] = torch.arange(len(index_A))

    def rows(self, keep_UA: Tensor) -> Tensor:
        """Which codes are drawn for each set: [U, n]."""
        return self.row_n.expand(len(keep_UA), -1)

    def drawn(self, keep_UA: Tensor) -> Tensor:
        keep_UA = keep_UA.cpu()
        row_Un = self.rows(keep_UA)
        found_M, place_Un = row_Un.unique(return_inverse=True)
        index_MK, value_MK = self.data.strongest(found_M)
        column_UnK = self._column_F[index_MK][place_Un]
        kept_UA1 = nn.functional.pad(keep_UA, (0, 1))  # the last column stands for features that are no candidates
        kept_UnK = kept_UA1.gather(1, column_UnK.flatten(1)).view_as(column_UnK)
        value_UnK = value_MK[place_Un].masked_fill(kept_UnK, 0)
        free_UnK = value_UnK != 0
        left_out_U = self.active - keep_UA.sum(1)
        value_UnK = value_UnK.masked_fill(free_UnK.cumsum(-1) > left_out_U[:, None, None], 0)
        weights = self.dictionary.W_dec_FD
        if not value_UnK.shape[-1]:
            return weights.new_zeros(*row_Un.shape, weights.shape[1])
        flat = nn.functional.embedding_bag(
            index_MK[place_Un].flatten(0, 1).to(weights.device),
            weights,
            per_sample_weights=value_UnK.flatten(0, 1).to(weights),
            mode="sum",
        )
        return flat.unflatten(0, tuple(row_Un.shape))


class Nearest(Drawn):
    """Codes of data: of tokens near to this one in what is kept, or where there are none, of any.

    Args:
        position: Where the token stands.
        position_weight: What a difference of positions counts.
        neighbours: Among how many of the nearest is drawn.
        generator: The source of randomness.
    """

    def __init__(
        self,
        dictionary: Dictionary,
        x_D: Tensor,
        index_A: Tensor,
        value_A: Tensor,
        active: int,
        data: Data,
        row_n: Tensor,
        *,
        position: int,
        position_weight: float,
        neighbours: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__(dictionary, x_D, index_A, value_A, active, data, row_n)
        self.position, self.position_weight, self.neighbours = position, position_weight, neighbours
        self.key_K = torch.rand(neighbours, generator=generator)
        """Of the neighbours, by distance, those with the smallest keys are drawn."""
        self._near = Neighbours(data, position, index_A.cpu(), value_A.cpu(), position_weight)

    def rows(self, keep_UA: Tensor) -> Tensor:
        place_UK, count_U = self._near.nearest(keep_UA, self.neighbours)
        if not place_UK.shape[1]:
            return super().rows(keep_UA)
        key_UK = self.key_K[: place_UK.shape[1]].expand(len(keep_UA), -1)
        key_UK = key_UK.masked_fill(torch.arange(place_UK.shape[1]) >= count_U[:, None], torch.inf)
        slot_Un = torch.arange(len(self.row_n)) % count_U.clamp_min(1)[:, None]
        chosen_Un = place_UK.gather(1, key_UK.argsort(dim=1, stable=True).gather(1, slot_Un))
        return torch.where(count_U[:, None] > 0, self._near.row_C[chosen_Un], super().rows(keep_UA))


def any_rows(data: Data, position: int | None, samples: int, generator: torch.Generator) -> Tensor:
    """Codes by chance, none twice while there are others: int64 [n].

    Args:
        data: Where they are drawn from.
        position: Where they stand; anywhere if None.
        samples: n.
        generator: The source of randomness.

    Raises:
        InputError: No sequence of the data is as long.
    """
    pool_M = torch.arange(len(data)) if position is None else (data.position_R == position).nonzero()[:, 0]
    if not len(pool_M):
        raise InputError(f"No sequence of the data has a token at position {position}.", "Name longer ones.")
    order_M = torch.randperm(len(pool_M), generator=generator)
    return pool_M[order_M[torch.arange(samples) % len(pool_M)]]


def generators(seed: int, site: int, tokens: int) -> Mapping[int, torch.Generator]:
    """A source of randomness for each token of a site."""
    return {
        token: torch.Generator().manual_seed(((seed * 1_000_003 + site) * 1_000_003 + token) % (1 << 62))
        for token in range(tokens)
    }
