"""A suite that is being finetuned: its dictionaries, their optimisers, and which latents are dead."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.connections import Connections
from saecli.core.errors import Failure
from saecli.core.model import HookedModel
from saecli.core.ranks import ONE, Ranks
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.data.source import Batch
from saecli.finetune.config import FinetuneConfig
from saecli.finetune.masks import Masks
from saecli.finetune.objective import Objective, Whole, revival
from saecli.learning.rate import peak_rate
from saecli.learning.update import Update
from saecli.pruned.frozen import Frozen
from saecli.pruned.suite import PrunedRun, PrunedSuite

_BETAS: Final = (0.9, 0.999)


class TrainedSuite:
    """One suite, learning through its connections.

    Args:
        config: The recipe.
        model: Stays frozen.
        suite: To begin with; it is copied.
        connections: Stay as they are.
        ranks: The processes that train together.

    Attributes:
        pruned: The pass with the suite's current weights.
        suite: The suite with them.
        masks: The gates of its connections, if they are learned.
    """

    def __init__(
        self, config: FinetuneConfig, model: HookedModel, suite: Suite, connections: Connections, ranks: Ranks = ONE
    ) -> None:
        self.config, self._ranks = config, ranks
        dictionaries = [copy.deepcopy(one).requires_grad_(True) for one in suite.values()]
        self.suite = Suite.of(suite.info, dictionaries)
        self.pruned = PrunedSuite(model, self.suite, connections, compat=config.compat == "scae")
        self.connections = connections
        self.masks = None if config.masks is None else Masks(self.pruned, config.masks, config.steps, config.seed)
        self._objective = Objective(config.losses, config.stagger)
        parts = self.pruned.dictionaries
        self._rates = {site: peak_rate(one.n_latents, config.lr) for site, one in parts.items()}
        self._updates = {site: Update(one, self._rates[site], _BETAS) for site, one in parts.items()}
        self._norms = {site: one.W_dec_FD.detach().norm(dim=1) for site, one in parts.items()}
        self.silent = {
            site: torch.zeros(one.n_latents, dtype=torch.int64, device=one.b_dec_D.device)
            for site, one in parts.items()
        }

    @property
    def dead_share(self) -> float:
        """Share of all latents that have been silent for ``dead_after`` tokens."""
        silent_F = torch.cat(list(self.silent.values()))
        return float((silent_F >= self.config.dead_after).float().mean())

    def step(self, frozen: Frozen, batch: Batch, whole: Whole, number: int, rate: float) -> dict[str, float]:
        """One step of the optimisers.

        Args:
            frozen: The model's pass over this process's part of the batch.
            batch: That part.
            whole: Sums over all of it.
            number: Steps done so far.
            rate: Factor on the highest learning rates.

        Returns:
            ``loss`` and its terms on the whole batch.

        Raises:
            Failure: The loss or a gradient is not finite; nothing was changed.
        """
        dead = {site: (silent_F >= self.config.dead_after).nonzero()[:, 0] for site, silent_F in self.silent.items()}
        revives = self.config.aux_coefficient > 0 and any(len(one) for one in dead.values())
        gating = None if self.masks is None else self.masks.sample(number) / self._ranks.size
        run = self.pruned.run(frozen, keep_preactivations=revives)
        loss, terms = self._objective(self.pruned, frozen, run, batch, whole, number)
        if gating is not None:
            loss = loss + gating
            terms["masks"] = gating.detach()
        if revives:
            terms["aux"] = self._auxiliary(frozen, run, dead, whole)
            loss = loss + terms["aux"]
            terms["aux"] = terms["aux"].detach()
        loss.backward()
        shown = torch.stack([loss.detach(), *terms.values()]).double()
        self._ranks.sum_(shown)
        names = ("loss", *terms)
        found = dict(zip(names, shown.tolist(), strict=True))
        self._share_gradients()
        if not math.isfinite(found["loss"]) or not self._finite():
            what = f"loss is {found['loss']}" if not math.isfinite(found["loss"]) else "gradient is not finite"
            raise Failure(f"The {what} at step {number + 1}.", "Try a lower --lr; the last checkpoint is kept.")
        self._note(run, whole.positions)
        self._apply(rate)
        if self.masks is not None:
            self.masks.apply(rate)
        return found

    def finished(self) -> Connections:
        """The connections that stay."""
        return self.connections if self.masks is None else self.masks.kept(self.connections)

    def _auxiliary(self, frozen: Frozen, run: PrunedRun, dead: Mapping[Site, Tensor], whole: Whole) -> Tensor:
        """Its gradient reaches what is upstream too, as the pruned pre-activations depend on it."""
        sites = [site for site, found in dead.items() if len(found)]
        residuals = {site: (frozen.targets[site] - run.written[site]).detach().flatten(0, 1) for site in sites}
        energies = torch.stack([residuals[site].double().square().sum() for site in sites])
        self._ranks.sum_(energies)
        parts = []
        for site, energy in zip(sites, energies.tolist(), strict=True):
            dictionary, pre_TF = self.pruned.dictionaries[site], run.preactivations[site].flatten(0, 1)
            aux_k = self.config.aux_k or max(1, dictionary.config.d_out // 2)
            parts.append(revival(dictionary, pre_TF, dead[site], residuals[site], energy, whole.positions, aux_k))
        return self.config.aux_coefficient * torch.stack(parts).sum()

    def _share_gradients(self) -> None:
        gates = [] if self.masks is None else list(self.masks.logits.values())
        for parameter in (*self.pruned.parameters(), *gates):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            self._ranks.sum_(parameter.grad)

    def _finite(self) -> bool:
        gradients = [one.grad for one in self.pruned.parameters() if one.grad is not None]
        return all(bool(gradient.isfinite().all()) for gradient in gradients)

    @torch.no_grad()
    def _note(self, run: PrunedRun, tokens: float) -> None:
        for site, acts in run.features.items():
            fired_F = torch.zeros_like(self.silent[site])
            fired_F[acts.indices_TK[acts.values_TK != 0]] = 1
            self._ranks.sum_(fired_F)
            self.silent[site] += int(tokens)
            self.silent[site][fired_F > 0] = 0

    @torch.no_grad()
    def _apply(self, rate: float) -> None:
        for site, update in self._updates.items():
            decoder = self.pruned.dictionaries[site].W_dec_FD
            if kept := self.config.decoder_norm == "kept":
                unit_FD = decoder / self._norms[site].clamp_min(torch.finfo(decoder.dtype).tiny)[:, None]
                assert decoder.grad is not None  # noqa: S101 (_share_gradients)
                decoder.grad -= (decoder.grad * unit_FD).sum(1, keepdim=True) * unit_FD
            update.apply(self._rates[site] * rate, self.config.grad_clip, unit_decoder=False)
            if kept:
                decoder *= (self._norms[site] / decoder.norm(dim=1).clamp_min(torch.finfo(decoder.dtype).tiny))[:, None]
            for parameter in self.pruned.dictionaries[site].parameters():
                parameter.grad = None

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes."""
        return {
            "dictionaries": {str(site): one.state_dict() for site, one in self.pruned.dictionaries.items()},
            "updates": {str(site): one.state() for site, one in self._updates.items()},
            "silent": {str(site): one for site, one in self.silent.items()},
            **({} if self.masks is None else {"masks": self.masks.state()}),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        for site, dictionary in self.pruned.dictionaries.items():
            dictionary.load_state_dict(state["dictionaries"][str(site)])
            self._updates[site].load(state["updates"][str(site)])
            self.silent[site] = state["silent"][str(site)]
        if self.masks is not None:
            self.masks.load(state["masks"])
