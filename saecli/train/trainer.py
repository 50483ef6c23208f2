"""The trainer of one dictionary: initialisation, optimiser, dead latents, and what is undone at the end.

Dictionaries are trained on scaled activations, so that one learning rate, one clipping norm and one sparsity weight
mean the same at every site; at the end the units are folded into the weights (:mod:`saecli.train.units`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.ranks import ONE, Ranks
from saecli.dictionaries import make_dictionary
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.learning.update import Update
from saecli.train.batchtopk_step import THRESHOLD_RATE
from saecli.train.compiled_step import compiled_step
from saecli.train.end_to_end import Consequences, end_to_end_step
from saecli.train.jacobian_pair import Half
from saecli.train.recipes import RECIPES, step_function
from saecli.train.resample import resample
from saecli.train.schedule import Schedule
from saecli.train.settings import Pairing, Settings, Sharing
from saecli.train.sharing import Optimiser
from saecli.train.start import Neurons, initial_weights, own_seed, start_from
from saecli.train.step import StepInput, StepOutput, Workspace, without_skip
from saecli.train.units import Units, unit_scale, usual_rows


@dataclass(frozen=True)
class TrainerConfig:
    """How one dictionary is trained.

    Attributes:
        variant: Name of the suite it belongs to; empty when there is one suite.
        dictionary: What it is.
        recipe: Name in :data:`saecli.train.recipes.RECIPES`.
        seed: Of the initial weights.
        settings: The numbers.
        sharing: What it has in common with others, if anything.
        pairing: The penalty of the pair it belongs to, if any.
    """

    variant: str
    dictionary: DictionaryConfig
    recipe: str
    seed: int
    settings: Settings
    sharing: Sharing | None = None
    pairing: Pairing | None = None

    @property
    def name(self) -> str:
        """``k32/6.attn_out``, or the site alone; ``6.mlp_in>6.mlp_out`` for a transcoder."""
        reads, writes = self.dictionary.reads, self.dictionary.writes
        site = str(reads) if reads == writes else f"{reads}>{writes}"
        return f"{self.variant}/{site}" if self.variant else site

    @property
    def own_seed(self) -> int:
        """Of this dictionary alone (:func:`saecli.train.start.own_seed`)."""
        return own_seed(self.seed, self.dictionary)


class DictionaryTrainer:
    """A dictionary in training.

    Args:
        config: How it is trained.
        device: Where.
        dtype: Of the weights.
        ranks: The processes; each steps on its rows, and all have the same weights.

    Attributes:
        units: Those of training.
        threshold: Of TopK, in those units, for use as a JumpReLU: a running mean of the smallest positive activation of
            a vector, as in dictionary_learning. Somewhat fewer than k features are above it on average, clearly fewer
            if the k largest stand out from the rest. None before the first step.
        neurons: Of the MLP that a transcoder stands for, to begin as; None for other weights.
        partner: Of a Jacobian-sparse pair, what it adds to a step.
        since_fired_F: Vectors since every latent fired.
        spread: Variance per dimension of what it writes, in those units: 1 if they are its own.
    """

    def __init__(
        self, config: TrainerConfig, device: torch.device, dtype: torch.dtype = torch.float32, ranks: Ranks = ONE
    ) -> None:
        self.config, self._ranks = config, ranks
        shape = config.dictionary
        self.dictionary = make_dictionary(shape).to(device, dtype)
        self.units, self.spread, self._seen = Units(), 1.0, 0
        self.threshold: float | None = None
        self.neurons: Neurons | None = None
        self.partner: Half | None = None
        self.since_fired_F = torch.zeros(shape.n_latents, dtype=torch.int64, device=device)
        self.schedule = Schedule(config.settings, min(shape.d_in, shape.n_latents))
        compiled = config.settings.compile
        self._recipe = RECIPES[config.recipe]
        self._step = compiled_step(config.recipe) if compiled else step_function(config.recipe)
        initial_weights(self.dictionary, config.own_seed)
        settings = config.settings
        if settings.tied:
            self.dictionary.W_enc_DF = nn.Parameter(self.dictionary.W_dec_FD.detach().T)
        self._update: Optimiser = Update(self.dictionary, settings.lr, (settings.beta1, 0.999), settings.tied)

    def join(self, update: Optimiser, since_fired_F: Tensor) -> None:
        """Be moved by an optimiser that others share, and count vectors since a latent fired where they do."""
        self._update, self.since_fired_F = update, since_fired_F

    @torch.no_grad()
    def start(self, x_ND: Tensor, y_ND: Tensor, units: Units | None = None) -> None:
        """Set units, weights, biases and thresholds from a first sample (:func:`start_from`).

        Args:
            x_ND, y_ND: The sample in the units of the model, one tensor for an autoencoder; outliers are passed over.
            units: Those to train in; if not given, those that the sample asks for.
        """
        settings, same = self.config.settings, y_ND is x_ND
        usual_N = usual_rows(x_ND) if same else usual_rows(x_ND) & usual_rows(y_ND)
        x_ND = x_ND[usual_N]
        y_ND = x_ND if same else y_ND[usual_N]
        self.units = units or Units.of(x_ND, y_ND, centre=not self.dictionary.subtracts_b_dec)
        self.units.enter_(x_ND, y_ND)
        self.spread = 1.0 if units is None else unit_scale(y_ND) ** -2
        active = getattr(settings, self._recipe.sparsity)
        start_from(self.dictionary, x_ND, y_ND, active, settings.init, settings.b_dec_init, self.neurons, self.units)
        self.neurons = None

    @torch.no_grad()
    def step(
        self,
        x_BD: Tensor,
        y_BD: Tensor,
        lr_factor: float,
        space: Workspace,
        done: float = 0.0,
        total: int = 0,
        consequences: Consequences | None = None,
    ) -> StepOutput:
        """One step on a batch in the units of the model.

        Args:
            x_BD, y_BD: What the dictionary reads and should write; one tensor for an autoencoder. Scaled in place.
            lr_factor: 0..1, what the schedule makes of the learning rate.
            space: Buffers of the calling thread.
            done: 0..1, share of the run before this step.
            total: Vectors of the batch over all processes; those given if 0.
            consequences: Of what it writes, if the loss is end-to-end.

        Returns:
            What the step found, of the whole batch.
        """
        settings = self.schedule.at(done)
        self.units.enter_(x_BD, y_BD)
        dead_N, sharing = (self.since_fired_F >= settings.dead_after).nonzero()[:, 0], self.config.sharing
        if sharing is not None:
            dead_N = dead_N[dead_N >= sharing.own_from]
        p, next_p = self.schedule.p, self.schedule.next_p
        target_BD = without_skip(self.dictionary, x_BD, y_BD, space)
        chunks = () if sharing is None else sharing.chunks
        given = StepInput(x_BD, target_BD, dead_N, settings, p, next_p, space, total, self._ranks, chunks)
        if consequences is None:
            out = self._step(self.dictionary, given)
        else:
            scale, recipe = self.units.scale_out, self.config.recipe
            out = end_to_end_step(self._step, recipe, self.dictionary, given, consequences, scale)
        out = self._summed(out)
        if self.partner is not None:
            out = self.partner.after(out, given, self._seen)
        self.schedule.record(out.penalties)
        if out.least is not None:
            before = out.least if self.threshold is None else self.threshold
            self.threshold = before + THRESHOLD_RATE * (out.least - before)
        self.since_fired_F += given.batch
        self.since_fired_F[out.fired_F] = 0
        if math.isfinite(out.loss):
            self._update.apply(settings.lr * lr_factor, settings.grad_clip, settings.decoder_norm == "unit")
            if isinstance(self.dictionary, JumpReLU):
                self.dictionary.threshold_F.clamp_(min=0)
        self._resample(x_BD, y_BD, given.batch, lr_factor == 1)
        return out

    def _resample(self, x_BD: Tensor, y_BD: Tensor, batch: int, allowed: bool) -> None:
        """Resample latents that have long been dead, once in every so many vectors."""
        every, before = self.config.settings.resample_every, self._seen
        self._seen += batch
        if not every or self._seen // every == before // every or not allowed:
            return
        dead_N = (self.since_fired_F >= every // 2).nonzero()[:, 0]
        seed = (self.config.own_seed + self._seen) % (1 << 63)
        changed_N = resample(self.dictionary, x_BD, y_BD, dead_N, seed, self._ranks)
        self._update.forget(changed_N)
        self.since_fired_F[changed_N] = 0

    def _summed(self, out: StepOutput) -> StepOutput:
        """Adds up the shares of all processes, gradients too, in one exchange."""
        if self._ranks.size == 1:
            return out
        numbers = [out.loss, out.mse, out.l0, out.aux, *out.consequences, *out.chunk_l0, *(out.penalties or ())]
        gradients = [parameter.grad for parameter in self.dictionary.parameters() if parameter.grad is not None]
        like = gradients[0]
        parts = [*(one.reshape(-1) for one in gradients), out.fired_F.to(like), like.new_tensor(numbers)]
        flat = torch.cat(parts)
        self._ranks.sum_(flat)
        *summed, fired_F, values = flat.split([len(part) for part in parts])
        for gradient, total in zip(gradients, summed, strict=True):
            gradient.copy_(total.view(gradient.shape))
        loss, mse, l0, aux, *others = values.tolist()
        consequences, others = tuple(others[: len(out.consequences)]), others[len(out.consequences) :]
        chunks, penalties = tuple(others[: len(out.chunk_l0)]), others[len(out.chunk_l0) :]
        both = (penalties[0], penalties[1]) if penalties else None
        return StepOutput(
            loss, mse, l0, fired_F > 0, aux, both, out.least, chunks, out.chosen, consequences=consequences
        )

    @property
    def dead_share(self) -> float:
        """Share of latents that have not fired for ``dead_after`` vectors."""
        return float((self.since_fired_F >= self.config.settings.dead_after).float().mean())

    @torch.no_grad()
    def finished(self) -> Dictionary:
        """A copy in the units of the model, on the CPU, in the plain memory layout, without gradients."""
        config = self.config.dictionary
        if self.threshold is not None:
            config = replace(config, options={**config.options, "threshold": self.threshold / self.units.scale_in})
        result = in_plain_layout(self.dictionary, config)
        self.units.leave(result)
        return result.float()

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "dictionary": self.dictionary.state_dict(),
            "adam": self._update.state(),
            "since_fired": self.since_fired_F,
            "units": self.units.state(),
            "spread": self.spread,
            "seen": self._seen,
            "threshold": self.threshold,
            "schedule": self.schedule.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        self.dictionary.load_state_dict(state["dictionary"])
        self._update.load(state["adam"])
        self.since_fired_F.copy_(state["since_fired"])
        self.units, self._seen = Units.load(state["units"]), state["seen"]
        self.threshold, self.spread = state.get("threshold"), state.get("spread", 1.0)
        self.schedule.load(state["schedule"])


def in_plain_layout(dictionary: Dictionary, config: DictionaryConfig) -> Dictionary:
    """A copy of a dictionary on the CPU, contiguous and without gradients, under a configuration of the same shape."""
    result = make_dictionary(config).to(dictionary.b_dec_D.dtype)
    state = dictionary.state_dict().items()
    result.load_state_dict({name: value.detach().cpu().contiguous().clone() for name, value in state})
    return result.requires_grad_(False).eval()
