r"""What features pass to each other through connections: means over the tokens where the downstream one is active.

With the norm scales and attention patterns of the model given, what upstream feature i adds to the pre-activation of
feature j is a fixed weight times its activation, and with A_j the positions at which j is active ::

    transcoder        m_ji = Σ_{t ∈ A_j} w_ji f_i(t) / s(t) / |A_j|
                      w_ji = (C (g ⊙ W_enc_j)) · W_dec_i
    attention output  m_ji = Σ_{q ∈ A_j} Σ_h w^h_ji Σ_k P_h[q, k] f_i(k) / s(k) / |A_j|
                      w^h_ji = (W_O,h W_enc_j) · (W_V,h (g ⊙ C W_dec_i))

which is the score ``active-mean`` of ``saecli connect``, here of a few connections. Tokens are upstream features that
are 1 where they stand, and the logit of a token is "active" where that token follows.

Shapes: B sequences, S positions, T = B * S, J downstream and N upstream features, H heads (1 without attention), e head
width (or that of the residual stream).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from saecli.core.connections import Module
from saecli.core.dictionary import SparseActs
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.suite import Suite
from saecli.data.sequences import Sequences
from saecli.pruned.affine import AffineBlock
from saecli.pruned.ends import logit_directions, token_directions
from saecli.pruned.frozen import Frozen, freeze

_POSITIONS: Final = 4096
"""Of a batch, nearly."""


@dataclass(frozen=True)
class End:
    """A feature of a module (or a token, or a logit)."""

    module: Module
    index: int


@dataclass(frozen=True)
class Group:
    """The connections into the features of one module, by upstream feature.

    Attributes:
        module: The downstream module.
        downs: Its features that have any.
        ups: The upstream features.
        downs_of: Per upstream feature the places of its downstream features among `downs`.
        read_HEJ: What each head (or the module) reads, per downstream feature.
        written_NHE: What each upstream feature gives to it.
    """

    module: Module
    downs: tuple[int, ...]
    ups: tuple[End, ...]
    downs_of: tuple[Tensor, ...]
    read_HEJ: Tensor
    written_NHE: Tensor

    @classmethod
    def of(cls, model: HookedModel, suite: Suite, module: Module, pairs: Sequence[tuple[End, End]]) -> Group:
        """Of (downstream, upstream) pairs."""
        downs = tuple(sorted({down.index for down, _ in pairs}))
        places: dict[End, list[int]] = {}
        for down, up in pairs:
            places.setdefault(up, []).append(downs.index(down.index))
        written_ND = torch.stack([_written(model, suite, up) for up in places])
        chosen = torch.tensor(downs, device=written_ND.device)
        if module.what == "logits":
            read_HEJ = logit_directions(model)[chosen].T[None].to(written_ND)
        else:
            affine, W_enc_DJ = AffineBlock.of(model.block(module.reads.layer)), suite[module.reads].W_enc_DF[:, chosen]
            if module.reads.kind == "attn_out":
                written_NHE = torch.einsum("nd,hde->nhe", written_ND, affine.values_HDE)
                return cls(module, downs, tuple(places), _tensors(places), affine.outputs_HED @ W_enc_DJ, written_NHE)
            read_HEJ = affine.ln2.into(W_enc_DJ)[None]
        return cls(module, downs, tuple(places), _tensors(places), read_HEJ, written_ND[:, None])

    def given(self, frozen: Frozen, acts_BSN: Tensor) -> Tensor:
        """What heads bring of upstream activations to each position, over the norm's scale: [T, H, N]."""
        site, scale_BS = self.module.reads, frozen.scales[self.module.reads][..., 0]
        if self.module.what == "features" and site.kind == "attn_out":
            mix_BHSS = frozen.mixes[site.layer]
            return (mix_BHSS @ acts_BSN[:, None].to(mix_BHSS)).transpose(1, 2).flatten(0, 1)
        return (acts_BSN / scale_BS[..., None]).flatten(0, 1)[:, None]


@torch.no_grad()
def mean_contributions(
    model: HookedModel,
    suite: Suite,
    pairs: Collection[tuple[End, End]],
    sequences: Sequences,
    progress: Progress = silent,
) -> dict[tuple[End, End], float | None]:
    """The mean contribution of every connection.

    Args:
        model, suite: They belong together.
        pairs: (downstream, upstream) features.
        sequences: What the model reads; tokens that the suite leaves out do not count as downstream positions.
        progress: Told of every batch.

    Returns:
        By pair the mean; None where the downstream feature is never active.
    """
    modules = dict.fromkeys(down.module for down, _ in pairs)
    groups = [Group.of(model, suite, one, [pair for pair in pairs if pair[0].module == one]) for one in modules]
    needed = {one.module for pair in pairs for one in pair}
    sums = [[torch.zeros_like(_weight(group, n)) for n in range(len(group.ups))] for group in groups]
    counts = [torch.zeros(len(group.downs), dtype=torch.long, device=group.read_HEJ.device) for group in groups]
    rows = max(1, _POSITIONS // sequences.tokens_BS.shape[1])
    for at in range(0, len(sequences), rows) if pairs else ():
        progress("following connections", at, len(sequences))
        batch = Batch.of(model, suite, needed, sequences, slice(at, at + rows))
        for number, group in enumerate(groups):
            active_BSJ = (batch.acts(suite, group.module, group.downs) != 0) & batch.counted_BS[..., None]
            counts[number] += active_BSJ.flatten(0, 1).sum(0)
            given_THN = group.given(batch.frozen, batch.acts_of(suite, group.ups))
            active_TJ = active_BSJ.flatten(0, 1).to(given_THN)
            for n, downs in enumerate(group.downs_of):
                sums[number][n] += given_THN[:, :, n].T @ active_TJ[:, downs]
    found: dict[tuple[End, End], float | None] = {}
    for group, of_group, count_J in zip(groups, sums, counts, strict=True):
        for n, (up, downs) in enumerate(zip(group.ups, group.downs_of, strict=True)):
            total_J = (_weight(group, n) * of_group[n]).sum(0)
            for place, total in zip(downs.tolist(), total_J.tolist(), strict=True):
                many = int(count_J[place])
                found[End(group.module, group.downs[place]), up] = total / many if many else None
    return found


@dataclass(frozen=True)
class Batch:
    """What the model does on some sequences.

    Attributes:
        frozen: Its values.
        tokens_BS, next_BS: Tokens, and those that follow; −1 where there is none.
        counted_BS: Positions that count for downstream features.
        sparse: Active features per module, computed when first asked for.
    """

    frozen: Frozen
    tokens_BS: Tensor
    next_BS: Tensor
    counted_BS: Tensor
    sparse: dict[Module, SparseActs] = field(default_factory=dict)

    @classmethod
    def of(
        cls, model: HookedModel, suite: Suite, needed: Collection[Module], sequences: Sequences, here: slice
    ) -> Batch:
        """Run the model."""
        device = next(model.module.parameters()).device
        tokens_BS, lengths_B = sequences.tokens_BS[here].long().to(device), sequences.lengths_B[here].to(device)
        inside_BS = torch.arange(tokens_BS.shape[1], device=device) < lengths_B[:, None]
        counted_BS = inside_BS & ~torch.isin(tokens_BS, tokens_BS.new_tensor(suite.info.left_out))
        next_BS = tokens_BS.roll(-1, 1).where(inside_BS & inside_BS.roll(-1, 1), -1)
        next_BS[:, -1] = -1
        return cls(freeze(model, needed, tokens_BS), tokens_BS.where(inside_BS, -1), next_BS, counted_BS)

    def acts(self, suite: Suite, module: Module, features: Sequence[int]) -> Tensor:
        """Activations of some features of a module, 0 at padding: [B, S, J]."""
        chosen_J = torch.tensor(features, device=self.tokens_BS.device)
        if module.what != "features":
            seen_BS = self.tokens_BS if module.what == "tokens" else self.next_BS
            return (seen_BS[..., None] == chosen_J).float()
        if module not in self.sparse:
            self.sparse[module] = suite[module.reads].encode_sparse(self.frozen.inputs[module.reads].flatten(0, 1))
        found, count = self.sparse[module], len(features)
        place_F = torch.full((module.n_latents,), count, device=chosen_J.device)
        place_F[chosen_J] = torch.arange(count, device=chosen_J.device)
        acts_TJ = found.values_TK.new_zeros(len(found.values_TK), count + 1)
        acts_TJ.scatter_add_(1, place_F[found.indices_TK], found.values_TK)
        return acts_TJ[:, :count].unflatten(0, self.tokens_BS.shape) * (self.tokens_BS >= 0)[..., None]

    def acts_of(self, suite: Suite, ends: Sequence[End]) -> Tensor:
        """Activations of features of several modules: [B, S, N]."""
        parts, order = [], []
        for module in dict.fromkeys(end.module for end in ends):
            own = [n for n, end in enumerate(ends) if end.module == module]
            parts.append(self.acts(suite, module, [ends[n].index for n in own]))
            order += own
        return torch.cat(parts, -1)[..., torch.tensor(order, device=self.tokens_BS.device).argsort()]


def _weight(group: Group, up: int) -> Tensor:
    """Virtual weights of an upstream feature with its downstream features: [H, J]."""
    return torch.einsum("he,hej->hj", group.written_NHE[up], group.read_HEJ[:, :, group.downs_of[up]])


def _tensors(places: Mapping[End, Sequence[int]]) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(list(one)) for one in places.values())


def _written(model: HookedModel, suite: Suite, up: End) -> Tensor:
    if up.module.what == "tokens":
        return token_directions(model)[up.index]
    return suite[up.module.reads].W_dec_FD[up.index]
