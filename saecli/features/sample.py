"""Contexts of the dictionaries of a suite over data, kept in the user's cache: one table per dictionary.

The file holds the sequences as well, so that neither model nor data are needed to look at contexts again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from saecli import __version__
from saecli.core.atomic import write_bytes
from saecli.core.cache import Cache
from saecli.core.documents import Documents
from saecli.core.evidence import Context
from saecli.core.progress import Progress, silent
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.data.boards import boards_at
from saecli.data.sequences import Sequences
from saecli.features.contexts import TopContexts, top_contexts, windows
from saecli.features.harvest import Reader, codes_of

SCHEMA: Final = "saecli.contexts/1"
_DIGITS: Final = 4


@dataclass(frozen=True)
class Sample:
    """Data to look for contexts in.

    Attributes:
        identity: What decides the sequences: the name of endless random games, or a digest of data.
        sequences: How many.
        open: Reads them.
    """

    identity: str
    sequences: int
    open: Callable[[], Sequences]


@dataclass(frozen=True)
class Shown:
    """Contexts of one dictionary with the sequences they stand in."""

    table: TopContexts
    tokens_BS: Tensor
    lengths_B: Tensor

    def contexts(
        self, features: Sequence[int], text: Callable[[int], str], game: str = ""
    ) -> list[tuple[Context, ...]]:
        """Those of some features.

        Args:
            features: Which.
            text: Token id → its text.
            game: ``othello`` or ``chess`` for positions of games, else empty.
        """
        table, length_B = self.table, self.lengths_B
        boards: dict[tuple[int, int], str] = {}
        if game:
            pairs = [(self.table.sequence_FC[f], self.table.position_FC[f]) for f in features]
            places = sorted({(int(s), int(p)) for row in pairs for s, p in zip(*row, strict=True) if s >= 0})
            boards = dict(zip(places, self._boards(game, places), strict=True))
        found = []
        for feature in features:
            several = []
            rows = (table.sequence_FC[feature], table.position_FC[feature], table.around_FCW[feature])
            for sequence, position, around_W in zip(*(one.tolist() for one in rows), strict=True):
                if sequence < 0:
                    break
                tokens = self.tokens_BS[sequence, : int(length_B[sequence])].tolist()
                begin, there = windows(tokens, position, table.width)
                values = around_W[begin : begin + len(there)]
                several.append(
                    Context(
                        tuple(map(text, there)),
                        tuple(float(f"{value:.{_DIGITS}g}") for value in values),
                        table.width - begin,
                        sequence,
                        position,
                        boards.get((sequence, position)),
                    )
                )
            found.append(tuple(several))
        return found

    def _boards(self, game: str, places: Sequence[tuple[int, int]]) -> list[str]:
        here_BS = torch.arange(self.tokens_BS.shape[1]) < self.lengths_B[:, None]
        starts_D = torch.cat([self.lengths_B.new_zeros(1), self.lengths_B.cumsum(0)])
        at_N = torch.tensor([int(starts_D[sequence]) + position for sequence, position in places])
        return boards_at(game, Documents(self.tokens_BS[here_BS].int(), starts_D), at_N)


def shown(
    reader: Reader,
    suite: Suite,
    sites: Sequence[Site],
    sample: Sample,
    *,
    count: int,
    width: int,
    cache: Cache,
    progress: Progress = silent,
) -> dict[Site, Shown]:
    """The contexts of all features at some sites, from the cache; the model runs once for those that are not there.

    Args:
        reader: The model; the suite fits it.
        suite, sites: The dictionaries.
        sample: The data.
        count: Contexts per feature.
        width: Tokens on either side.
        cache: Where tables are kept.
        progress: Told of every batch.

    Raises:
        InputError: The data cannot be read, or an activation is not finite.
    """
    paths = {site: cache.contexts_of(_key(reader, suite, site, sample, count, width)) for site in sites}
    found = {site: read for site, path in paths.items() if (read := _read(path)) is not None}
    missing = [site for site in sites if site not in found]
    if missing:
        sequences = sample.open()
        parts = codes_of(reader, suite, missing, sequences, progress=progress)
        tables = top_contexts(parts, {site: suite[site].n_latents for site in missing}, count, width)
        for site, table in tables.items():
            found[site] = Shown(table, sequences.tokens_BS, sequences.lengths_B)
            _write(paths[site], found[site])
    return {site: found[site] for site in sites}


def _key(reader: Reader, suite: Suite, site: Site, sample: Sample, count: int, width: int) -> str:
    """Digest of all that decides a table."""
    weight = next(reader.model.module.parameters())
    values = {
        "saecli": __version__,
        "torch": torch.__version__,
        "data": sample.identity,
        "sequences": sample.sequences,
        "dictionary": suite.fingerprints[site],
        "site": str(site),
        "model": reader.fingerprint,
        "processing": reader.model.info.processing,
        "number": f"{weight.dtype} {weight.device.type}",
        "count": count,
        "width": width,
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def _write(path: Path, one: Shown) -> None:
    tensors = {
        "sequence": one.table.sequence_FC,
        "position": one.table.position_FC,
        "around": one.table.around_FCW,
        "tokens": one.tokens_BS,
        "lengths": one.lengths_B,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, serialise({name: value.contiguous() for name, value in tensors.items()}, {"schema": SCHEMA}))
    except OSError:  # a full disk: they are made again next time
        path.unlink(missing_ok=True)


def _read(path: Path) -> Shown | None:
    """A table of the cache; None if there is none, or a damaged one, which is made again."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("schema") != SCHEMA:
                return None
            names = ("sequence", "position", "around", "tokens", "lengths")
            sequence, position, around, tokens, lengths = (file.get_tensor(name).clone() for name in names)
        return Shown(TopContexts(sequence, position, around), tokens, lengths)
    except (SafetensorError, OSError):
        return None
