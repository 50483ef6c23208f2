"""``saecli trace --calibrate``: from which activation on every feature counts, by a percentile over data."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from saecli.core.errors import InputError, UsageError
from saecli.core.fingerprint import fingerprint_module
from saecli.core.machine import torch_device, torch_dtype
from saecli.core.model import HookedModel
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.data.sequences import Sequences
from saecli.data.vocabulary import Vocabulary
from saecli.features.harvest import Reader, codes_of
from saecli.formats.tables import as_csv
from saecli.formats.thresholds import Thresholds, keep_thresholds
from saecli.trace.calibrate_result import CalibratedSite, CalibrateResult
from saecli.trace.config import TraceConfig
from saecli.trace.percentile import Percentile

_TEXT_CONTEXT: Final = 128
_FITTED: Final = 20_000
"""Vectors that clusters are found on; all are assigned to them."""
_ROUNDS: Final = 50
_SHOWN: Final = 8


def plan_calibrate(config: TraceConfig) -> list[str]:
    """What ``--plan`` prints."""
    from zoo.load import load_suite

    suite = load_suite(config.suite or config.model)
    labels = " ".join(suite.label(site) for site in suite.resolve(config.layers, config.kind))
    return [f"Percentile {config.percentile:g} of every feature's activation over {config.calibrate} at {labels}"]


def run_calibrate(config: TraceConfig, run: Run, progress: Progress) -> CalibrateResult:
    """Measure thresholds and keep them in the user's cache, by dictionary.

    Raises:
        UsageError: No such data or cluster.
        InputError: Data that cannot be read, or in other tokens.
    """
    from zoo.load import attach, load_model, load_suite, load_vocabulary, locate_model

    device, dtype = torch_device(config.device), torch_dtype(config.dtype)
    locate_model(config.model)
    suite = load_suite(config.suite or config.model, device=device, dtype=dtype)
    sites = sorted(suite.resolve(config.layers, config.kind))
    model = load_model(config.model, suite.info.processing, device)
    attach(suite, model)
    reader = Reader(model, suite.info.model_fingerprint or fingerprint_module(model.module), config.batch_items or 0)
    model.module.to(dtype)
    vocabulary = load_vocabulary(config.model, model.info.vocabulary)
    sequences = _sequences(config, model, suite, vocabulary, progress)
    chosen = None if config.cluster is None else _cluster(config, model, sites[0], sequences, progress)
    counted = sequences.tokens if chosen is None else int(chosen.in_T.sum())
    found = {site: Percentile(suite[site].n_latents, config.percentile, counted) for site in sites}
    start = 0
    for codes in codes_of(reader, suite, sites, sequences, progress=progress):
        count = len(codes.tokens_T)
        here_T = None if chosen is None else chosen.in_T[start : start + count]
        for site, one in codes.sites.items():
            features_N, values_N, tokens = one.features_N, one.values_N, count
            if here_T is not None:
                keep_N = torch.repeat_interleave(here_T, one.starts_T.diff())
                features_N, values_N, tokens = features_N[keep_N], values_N[keep_N], int(here_T.sum())
            found[site].add(features_N, values_N, tokens)
        start += count
    values = {site: one.values() for site, one in found.items()}
    cluster = config.cluster or ""
    data = str(config.calibrate)
    keep_thresholds(
        {
            suite.fingerprints[site]: Thresholds(values_F, config.percentile, data, counted, cluster)
            for site, values_F in values.items()
        }
    )
    rows = [
        {"feature": f"{suite.label(site)}:{index}", "threshold": float(value)}
        for site, values_F in values.items()
        for index, value in enumerate(values_F.tolist())
    ]
    run.write_text("thresholds.csv", as_csv(rows, ("feature", "threshold")))
    return CalibrateResult(
        model=model.info.name,
        suite=suite.info.name,
        data=data,
        sequences=len(sequences),
        tokens=sequences.tokens,
        counted=counted,
        percentile=config.percentile,
        cluster=config.cluster,
        cluster_tokens=[] if chosen is None else _common(sequences, chosen.in_T, vocabulary),
        sites=[_site(suite.label(site), values_F) for site, values_F in values.items()],
        files=["thresholds.csv"],
    )


def _site(label: str, values_F: Tensor) -> CalibratedSite:
    above_N = values_F[values_F > 0].double()
    quantiles = above_N.quantile(torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)).tolist() if len(above_N) else []
    return CalibratedSite(label, len(values_F), len(above_N), quantiles)


def _sequences(
    config: TraceConfig, model: HookedModel, suite: Suite, vocabulary: Vocabulary, progress: Progress
) -> Sequences:
    from saecli.data.names import GAMES
    from saecli.data.sequences import open_sequences
    from zoo.reading import make_data, other_data

    info, data = model.info, str(config.calibrate)
    make_data(data, progress)
    if notice := other_data(config.model, data):
        progress(notice)
    found = open_sequences(
        data,
        config.calibrate_sequences,
        n_ctx=0 if data in GAMES else min(suite.info.context or _TEXT_CONTEXT, info.n_ctx),
        bos=suite.info.bos,
        vocabulary=lambda: vocabulary,
        progress=progress,
    )
    if info.vocabulary and found.vocabulary and info.vocabulary != found.vocabulary:
        raise InputError(f"{data} is written in {found.vocabulary!r}, and {info.name} reads {info.vocabulary!r}.")
    if int(found.tokens_BS.max()) >= info.d_vocab:
        raise InputError(f"{data} has token {int(found.tokens_BS.max())}; {info.name} knows 0..{info.d_vocab - 1}.")
    return found


@dataclass(frozen=True)
class _Chosen:
    """bool [T]: the tokens of the chosen cluster, in the order of sequences."""

    in_T: Tensor


@torch.no_grad()
def _cluster(config: TraceConfig, model: HookedModel, site: Site, sequences: Sequences, progress: Progress) -> _Chosen:
    """The tokens of one cluster of the first site's vectors, each at length 1; cluster 0 is the largest.

    Source: k-means of normalised residuals, as sparse_circuit_discovery's ``precluster``.
    """
    from scipy.cluster.vq import kmeans2, vq

    k, wanted = config.clusters
    if sequences.tokens < k:
        raise UsageError(f"--cluster {config.cluster}: the data have {sequences.tokens} tokens.", "Ask for fewer.")
    parts: list[Tensor] = []
    rows = max(1, 4096 // sequences.tokens_BS.shape[1])
    device = next(model.module.parameters()).device
    for first in range(0, len(sequences), rows):
        progress("clustering", first, len(sequences))
        tokens_BS = sequences.tokens_BS[first : first + rows].long()
        lengths_B = sequences.lengths_B[first : first + rows]
        x_BSD = model.run(tokens_BS.to(device), read=[site], stop_after=site).sites[site].float().cpu()
        here_BS = torch.arange(tokens_BS.shape[1]) < lengths_B[:, None]
        parts.append(torch.nn.functional.normalize(x_BSD[here_BS], dim=-1))
    x_TD = torch.cat(parts)
    generator = torch.Generator().manual_seed(config.seed)
    fitted_ND = x_TD[torch.randperm(len(x_TD), generator=generator)[:_FITTED].sort().values]
    first_KD = _spread(fitted_ND, k, generator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a cluster that loses all its vectors keeps its centre
        centres_KD = kmeans2(fitted_ND.numpy(), first_KD.numpy(), iter=_ROUNDS, minit="matrix")[0]
    names_T = torch.from_numpy(vq(x_TD.numpy(), centres_KD)[0]).long()
    sizes_K = torch.bincount(names_T, minlength=k)
    cluster = int(sizes_K.argsort(descending=True, stable=True)[wanted])
    if not sizes_K[cluster]:
        raise UsageError(f"--cluster {config.cluster} is empty.", "Ask for fewer clusters.")
    return _Chosen(names_T == cluster)


def _spread(x_ND: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """First centres [K, d]: each drawn with a chance that grows with its squared distance from those before it.

    Source: Arthur and Vassilvitskii 2007 (k-means++).
    """
    chosen = [int(torch.randint(len(x_ND), (), generator=generator))]
    distance_N = torch.full((len(x_ND),), torch.inf)
    while len(chosen) < k:
        distance_N = torch.minimum(distance_N, (x_ND - x_ND[chosen[-1]]).square().sum(-1))
        if not distance_N.any():
            raise UsageError(f"--cluster: the data have only {len(chosen)} different vectors.", "Ask for fewer.")
        chosen.append(int(torch.multinomial(distance_N, 1, generator=generator)))
    return x_ND[chosen]


def _common(sequences: Sequences, in_T: Tensor, vocabulary: Vocabulary) -> list[str]:
    """The most common tokens of a cluster."""
    here_BS = torch.arange(sequences.tokens_BS.shape[1]) < sequences.lengths_B[:, None]
    counts = torch.bincount(sequences.tokens_BS[here_BS][in_T].long())
    top = counts.topk(min(_SHOWN, int((counts > 0).sum()))).indices.tolist()
    return [vocabulary.token_text(token) for token in top]
