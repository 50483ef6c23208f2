"""Codes of data for a search: from the code store, without the sequences that the input begins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from saecli.attribution.cluster import Data
from saecli.core.cache import Cache
from saecli.core.codes import Codes, SiteCodes
from saecli.core.errors import InputError
from saecli.core.fingerprint import fingerprint_module
from saecli.core.progress import Progress
from saecli.core.site import Site
from saecli.features.harvest import Reader, harvested
from saecli.formats.code_cache import CodeCache
from saecli.trace.config import TraceConfig
from saecli.trace.data import open_data
from saecli.trace.passes import Passes

CONTEXT = 128
"""Tokens of a sequence of text, if the model reads as many and the input has no more."""


def read_data(config: TraceConfig, passes: Passes, tokens_S: Tensor, progress: Progress) -> Mapping[Site, Data]:
    """Codes of ``--sequences`` of data at every traced site.

    Args:
        config: The user's choices.
        passes: The model and the suite.
        tokens_S: The input; sequences that begin with it would answer the question, and are left out.
        progress: Told of every batch.

    Raises:
        UsageError, InputError: There are no data, or they are in other tokens.
    """
    model, suite = passes.model, passes.suite
    length = min(model.info.n_ctx, max(CONTEXT, len(tokens_S)))
    sequences = open_data(config, model, suite.info.bos, length, progress)
    reader = Reader(model, suite.info.model_fingerprint or fingerprint_module(model.module))
    cache = CodeCache(Cache.at().codes)
    with (
        TemporaryDirectory() as work,
        harvested(reader, suite, passes.sites, sequences, cache=cache, work=Path(work), progress=progress) as store,
    ):
        assert store is not None  # noqa: S101 (there is one process)
        codes = Codes.join(list(store))
    starts_D = codes.starts_D
    document_T = torch.repeat_interleave(starts_D.diff())
    position_T = torch.arange(len(document_T)) - starts_D[document_T]
    keep_T = ~_begin_with(codes, tokens_S.cpu())[document_T]
    if not keep_T.any():
        raise InputError("Every sequence of the data begins with the input.", "Ask for more --sequences.")
    context = sequences.tokens_BS.shape[1]
    return {
        site: Data(_some(codes.sites[site], keep_T), position_T[keep_T], context, suite[site].n_latents)
        for site in passes.sites
    }


def _begin_with(codes: Codes, tokens_S: Tensor) -> Tensor:
    """Which documents begin with these tokens: bool [D]."""
    starts_D, length = codes.starts_D[:-1], len(tokens_S)
    long_D = codes.starts_D.diff() >= length
    at_DS = starts_D[:, None] + torch.arange(length)
    return long_D & (codes.tokens_T[at_DS.clamp_max(len(codes.tokens_T) - 1)] == tokens_S).all(1)


def _some(codes: SiteCodes, keep_T: Tensor) -> SiteCodes:
    count_T = codes.starts_T.diff()
    keep_N = torch.repeat_interleave(keep_T, count_T)
    count_M = count_T[keep_T]
    starts_M = torch.cat([count_M.new_zeros(1), count_M.cumsum(0)])
    return SiteCodes(starts_M, codes.features_N[keep_N], codes.values_N[keep_N])
