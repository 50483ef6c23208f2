"""Fidelity: what a model still does when a site is replaced by a dictionary's reconstruction of it.

Per site, over held-out sequences, beside controls that cost nothing: the site's mean, zero, the projection on as many
principal components as the dictionary has active features (fitted on training-side activations), and as many of as many
random directions.

    variance explained   1 − Σ|x − x̂|² / Σ|x − mean x|²     pooled over tokens and dimensions
      by token           mean over tokens of 1 − |x − x̂|² / |x − mean x|²     (SAELens' legacy definition)
      centred            1 − Σ Var(x − x̂) / Σ Var(x), variance over tokens     (dictionary_learning)
      by position        the same, variance over sequences at each position     (1 − FVU of SCAE)
    relative bias        Σ|x̂|² / Σ x·x̂, 1 for a reconstruction that neither shrinks nor grows
    norm ratio           mean |x̂| / |x|
    CE recovered         (CE_ablated − CE_replaced) / (CE_ablated − CE_model)     by mean and by zero ablation
    KL                   of the model's next-token distribution from the replaced one's, nats
    KL recovered         (KL_ablated − KL_replaced) / KL_ablated     likewise
    allowed              rate at which the most likely token is one that the rules allow (legal moves)
    allowed kept         that rate over the model's own

The centred and positional definitions do not see a constant error. Every number has a 95 % interval from a bootstrap
over sequences (tokens of a sequence are not independent); the positional definition has none.

Tokens whose vectors a suite did not learn (``SuiteInfo.left_out``, such as BOS) do not count, and where one stands the
model keeps its own activation, whatever is put at the other positions; with several suites, those of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from saecli.core.controls import Baseline as Baseline
from saecli.core.controls import fit_baselines
from saecli.core.errors import InputError, UsageError
from saecli.core.fidelity_batch import BatchMeasurer
from saecli.core.fidelity_collect import collect
from saecli.core.fidelity_memory import sequences_together
from saecli.core.fidelity_numbers import Compound as Compound
from saecli.core.fidelity_numbers import Outcome as Outcome
from saecli.core.fidelity_numbers import Replaced as Replaced
from saecli.core.fidelity_numbers import SiteFidelity as SiteFidelity
from saecli.core.fidelity_numbers import SuiteFidelity as SuiteFidelity
from saecli.core.intervals import Interval as Interval
from saecli.core.intervals import SequenceSums
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.sample import Sample as Sample
from saecli.core.sample import regrouped
from saecli.core.suite import Suite


@torch.no_grad()
def measure_suites(
    model: HookedModel,
    suites: Mapping[str, Suite],
    held_out: Sequence[Sample],
    training_side: Sequence[Sample],
    *,
    firing: Sequence[Sample] = (),
    seed: int = 0,
    rows: int | None = None,
    max_bytes: int | None = None,
    progress: Progress = silent,
) -> dict[str, SuiteFidelity]:
    """Fidelity of suites of one model on the same sequences: each site by itself, then sites together.

    Args:
        model: The model.
        suites: Suites by name; their dictionaries may be at different sites.
        held_out: Sequences that nothing was trained on.
        training_side: Sequences for means and principal components.
        firing: More held-out sequences, only to see which features ever fire: a rare feature is not a dead one.
        seed: Of the bootstrap and of the random directions.
        rows: Sequences that are computed together; None for a number that suits the device and ``max_bytes``.
        max_bytes: Memory to stay below, of the process or of its GPU; None for no limit.
        progress: Told of every site and batch.

    Raises:
        InputError: A suite is not of this model, or gives values that are not finite; or the data have no position
            that counts.
        UsageError: A dictionary writes several sites or needs whole sequences, or two write one site; or
            ``max_bytes`` is not enough.
    """
    for name, suite in suites.items():
        _check(name, suite)
        suite.attach(model)
    device = next((parameter.device for parameter in model.module.parameters()), torch.device("cpu"))
    left_out = torch.tensor(sorted({token for suite in suites.values() for token in suite.info.left_out}))
    sequences = sum(len(sample.tokens_BS) for sample in held_out)
    length = max((sample.tokens_BS.shape[1] for sample in (*held_out, *training_side, *firing)), default=1)
    rows = sequences_together(model, suites, length, sequences, rows, max_bytes)
    held_out, training_side, firing = (
        [_counted(sample.to(device), left_out) for sample in regrouped(samples, rows)]
        for samples in (held_out, training_side, firing)
    )
    written = {config.writes for suite in suites.values() for config in suite.configs.values()}
    baselines = fit_baselines(model, written, training_side)
    table = SequenceSums()
    measurer = BatchMeasurer(model, suites, baselines, table, left_out.to(device), seed)
    for number, sample in enumerate(held_out):
        measurer.measure(sample)
        progress("measuring", number + 1, len(held_out))
    if not sum(float(counts.sum()) for counts in table.counts):
        raise InputError("The held-out data hold no position to measure on.")
    table.rewind()
    for number, sample in enumerate(held_out):
        measurer.measure_controls(sample)
        progress("measuring controls", number + 1, len(held_out))
    table.close(seed)
    firing_tokens = sum(int((sample.next_BS >= 0).sum()) for sample in (*held_out, *firing))
    for number, sample in enumerate(firing):
        measurer.note_firing(sample)
        progress("looking for dead features", number + 1, len(firing))
    return {
        name: collect(name, suite, table, measurer.firing, measurer.components, firing_tokens)
        for name, suite in suites.items()
    }


def _counted(sample: Sample, left_out: torch.Tensor) -> Sample:
    """The sample in which the positions of these tokens do not count."""
    alone_BS = torch.isin(sample.tokens_BS, left_out.to(sample.tokens_BS.device))
    return replace(sample, next_BS=sample.next_BS.masked_fill(alone_BS, -1))


def _check(name: str, suite: Suite) -> None:
    written = set()
    for site, config in suite.configs.items():
        if config.arch in ("cross_layer", "temporal"):
            raise UsageError(
                f"{name} has a {config.arch} dictionary at {site}, which does not replace one site token by token.",
                "Choose others with --layers or --kind.",
            )
        if config.writes in written:
            raise UsageError(f"{name} has two dictionaries that write {config.writes}.", "Choose one with --kind.")
        written.add(config.writes)
