"""Codes of a suite over sequences: from the user's cache, or from the model, which then runs once for all sites.

Batches have one shape and go round robin to the processes; what each makes of its own is gathered in their order, so
that codes depend on neither the number of processes nor on that of the sequences. They lie on disk, at the first
process alone; the others share the counting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.codes import Codes, SiteCodes
from saecli.core.encoding import encode, filled
from saecli.core.model import HookedModel
from saecli.core.progress import Progress, silent
from saecli.core.ranks import ONE, Ranks
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.data.sequences import Sequences
from saecli.formats.code_cache import CodeCache
from saecli.formats.code_store import CodeStore

_TOKENS: Final = 4096
"""Positions of a batch, nearly."""
_VERSION: Final = 1
_UNLIMITED: Final = 1 << 62


@dataclass(frozen=True)
class Reader:
    """What reads sequences.

    Attributes:
        model: The model, in the number type it is to run in.
        fingerprint: Of its weights as they are stored.
        rows: Sequences of a batch; as many as make about 4,096 positions if 0.
    """

    model: HookedModel
    fingerprint: str
    rows: int = 0


@contextmanager
def harvested(
    reader: Reader,
    suite: Suite,
    sites: Sequence[Site],
    sequences: Sequences,
    *,
    cache: CodeCache,
    work: Path,
    ranks: Ranks = ONE,
    progress: Progress = silent,
) -> Iterator[CodeStore | None]:
    """The codes while the block runs; None on processes other than the first.

    Args:
        reader: The model; the suite fits it.
        suite: The dictionaries.
        sites: Which of them.
        sequences: What is read; every sequence is a document of the codes.
        cache: Where codes are looked up, and kept if there is room.
        work: Folder of this run, for codes that the cache has no room for.
        ranks: The processes.
        progress: Told of every batch.

    Raises:
        InputError: An activation is not finite.
        Failure: The disk is full.
    """
    key = _key(reader, suite, sites, sequences)
    if not ranks.first:
        if not ranks.hear(_word(key)):
            for _ in codes_of(reader, suite, sites, sequences, ranks):
                pass
        yield None
        return
    with cache.reading(key) as found:
        ranks.say(_word(key), found is not None)
        if found is not None:
            yield found[0]
            return
    folder = work / f"codes-{_word(key)}"
    with CodeStore.create(folder, suite, sites, _UNLIMITED) as store:
        for shard in store.shards:  # of a call that was stopped
            shard.unlink()
        for codes in codes_of(reader, suite, sites, sequences, ranks, progress):
            store.append(codes)
    cache.keep(key, suite, sites, store)
    yield store


@torch.no_grad()
def codes_of(
    reader: Reader,
    suite: Suite,
    sites: Sequence[Site],
    sequences: Sequences,
    ranks: Ranks = ONE,
    progress: Progress = silent,
) -> Iterator[Codes]:
    """Codes of all sequences in order, some at a time, the same on every process."""
    sites, rows = sorted(sites), reader.rows or max(1, _TOKENS // sequences.tokens_BS.shape[1])
    starts = range(0, len(sequences), rows)
    for first in range(0, len(starts), ranks.size):
        mine = first + ranks.rank
        progress("running the model", starts[first], len(sequences))
        if mine < len(starts):
            here = slice(starts[mine], starts[mine] + rows)
            tokens_BS, lengths_B = sequences.tokens_BS[here], sequences.lengths_B[here]
        else:
            tokens_BS, lengths_B = sequences.tokens_BS[:0], sequences.lengths_B[:0]
        yield _gathered(_batch(reader, suite, sites, tokens_BS, lengths_B, rows), ranks)
    progress("running the model", len(sequences), len(sequences))


def _batch(
    reader: Reader, suite: Suite, sites: Sequence[Site], tokens_BS: Tensor, lengths_B: Tensor, rows: int
) -> Codes:
    starts_D = torch.cat([lengths_B.new_zeros(1), lengths_B.cumsum(0)])
    if not len(tokens_BS):
        nothing = SiteCodes(starts_D.new_zeros(1), tokens_BS.new_zeros(0), torch.zeros(0))
        return Codes(tokens_BS.reshape(-1), starts_D, dict.fromkeys(sites, nothing))
    device = next(reader.model.module.parameters()).device
    run = reader.model.run(filled(tokens_BS, rows).long().to(device), read=sites, stop_after=sites[-1])
    here_BS = torch.arange(tokens_BS.shape[1]) < lengths_B[:, None]
    found = {site: run.sites[site][: len(tokens_BS)][here_BS.to(device)].float() for site in sites}
    return Codes(tokens_BS[here_BS], starts_D, {site: encode(suite[site], x_TD) for site, x_TD in found.items()})


def _gathered(codes: Codes, ranks: Ranks) -> Codes:
    """The codes of all processes, one after the other."""
    if ranks.size == 1:
        return codes

    def offsets(starts: Tensor) -> Tensor:
        lengths = ranks.gather_rows(starts.diff())
        return torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])

    sites = {
        site: SiteCodes(offsets(one.starts_T), ranks.gather_rows(one.features_N), ranks.gather_rows(one.values_N))
        for site, one in codes.sites.items()
    }
    return Codes(ranks.gather_rows(codes.tokens_T), offsets(codes.starts_D), sites)


def _key(reader: Reader, suite: Suite, sites: Sequence[Site], sequences: Sequences) -> dict[str, Any]:
    """All that decides the codes."""
    weight = next(reader.model.module.parameters())
    return {
        "version": _VERSION,
        "torch": torch.__version__,
        "sequences": sequences.digest,
        "dictionaries": {str(site): suite.fingerprints[site] for site in sorted(sites)},
        "model": reader.fingerprint,
        "processing": reader.model.info.processing,
        "number": f"{weight.dtype} {weight.device.type}",
        "rows": reader.rows,
    }


def _word(key: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
