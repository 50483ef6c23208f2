"""One batch of sequences through the model, with every site replaced in turn and sites replaced together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from saecli.core.controls import Baseline, random_directions
from saecli.core.dictionary import Dictionary, SparseActs
from saecli.core.intervals import Key, SequenceSums
from saecli.core.model import Edit, HookedModel, ModelRun
from saecli.core.sample import Sample
from saecli.core.site import Site
from saecli.core.suite import Suite


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


class BatchMeasurer:
    """Adds batches to a table.

    Args:
        model: The model.
        suites: Suites by name.
        baselines: Controls of every site written.
        table: What is added to.
        seed: Of the random directions.

    Attributes:
        fired: Per suite and site int64 [F], tokens at which each feature was active.
        components: Per suite and site L0 rounded, as the first batch has it.
    """

    def __init__(
        self,
        model: HookedModel,
        suites: Mapping[str, Suite],
        baselines: Mapping[Site, Baseline],
        table: SequenceSums,
        seed: int,
    ) -> None:
        self.model, self.suites, self.baselines, self.table, self.seed = model, suites, baselines, table, seed
        self.fired: dict[tuple[str, Site], Tensor] = {}
        self.components: dict[tuple[str, Site], int] = {}
        self._directions: dict[tuple[int, int], Tensor] = {}
        configs = [config for suite in suites.values() for config in suite.configs.values()]
        self._written = sorted({config.writes for config in configs})
        self._starts = {site: _start(site) for config in configs for site in (config.reads, config.writes)}

    def measure(self, sample: Sample) -> None:
        """Add one batch."""
        self._sample, self._here_BS = sample, sample.next_BS >= 0
        self._run = self.model.run(sample.tokens_BS, read={*self._starts, *self._starts.values()})
        self._logp_BSV = cast(Tensor, self._run.logits).float().log_softmax(-1)
        self.table.batch(self._here_BS)
        self._note(("model",), self._run)
        for site in self._written:
            x = self._run.sites[site]
            self.table.add_spread((site,), x)
            self._replace(("mean", site), site, self.baselines[site].mean_D.to(x.dtype).expand_as(x))
            self._replace(("zero", site), site, torch.zeros_like(x))
        for name, suite in self.suites.items():
            for reads in suite:
                self._dictionary(name, suite[reads], self._run.sites[reads])
            for group, sites in groups(suite).items():
                self._together(name, suite, group, sites)

    @torch.no_grad()
    def note_firing(self, sample: Sample) -> None:
        """Add one more batch to the counts of active features only."""
        read = sorted({site for suite in self.suites.values() for site in suite})
        run = self.model.run(sample.tokens_BS, read=read, stop_after=read[-1])
        here_BS = sample.next_BS >= 0
        for name, suite in self.suites.items():
            for site, dictionary in suite.items():
                self._count_firing(name, dictionary, dictionary.encode_sparse(run.sites[site][here_BS]))

    def _dictionary(self, name: str, dictionary: Dictionary, x: Tensor) -> None:
        config, here_N = dictionary.config, self._here_BS.reshape(-1)
        site, key = config.writes, (name, config.writes)
        flat = x.flatten(0, 1)
        acts = dictionary.encode_sparse(flat)
        y = dictionary.reconstruct_from(acts, flat).view(*x.shape[:-1], -1)
        l0_BS = (acts.values_TK != 0).sum(-1).double().view(self._here_BS.shape)
        self._count_firing(name, dictionary, SparseActs(acts.indices_TK[here_N], acts.values_TK[here_N]))
        components = self.components.setdefault(key, max(1, round(float(l0_BS[self._here_BS].mean()))))
        self.table.add(("l0", *key), l0_BS)
        self._replace(("dictionary", *key), site, y)
        self._describe(("dictionary", *key), site, y)
        target, baseline = self._run.sites[site], self.baselines[site]
        pca = ("pca", components, site)
        if not self.table.has(("ce", *pca)):
            self._replace(pca, site, baseline.project(target, components))
        chance = ("random", components, config.n_latents, site)
        if not self.table.has(("ce", *chance)):
            shape = config.n_latents, target.shape[-1]
            if shape not in self._directions:
                self._directions[shape] = random_directions(*shape, self.seed).to(target)
            self._replace(chance, site, baseline.random(target, self._directions[shape], components))

    def _count_firing(self, name: str, dictionary: Dictionary, acts: SparseActs) -> None:
        key = name, dictionary.config.writes
        counts_F = torch.bincount(acts.indices_TK[acts.values_TK != 0], minlength=dictionary.n_latents)
        self.fired[key] = counts_F + self.fired.get(key, 0)

    def _replace(self, key: Key, site: Site, y: Tensor) -> None:
        """Note the model with the value y [B, S, D] at a site."""
        start = self._starts[site]
        if site == start:
            run = self.model.run_from(site, y)
        else:
            run = self.model.run_from(start, self._run.sites[start], write={site: lambda _: y})
        self._note(key, run)
        self.table.add(("error", *key), (self._run.sites[site].double() - y.double()).square().sum(-1))

    def _together(self, name: str, suite: Suite, group: str, sites: tuple[Site, ...]) -> None:
        chosen = {reads: suite[reads] for reads, config in suite.configs.items() if config.writes in sites}
        self._note(("together", name, group), self.model.run(self._sample.tokens_BS, write=_edits(chosen)))

    def _note(self, key: Key, run: ModelRun) -> None:
        """Cross-entropy, divergence and, with rules, whether the most likely token is allowed, of a whole pass."""
        logits_BSV = cast(Tensor, run.logits)
        logp_BSV = self._logp_BSV if run is self._run else logits_BSV.float().log_softmax(-1)
        following = self._sample.next_BS.clamp_min(0)[..., None]
        self.table.add(("ce", *key), -logp_BSV.gather(-1, following)[..., 0])
        self.table.add(("kl", *key), (self._logp_BSV.exp() * (self._logp_BSV - logp_BSV)).sum(-1))
        if self._sample.allowed_BSV is not None:
            best = logits_BSV.argmax(-1, keepdim=True)
            self.table.add(("allowed", *key), self._sample.allowed_BSV.gather(-1, best)[..., 0])

    def _describe(self, key: Key, site: Site, y: Tensor) -> None:
        """Everything else that the reconstruction y [B, S, D] of a site is measured by."""
        x, y = self._run.sites[site].double(), y.double()
        left = x - self.baselines[site].mean_D.double()
        self.table.add_spread(("error", *key), x - y)
        self.table.add(("token_share", *key), (x - y).square().sum(-1) / left.square().sum(-1).clamp_min(1e-30))
        self.table.add(("cosine", *key), torch.cosine_similarity(x, y, dim=-1))
        self.table.add(("square", *key), y.square().sum(-1))
        self.table.add(("product", *key), (x * y).sum(-1))
        self.table.add(("norm_ratio", *key), y.norm(dim=-1) / x.norm(dim=-1).clamp_min(1e-15))


def _start(site: Site) -> Site:
    """The residual site from which the model has to be run again when a site is replaced."""
    return site.canonical if site.canonical.kind == "resid_pre" else Site(site.layer, "resid_pre")


def _edits(dictionaries: Mapping[Site, Dictionary]) -> dict[Site, Edit]:
    """Edits that replace what every dictionary writes, each given what is there when its turn comes."""
    seen: dict[Site, Tensor] = {}
    edits: dict[Site, Edit] = {}

    def replacing(reads: Site, dictionary: Dictionary) -> Edit:
        return lambda x: dictionary.reconstruct(x if reads == dictionary.config.writes else seen[reads])

    def remembering(site: Site, first: Edit | None) -> Edit:
        def edit(x: Tensor) -> Tensor:
            seen[site] = x if first is None else first(x)
            return seen[site]

        return edit

    for reads, dictionary in dictionaries.items():
        edits[dictionary.config.writes] = replacing(reads, dictionary)
    for reads, dictionary in dictionaries.items():
        if reads != dictionary.config.writes:
            edits[reads] = remembering(reads, edits.get(reads))
    return edits
