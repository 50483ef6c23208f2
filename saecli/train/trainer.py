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
from saecli.dictionaries import make_dictionary
from saecli.dictionaries.gated import Gated
from saecli.dictionaries.jumprelu import JumpReLU
from saecli.train.anneal import PAnneal
from saecli.train.recipes import RECIPES, step_function
from saecli.train.step import StepInput, StepOutput, Workspace

_THRESHOLD_ROWS = 512


@dataclass(frozen=True)
class TrainerConfig:
    """How one dictionary is trained.

    Attributes:
        variant: Name of the suite it belongs to; empty when there is one suite.
        dictionary: What it is.
        lr: Highest learning rate.
        l1: Weight of the L1 penalty (standard, gated).
        aux_k: Dead latents in the auxiliary loss.
        aux_coefficient: Weight of the auxiliary loss.
        dead_after: Vectors without firing after which a latent counts as dead.
        grad_clip: Largest gradient norm; 0 for no limit.
        seed: Of the initial weights.
        recipe: Name in :data:`saecli.train.recipes.RECIPES`; that of the architecture if empty.
        target_l0: Mean number of active features (jumprelu), or the k of a batch (batchtopk).
        l0_penalty: Weight of the distance to it (jumprelu).
        bandwidth: Width of the window around a threshold, in root mean square norms of the input (jumprelu).
        sparsity_p: Last exponent of an annealed penalty (standard); 1 for none.
        anneal_start: Share of the run after which the exponent falls.
    """

    variant: str
    dictionary: DictionaryConfig
    lr: float
    l1: float
    aux_k: int
    aux_coefficient: float
    dead_after: int
    grad_clip: float
    seed: int
    recipe: str = ""
    target_l0: float = 32.0
    l0_penalty: float = 1.0
    bandwidth: float = 1e-2
    sparsity_p: float = 1.0
    anneal_start: float = 0.3

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
    """

    def __init__(self, config: TrainerConfig, device: torch.device) -> None:
        self.config = config
        shape = config.dictionary
        self.dictionary = make_dictionary(shape).to(device)
        self.scale_in = self.scale_out = 1.0
        self.since_fired_F = torch.zeros(shape.n_latents, dtype=torch.int64, device=device)
        recipe = config.recipe or shape.arch
        self._unit_decoder = RECIPES[recipe].unit_decoder
        self._step = step_function(recipe)
        self.anneal = PAnneal(config.anneal_start, config.sparsity_p) if config.sparsity_p < 1 else None
        # The transposed bags of the sparse step give [F, D] gradients, so W_enc is laid out as [F, D] in memory.
        generator = torch.Generator().manual_seed(_seed(config))
        W_dec_FD = torch.randn(shape.n_latents, shape.d_out, generator=generator)
        W_dec_FD /= W_dec_FD.norm(dim=1, keepdim=True)
        W_enc_FD = W_dec_FD.clone()
        if shape.d_in != shape.d_out:
            W_enc_FD = torch.randn(shape.n_latents, shape.d_in, generator=generator)
            W_enc_FD /= W_enc_FD.norm(dim=1, keepdim=True)
        self.dictionary.W_enc_DF = nn.Parameter(W_enc_FD.to(device).T)
        self.dictionary.W_dec_FD = nn.Parameter(W_dec_FD.to(device))
        self._adam = torch.optim.Adam(self.dictionary.parameters(), lr=config.lr, fused=device.type != "mps")

    @torch.no_grad()
    def start(self, x_ND: Tensor, y_ND: Tensor) -> None:
        """Set scale, b_dec (to the mean of the target) and thresholds from a first sample, in the units of the model.

        Thresholds begin where ``target_l0`` features are active on average, one for all features. Decoder rows of a
        transcoder begin along what its output covaries with in the direction of the encoder.
        """
        self.scale_in, self.scale_out = _scale(x_ND), _scale(y_ND)
        self.dictionary.b_dec_D.copy_(y_ND.mean(0) * self.scale_out)
        if y_ND is not x_ND:  # what the output covaries with along each encoder direction
            products_DD = (x_ND - x_ND.mean(0)).T @ (y_ND - y_ND.mean(0))
            W_dec_FD = self.dictionary.W_enc_DF.T @ products_DD
            self.dictionary.W_dec_FD.copy_(W_dec_FD / W_dec_FD.norm(dim=1, keepdim=True).clamp_min(1e-12))
        if not self.dictionary.subtracts_b_dec:
            self.dictionary.b_enc_F.copy_(-(x_ND.mean(0) * self.scale_in) @ self.dictionary.W_enc_DF)
            if isinstance(self.dictionary, Gated):
                self.dictionary.b_mag_F.copy_(self.dictionary.b_enc_F)
        if isinstance(self.dictionary, JumpReLU):
            sample_SD = x_ND[:: max(1, len(x_ND) // _THRESHOLD_ROWS)][:_THRESHOLD_ROWS] * self.scale_in
            pre_N = self.dictionary.preactivations(sample_SD).view(-1)
            active = min(len(pre_N), max(1, round(self.config.target_l0 * len(sample_SD))))
            self.dictionary.threshold_F.fill_(pre_N.kthvalue(len(pre_N) - active + 1).values.clamp_min(0))

    @torch.no_grad()
    def step(self, x_BD: Tensor, y_BD: Tensor, lr_factor: float, space: Workspace, done: float = 0.0) -> StepOutput:
        """One step on a batch in the units of the model.

        Args:
            x_BD, y_BD: What the dictionary reads and should write; one tensor for an autoencoder. Scaled in place.
            lr_factor: 0..1, what the schedule makes of the learning rate.
            space: Buffers of the calling thread.
            done: 0..1, share of the run before this step.
        """
        config = self.config
        same = y_BD is x_BD
        x_BD *= self.scale_in
        if not same:
            y_BD *= self.scale_out
        dead_N = (self.since_fired_F >= config.dead_after).nonzero()[:, 0]
        p, next_p, alpha = 1.0, None, 1.0
        if self.anneal is not None:
            self.anneal.advance(done)
            p, next_p, alpha = self.anneal.p, self.anneal.next_p, self.anneal.alpha
        out = self._step(
            self.dictionary,
            StepInput(
                x_BD,
                y_BD,
                dead_N,
                aux_k=config.aux_k,
                aux_coefficient=config.aux_coefficient,
                l1=config.l1 * alpha,
                target_l0=config.target_l0,
                l0_penalty=config.l0_penalty,
                bandwidth=config.bandwidth,
                p=p,
                next_p=next_p,
                workspace=space,
            ),
        )
        if self.anneal is not None and out.penalties is not None:
            self.anneal.record(*out.penalties)
        self.since_fired_F += len(x_BD)
        self.since_fired_F[out.fired_F] = 0
        if math.isfinite(out.loss):
            self._update(lr_factor)
        return out

    def _update(self, lr_factor: float) -> None:
        decoder = self.dictionary.W_dec_FD
        if self._unit_decoder and decoder.grad is not None:
            along_F11 = decoder.grad[:, None] @ decoder[:, :, None]  # no temporary of the decoder's size
            decoder.grad.addcmul_(decoder, along_F11[:, 0], value=-1)
        if self.config.grad_clip:
            gradients = [p.grad for p in self.dictionary.parameters() if p.grad is not None]
            norm = float(nn.utils.get_total_norm(gradients))
            if norm > self.config.grad_clip:
                for gradient in gradients:
                    gradient *= self.config.grad_clip / norm
        for group in self._adam.param_groups:
            group["lr"] = self.config.lr * lr_factor
        self._adam.step()
        if self._unit_decoder:
            decoder /= decoder.norm(dim=1, keepdim=True)
        if isinstance(self.dictionary, JumpReLU):
            self.dictionary.threshold_F.clamp_(min=0)

    @property
    def dead_share(self) -> float:
        """Share of latents that have not fired for ``dead_after`` vectors."""
        return float((self.since_fired_F >= self.config.dead_after).float().mean())

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
            "anneal": self.anneal.state() if self.anneal is not None else None,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Inverse of :meth:`state`."""
        self.dictionary.load_state_dict(state["dictionary"])
        self._adam.load_state_dict(state["adam"])
        self.since_fired_F.copy_(state["since_fired"])
        self.scale_in, self.scale_out = state["scale"]
        if self.anneal is not None:
            self.anneal.load(state["anneal"])


def _scale(x_ND: Tensor) -> float:
    """1 / root of the variance per dimension, 1 for constant input."""
    variance = float((x_ND - x_ND.mean(0)).square().mean())
    return 1 / math.sqrt(variance) if variance > 0 else 1.0


def _seed(config: TrainerConfig) -> int:
    """A seed of its own for every dictionary: independent of which others are trained beside it."""
    text = f"{config.seed}/{config.dictionary.reads.canonical}/{config.dictionary.writes.canonical}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
