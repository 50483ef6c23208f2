"""What a model still does through a pruned suite, on held-out sequences.

    CE              cross-entropy of the next token, nats: of the model, of the pruned pass, and of the embedding alone
    CE increase     CE_pruned − CE_model
    CE recovered    (CE_embedding − CE_pruned) / (CE_embedding − CE_model)
    KL              of the model's next-token distribution from the pruned one's, nats
    FVU             Σ‖y − ŷ‖² / Σ‖y − ȳ‖² of what a module writes, pooled over tokens: through the connections, and
                    given what the module reads in the model (``fvu_alone``)
    L0, dead        active features per token; share of features that never fire on these sequences
    edges           connections per token that join two active features (position by position; through attention, where
                    the upstream feature is active at any position so far)

Every number per token has a 95 % interval from a bootstrap over sequences; those of several pruned suites on the same
sequences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from saecli.core.divergence import divergence
from saecli.core.errors import InputError
from saecli.core.intervals import Interval, Key, SequenceSums, ratio
from saecli.core.progress import Progress, silent
from saecli.core.sample import Sample
from saecli.core.site import Site
from saecli.pruned.edges import summed
from saecli.pruned.frozen import Frozen
from saecli.pruned.pattern import Pattern
from saecli.pruned.suite import PrunedRun, PrunedSuite


@dataclass(frozen=True)
class ModuleQuality:
    """Numbers of one module.

    Attributes:
        fvu: Fraction of variance unexplained through the connections.
        fvu_alone: The same of the dictionary on the model's own activations.
        l0: Active features per token.
        dead_share: Share of the features that never fired through the connections.
        edges: Connections per token that join two active features; NaN where all are connected.
    """

    fvu: Interval
    fvu_alone: Interval
    l0: Interval
    dead_share: float
    edges: Interval


@dataclass(frozen=True)
class PrunedQuality:
    """Numbers of one pruned suite.

    Attributes:
        ce_model, ce_embedding: Cross-entropy of the model, and with nothing written by any module.
        ce: Through the pruned suite.
        kl: Divergence of the model's predictions from those of the pruned suite.
        ce_increase, ce_recovered: See above.
        modules: By the site a module reads.
        tokens, sequences: What was measured.
    """

    ce_model: Interval
    ce_embedding: Interval
    ce: Interval
    kl: Interval
    ce_increase: Interval
    ce_recovered: Interval
    modules: dict[Site, ModuleQuality]
    tokens: int
    sequences: int


@torch.no_grad()
def measure_pruned(
    suites: Mapping[str, PrunedSuite],
    held_out: Sequence[Sample],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, PrunedQuality]:
    """Measure pruned suites of one model on the same sequences; the model runs once for all of them.

    Args:
        suites: By name; of one model, with the same modules.
        held_out: Sequences; positions without a next token (−1) do not count.
        seed: Of the bootstrap.
        progress: Told of every batch.

    Raises:
        InputError: There is no position to measure on, or a value is not finite.
    """
    first = next(iter(suites.values()))
    device = next(first.model.module.parameters()).device
    table, fired = SequenceSums(), {name: _nothing_fired(pruned) for name, pruned in suites.items()}
    for number, one in enumerate(held_out):
        sample = one.to(device)
        table.batch(sample.next_BS >= 0)
        frozen = first.freeze(sample.tokens_BS)
        logits_BSV = first.model.unembed(frozen.final_BSD)
        table.add(("model",), _nll(logits_BSV, sample.next_BS))
        table.add(("embedding",), _nll(first.model.unembed(frozen.embedded_BSD), sample.next_BS))
        for site, target_BSD in frozen.targets.items():
            table.add_spread(("target", site), target_BSD)
        for name, pruned in suites.items():
            run = pruned.run(frozen)
            _add(table, name, pruned, frozen, run, sample, logits_BSV)
            _note(fired[name], run, sample.next_BS >= 0)
        progress("measuring", number + 1, len(held_out))
    tokens = int(sum(float(counts.sum()) for counts in table.counts))
    if not tokens:
        raise InputError("The held-out data hold no position to measure on.")
    table.close(seed)
    found = {name: _collected(table, name, pruned, fired[name], tokens) for name, pruned in suites.items()}
    for name, one in found.items():
        if not torch.tensor([one.ce.value, one.kl.value]).isfinite().all():
            raise InputError(f"The pruned pass of {name} gives values that are not finite.")
    return found


def _add(
    table: SequenceSums,
    name: str,
    pruned: PrunedSuite,
    frozen: Frozen,
    run: PrunedRun,
    sample: Sample,
    logits_BSV: Tensor,
) -> None:
    pruned_BSV = pruned.logits(frozen, run)
    table.add((name, "ce"), _nll(pruned_BSV, sample.next_BS))
    table.add((name, "kl"), divergence(logits_BSV, pruned_BSV))
    for site, written_BSD in run.written.items():
        target_BSD, shape = frozen.targets[site], frozen.shape
        table.add((name, "error", site), (target_BSD - written_BSD).square().sum(-1))
        alone_BSD = pruned.dictionaries[site].reconstruct(frozen.inputs[site])
        table.add((name, "alone", site), (target_BSD - alone_BSD).square().sum(-1))
        table.add((name, "l0", site), (run.features[site].values_TK != 0).sum(-1).view(shape).float())
        pattern = pruned.patterns.get(site)
        if pattern is not None:
            table.add((name, "edges", site), edges_used(pruned, pattern, site, run).view(shape))


def edges_used(pruned: PrunedSuite, pattern: Pattern, site: Site, run: PrunedRun) -> Tensor:
    """Connections of a module between active features: float [T].

    Through attention an upstream feature counts from the first position of its sequence at which it is active.
    """
    down_TF = pruned.dense_features(site, run) != 0
    if not pattern.n_edges:
        return down_TF.new_zeros(len(down_TF), dtype=torch.float32)
    up_TN = torch.cat([pruned.dense_features(up, run) != 0 for up in pattern.sources], 1)
    if site.kind == "attn_out":
        written = run.written[site]
        up_TN = up_TN.view(*written.shape[:2], -1).cummax(1).values.flatten(0, 1)
    ones_E = torch.ones(pattern.n_edges, device=up_TN.device)
    reached_FT = summed(pattern, ones_E, up_TN.T.float().contiguous())
    return (reached_FT.T * down_TF).sum(-1)


def _nll(logits_BSV: Tensor, next_BS: Tensor) -> Tensor:
    return functional.cross_entropy(logits_BSV.transpose(1, 2), next_BS, ignore_index=-1, reduction="none")


def _nothing_fired(pruned: PrunedSuite) -> dict[Site, Tensor]:
    return {
        site: torch.zeros(one.n_latents, dtype=torch.bool, device=one.b_dec_D.device)
        for site, one in pruned.dictionaries.items()
    }


def _note(fired: dict[Site, Tensor], run: PrunedRun, here_BS: Tensor) -> None:
    for site, acts in run.features.items():
        counts_TK = (acts.values_TK != 0) & here_BS.flatten()[:, None]
        fired[site][acts.indices_TK[counts_TK]] = True


def _collected(
    table: SequenceSums, name: str, pruned: PrunedSuite, fired: dict[Site, Tensor], tokens: int
) -> PrunedQuality:
    model, embedding, ce = table.mean("model"), table.mean("embedding"), table.mean(name, "ce")
    keys: tuple[Key, ...] = (("embedding",), (name, "ce"), ("model",))
    recovered = table.statistic(lambda zero, now, full: ratio(zero - now, zero - full), *keys)
    unknown = Interval(float("nan"), float("nan"), float("nan"))
    modules = {
        site: ModuleQuality(
            fvu=table.statistic(ratio, (name, "error", site), ("spread", "target", site)),
            fvu_alone=table.statistic(ratio, (name, "alone", site), ("spread", "target", site)),
            l0=table.mean(name, "l0", site),
            dead_share=1 - float(fired[site].float().mean()),
            edges=table.mean(name, "edges", site) if table.known((name, "edges", site)) else unknown,
        )
        for site in pruned.dictionaries
    }
    return PrunedQuality(
        ce_model=model,
        ce_embedding=embedding,
        ce=ce,
        kl=table.mean(name, "kl"),
        ce_increase=ce - model,
        ce_recovered=recovered,
        modules=modules,
        tokens=tokens,
        sequences=sum(len(counts) for counts in table.counts),
    )
