"""What the model and its dictionaries do on sequences, a batch at a time: all that scores are summed from.

Features are those of the dictionaries on the model's own activations; as the reference has it, those of the pruned pass
with all features connected. Norm scales and attention patterns are the model's own (:mod:`saecli.pruned.frozen`).

Shapes: T = B * S positions of a batch, K active features.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from saecli.connect.modules import Down
from saecli.core.connections import Module
from saecli.core.dictionary import SparseActs
from saecli.core.errors import InputError
from saecli.core.model import HookedModel
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.data.sequences import Sequences
from saecli.pruned.frozen import freeze
from saecli.pruned.suite import PrunedSuite

POSITIONS: Final = 4096
"""Of a batch, nearly."""


@dataclass(frozen=True)
class Batch:
    """A batch of sequences.

    Attributes:
        counted_BS: bool, positions at which downstream features are looked at.
        next_BS: int64, the token that follows; −1 where none is known.
        acts: Per module the features that are active at each position, [T, K]; 0 at padding.
        slopes: Per downstream module, if asked for, |∂CE / ∂f_j| of its active features [T, K], CE summed over the
            tokens of the sequences.
        scale: Per downstream module what the norm before it divides by, [T].
        mix: Per layer the attention pattern over the scale of the position attended to, [B, H, S, S].
    """

    counted_BS: Tensor
    next_BS: Tensor
    acts: dict[Site, SparseActs]
    slopes: dict[Site, SparseActs]
    scale: dict[Site, Tensor]
    mix: dict[int, Tensor]

    def active(self, down: Module, *, slopes: bool) -> SparseActs:
        """Downstream features at each position and the weight that the position has for them.

        The weight of an active feature is 1, or with `slopes` its |∂CE / ∂f_j|; 0 where nothing is counted. The logit
        that is "active" is that of the token which follows.
        """
        found = self.slopes[down.reads] if slopes else self.acts[down.reads]
        ones_TK = found.values_TK if slopes else (found.values_TK != 0).to(self.scale[down.reads].dtype)
        return SparseActs(found.indices_TK, ones_TK * self.counted_BS.reshape(-1, 1))


@dataclass(frozen=True)
class Reader:
    """What runs sequences.

    Attributes:
        model, suite: The model and dictionaries that fit it.
        left_out: Tokens whose positions are not counted.
        rows: Sequences of a batch; as many as make about 4,096 positions if 0.
        pruned: The pass that features are taken from, with all features connected; None for the model's own.
    """

    model: HookedModel
    suite: Suite
    left_out: tuple[int, ...] = ()
    rows: int = 0
    pruned: PrunedSuite | None = None

    @torch.no_grad()
    def batches(
        self, sequences: Sequences, half: int, downs: Sequence[Down], *, slopes: bool = False
    ) -> Iterator[Batch]:
        """Every second sequence, those with even numbers (`half` 0) or odd ones (1).

        Args:
            sequences: What is read.
            half: Which half.
            downs: The modules looked at.
            slopes: Whether gradients of the loss are wanted.

        Raises:
            InputError: Activations that are not finite.
        """
        rows = self.rows or max(1, POSITIONS // sequences.tokens_BS.shape[1])
        device = next(self.model.module.parameters()).device
        tokens_BS, lengths_B = sequences.tokens_BS[half::2], sequences.lengths_B[half::2]
        for at in range(0, len(tokens_BS), rows):
            here = slice(at, at + rows)
            yield self._batch(tokens_BS[here].long().to(device), lengths_B[here].to(device), downs, slopes)

    def _batch(self, tokens_BS: Tensor, lengths_B: Tensor, downs: Sequence[Down], slopes: bool) -> Batch:
        inside_BS = torch.arange(tokens_BS.shape[1], device=tokens_BS.device) < lengths_B[:, None]
        counted_BS = inside_BS & ~torch.isin(tokens_BS, tokens_BS.new_tensor(self.left_out))
        next_BS = tokens_BS.roll(-1, 1).where(inside_BS & inside_BS.roll(-1, 1), -1)
        next_BS[:, -1] = -1
        needed = sorted({one for down in downs for one in (down.module, *down.ups)}, key=lambda one: one.reads)
        frozen = freeze(self.model, needed if self.pruned is None else self.pruned.modules, tokens_BS)
        run = None if self.pruned is None else self.pruned.run(frozen)
        scale, acts = {site: value.reshape(-1) for site, value in frozen.scales.items()}, {}
        for module in needed:
            if module.what == "features" and run is not None:
                acts[module.reads] = _inside(module.reads, run.features[module.reads], inside_BS)
            elif module.what == "features":
                found = self.suite[module.reads].encode_sparse(frozen.inputs[module.reads].flatten(0, 1))
                acts[module.reads] = _inside(module.reads, found, inside_BS)
            elif module.what == "tokens":
                acts[module.reads] = _tokens(tokens_BS, inside_BS)
            else:
                acts[module.reads] = _tokens(next_BS, next_BS >= 0)
        batch = Batch(counted_BS, next_BS, acts, {}, scale, frozen.mixes)
        if slopes:
            batch.slopes.update(self._slopes(tokens_BS, batch, {down.module for down in downs}))
        return batch

    @torch.enable_grad()
    def _slopes(self, tokens_BS: Tensor, batch: Batch, downs: Collection[Module]) -> dict[Site, SparseActs]:
        sites = {module.reads: module.writes for module in downs if module.what == "features"}
        start = Site(0, "resid_pre")
        run = self.model.run(
            tokens_BS, read=set(sites.values()), write={start: lambda x: x.detach().clone().requires_grad_()}
        )
        assert run.logits is not None  # noqa: S101
        loss = cross_entropy(run.logits.flatten(0, 1), batch.next_BS.flatten(), ignore_index=-1, reduction="sum")
        wanted = list(sites)
        gradients = torch.autograd.grad(loss, [run.sites[sites[site]] for site in wanted]) if wanted else ()
        found = {}
        for site, gradient_BSD in zip(wanted, gradients, strict=True):
            acts = batch.acts[site]
            slope_TK = _dots(gradient_BSD.flatten(0, 1), self.suite[site].W_dec_FD.detach(), acts.indices_TK)
            found[site] = SparseActs(acts.indices_TK, slope_TK.abs() * (acts.values_TK != 0))
        for module in downs:
            if module.what == "logits":
                next_T1 = batch.acts[module.reads]
                chosen_T1 = run.logits.detach().softmax(-1).flatten(0, 1).gather(1, next_T1.indices_TK)
                found[module.reads] = SparseActs(next_T1.indices_TK, (1 - chosen_T1) * next_T1.values_TK)
        return found


def _inside(site: Site, acts: SparseActs, inside_BS: Tensor) -> SparseActs:
    values_TK = acts.values_TK.where(inside_BS.reshape(-1, 1), 0)
    if not bool(values_TK.isfinite().all()):
        raise InputError(f"Features at {site} take values that are not finite.", "Look at the suite's weights.")
    return SparseActs(acts.indices_TK, values_TK)


def _tokens(tokens_BS: Tensor, there_BS: Tensor) -> SparseActs:
    """Tokens as features: one is active (1) at each position where there is one."""
    there_T1 = there_BS.reshape(-1, 1)
    return SparseActs(tokens_BS.reshape(-1, 1).where(there_T1, 0), there_T1.float())


def _dots(x_TD: Tensor, rows_FD: Tensor, indices_TK: Tensor) -> Tensor:
    """x_t · row of each of K indices: [T, K]; some positions at a time, since [T, K, d] is large."""
    parts = zip(x_TD.split(256), indices_TK.split(256), strict=True)
    return torch.cat([torch.einsum("td,tkd->tk", x, rows_FD[indices]) for x, indices in parts])
