"""The trainer of one dictionary: initialisation, optimiser, dead latents, and what is undone at the end.

Dictionaries are trained on scaled activations, x' = s x with s² = 1 / (mean over dimensions of the variance of x), so
that one learning rate, one clipping norm and one L1 weight mean the same at every site. At the end the scale is folded
into the weights; decoder rows of an autoencoder keep their norm, since ReLU and TopK commute with a positive factor:
b_enc := b_enc' / s_in (thresholds likewise), W_dec := W_dec' s_in / s_out, b_dec := b_dec' / s_out.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.ranks import ONE, Ranks
from saecli.dictionaries import make_dictionary
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.train.recipes import RECIPES, step_function
from saecli.train.schedule import Schedule
from saecli.train.settings import Settings
from saecli.train.start import initial_weights, start_from, unit_scale
from saecli.train.step import StepInput, StepOutput, Workspace


@dataclass(frozen=True)
class TrainerConfig:
    """How one dictionary is trained.

    Attributes:
        variant: Name of the suite it belongs to; empty when there is one suite.
        dictionary: What it is.
        recipe: Name in :data:`saecli.train.recipes.RECIPES`.
        seed: Of the initial weights.
        settings: The numbers.
    """

    variant: str
    dictionary: DictionaryConfig
    recipe: str
    seed: int
    settings: Settings

    @property
    def name(self) -> str:
        """``k32/6.attn_out``, or the site alone; ``6.mlp_in>6.mlp_out`` for a transcoder."""
        reads, writes = self.dictionary.reads, self.dictionary.writes
        site = str(reads) if reads == writes else f"{reads}>{writes}"
        return f"{self.variant}/{site}" if self.variant else site


class DictionaryTrainer:
    """A dictionary in training.

    Args:
        config: How it is trained.
        device: Where.
        dtype: Of the weights.
        ranks: The processes; each steps on its rows, and all have the same weights.
    """

    def __init__(
        self, config: TrainerConfig, device: torch.device, dtype: torch.dtype = torch.float32, ranks: Ranks = ONE
    ) -> None:
        self.config, self._ranks = config, ranks
        shape = config.dictionary
        self.dictionary = make_dictionary(shape).to(device, dtype)
        self.scale_in = self.scale_out = 1.0
        self.since_fired_F = torch.zeros(shape.n_latents, dtype=torch.int64, device=device)
        self.schedule = Schedule(config.settings)
        self._recipe, self._step = RECIPES[config.recipe], step_function(config.recipe)
        initial_weights(self.dictionary, _seed(config))
        lr, betas = config.settings.lr, (config.settings.beta1, 0.999)
        self._adam = torch.optim.Adam(self.dictionary.parameters(), lr, betas, fused=device.type != "mps")

    @torch.no_grad()
    def start(self, x_ND: Tensor, y_ND: Tensor) -> None:
        """Set scales, biases and thresholds from a first sample, in the units of the model (:func:`start_from`)."""
        self.scale_in, self.scale_out = unit_scale(x_ND), unit_scale(y_ND)
        x_scaled_ND = x_ND * self.scale_in
        y_scaled_ND = x_scaled_ND if y_ND is x_ND else y_ND * self.scale_out
        active = getattr(self.config.settings, self._recipe.sparsity)
        start_from(self.dictionary, x_scaled_ND, y_scaled_ND, active)

    @torch.no_grad()
    def step(
        self, x_BD: Tensor, y_BD: Tensor, lr_factor: float, space: Workspace, done: float = 0.0, total: int = 0
    ) -> StepOutput:
        """One step on a batch in the units of the model.

        Args:
            x_BD, y_BD: What the dictionary reads and should write; one tensor for an autoencoder. Scaled in place.
            lr_factor: 0..1, what the schedule makes of the learning rate.
            space: Buffers of the calling thread.
            done: 0..1, share of the run before this step.
            total: Vectors of the batch over all processes; those given if 0.

        Returns:
            What the step found, of the whole batch.
        """
        settings = self.schedule.at(done)
        same = y_BD is x_BD
        x_BD *= self.scale_in
        if not same:
            y_BD *= self.scale_out
        dead_N = (self.since_fired_F >= settings.dead_after).nonzero()[:, 0]
        p, next_p = self.schedule.p, self.schedule.next_p
        given = StepInput(x_BD, y_BD, dead_N, settings, p, next_p, space, total, self._ranks)
        out = self._summed(self._step(self.dictionary, given))
        self.schedule.record(out.penalties)
        self.since_fired_F += given.batch
        self.since_fired_F[out.fired_F] = 0
        if math.isfinite(out.loss):
            self._update(settings, lr_factor)
        return out

    def _summed(self, out: StepOutput) -> StepOutput:
        """Adds up the shares of all processes, gradients too, in one exchange."""
        if self._ranks.size == 1:
            return out
        numbers = [out.loss, out.mse, out.l0, out.aux, *(out.penalties or ())]
        gradients = [parameter.grad for parameter in self.dictionary.parameters() if parameter.grad is not None]
        like = gradients[0]
        parts = [*(one.reshape(-1) for one in gradients), out.fired_F.to(like), like.new_tensor(numbers)]
        flat = torch.cat(parts)
        self._ranks.sum_(flat)
        *summed, fired_F, values = flat.split([len(part) for part in parts])
        for gradient, total in zip(gradients, summed, strict=True):
            gradient.copy_(total.view(gradient.shape))
        loss, mse, l0, aux, *penalties = values.tolist()
        return StepOutput(loss, mse, l0, fired_F > 0, aux, (penalties[0], penalties[1]) if penalties else None)

    def _update(self, settings: Settings, lr_factor: float) -> None:
        decoder = self.dictionary.W_dec_FD
        if settings.decoder_norm == "unit" and decoder.grad is not None:
            along_F11 = decoder.grad[:, None] @ decoder[:, :, None]  # no temporary of the decoder's size
            decoder.grad.addcmul_(decoder, along_F11[:, 0], value=-1)
        if settings.grad_clip:
            gradients = [p.grad for p in self.dictionary.parameters() if p.grad is not None]
            norm = float(nn.utils.get_total_norm(gradients))
            if norm > settings.grad_clip:
                for gradient in gradients:
                    gradient *= settings.grad_clip / norm
        for group in self._adam.param_groups:
            group["lr"] = settings.lr * lr_factor
        self._adam.step()
        if settings.decoder_norm == "unit":
            decoder /= decoder.norm(dim=1, keepdim=True)
        if isinstance(self.dictionary, JumpReLU):
            self.dictionary.threshold_F.clamp_(min=0)

    @property
    def dead_share(self) -> float:
        """Share of latents that have not fired for ``dead_after`` vectors."""
        return float((self.since_fired_F >= self.config.settings.dead_after).float().mean())

    @torch.no_grad()
    def finished(self) -> Dictionary:
        """A copy in the units of the model, on the CPU, in the plain memory layout, without gradients."""
        result = make_dictionary(self.config.dictionary)
        state = {
            name: value.detach().cpu().contiguous().clone() for name, value in self.dictionary.state_dict().items()
        }
        for name in ("b_enc_F", "b_mag_F", "threshold_F"):
            if name in state:
                state[name] /= self.scale_in
        state["b_dec_D"] /= self.scale_out
        if self.scale_in != self.scale_out:
            state["W_dec_FD"] *= self.scale_in / self.scale_out
        result.load_state_dict(state)
        return result.requires_grad_(False).eval()

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "dictionary": self.dictionary.state_dict(),
            "adam": self._adam.state_dict(),
            "since_fired": self.since_fired_F,
            "scale": [self.scale_in, self.scale_out],
            "schedule": self.schedule.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        self.dictionary.load_state_dict(state["dictionary"])
        self._adam.load_state_dict(state["adam"])
        self.since_fired_F.copy_(state["since_fired"])
        self.scale_in, self.scale_out = state["scale"]
        self.schedule.load(state["schedule"])


def _seed(config: TrainerConfig) -> int:
    """A seed of its own for every dictionary: independent of which others are trained beside it."""
    text = f"{config.seed}/{config.dictionary.reads.canonical}/{config.dictionary.writes.canonical}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
