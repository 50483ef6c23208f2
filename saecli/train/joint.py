"""Dictionaries that are trained along with a language model, in one loss (:mod:`saecli.train.joint_loss`).

Each is moved by Adam with the betas of the model's AdamW, without weight decay; its learning rate rises and falls as
the model's does. Its gradient is clipped by itself, so that the model's clipping stays what it is. Nothing is done
about latents that never fire, and decoder rows take any norm.

Several processes compute the loss of the whole batch: numerators and norms are summed between the passes. With R and N
the sums of numerator and norm over all processes and r, n those of one, R / N has the gradient of (r − (R / N) n) / N,
summed over processes, where R and N are held constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.gpt import GPT
from saecli.core.hooks import thin_gpt
from saecli.core.ranks import Ranks
from saecli.core.site import Site
from saecli.data.source import Batch
from saecli.dictionaries import make_dictionary
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.learning.rate import peak_rate
from saecli.learning.update import Update
from saecli.train.joint_loss import site_sums
from saecli.train.lm_config import TrainLMConfig
from saecli.train.lm_step import next_token_loss, sum_gradients
from saecli.train.start import initial_weights, own_seed
from saecli.train.trainer import in_plain_layout

_BETAS: Final = (0.9, 0.95)
_NUMBERS: Final[tuple[str, ...]] = ("recon", "l0", "norm")


class JointDictionaries:
    """The dictionaries of a model in training.

    Args:
        config: Which, and the recipe.
        model: The model; it stays in training.

    Attributes:
        dictionaries: By site, in the order of depth.
    """

    def __init__(self, config: TrainLMConfig, model: GPT) -> None:
        self.config = config
        self._model = thin_gpt(model)
        model.requires_grad_(True).train()
        self._weights = config.sparsity_weights(config.n_layer)
        self.dictionaries: dict[Site, Dictionary] = {}
        for site in config.sae_sites(config.n_layer):
            width = self._model.info.width(site)
            options = {"k": config.sae_k} if config.sae == "topk" else {}
            shape = DictionaryConfig(config.sae or "", width, config.sae_latents, site, site, width, options)
            made = make_dictionary(shape).to(model.lm_head.weight)
            initial_weights(made, own_seed(config.seed, shape))
            if config.sae_tied:
                made.W_enc_DF = nn.Parameter(made.W_dec_FD.detach().T)
            self.dictionaries[site] = made
        self._lr = peak_rate(config.sae_latents, config.sae_lr)
        self._updates = {
            site: Update(made, self._lr, _BETAS, config.sae_tied) for site, made in self.dictionaries.items()
        }
        self._sums_LN = torch.zeros(len(self.dictionaries), len(_NUMBERS), dtype=torch.float64)
        self._ce_sum = 0.0

    def accumulate_gradients(self, batch: Batch, ranks: Ranks, stop: Callable[[], bool]) -> tuple[float, bool]:
        """Adds the gradient of a batch's loss, of which this process computes its part, to model and dictionaries.

        Args:
            batch: The whole batch, the same on every process.
            ranks: The processes.
            stop: Tells whether this process was asked to stop; asked once, at the end.

        Returns:
            The loss of the whole batch, and whether any process was asked to stop.
        """
        config = self.config
        share = ranks.part(len(batch.tokens_BS))
        count = (batch.next_BS >= 0).sum().to(config.device)
        part = batch.rows(share.start, share.stop).to(config.device)
        with torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bf16"):
            run = self._model.run(part.tokens_BS, read=list(self.dictionaries))
        assert run.logits is not None  # noqa: S101 (nothing stopped the pass)
        ce = next_token_loss(run.logits, part, config.targets, count)
        value, share_of_loss, numbers_LN = self.loss(run.sites, part.next_BS >= 0, count, ranks)
        (ce + share_of_loss).backward()
        whole_ce, stopping = float(ce.detach()), stop()
        if ranks.size > 1:
            parameters = [*self._model.module.parameters(), *self.parameters()]
            whole_ce, stopping = sum_gradients(parameters, whole_ce, ranks, stopping)
        self._ce_sum += whole_ce
        self._sums_LN += numbers_LN
        return whole_ce + value, stopping

    def loss(
        self, sites: Mapping[Site, Tensor], here_BS: Tensor, count: Tensor, ranks: Ranks
    ) -> tuple[float, Tensor, Tensor]:
        """What the dictionaries add to the loss.

        Args:
            sites: Activations [B, S, width] of this process's sequences, part of the model's graph.
            here_BS: Positions that count.
            count: Number of them in the whole batch.
            ranks: The processes.

        Returns:
            The value for the whole batch; what has its gradient, summed over processes; and per site the means of
            ``recon``, ``l0`` and ``norm``, [L, 3].
        """
        every, dtype = bool(here_BS.all()), next(self.parameters()).dtype
        x = {
            site: (sites[site].flatten(0, 1) if every else sites[site][here_BS]).to(dtype) for site in self.dictionaries
        }
        norms_L = torch.stack([x_TD.norm(dim=1).sum() for x_TD in x.values()]) / count
        whole_L = norms_L.detach().clone()
        ranks.sum_(whole_L)
        sums = [
            site_sums(made, x[site], norm)
            for (site, made), norm in zip(self.dictionaries.items(), whole_L.tolist(), strict=True)
        ]
        error_L, auxiliary_L, penalty_L, active_L = (torch.stack(one) / count for one in zip(*sums, strict=True))
        shown_4L = torch.stack([error_L, auxiliary_L, penalty_L, active_L]).detach()
        ranks.sum_(shown_4L)
        ratio_L = (shown_4L[0] + shown_4L[1]) / whole_L
        weight, weights_L = self.config.error_weight, norms_L.new_tensor(self._weights)
        value = (weight * ratio_L + weights_L * shown_4L[2]).mean()
        pull_L = (error_L + auxiliary_L - ratio_L * norms_L) / whole_L
        share_of_loss = (weight * pull_L + weights_L * penalty_L).mean()
        return float(value), share_of_loss, torch.stack([shown_4L[0], shown_4L[3], whole_L], dim=1).cpu()

    def gradient_norm(self) -> float:
        """Norm of all gradients of the dictionaries together."""
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        return math.hypot(*(float(torch.linalg.vector_norm(gradient)) for gradient in gradients))

    @torch.no_grad()
    def apply(self, rate: float) -> None:
        """Moves the dictionaries by the gradients that they have, at a share of the highest rate, and forgets these."""
        for site, update in self._updates.items():
            update.apply(self._lr * rate, self.config.grad_clip, unit_decoder=False)
            made = self.dictionaries[site]
            if isinstance(made, JumpReLU):
                made.threshold_F.clamp_(min=0)
            for parameter in made.parameters():
                parameter.grad = None

    def parameters(self) -> Iterator[nn.Parameter]:
        """Of all dictionaries."""
        for made in self.dictionaries.values():
            yield from made.parameters()

    def take_means(self, steps: int) -> tuple[float, dict[Site, dict[str, float]]]:
        """The mean cross-entropy, and every site's numbers, over the steps since they were last taken."""
        rows = (self._sums_LN / steps).tolist()
        found = {site: dict(zip(_NUMBERS, row, strict=True)) for site, row in zip(self.dictionaries, rows, strict=True)}
        ce, self._ce_sum = self._ce_sum / steps, 0.0
        self._sums_LN.zero_()
        return ce, found

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """A copy of all weights."""
        return {
            str(site): {name: value.clone() for name, value in made.state_dict().items()}
            for site, made in self.dictionaries.items()
        }

    def finished(self, weights: Mapping[str, Mapping[str, Tensor]] | None = None) -> tuple[Dictionary, ...]:
        """Copies on the CPU without gradients, of other weights if given."""
        for site, values in (weights or {}).items():
            self.dictionaries[Site.parse(site)].load_state_dict(values)
        return tuple(in_plain_layout(made, made.config).float() for made in self.dictionaries.values())

    def state(self) -> dict[str, Any]:
        """What :meth:`load` takes."""
        return {
            "weights": self.weights(),
            "updates": {str(site): update.state() for site, update in self._updates.items()},
            "sums": self._sums_LN,
            "ce_sum": self._ce_sum,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        for site, made in self.dictionaries.items():
            made.load_state_dict(state["weights"][str(site)])
            self._updates[site].load(state["updates"][str(site)])
        self._sums_LN, self._ce_sum = state["sums"].cpu(), state["ce_sum"]
