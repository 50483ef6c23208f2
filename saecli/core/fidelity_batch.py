"""One batch of sequences through the model, with every site replaced in turn and sites replaced together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from saecli.core.controls import Baseline, random_directions
from saecli.core.dictionary import Dictionary, SparseActs
from saecli.core.errors import InputError
from saecli.core.intervals import Key, SequenceSums
from saecli.core.model import Edit, HookedModel
from saecli.core.replacing import Replacing, edits_of, read_with
from saecli.core.sample import Sample
from saecli.core.site import Site
from saecli.core.suite import Suite

Where = tuple[str, Site]
"""A suite's name and the site that a dictionary of it writes."""


def groups(suite: Suite) -> dict[str, tuple[Site, ...]]:
    """The sites written that are replaced together: of each kind where there are several kinds, and all.

    The residual stream is called as the suite calls it.
    """
    written = [config.writes for config in suite.configs.values()]
    kinds: dict[str, tuple[Site, ...]] = {}
    for site in written:
        kind = suite.info.residual if site.canonical.kind == "resid_pre" else site.kind
        kinds[kind] = (*kinds.get(kind, ()), site)
    made = {} if len(kinds) == 1 else {kind: sites for kind, sites in kinds.items() if len(sites) > 1}
    return {**made, "all": tuple(written)} if len(written) > 1 else {}


@dataclass
class Firing:
    """Where the features of a dictionary were active.

    Attributes:
        all_F: int64, tokens of every sequence seen.
        measured_F: int64, tokens of the sequences measured.
        sequences_F: int64, sequences measured that have the feature at all.
    """

    all_F: Tensor
    measured_F: Tensor
    sequences_F: Tensor

    def numbers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The three counts as float64."""
        all_F, measured_F, sequences_F = (
            one.double().cpu().numpy() for one in (self.all_F, self.measured_F, self.sequences_F)
        )
        return all_F, measured_F, sequences_F


class BatchMeasurer:
    """Adds batches to a table: first :meth:`measure` for all of them, then :meth:`measure_controls` for the same.

    Args:
        model: The model.
        suites: Suites by name.
        baselines: Controls of every site written.
        table: What is added to.
        left_out: int64 tokens at whose positions the model keeps its own activations.
        seed: Of the random directions.

    Attributes:
        firing: Active features per suite and site.
        components: Per suite and site L0 rounded, known after the first pass.
    """

    def __init__(
        self,
        model: HookedModel,
        suites: Mapping[str, Suite],
        baselines: Mapping[Site, Baseline],
        table: SequenceSums,
        left_out: Tensor,
        seed: int,
    ) -> None:
        self.model, self.suites, self.baselines, self.table, self.seed = model, suites, baselines, table, seed
        self.left_out = left_out
        self.firing: dict[Where, Firing] = {}
        self.components: dict[Where, int] = {}
        configs = [config for suite in suites.values() for config in suite.configs.values()]
        self._written = sorted({config.writes for config in configs})
        self._directions: dict[tuple[int, int], Tensor] = {}
        self._replacing = Replacing(model)
        self._read = {site for config in configs for site in (config.reads, *read_with(model.info, config.writes))}

    def measure(self, sample: Sample) -> None:
        """Add one batch: the model itself, ablations, dictionaries one by one and together."""
        self._begin(sample)
        self._note(("model",), self._logits)
        for site in self._written:
            x = self._replacing.sites[site]
            self.table.add_spread((site,), x)
            self.table.add(("norm", site), x.double().norm(dim=-1))
            self._ablate(("mean", site), site, self.baselines[site].mean_D.to(x.dtype))
            self._ablate(("zero", site), site, torch.zeros_like(x[0, 0]))
        for name, suite in self.suites.items():
            for reads in suite:
                self._dictionary(name, suite[reads], self._replacing.sites[reads])
            for group, sites in groups(suite).items():
                self._together(name, suite, group, sites)

    def measure_controls(self, sample: Sample) -> None:
        """Add principal components and random directions to one batch, as many as the dictionaries have features."""
        self._begin(sample)
        done: set[Key] = set()
        for name, suite in self.suites.items():
            for config in suite.configs.values():
                site, baseline = config.writes, self.baselines[config.writes]
                x = self._replacing.sites[site]
                components = self.components.setdefault((name, site), self._components(name, site))
                pca, chance = ("pca", components, site), ("random", components, config.n_latents, site)
                if pca not in done:
                    self._replace(pca, site, baseline.project(x, components))
                if chance not in done:
                    shape = config.n_latents, x.shape[-1]
                    if shape not in self._directions:
                        self._directions[shape] = random_directions(*shape, self.seed).to(x)
                    self._replace(chance, site, baseline.random(x, self._directions[shape], components))
                done |= {pca, chance}

    @torch.no_grad()
    def note_firing(self, sample: Sample) -> None:
        """Add one more batch to the counts of active features only."""
        read = sorted({site for suite in self.suites.values() for site in suite})
        run = self.model.run(sample.tokens_BS, read=read, stop_after=read[-1])
        here_BS = sample.next_BS >= 0
        for name, suite in self.suites.items():
            for site, dictionary in suite.items():
                acts = dictionary.encode_sparse(run.sites[site][here_BS])
                active = acts.indices_TK[acts.values_TK != 0]
                counts_F = torch.bincount(active, minlength=dictionary.n_latents)
                self.firing[name, dictionary.config.writes].all_F += counts_F

    def _begin(self, sample: Sample) -> None:
        self._sample, self._here_BS = sample, sample.next_BS >= 0
        self._alone_BS1 = torch.isin(sample.tokens_BS, self.left_out)[..., None]
        run = self.model.run(sample.tokens_BS, read=self._read)
        self._replacing.sites, self._logits = run.sites, cast(Tensor, run.logits)
        self._logp_BSV = self._logits.float().log_softmax(-1)
        if not self._logp_BSV[self._here_BS].isfinite().all():
            raise InputError(f"{self.model.info.name} gives logits that are not finite.", "Try another --dtype.")
        self._p_BSV = self._logp_BSV.exp()
        self.table.batch(self._here_BS)

    def _components(self, name: str, site: Site) -> int:
        return max(1, round(self.table.average("l0", name, site)))

    def _dictionary(self, name: str, dictionary: Dictionary, x: Tensor) -> None:
        site, key = dictionary.config.writes, (name, dictionary.config.writes)
        flat = x.flatten(0, 1)
        acts = dictionary.encode_sparse(flat)
        y = dictionary.reconstruct_from(acts, flat).view(*x.shape[:-1], -1)
        if not y[self._here_BS].isfinite().all():
            raise InputError(
                f"The dictionary of {name} at {dictionary.config.reads} gives values that are not finite.",
                "Its weights are damaged, or too large for the number type.",
            )
        self._count_firing(key, dictionary.n_latents, acts)
        self.table.add(("l0", *key), (acts.values_TK != 0).sum(-1).view_as(self._here_BS))
        self.table.add(("l1", *key), acts.values_TK.double().abs().sum(-1).view_as(self._here_BS))
        self._replace(("dictionary", *key), site, y)
        self._describe(("dictionary", *key), site, y)

    def _count_firing(self, key: Where, n_latents: int, acts: SparseActs) -> None:
        sequence_T = torch.arange(len(self._here_BS), device=acts.indices_TK.device).repeat_interleave(
            self._here_BS.shape[1]
        )
        active_TK = (acts.values_TK != 0) & self._here_BS.reshape(-1, 1)
        places = (sequence_T[:, None] * n_latents + acts.indices_TK)[active_TK]
        counts_BF = torch.bincount(places, minlength=len(self._here_BS) * n_latents).view(-1, n_latents)
        counts_F, sequences_F = counts_BF.sum(0), (counts_BF > 0).sum(0)
        if key not in self.firing:
            self.firing[key] = Firing(counts_F, counts_F.clone(), sequences_F)
        else:
            firing = self.firing[key]
            firing.all_F += counts_F
            firing.measured_F += counts_F
            firing.sequences_F += sequences_F

    def _replace(self, key: Key, site: Site, y: Tensor) -> None:
        """Note the model with the value y [B, S, D] at a site."""
        x = self._replacing.sites[site]
        y = self._but_alone(x, y)
        self._note(key, self._replacing.logits(site, y))
        self.table.add(("error", *key), (x.double() - y.double()).square().sum(-1))

    def _ablate(self, key: Key, site: Site, value_D: Tensor) -> None:
        """Note the model with one value at every position of a site: all sequences are alike after a residual site."""
        x = self._replacing.sites[site]
        if site.canonical.kind != "resid_pre" or len(self.left_out):
            self._replace(key, site, value_D.expand_as(x))
            return
        self._note(key, self._replacing.logits(site, value_D.expand_as(x[:1])))
        self.table.add(("error", *key), (x.double() - value_D.double()).square().sum(-1))

    def _together(self, name: str, suite: Suite, group: str, sites: tuple[Site, ...]) -> None:
        chosen = {reads: suite[reads] for reads, config in suite.configs.items() if config.writes in sites}

        def elsewhere(edit: Edit) -> Edit:
            return lambda x: self._but_alone(x, edit(x))

        edits = {site: elsewhere(edit) for site, edit in edits_of(chosen).items()}
        run = self.model.run(self._sample.tokens_BS, write=edits)
        self._note(("together", name, group), cast(Tensor, run.logits))

    def _but_alone(self, x: Tensor, y: Tensor) -> Tensor:
        """y, and x where a token stands whose vector no dictionary has learned."""
        return torch.where(self._alone_BS1, x, y) if len(self.left_out) else y

    def _note(self, key: Key, logits_BSV: Tensor) -> None:
        """Cross-entropy, divergence and, with rules, whether the most likely token is allowed, of a whole pass.

        Args:
            key: What was replaced.
            logits_BSV: Of the pass; [1, S, V] if they are the same for every sequence.
        """
        logp_BSV = self._logp_BSV if logits_BSV is self._logits else logits_BSV.float().log_softmax(-1)
        logp_BSV = logp_BSV.expand_as(self._logp_BSV)
        following = self._sample.next_BS.clamp_min(0)[..., None]
        self.table.add(("ce", *key), -logp_BSV.gather(-1, following)[..., 0])
        self.table.add(("kl", *key), (self._p_BSV * (self._logp_BSV - logp_BSV)).sum(-1))
        if self._sample.allowed_BSV is not None:
            best = logits_BSV.argmax(-1, keepdim=True).expand_as(following)
            self.table.add(("allowed", *key), self._sample.allowed_BSV.gather(-1, best)[..., 0])

    def _describe(self, key: Key, site: Site, y: Tensor) -> None:
        """Everything else that the reconstruction y [B, S, D] of a site is measured by."""
        x, y = self._replacing.sites[site].double(), y.double()
        left = x - self.baselines[site].mean_D.double()
        norm_in, norm_out = x.norm(dim=-1), y.norm(dim=-1)
        self.table.add_spread(("error", *key), x - y)
        self.table.add(("token_share", *key), (x - y).square().sum(-1) / left.square().sum(-1).clamp_min(1e-30))
        self.table.add(("cosine", *key), torch.cosine_similarity(x, y, dim=-1))
        self.table.add(("square", *key), norm_out.square())
        self.table.add(("product", *key), (x * y).sum(-1))
        self.table.add(("norm_ratio", *key), norm_out / norm_in.clamp_min(1e-15))
        self.table.add(("norm_out", *key), norm_out)
