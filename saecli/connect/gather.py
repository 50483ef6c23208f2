"""All scores of a suite, some rows of some modules at a time, and what is kept of them.

The model runs once per group of modules whose sums fit into memory together; nothing of all pairs of features is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from saecli.connect.agreement import Agreement
from saecli.connect.batches import Reader
from saecli.connect.choose import Ranked, Strongest, ranked
from saecli.connect.modules import Down
from saecli.connect.reading import Reading, reading_of
from saecli.connect.scores import Scored, scores_of, sums_for
from saecli.connect.sums import Sums
from saecli.core.progress import Progress, silent
from saecli.data.sequences import Sequences

_ROOM: Final = 1 << 30
"""Bytes of the sums of a group if nobody limits them."""


@dataclass
class Kept:
    """What is kept of the scores of a module.

    Attributes:
        down: The module and those upstream.
        parts: The strongest of its features, in order.
        sizes: Per feature the sizes of all its scores together.
        agreement: Of the halves of the data.
    """

    down: Down
    parts: list[Ranked] = field(default_factory=list)
    sizes: list[Tensor] = field(default_factory=list)
    agreement: Agreement = field(default_factory=Agreement)

    @property
    def ranked(self) -> Ranked:
        """The strongest of every feature."""
        return Ranked(
            torch.cat([one.scores_RK for one in self.parts]), torch.cat([one.features_RK for one in self.parts])
        )

    @property
    def sizes_F(self) -> Tensor:
        """Per feature the sizes of all its scores together."""
        return torch.cat(self.sizes)


@dataclass
class Gathered:
    """What is kept of the scores of a suite.

    Attributes:
        modules: Per downstream module.
        strongest: Overall, and of each half of the data.
    """

    modules: list[Kept]
    strongest: tuple[Strongest, Strongest, Strongest]


def gather(
    reader: Reader,
    downs: Sequence[Down],
    sequences: Sequences | None,
    *,
    score: str,
    per_feature: int,
    overall: int,
    counts: Sequence[int],
    as_reference: bool = False,
    max_bytes: int | None = None,
    progress: Progress = silent,
) -> Gathered:
    """Score all connections of a suite and keep the strongest.

    Args:
        reader: What runs sequences.
        downs: The modules with others upstream.
        sequences: What is read; None for ``weight``.
        score: Name of the score.
        per_feature: Connections kept of each feature.
        overall: Connections kept of the suite; 0 for none.
        counts: Every C at which the halves are compared.
        as_reference: Divide ``mean`` as the reference does, and subtract no mean before transcoders.
        max_bytes: For the sums of modules that are looked at together.
        progress: Told how far it is.
    """
    found = Gathered([Kept(down) for down in downs], (Strongest(overall), Strongest(overall), Strongest(overall)))
    shape = (len(sequences), sequences.tokens_BS.shape[1]) if as_reference and sequences is not None else (0, 0)
    groups = groups_of(downs, reader.model.info.n_heads, score, max_bytes or _ROOM)
    for number, group in enumerate(groups):
        where = f"pass {number + 1} of {len(groups)}" if len(groups) > 1 else ""
        readings = {
            down.site: reading_of(reader.model, reader.suite, down, centre=not as_reference) for down, _ in group
        }
        sums = _summed(reader, [(readings[down.site], rows) for down, rows in group], sequences, score, where, progress)
        for (down, rows), halves in zip(group, sums, strict=True):
            at = downs.index(down)
            for scored in scores_of(score, readings[down.site], rows, halves, reference_shape=shape):
                _keep(found, at, scored, per_feature, counts)
    return found


def groups_of(downs: Sequence[Down], heads: int, score: str, max_bytes: int) -> list[list[tuple[Down, slice]]]:
    """Rows of modules that are looked at together, in order.

    Args:
        downs: The modules.
        heads: Heads of the model's attention.
        score: Name of the score.
        max_bytes: For the sums over both halves of the data; one row is always looked at.
    """
    groups: list[list[tuple[Down, slice]]] = [[]]
    room = max_bytes
    for down in downs:
        times = heads if down.site.kind == "attn_out" else 1
        per_row = {"weight": 0, "mean": 0, "max": 2 + times}.get(score, 2 * times) * 4 * down.width
        first = 0
        while first < down.module.n_latents:
            fits = down.module.n_latents if not per_row else room // per_row
            if fits < 1 and groups[-1]:
                groups.append([])
                room = max_bytes
                continue
            last = min(down.module.n_latents, first + max(1, fits))
            groups[-1].append((down, slice(first, last)))
            room, first = room - (last - first) * per_row, last
    return groups


def _summed(
    reader: Reader,
    wanted: Sequence[tuple[Reading, slice]],
    sequences: Sequences | None,
    score: str,
    where: str,
    progress: Progress,
) -> list[tuple[Sums, Sums] | None]:
    if sequences is None:
        return [None] * len(wanted)
    halves = [(sums_for(score, reading, rows), sums_for(score, reading, rows)) for reading, rows in wanted]
    downs, read = [reading.down for reading, _ in wanted], 0
    for half in (0, 1):
        for batch in reader.batches(sequences, half, downs, slopes=score == "gradient"):
            progress("running the model", read, len(sequences), where)
            for pair in halves:
                pair[half].add(batch)
            read += len(batch.counted_BS)
    progress("running the model", len(sequences), len(sequences), where)
    return list(halves)


def _keep(found: Gathered, number: int, scored: Scored, per_feature: int, counts: Sequence[int]) -> None:
    kept = found.modules[number]
    best = ranked(scored.total_RU, per_feature)
    kept.parts.append(Ranked(best.scores_RK.cpu(), best.features_RK.cpu()))
    kept.sizes.append(scored.total_RU.abs().sum(1).cpu())
    parts = (scored.total_RU, scored.first_RU, scored.second_RU)
    for strongest, scores_RU in zip(found.strongest, parts, strict=True):
        if strongest.most and scores_RU is not None:
            strongest.add(number, scored.rows.start, scores_RU)
    if scored.first_RU is not None and scored.second_RU is not None and counts:
        kept.agreement.add(scored.first_RU, scored.second_RU, counts)
