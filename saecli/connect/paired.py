"""``saecli connect --pair``: connections between the features of sites with a part of the model between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, cast

import torch
from torch import Tensor

from saecli.attribution.pair import FeaturePair, check_pair, feature_pair
from saecli.attribution.pair_scores import PairScore, add_scores
from saecli.connect.config import ConnectConfig
from saecli.connect.files import name_of, write_files
from saecli.connect.result import ChosenFile, ConnectResult, ModuleRow
from saecli.connect.tables import Table, degree_rows, pair_rows
from saecli.core.connections import Connections, Module, Rows, indptr_of
from saecli.core.dictionary import SparseActs
from saecli.core.errors import InputError
from saecli.core.fingerprint import fingerprint_module
from saecli.core.machine import torch_device, torch_dtype
from saecli.core.model import HookedModel
from saecli.core.progress import Progress
from saecli.core.run import Run
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.data.sequences import Sequences

_POSITIONS: Final = 4096
"""That the model reads together, nearly."""


@dataclass(frozen=True)
class PairScores:
    """Scores of a pair, [F_up, F_down] each.

    Attributes:
        whole_UF: On all sequences.
        halves: On those with even and with odd numbers.
        positions: How many were looked at.
    """

    whole_UF: Tensor
    halves: tuple[Tensor, Tensor]
    positions: int


def plan_pairs(config: ConnectConfig, suite_name: str) -> list[str]:
    """What ``--plan`` prints."""
    from zoo.load import load_model, load_suite

    suite = load_suite(suite_name)
    info = load_model(config.model, suite.info.processing).info
    lines = []
    for up, down in config.pairs:
        check_pair(suite, info, (up, down))
        wide = [suite.configs[site].n_latents for site in (up, down)]
        kept = ", ".join(f"{one:,}" for one in _kept(config, wide[0] * wide[1]))
        lines.append(
            f"{suite.info.name}: {wide[0]:,} features at {up} and {wide[1]:,} at {down}, {wide[0] * wide[1]:,} pairs; "
            f"keeps {kept}"
        )
    return [*lines, f"by {_details(config, '')['method']}"]


def connect_pairs(config: ConnectConfig, suite_name: str, run: Run, progress: Progress) -> ConnectResult:
    """Score every feature of one site for every feature of the other, pair by pair, keep the strongest of each.

    Raises:
        UsageError, InputError: No such sites, no dictionaries there, or no data.
    """
    from zoo.load import attach, load_model, load_suite, load_vocabulary
    from zoo.reading import read_sequences

    device, dtype = torch_device(config.device), torch_dtype(config.dtype)
    suite = load_suite(suite_name, device, dtype)
    model = load_model(config.model, suite.info.processing, device)
    attach(suite, model)
    fingerprint = fingerprint_module(model.module)
    model.module.to(dtype)  # after the suite has recognised the weights as they are stored
    info, ends = model.info, config.pairs
    parts = {pair: feature_pair(model, suite, pair) for pair in ends}
    data, sequences = read_sequences(
        config.model,
        [suite],
        info,
        load_vocabulary(config.model, info.vocabulary),
        data=config.data,
        sequences=config.sequences,
        usual_tokens=1 << 15,
        n_ctx=config.n_ctx,
        pack=config.pack,
        half=config.half,
        progress=progress,
    )
    scores = {}
    for (up, down), pair in parts.items():
        progress(f"{up} to {down} of {suite.info.name} on {sequences.tokens:,} tokens of {data}")
        scores[up, down] = score_pair(
            model, suite, pair, up, sequences, cast(PairScore, _score(config)), steps=config.steps, progress=progress
        )
    facts: dict[str, Any] = {
        "score": config.scored_by,
        "model": info.name,
        "model_fingerprint": fingerprint,
        "suite_fingerprint": suite.fingerprint,
        "parallel": info.parallel,
        "details": {
            **_details(config, data),
            "pairs": " ".join(f"{up}:{down}" for up, down in ends),
            "half": config.half,
            "sequences": len(sequences),
            "positions": next(iter(scores.values())).positions,
        },
    }
    modules = tuple(Module(site, site, suite.configs[site].n_latents) for site in sorted({*chain(*ends)}))
    possible = sum(one.whole_UF.numel() for one in scores.values())
    names = {}
    for most in _kept(config, max(one.whole_UF.numel() for one in scores.values())):
        rows = {(down, up): strongest(one.whole_UF, most, config.seed) for (up, down), one in scores.items()}
        made = Connections(modules, "overall", sum(len(one.indices) for one in rows.values()), rows, **facts)
        names[name_of(made)] = made
    tables: dict[str, Table] = {
        "connections": [row for name, one in names.items() for row in pair_rows(name, one)],
        "degrees": [row for name, one in names.items() for row in degree_rows(name, one, one)],
    }
    files = write_files(run, names, tables)
    return ConnectResult(
        model=info.name,
        suite=suite.info.name,
        data=data,
        sequences=len(sequences),
        tokens=sequences.tokens,
        held_out=sequences.held_out,
        score=config.scored_by,
        chosen=[_file(name, one, scores, possible) for name, one in names.items()],
        modules=[
            ModuleRow(
                site=str(down),
                features=one.whole_UF.shape[1],
                scored=int((one.whole_UF != 0).any(0).sum()),
                upstream=one.whole_UF.shape[0],
                correlation=None,
            )
            for (_, down), one in scores.items()
        ],
        correlation=None,
        files=files,
    )


@torch.no_grad()
def score_pair(
    model: HookedModel,
    suite: Suite,
    pair: FeaturePair,
    up: Site,
    sequences: Sequences,
    score: PairScore,
    *,
    steps: int,
    progress: Progress,
) -> PairScores:
    """Scores of all features of one site for all of the other: means over positions, roots of sums for ``reference``.

    Raises:
        InputError: Features or scores that are not finite, or no position to look at.
    """
    zero_UF = pair.up.W_enc_DF.new_zeros(pair.up.n_latents, pair.down.n_latents, dtype=torch.float64)
    sums, positions = (zero_UF, zero_UF.clone()), [0, 0]
    done = 0
    for half in (0, 1):
        for clean_BSD, acts, counted_BS in _batches(model, suite, up, sequences, half):
            if pair.positionwise:
                add_scores(sums[half], pair, score, acts, clean_BSD.flatten(0, 1), counted_BS.flatten(), steps)
            else:
                for number, (clean_SD, counted_S) in enumerate(zip(clean_BSD, counted_BS, strict=True)):
                    here = slice(number * len(clean_SD), (number + 1) * len(clean_SD))
                    some = SparseActs(acts.indices_TK[here], acts.values_TK[here])
                    add_scores(sums[half], pair, score, some, clean_SD, counted_S, steps)
            positions[half] += int(counted_BS.sum())
            done += len(clean_BSD)
            progress(f"{done:,} of {len(sequences):,} sequences")
    if not sum(positions):
        raise InputError("The data have no position to look at.", "Choose data with more tokens.")
    if not all(bool(one_UF.isfinite().all()) for one_UF in sums):
        raise InputError(f"Scores of features at {up} are not finite.", "Look at the weights of both dictionaries.")

    def finished(total_UF: Tensor, count: int) -> Tensor:
        return total_UF.sqrt() if score == "reference" else total_UF / max(1, count)

    halves = finished(sums[0], positions[0]), finished(sums[1], positions[1])
    return PairScores(finished(sums[0] + sums[1], sum(positions)), halves, sum(positions))


def strongest(scores_UF: Tensor, most: int, seed: int) -> Rows:
    """The pairs of features with the largest scores; among equals chance decides."""
    (ups, downs), flat_N = scores_UF.shape, scores_UF.T.flatten().cpu()
    shuffled_N = torch.randperm(len(flat_N), generator=torch.Generator().manual_seed(seed))
    best_E = shuffled_N[flat_N[shuffled_N].sort(descending=True, stable=True).indices[:most]]
    best_E = best_E[(best_E // ups).sort(stable=True).indices]
    counts_F = (best_E // ups).bincount(minlength=downs)
    return Rows(indptr_of(counts_F), (best_E % ups).int(), flat_N[best_E].float())


# ----------------------------------------------------------------------------------------------------------------------


def _batches(
    model: HookedModel, suite: Suite, up: Site, sequences: Sequences, half: int
) -> Iterator[tuple[Tensor, SparseActs, Tensor]]:
    """Every second sequence: the model at the source [B, S, d], source features, positions looked at [B, S]."""
    device = next(model.module.parameters()).device
    length = sequences.tokens_BS.shape[1]
    parts = [one[half::2].split(max(1, _POSITIONS // length)) for one in (sequences.tokens_BS, sequences.lengths_B)]
    for tokens_BS, lengths_B in zip(*parts, strict=True):
        tokens_BS = tokens_BS.long().to(device)
        inside_BS = torch.arange(length, device=device) < lengths_B.to(device)[:, None]
        counted_BS = inside_BS & ~torch.isin(tokens_BS, tokens_BS.new_tensor(suite.info.left_out))
        clean_BSD = model.run(tokens_BS, read=[up], stop_after=up).sites[up]
        acts = suite[up].encode_sparse(clean_BSD.flatten(0, 1))
        if not bool(acts.values_TK.isfinite().all()):
            raise InputError(f"Features at {up} take values that are not finite.", "Look at the suite's weights.")
        yield clean_BSD, acts, counted_BS


def _score(config: ConnectConfig) -> str:
    return "reference" if config.compat == "gpt-circuits" else config.scored_by


def _details(config: ConnectConfig, data: str) -> dict[str, str | int]:
    score = _score(config)
    said = {
        "ig": "mean |integrated gradient|, midpoint rule",
        "jacobian": "mean |Jacobian|",
        "ablation": "mean |change| by zero ablation",
        "reference": "root of the sum of squares, as gpt-circuits",
    }[score]
    return {"method": said, "data": data, **({"steps": config.steps} if score in ("ig", "reference") else {})}


def _kept(config: ConnectConfig, possible: int) -> list[int]:
    """Connections of each pair, by file; `possible` ones of the pair that has most."""
    chosen = {min(one, possible) for one in config.overall}
    return sorted(chosen | ({possible} if config.keep is None or config.keeps_all else set()))


def _file(name: str, one: Connections, scores: Mapping[tuple[Site, Site], PairScores], possible: int) -> ChosenFile:
    whole = float(sum(found.whole_UF.sum() for found in scores.values()))
    size = sum(float(rows.scores.double().sum()) for rows in one.rows.values() if rows.scores is not None)
    overlaps = [_overlap(found, len(one.rows[down, up].indices)) for (up, down), found in scores.items()]
    known = [overlap for overlap in overlaps if overlap is not None]
    return ChosenFile(
        file=name,
        rule=one.rule,
        limit=one.limit,
        connections=one.n_edges,
        possible=possible,
        connected=sum(int((rows.indptr.diff() > 0).sum()) for rows in one.rows.values()),
        kept=min(1.0, size / whole) if whole else None,
        overlap=sum(known) / len(known) if known else None,
    )


def _overlap(scores: PairScores, count: int) -> float | None:
    """Share of the first half's choice that the second half chooses too; None if one of them has no score."""
    if not all(bool((half_UF != 0).any()) for half_UF in scores.halves):
        return None
    first, second = (half_UF.flatten().topk(count).indices.cpu() for half_UF in scores.halves)
    return float(torch.isin(first, second).double().mean())
