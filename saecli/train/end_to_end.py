r"""Dictionaries that are trained for what the model makes of their reconstructions: ``--loss end-to-end``.

The dictionary at site l has a pass of the frozen model of its own, in which the site has its reconstruction x̂_l (of the
residual stream the stream itself, so that what skips the block has it too) and dropped tokens keep their vectors::

    loss = KL(softmax(clean) ‖ softmax(patched)) + w · D_l + what the architecture adds
    D_l  = mean over later sites m of s_m² ‖x_m − x_m'‖² / d_m

on average over the tokens learned. KL is in nats. x_m is the clean value at a later site that a dictionary of the same
suite writes, never the final residual stream, and x_m' what the pass has there; s_m is the scale of training at m
(:mod:`saecli.train.units`), so D_l is a share of variance: 1 is as wrong as the mean vector, at every site and width.
Without later sites it is 0. Nothing asks for x̂_l ≈ x_l itself. What is added: sparsity penalties, in the units of
training and with the weights that they have beside a squared error, and what keeps features from dying, which has the
vector itself in view as ever: the auxiliary loss of TopK and BatchTopK (the error x_l − x̂_l), the guess of gates (x_l),
and resampling.

The steps know the gradient of |x̂ − y|² / (B d), which is 2 (x̂ − y) / (B d). With y = x̂ − g B d / 2 it is g: so x̂ is
computed first, g comes back through the model, and the step is given that y. A Matryoshka dictionary has a pass for
every prefix of its groups, and the mean of their losses.

Source: Braun et al. 2024, https://arxiv.org/abs/2405.12241; as in https://github.com/peterlai/gpt-circuits, where the
downstream term is a sum over dimensions in the units of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, Protocol, cast

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.divergence import divergence
from saecli.core.model import HookedModel
from saecli.core.site import Site
from saecli.train.activations import Block, Part
from saecli.train.read_back import read_back
from saecli.train.sequences import SequenceBlock, SequencePart
from saecli.train.step import StepFunction, StepInput, StepOutput, Truth
from saecli.train.units import Units

CONSEQUENCES: Final = ("kl", "downstream", "added")
"""The parts of the loss: the divergence, D without its weight, and what the architecture adds, as it weighs it."""


class Consequence(NamedTuple):
    """What the model makes of a reconstruction: this process's share of the means over a batch, and the gradient.

    Attributes:
        loss: kl + w · D.
        kl: Divergence from the clean prediction.
        downstream: D.
        gradient_ND: Of the loss at the reconstruction.
    """

    loss: float
    kl: float
    downstream: float
    gradient_ND: Tensor


Consequences = Callable[[Tensor], Consequence]
"""Of what stands at a site in the place of the rows of a step, [N, width] in the units of the model."""


class _Plan(Protocol):
    @property
    def variant(self) -> str: ...
    @property
    def dictionary(self) -> DictionaryConfig: ...


class Member(Protocol):
    """What is needed of a trainer."""

    units: Units
    spread: float

    @property
    def config(self) -> _Plan: ...


class EndToEnd:
    """Passes of the model from what dictionaries write.

    Args:
        model: The model; frozen.
        trainers: All that are trained.
        weight: w.
    """

    def __init__(self, model: HookedModel, trainers: Sequence[Member], weight: float) -> None:
        self._model, self._trainers, self._weight = model, trainers, weight
        self._final = Site(model.info.n_layers, "resid_pre")
        self._clean: tuple[SequencePart, Tensor] | None = None

    def of(self, block: Block, part: Part, trainer: Member) -> Consequences:
        """The consequences of what a trainer's dictionary writes, in one step of a block of whole sequences."""
        block, part = cast(SequenceBlock, block), cast(SequencePart, part)
        site = trainer.config.dictionary.writes
        if self._clean is None or self._clean[0] is not part:
            final_BSD = block.of(self._final, part)
            self._clean = part, self._model.unembed(final_BSD).flatten(0, 1)[part.within_N]
        clean_NV = self._clean[1]
        start = Site(site.canonical.layer, "resid_pre")
        clean_BSD, start_BSD = block.of(site, part), block.of(start, part) if start != site else None
        scales = self._later(trainer)
        later = {
            place: (block.vectors_ND[place][part.rows_N], scale / (len(scales) * self._model.info.width(place)))
            for place, scale in scales.items()
        }

        def consequence(reconstruction_ND: Tensor) -> Consequence:
            if not len(reconstruction_ND):
                return Consequence(0.0, 0.0, 0.0, reconstruction_ND)
            with torch.enable_grad():
                leaf_ND = reconstruction_ND.detach().requires_grad_()
                flat_ND = clean_BSD.flatten(0, 1).index_copy(0, part.within_N, leaf_ND)
                patched_BSD = flat_ND.view_as(clean_BSD)
                if start_BSD is None:
                    run = self._model.run_from(site, patched_BSD, read=later)
                else:
                    run = self._model.run_from(start, start_BSD, read=later, write={site: lambda _: patched_BSD})
                logits_NV = cast(Tensor, run.logits).flatten(0, 1)[part.within_N]
                kl = divergence(clean_NV, logits_NV).sum() / part.total
                downstream = torch.zeros_like(kl)
                for place, (x_ND, factor) in later.items():
                    there_ND = run.sites[place].flatten(0, 1)[part.within_N]
                    downstream = downstream + (there_ND - x_ND).square().sum() * (factor / part.total)
                loss = kl + self._weight * downstream
                (gradient_ND,) = torch.autograd.grad(loss, leaf_ND)
            return Consequence(float(loss.detach()), float(kl.detach()), float(downstream.detach()), gradient_ND)

        return consequence

    def _later(self, trainer: Member) -> Mapping[Site, float]:
        """Squared scales of the sites whose values count beside the prediction."""
        found: dict[Site, float] = {}
        for other in self._trainers:
            site = other.config.dictionary.writes.canonical
            if other.config.variant == trainer.config.variant and trainer.config.dictionary.writes < site < self._final:
                found[site] = other.units.scale_out**2 / other.spread
        return found


def end_to_end_step(
    step: StepFunction,
    recipe: str,
    dictionary: Dictionary,
    given: StepInput,
    consequences: Consequences,
    scale_out: float,
) -> StepOutput:
    """One step whose loss is that of the model's predictions.

    Args:
        step, recipe: Of the architecture.
        dictionary: Its gradients are set.
        given: The step as it would be for a squared error.
        consequences: Of what it writes.
        scale_out: From the units of the model to those of training, where it writes.
    """
    read_NGD = read_back(recipe, dictionary, given)
    skip_ND = None if dictionary.W_skip_DO is None else given.x_BD @ dictionary.W_skip_DO.detach()
    found = []
    for read_ND in read_NGD.unbind(1):
        written_ND = read_ND if skip_ND is None else read_ND + skip_ND
        found.append(consequences(written_ND / scale_out))
    pull = given.batch * given.y_BD.shape[1] / 2 / scale_out
    target_NGD = read_NGD - torch.stack([one.gradient_ND for one in found], 1) * pull
    missed_ND = read_NGD[:, -1] - given.y_BD
    aim = target_NGD if recipe == "matryoshka" else target_NGD[:, 0]
    out = step(dictionary, replace(given, y_BD=aim, truth=Truth(given.y_BD, missed_ND)))
    loss, kl, downstream = (sum(numbers) / len(found) for numbers in zip(*(one[:3] for one in found), strict=True))
    added = out.loss - (out.mse if out.fit is None else out.fit)
    mse = float(torch.linalg.vector_norm(missed_ND)) ** 2 / (given.batch * given.y_BD.shape[1])
    return replace(out, loss=loss + added, mse=mse, consequences=(kl, downstream, added))
