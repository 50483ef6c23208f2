"""Fidelity: what a model still does when a site is replaced by a dictionary's reconstruction of it.

Per site, over held-out sequences, beside controls that cost nothing: the site's mean, zero, and the projection on as
many principal components as the dictionary has active features (fitted on training-side activations).

    variance explained   1 − Σ|x − x̂|² / Σ|x − mean x|²     pooled over tokens and dimensions
    CE recovered         (CE_ablated − CE_replaced) / (CE_ablated − CE_model)     by mean and by zero ablation
    allowed              rate at which the most likely token is one that the rules allow (legal moves)
    allowed kept         that rate over the model's own

Every number has a 95 % interval from a bootstrap over sequences (tokens of a sequence are not independent).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, SparseActs
from saecli.core.errors import InputError, UsageError
from saecli.core.model import HookedModel, ModelRun
from saecli.core.progress import Progress, silent
from saecli.core.site import Site
from saecli.core.suite import Suite

_RESAMPLES: Final = 1000


@dataclass(frozen=True)
class Sample:
    """Held-out sequences.

    Attributes:
        tokens_BS: int64 [B, S].
        next_BS: int64 [B, S], the token that followed; −1 at positions that do not count.
        allowed_BSV: bool [B, S, V], tokens that the rules allow next; None where there are no such rules.
    """

    tokens_BS: Tensor
    next_BS: Tensor
    allowed_BSV: Tensor | None = None


@dataclass(frozen=True)
class Interval:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Replaced:
    """The model with a site replaced.

    Attributes:
        variance_explained: Of the site.
        ce: Cross-entropy of the next token, nats.
        recovered_mean: CE recovered against mean ablation.
        recovered_zero: CE recovered against zero ablation; misleading at late sites, where zero can be better than bad.
        allowed: Rate of allowed most likely tokens; None without rules.
        allowed_kept: That rate over the model's.
    """

    variance_explained: Interval
    ce: Interval
    recovered_mean: Interval
    recovered_zero: Interval
    allowed: Interval | None
    allowed_kept: Interval | None


@dataclass(frozen=True)
class SiteFidelity:
    """One dictionary and its controls.

    Attributes:
        site: Site written.
        l0: Active features per token.
        dead_share: Share of features that no held-out token activates, those that only count here included.
        dictionary: The site replaced by the reconstruction.
        pca: The site replaced by its projection on ``components`` principal components.
        components: L0, rounded.
        mean: The site replaced by its mean.
        zero: The site replaced by zero.
    """

    site: Site
    l0: Interval
    dead_share: float
    dictionary: Replaced
    pca: Replaced
    components: int
    mean: Replaced
    zero: Replaced


@dataclass(frozen=True)
class SuiteFidelity:
    """A suite over held-out sequences.

    Attributes:
        sequences, tokens: How many were measured.
        firing_tokens: Over how many tokens, these included, a feature had to stay silent to count as dead.
        ce: Of the model itself, nats.
        allowed: Of the model itself; None without rules.
        sites: One entry per dictionary, in the order of depth.
    """

    sequences: int
    tokens: int
    firing_tokens: int
    ce: Interval
    allowed: Interval | None
    sites: tuple[SiteFidelity, ...]

    def measured(self) -> dict[Site, dict[str, float]]:
        """The main numbers, as a suite's header stores them; undefined ones are left out."""
        table = {}
        for one in self.sites:
            row = {
                "l0": one.l0.value,
                "variance_explained": one.dictionary.variance_explained.value,
                "ce_recovered_mean": one.dictionary.recovered_mean.value,
                "ce_recovered_zero": one.dictionary.recovered_zero.value,
                "dead_share": one.dead_share,
                "pca_variance_explained": one.pca.variance_explained.value,
            }
            if one.dictionary.allowed is not None and one.dictionary.allowed_kept is not None:
                row |= {"allowed": one.dictionary.allowed.value, "allowed_kept": one.dictionary.allowed_kept.value}
            table[one.site] = {name: round(value, 5) for name, value in row.items() if math.isfinite(value)}
        return table


@dataclass(frozen=True)
class Baseline:
    """Mean and principal components of a site.

    Attributes:
        mean_D: Over the tokens it was fitted on.
        axes_DD: Eigenvectors of the covariance in columns, the largest variance first.
    """

    mean_D: Tensor
    axes_DD: Tensor

    def project(self, x: Tensor, components: int) -> Tensor:
        """Projection of [..., D] on the mean plus the first ``components`` axes."""
        axes = self.axes_DD[:, :components]
        return self.mean_D + (x - self.mean_D) @ axes @ axes.T


@torch.no_grad()
def fit_baselines(model: HookedModel, sites: Iterable[Site], samples: Iterable[Sample]) -> dict[Site, Baseline]:
    """Mean and principal components of sites over training-side sequences, summed in fp64."""
    sites = sorted(set(sites))
    count = 0
    sums: dict[Site, Tensor] = {}
    products: dict[Site, Tensor] = {}
    for sample in samples:
        here_N = (sample.next_BS >= 0).reshape(-1)
        run = model.run(sample.tokens_BS, read=sites, stop_after=sites[-1])
        count += int(here_N.sum())
        for site in sites:
            x_ND = run.sites[site].flatten(0, 1)[here_N].double()
            sums[site] = sums.get(site, 0) + x_ND.sum(0)
            products[site] = products.get(site, 0) + x_ND.T @ x_ND
    if not count:
        raise InputError("The training-side data hold no position to fit principal components on.")
    baselines = {}
    for site in sites:
        mean_D = sums[site] / count
        axes_DD = torch.linalg.eigh(products[site] / count - torch.outer(mean_D, mean_D)).eigenvectors.flip(1)
        baselines[site] = Baseline(mean_D.float(), axes_DD.float())
    return baselines


@torch.no_grad()
def measure_suites(
    model: HookedModel,
    suites: Mapping[str, Suite],
    held_out: Sequence[Sample],
    training_side: Iterable[Sample],
    *,
    firing: Sequence[Sample] = (),
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, SuiteFidelity]:
    """Fidelity of suites of one model on the same sequences, each site by itself.

    Args:
        model: The model.
        suites: Suites by name; their dictionaries may be at different sites.
        held_out: Sequences that nothing was trained on.
        training_side: Sequences for means and principal components.
        firing: More held-out sequences, only to see which features ever fire: a rare feature is not a dead one.
        seed: Of the bootstrap.
        progress: Told of every site and batch.

    Raises:
        InputError: A suite is not of this model, or the data have no position that counts.
        UsageError: A dictionary writes several sites or needs whole sequences.
    """
    for name, suite in suites.items():
        for site, config in suite.configs.items():
            if config.arch in ("cross_layer", "temporal"):
                raise UsageError(
                    f"{name} has a {config.arch} dictionary at {site}, which does not replace one site token by token."
                )
        suite.attach(model)
    written = {config.writes for suite in suites.values() for config in suite.configs.values()}
    baselines = fit_baselines(model, written, training_side)
    table = _Table()
    fired: dict[tuple[str, Site], Tensor] = {}
    components: dict[tuple[str, Site], int] = {}
    for number, sample in enumerate(held_out):
        _measure_batch(model, suites, sample, baselines, table, fired, components)
        progress("measuring", number + 1, len(held_out))
    if not table.counts:
        raise InputError("The held-out data hold no position to measure on.")
    table.close(seed)
    firing_tokens = int(table.tokens.sum()) + sum(int((sample.next_BS >= 0).sum()) for sample in firing)
    for number, sample in enumerate(firing):
        _note_firing(model, suites, sample, fired)
        progress("looking for dead features", number + 1, len(firing))
    return {name: _collect(name, suite, table, fired, components, firing_tokens) for name, suite in suites.items()}


def _note_firing(
    model: HookedModel, suites: Mapping[str, Suite], sample: Sample, fired: dict[tuple[str, Site], Tensor]
) -> None:
    """Add the features that fire in one more batch."""
    read = sorted({site for suite in suites.values() for site in suite})
    run = model.run(sample.tokens_BS, read=read, stop_after=read[-1])
    here_BS = sample.next_BS >= 0
    for name, suite in suites.items():
        for site, dictionary in suite.items():
            fired[name, dictionary.config.writes] |= _fired(
                dictionary, dictionary.encode_sparse(run.sites[site][here_BS])
            )


def _measure_batch(
    model: HookedModel,
    suites: Mapping[str, Suite],
    sample: Sample,
    baselines: Mapping[Site, Baseline],
    table: _Table,
    fired: dict[tuple[str, Site], Tensor],
    components: dict[tuple[str, Site], int],
) -> None:
    """Add one batch to the sums."""
    here_BS = sample.next_BS >= 0
    configs = [config for suite in suites.values() for config in suite.configs.values()]
    read = {site for config in configs for site in (config.reads, config.writes)}
    starts = {site: _start(site) for site in read}
    run = model.run(sample.tokens_BS, read=read | set(starts.values()))
    table.batch(here_BS)
    table.add_outcome(("model",), run, sample)

    def replace(key: tuple[object, ...], site: Site, y: Tensor) -> None:
        """Record the model with the value y [B, S, D] at a site."""
        if site == starts[site]:
            outcome = model.run_from(site, y)
        else:
            outcome = model.run_from(starts[site], run.sites[starts[site]], write={site: lambda _: y})
        table.add_outcome(key, outcome, sample)
        table.add(("error", *key), (run.sites[site] - y).double().square().sum(-1))

    for site in sorted({config.writes for config in configs}):
        x, baseline = run.sites[site], baselines[site]
        table.add_moments(site, x)
        replace(("mean", site), site, baseline.mean_D.expand_as(x))
        replace(("zero", site), site, torch.zeros_like(x))
    for name, suite in suites.items():
        for reads, dictionary in suite.items():
            writes = dictionary.config.writes
            y, l0_BS, fired_F = _reconstruct(dictionary, run.sites[reads], here_BS)
            key = name, writes
            fired[key] = fired_F | fired[key] if key in fired else fired_F
            if key not in components:
                components[key] = max(1, round(float(l0_BS[here_BS].mean())))
            table.add(("l0", *key), l0_BS)
            replace(("dictionary", *key), writes, y)
            pca = ("pca", components[key], writes)
            if not table.has(pca):
                replace(pca, writes, baselines[writes].project(run.sites[writes], components[key]))


def _start(site: Site) -> Site:
    """The residual site from which a pass that changes ``site`` can begin."""
    return site.canonical if site.canonical.kind == "resid_pre" else Site(site.layer, "resid_pre")


def _reconstruct(dictionary: Dictionary, x: Tensor, here_BS: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Reconstruction [B, S, D], active features per token [B, S], and which features fired where it counts [F]."""
    flat = x.flatten(0, 1)
    acts = dictionary.encode_sparse(flat)
    y = dictionary.reconstruct_from(acts, flat).view(*x.shape[:-1], -1)
    l0_BS = (acts.values_TK != 0).sum(-1).double().view(here_BS.shape)
    here_N = here_BS.reshape(-1)
    return y, l0_BS, _fired(dictionary, SparseActs(acts.indices_TK[here_N], acts.values_TK[here_N]))


def _fired(dictionary: Dictionary, acts: SparseActs) -> Tensor:
    """Which features are active somewhere: bool [F]."""
    fired_F = torch.zeros(dictionary.n_latents, dtype=torch.bool, device=acts.values_TK.device)
    fired_F[acts.indices_TK[acts.values_TK != 0]] = True
    return fired_F


class _Table:
    """Sums per sequence of everything measured, and statistics of them with their intervals."""

    def __init__(self) -> None:
        self.counts: list[Tensor] = []
        self._here: Tensor = torch.empty(0)
        self._sums: dict[tuple[object, ...], list[Tensor]] = {}
        self._weights_RG: np.ndarray = np.empty(0)

    def batch(self, here_BS: Tensor) -> None:
        self._here = here_BS
        self.counts.append(here_BS.sum(-1).double())

    def has(self, key: tuple[object, ...]) -> bool:
        """Whether the current batch has this outcome already."""
        return len(self._sums.get(("ce", *key), ())) == len(self.counts)

    def add(self, key: tuple[object, ...], values_BS: Tensor) -> None:
        self._sums.setdefault(key, []).append((values_BS * self._here).sum(-1))

    def add_outcome(self, key: tuple[object, ...], run: ModelRun, sample: Sample) -> None:
        """Cross-entropy and, with rules, whether the most likely token is allowed, of a whole pass."""
        logits_BSV = cast(Tensor, run.logits)
        logp_BSV = logits_BSV.float().log_softmax(-1)
        following = sample.next_BS.clamp_min(0)[..., None]
        self.add(("ce", *key), -logp_BSV.gather(-1, following)[..., 0].double())
        if sample.allowed_BSV is not None:
            best = logits_BSV.argmax(-1, keepdim=True)
            self.add(("allowed", *key), sample.allowed_BSV.gather(-1, best)[..., 0].double())

    def add_moments(self, site: Site, x_BSD: Tensor) -> None:
        """First and second moments of a site, for its variance."""
        here = self._here[..., None]
        self._sums.setdefault(("first", site), []).append((x_BSD.double() * here).sum(1))
        self.add(("second", site), x_BSD.double().square().sum(-1))

    def close(self, seed: int) -> None:
        """Draw the bootstrap's weights: the same resamples for every statistic, so differences are paired."""
        sequences = sum(len(part) for part in self.counts)
        generator = np.random.default_rng(seed)
        self._weights_RG = generator.multinomial(sequences, [1 / sequences] * sequences, size=_RESAMPLES).astype(float)
        self.tokens = torch.cat(self.counts).numpy()
        variances = [key for key in self._sums if key[0] == "first"]
        for key in variances:
            first_GD = torch.cat(self._sums[key])
            mean_D = first_GD.sum(0) / self.tokens.sum()
            second_G = torch.cat(self._sums["second", key[1]])
            spread_G = second_G - 2 * first_GD @ mean_D + torch.from_numpy(self.tokens) * mean_D.square().sum()
            self._sums["spread", key[1]] = [spread_G]

    def known(self, key: tuple[object, ...]) -> bool:
        return key in self._sums

    def per_sequence(self, key: tuple[object, ...]) -> np.ndarray:
        return self.tokens if key == ("tokens",) else torch.cat(self._sums[key]).numpy()

    def statistic(self, function: Callable[..., np.ndarray], *keys: tuple[object, ...]) -> Interval:
        """``function`` of the sums over sequences, and its quantiles over the bootstrap's resamples."""
        sums = [self.per_sequence(key) for key in keys]
        value = function(*(np.array(one.sum()) for one in sums))
        resampled = function(*(self._weights_RG @ one for one in sums))
        low, high = np.nanquantile(resampled, [0.025, 0.975]) if np.isfinite(resampled).any() else (np.nan, np.nan)
        return Interval(float(value), float(low), float(high))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return above / below


def _recovered(ablated: np.ndarray, replaced: np.ndarray, model: np.ndarray) -> np.ndarray:
    return _ratio(ablated - replaced, ablated - model)


def _explained(error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return 1 - _ratio(error, spread)


def _collect(
    name: str,
    suite: Suite,
    table: _Table,
    fired: Mapping[tuple[str, Site], Tensor],
    components: Mapping[tuple[str, Site], int],
    firing_tokens: int,
) -> SuiteFidelity:
    rules = table.known(("allowed", "model"))
    per_token = partial(table.statistic, _ratio)

    def replaced(site: Site, *key: object) -> Replaced:
        return Replaced(
            variance_explained=table.statistic(_explained, ("error", *key), ("spread", site)),
            ce=per_token(("ce", *key), ("tokens",)),
            recovered_mean=table.statistic(_recovered, ("ce", "mean", site), ("ce", *key), ("ce", "model")),
            recovered_zero=table.statistic(_recovered, ("ce", "zero", site), ("ce", *key), ("ce", "model")),
            allowed=per_token(("allowed", *key), ("tokens",)) if rules else None,
            allowed_kept=per_token(("allowed", *key), ("allowed", "model")) if rules else None,
        )

    sites = []
    for config in suite.configs.values():
        site, key = config.writes, (name, config.writes)
        sites.append(
            SiteFidelity(
                site=site,
                l0=per_token(("l0", *key), ("tokens",)),
                dead_share=1 - float(fired[key].float().mean()),
                dictionary=replaced(site, "dictionary", *key),
                pca=replaced(site, "pca", components[key], site),
                components=components[key],
                mean=replaced(site, "mean", site),
                zero=replaced(site, "zero", site),
            )
        )
    return SuiteFidelity(
        sequences=len(table.tokens),
        tokens=int(table.tokens.sum()),
        firing_tokens=firing_tokens,
        ce=per_token(("ce", "model"), ("tokens",)),
        allowed=per_token(("allowed", "model"), ("tokens",)) if rules else None,
        sites=tuple(sites),
    )
