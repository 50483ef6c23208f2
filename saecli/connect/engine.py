"""``saecli connect``: score upstream features on data, keep the strongest connections."""

from __future__ import annotations

from typing import Final

import torch

from saecli.connect.agreement import Agreement
from saecli.connect.batches import Reader
from saecli.connect.choose import Strongest, connections_of, overall, per_feature
from saecli.connect.config import ConnectConfig
from saecli.connect.files import name_of, write_files
from saecli.connect.gather import Gathered, gather, groups_of
from saecli.connect.modules import connected_modules, downs_of
from saecli.connect.paired import connect_pairs, plan_pairs
from saecli.connect.result import ChosenFile, ConnectResult, ModuleRow
from saecli.connect.tables import (
    Table,
    agreement_rows,
    degree_rows,
    importance_rows,
    kept_share,
    pair_rows,
    skip_rows,
)
from saecli.core.connections import Connections, Module
from saecli.core.fingerprint import fingerprint_module
from saecli.core.machine import torch_device, torch_dtype
from saecli.core.model import HookedModel
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.suite import Suite
from saecli.data.sequences import Sequences
from saecli.pruned.modules import modules_of
from saecli.pruned.suite import PrunedSuite

_TOKENS: Final = 1 << 15
"""That are read, nearly, if nobody says otherwise."""
_COMPARED: Final = 100
"""Connections of a feature that are kept for tables, at least."""


def plan(config: ConnectConfig) -> list[str]:
    """What ``--plan`` prints."""
    from zoo.load import load_model, load_suite

    if config.pair:
        return plan_pairs(config, config.suite or config.model)
    suite = load_suite(_suite_name(config))
    info = load_model(config.model, suite.info.processing).info
    modules = connected_modules(suite, info, embed=config.embed, logits=config.logits)
    downs = downs_of(modules, parallel=info.parallel)
    features = sum(down.module.n_latents for down in downs)
    pairs = sum(down.module.n_latents * down.width for down in downs)
    lines = [f"{suite.info.name}: {len(modules)} modules, {pairs:,} possible connections of {features:,} features"]
    kept = [f"{one:,} per feature" for one in config.per_feature] + [f"{one:,} overall" for one in config.overall]
    lines.append(f"Keeps {', '.join(kept + ['all'] * config.keeps_all)}, by {config.scored_by}")
    if _needs_data(config):
        passes = len(groups_of(downs, info.n_heads, _summed_by(config), _room(config)))
        many = f"{config.sequences:,} sequences" if config.sequences else f"about {_TOKENS:,} tokens"
        lines.append(f"{config.model} reads {many}, {'once' if passes == 1 else f'{passes} times'}")
    return lines


def run(config: ConnectConfig, run: Run, progress: Progress) -> ConnectResult:
    """Score, choose, write.

    Raises:
        UsageError, InputError: No model, no suite with connections, or no data for them.
    """
    from zoo.load import attach, load_model, load_suite, load_vocabulary
    from zoo.reading import read_sequences

    if config.pair:
        return connect_pairs(config, config.suite or config.model, run, progress)
    device, dtype = torch_device(config.device), torch_dtype(config.dtype)
    if device.type == "mps":
        device = torch.device("cpu")
    suite = load_suite(_suite_name(config), device, dtype)
    model = load_model(config.model, suite.info.processing, device)
    attach(suite, model)
    fingerprint = fingerprint_module(model.module)
    model.module.to(dtype)  # after the suite has recognised the weights as they are stored
    info = model.info
    modules = connected_modules(suite, info, embed=config.embed, logits=config.logits)
    everything = Connections(modules, "all", parallel=info.parallel)
    pruned = PrunedSuite(
        model,
        suite,
        Connections(modules_of(suite, info.n_layers), "all", parallel=info.parallel),
        compat=config.follows,
    )
    downs = downs_of(modules, parallel=info.parallel and not config.follows)
    data, sequences = "", None
    if _needs_data(config):
        data, sequences = read_sequences(
            config.model,
            [suite],
            info,
            load_vocabulary(config.model, info.vocabulary),
            data=config.data,
            sequences=config.sequences,
            usual_tokens=_TOKENS,
            n_ctx=config.n_ctx,
            pack=config.pack,
            half=config.half,
            progress=progress,
        )
        progress(f"{len(modules)} modules of {suite.info.name} on {sequences.tokens:,} tokens of {data}")
    left_out = () if config.follows else suite.info.left_out
    counts = config.per_feature or (_COMPARED,)
    found = gather(
        Reader(model, suite, left_out, config.batch_items or 0, pruned if config.follows else None),
        downs,
        sequences,
        score=_summed_by(config),
        per_feature=max(_COMPARED, *counts),
        overall=max(config.overall, default=0),
        counts=counts if config.scored_by != "random" else (),
        as_reference=config.follows,
        max_bytes=_room(config),
        progress=progress,
    )
    facts = {
        "score": config.scored_by,
        "model": info.name,
        "model_fingerprint": fingerprint,
        "suite_fingerprint": suite.fingerprint,
    }
    chosen = _chosen(config, found, modules, info.parallel, facts)
    progress("drawing")
    names = {name_of(one): one for one in chosen}
    drawn = {name: one for name, one in names.items() if one.rule != "all"}
    known = config.scored_by != "random"
    tables: dict[str, Table] = {
        "connections": [row for name, one in drawn.items() for row in pair_rows(name, one)],
        "degrees": [row for name, one in drawn.items() for row in degree_rows(name, one, everything)],
        "skips": [row for name, one in drawn.items() for row in skip_rows(name, one, everything, info.n_layers)],
        "importance": importance_rows(found) if known else [],
        "agreement": agreement_rows(found, config.per_feature) if known else [],
    }
    files = write_files(run, names, tables)
    return _result(config, model, suite, data, sequences, found, names, everything, files)


def _chosen(
    config: ConnectConfig, found: Gathered, modules: tuple[Module, ...], parallel: bool, facts: dict[str, str]
) -> list[Connections]:
    result = []
    for c in config.per_feature:
        rows = {}
        for kept in found.modules:
            rows |= per_feature(kept.down, kept.ranked, c)
        result.append(connections_of(modules, rows, parallel, rule="per-feature", limit=c, **facts))
    for e in config.overall:
        rows = overall([kept.down for kept in found.modules], found.strongest[0], e)
        result.append(connections_of(modules, rows, parallel, rule="overall", limit=e, **facts))
    if config.scored_by == "random":
        result = [one.randomised(config.seed) for one in result]
    if config.keeps_all:
        result.append(connections_of(modules, {}, parallel, rule="all", **{**facts, "score": ""}))
    return result


def _result(
    config: ConnectConfig,
    model: HookedModel,
    suite: Suite,
    data: str,
    sequences: Sequences | None,
    found: Gathered,
    names: dict[str, Connections],
    everything: Connections,
    files: list[str],
) -> ConnectResult:
    agreement = Agreement()
    for kept in found.modules:
        agreement += kept.agreement
    return ConnectResult(
        model=model.info.name,
        suite=suite.info.name,
        data=data,
        sequences=0 if sequences is None else len(sequences),
        tokens=0 if sequences is None else sequences.tokens,
        held_out=0 if sequences is None else sequences.held_out,
        score=config.scored_by,
        chosen=[_file(config, name, one, found, everything) for name, one in names.items()],
        modules=[
            ModuleRow(
                site=str(kept.down.site),
                features=kept.down.module.n_latents,
                scored=int((kept.sizes_F > 0).sum()),
                upstream=kept.down.width,
                correlation=kept.agreement.mean_correlation,
            )
            for kept in found.modules
        ],
        correlation=agreement.mean_correlation,
        files=files,
    )


def _file(config: ConnectConfig, name: str, one: Connections, found: Gathered, everything: Connections) -> ChosenFile:
    scored = one.rule != "all" and config.scored_by != "random"
    return ChosenFile(
        file=name,
        rule=one.rule,
        limit=one.limit,
        connections=one.n_edges,
        possible=everything.n_edges,
        connected=sum(int((one.in_degree(module.reads) > 0).sum()) for module in one.modules),
        kept=kept_share(one, found) if scored else None,
        overlap=_overlap(one, found) if scored else None,
    )


def _overlap(one: Connections, found: Gathered) -> float | None:
    if one.limit is None:
        return None
    if one.rule == "overall":
        return _shared(*found.strongest[1:], one.limit)
    rows = sum(kept.agreement.rows for kept in found.modules)
    return sum(kept.agreement.overlap.get(one.limit, 0.0) for kept in found.modules) / rows if rows else None


def _shared(first: Strongest, second: Strongest, most: int) -> float | None:
    """The share of the connections of one half that the other has too."""
    chosen = [set(map(tuple, one.places_E3[:most].tolist())) for one in (first, second)]
    larger = max(map(len, chosen))
    return len(chosen[0] & chosen[1]) / larger if min(map(len, chosen)) else None


def _summed_by(config: ConnectConfig) -> str:
    """The score that is computed: random connections are as many as the usual score keeps."""
    return "active-mean" if config.scored_by == "random" else config.scored_by


def _needs_data(config: ConnectConfig) -> bool:
    return _summed_by(config) != "weight" and bool(config.per_feature or config.overall)


def _room(config: ConnectConfig) -> int:
    """Bytes for sums: half of what is allowed, and not more than is of use."""
    return min(1 << 30, (config.max_memory_bytes or 1 << 31) // 2)


def _suite_name(config: ConnectConfig) -> str:
    from zoo.index import find_release

    usual = f"{config.model}-transcoders"
    return config.suite or (usual if find_release(usual) else config.model)
