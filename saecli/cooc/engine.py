"""``saecli cooc``: which latents fire together, and what they have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from saecli.cooc.analysis import Found, Source, analyse
from saecli.cooc.config import CoocConfig
from saecli.cooc.contexts import Window
from saecli.cooc.files import Wanted, write_analysis, write_report
from saecli.cooc.place import Place
from saecli.cooc.result import AnalysisRow, CoocResult, Required
from saecli.cooc.size_effects import Analysis, size_effects
from saecli.cooc.tables import Written
from saecli.core.bound import Bound
from saecli.core.cache import Cache
from saecli.core.errors import InputError, UsageError
from saecli.core.fingerprint import fingerprint_module
from saecli.core.machine import torch_device, torch_dtype
from saecli.core.model import HookedModel
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.data.vocabulary import Vocabulary
from saecli.features.harvest import Reader, harvested
from saecli.formats.code_cache import CodeCache
from saecli.report.cooc_tables import Analysis as Shown
from saecli.report.cooc_tables import Report
from saecli.report.cooc_views import read_views

_TOKENS: Final = 1 << 17
"""That are counted, nearly, if nobody says otherwise."""
_MOVES: Final = ("othello",)
"""Vocabularies of games with a token per move."""
_GAMES: Final = ("othello", "chess")


def plan(config: CoocConfig) -> list[str]:
    """What ``--plan`` prints."""
    suites = _suites(config, torch.device("cpu"))
    lines = [f"{suite.info.name}: {' '.join(map(suite.label, _sites(suite, config)))}" for suite in suites]
    thresholds = ", ".join(f"{one:g}" for one in sorted(config.threshold))
    many = f"{config.sequences:,} sequences" if config.sequences else f"about {_TOKENS:,} tokens"
    counted = f"Counts which latents fire together on {many} that {config.model} reads"
    return [f"{counted}, at activations above {thresholds}", *lines]


def run(config: CoocConfig, run: Run, progress: Progress) -> CoocResult | None:
    """Count, cluster, look closely; None on processes other than the first.

    Raises:
        UsageError, InputError: No model, no dictionaries, no data for them, or nothing to count.
        Failure: The disk is full.
    """
    from zoo.load import attach, load_model, load_vocabulary
    from zoo.reading import read_sequences

    ranks, device = run.ranks, torch_device(config.device)
    views = read_views(Path(config.views)) if config.views else ()
    ranks.join("cpu")  # what travels is counts and codes
    suites = _suites(config, device)
    model = load_model(config.model, suites[0].info.processing, device)
    for suite in suites:
        attach(suite, model)
    fingerprint = fingerprint_module(model.module)
    sites = {suite.info.name: _sites(suite, config) for suite in suites}
    for suite in suites:
        _refuse_whole_sequences(suite, sites[suite.info.name])
    vocabulary = load_vocabulary(config.model, model.info.vocabulary)
    data, sequences = read_sequences(
        config.model,
        suites,
        model.info,
        vocabulary,
        data=config.data,
        sequences=config.sequences,
        usual_tokens=_TOKENS,
        n_ctx=config.n_ctx,
        pack=config.pack,
        progress=progress,
    )
    model.module.to(torch_dtype(config.dtype))  # after the suites have recognised the weights as they are stored
    reader = Reader(model, fingerprint, config.batch_items or 0)
    cache = CodeCache(Cache.at().codes, config.cache_bytes)
    count = sum(map(len, sites.values()))
    if config.neuronpedia and count > 1:
        raise UsageError(f"--neuronpedia names one dictionary, and {count} are chosen.", "Choose one with --layers.")
    dictionaries = f"{count} dictionaries" if count > 1 else "A dictionary"
    progress(f"{dictionaries} of {model.info.name} on {sequences.tokens:,} tokens")
    moves = vocabulary.size if vocabulary.name in _MOVES else 0
    window = Window(config.context, config.context, " " if moves else "")
    game = vocabulary.name if vocabulary.name in _GAMES and not config.pack else ""
    written = Written(vocabulary.token_text, window, moves, game)
    wanted = Wanted(config, written, _embedding(model) if config.follows else None)
    single = count * len(config.threshold) == 1
    rows: list[AnalysisRow] = []
    shown: list[Shown] = []
    effects: list[Analysis] = []
    files: list[str] = []
    for suite in suites:
        here, special = sites[suite.info.name], _special(config, suite, vocabulary)
        with harvested(
            reader, suite, here, sequences, cache=cache, work=run.work, ranks=ranks, progress=progress
        ) as store:
            for site in here:
                for found in analyse(Source(suite, site, store, special), config, ranks, run.work, progress):
                    place = Place(run, "" if single else _folder(found), files)
                    row, one = write_analysis(place, found, wanted)
                    rows.append(row)
                    shown.append(one)
                    effects.append(_effect(found))
                    progress(f"{rows[-1].suite} {rows[-1].site}", len(rows), count * len(config.threshold))
    if not ranks.first:
        return None
    place, table = Place(run, "", files), size_effects(effects)
    progress("drawing")
    place.write_table("size-effects", table)
    trained = len(sequences) - sequences.held_out
    read = f"{len(sequences):,} sequences of {data}" + (f", {trained:,} of the training side." if trained else ".")
    title = f"Latents of {model.info.name} that fire together"
    report = Report(title, config.weight, shown, table, [read], game, views)
    write_report(place, report, config.most_bytes)
    run.record(sites={suite.info.name: [suite.label(site) for site in sites[suite.info.name]] for suite in suites})
    return CoocResult(
        model=model.info.name,
        data=data,
        sequences=len(sequences),
        held_out=sequences.held_out,
        n_ctx=sequences.tokens_BS.shape[1],
        special="dropped" if config.drops_special else "kept",
        weight=config.weight,
        analyses=rows,
        required=[_required(bound, rows) for bound in config.bounds],
        files=files,
    )


@torch.no_grad()
def _embedding(model: HookedModel) -> torch.Tensor:
    """float32 [V, D]: each token at the first position."""
    device = next(model.module.parameters()).device
    return model.embed(torch.arange(model.info.d_vocab, device=device)[:, None])[:, 0].float().cpu()


def _suites(config: CoocConfig, device: torch.device) -> list[Suite]:
    from zoo.load import load_suite

    return [load_suite(name, device, torch_dtype(config.dtype)) for name in config.suite or (config.model,)]


def _sites(suite: Suite, config: CoocConfig) -> tuple[Site, ...]:
    if config.layers is None and not config.kind:
        return suite.usual_sites
    return suite.resolve(None if config.layers in (None, ":") else config.layers, config.kind)


def _refuse_whole_sequences(suite: Suite, sites: Sequence[Site]) -> None:
    for site in sites:
        if not suite[site].positionwise:
            raise InputError(
                f"{suite.info.name} has a {suite.configs[site].arch} dictionary at {suite.label(site)}, which reads "
                "whole sequences, not positions.",
                "Choose other sites with --layers and --kind.",
            )


def _special(config: CoocConfig, suite: Suite, vocabulary: Vocabulary) -> tuple[int, ...]:
    """Tokens that do not count."""
    known = (vocabulary.bos, vocabulary.eos, vocabulary.pad, suite.info.bos, *suite.info.left_out)
    return tuple(sorted({one for one in known if one is not None})) if config.drops_special else ()


def _folder(found: Found) -> str:
    """Of an analysis among several: ``othello-mini-5-t1.5``."""
    suite = found.source.suite
    parts = (suite.info.name, suite.label(found.source.site), f"t{found.pairs.threshold:g}")
    return "-".join(re.sub(r"[^\w.]+", "-", part).strip("-.") for part in parts)


def _effect(found: Found) -> Analysis:
    suite = found.source.suite
    label = suite.label(found.source.site)
    return Analysis(suite.info.name, label, found.clusters.cluster_F.astype(np.int64), found.activity, found.pairs)


def _required(bound: Bound, rows: Sequence[AnalysisRow]) -> Required:
    """What a bound comes to at the analysis where it is worst."""
    sign = 1 if bound.at_least else -1
    worst = min(rows, key=lambda one: sign * one.metrics[bound.metric])
    value = float(worst.metrics[bound.metric])
    where = f"{worst.suite} {worst.site}" + (f", activation > {worst.threshold:g}" if worst.threshold else "")
    return Required(bound.text, bound.holds(value), where, value)
